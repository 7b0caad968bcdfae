//! Filters whose result is gone through once, as Python's generators are.

use std::borrow::Cow;

use minijinja::{
    State, Value,
    value::{Rest, ValueKind, ValueOrKwargs},
};

use super::{
    arguments, fault, filters,
    views::{View, is_generator, once},
};

type Arguments = Rest<ValueOrKwargs>;
type Test = Option<String>;

pub fn add_filters(environment: &mut minijinja::Environment<'_>) {
    use minijinja::filters::{batch, map, reject, rejectattr, select, selectattr, slice};
    environment.add_filter("map", |state: &mut State<'_, '_>, value: Value, args: Arguments| {
        map(state, value, args).map(once)
    });
    environment.add_filter("select", |state: &mut State<'_, '_>, value: Value, test: Test, args: Arguments| {
        select(state, value, test.map(Cow::from), args).map(once)
    });
    environment.add_filter("reject", |state: &mut State<'_, '_>, value: Value, test: Test, args: Arguments| {
        reject(state, value, test.map(Cow::from), args).map(once)
    });
    environment.add_filter(
        "selectattr",
        |state: &mut State<'_, '_>, value: Value, attr: String, test: Test, args: Arguments| {
            selectattr(state, value, attr.into(), test.map(Cow::from), args).map(once)
        },
    );
    environment.add_filter(
        "rejectattr",
        |state: &mut State<'_, '_>, value: Value, attr: String, test: Test, args: Arguments| {
            rejectattr(state, value, attr.into(), test.map(Cow::from), args).map(once)
        },
    );
    environment.add_filter("batch", |state: &State<'_, '_>, value: Value, count, fill| {
        batch(state, value, count, fill)?.try_iter().map(once)
    });
    environment.add_filter("slice", |state: &State<'_, '_>, value: Value, count, fill| {
        slice(state, value, count, fill)?.try_iter().map(once)
    });
    environment.add_filter("unique", |state: &State<'_, '_>, value: Value, args, kwargs| {
        arguments::unique(state, value, args, kwargs)?.try_iter().map(once)
    });
    environment.add_filter("items", |value: &Value| match value.kind() {
        ValueKind::Undefined => Ok(once([])),
        ValueKind::Map => View::of(value, "items")?.unwrap_or_default().try_iter().map(once),
        _ => Err(fault("items needs a map")),
    });
    environment.add_filter("reverse", |state: &State<'_, '_>, value: Value| {
        if let Some(text) = value.as_str() {
            state.consume_fuel(1 + text.len() as u64 / 8)?;
            return Ok(text.chars().rev().collect::<String>().into());
        }
        let mut items: Vec<Value> = filters::list(state, value.clone())?.try_iter()?.collect();
        items.reverse();
        // What cannot be gone through backwards is made a list first.
        Ok(if is_generator(&value) { items.into() } else { once(items) })
    });
}
