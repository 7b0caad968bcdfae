//! What Python hands out in place of a list: looks into a map, ranges, what is gone through once, methods that nobody
//! called.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use minijinja::{
    Error, Value,
    value::{Enumerator, Object, ObjectRepr, Tuple, ValueKind},
};

use super::fault;

/// `keys()`, `values()` or `items()` of a map.
#[derive(Debug)]
pub struct View {
    pub name: &'static str,
    items: Vec<Value>,
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items.clone())
    }
}

impl View {
    pub fn of(map: &Value, name: &str) -> Result<Option<Value>, Error> {
        let (name, part): (_, fn(Value, Value) -> Value) = match name {
            "keys" => ("dict_keys", |key, _| key),
            "values" => ("dict_values", |_, item| item),
            "items" => ("dict_items", |key, item| Tuple::from([key, item]).into()),
            _ => return Ok(None),
        };
        let items = map.try_iter()?.map(|key| Ok(part(key.clone(), map.get_item(&key)?)));
        let items = items.collect::<Result<_, Error>>()?;
        Ok(Some(Value::from_object(Self { name, items })))
    }

    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

/// `range`: whole numbers that are never written out.
#[derive(Debug)]
pub struct Range {
    first: i64,
    end: i64,
    step: i64,
    length: usize,
}

/// As many numbers as Jinja allows.
const LONGEST: i64 = 100_000;

impl Range {
    pub fn of(first: i64, end: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
        let (first, end) = end.map_or((0, first), |end| (first, end));
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(fault("range: the step must not be 0"));
        }
        let way = if step > 0 { i128::from(end) - i128::from(first) } else { i128::from(first) - i128::from(end) };
        let steps = (way.max(0) + i128::from(step.unsigned_abs()) - 1) / i128::from(step.unsigned_abs());
        if steps > i128::from(LONGEST) {
            return Err(fault("range: more than 100,000 numbers"));
        }
        Ok(Value::from_object(Self { first, end, step, length: steps as usize }))
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, place: &Value) -> Option<Value> {
        let place = place.as_usize().filter(|place| *place < self.length)?;
        Some((self.first + self.step * place as i64).into())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.length)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            1 => write!(f, "range({}, {})", self.first, self.end),
            step => write!(f, "range({}, {}, {step})", self.first, self.end),
        }
    }
}

/// A generator: true whatever is in it, of no length, empty once it was gone through.
#[derive(Debug)]
pub struct Generator(Mutex<VecDeque<Value>>);

struct Rests(Arc<Generator>);

impl Iterator for Rests {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Iter(Box::new(Rests(self.clone())))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A method that was named and not called: true, and nothing that a prompt could hold.
#[derive(Debug)]
pub struct Method;

impl Object for Method {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// What is gone through once.
pub fn once(items: impl IntoIterator<Item = Value>) -> Value {
    Value::from_object(Generator(Mutex::new(items.into_iter().collect())))
}

pub fn is_generator(value: &Value) -> bool {
    value.downcast_object_ref::<Generator>().is_some()
}

/// A list or a tuple of Python's. What the engine goes through without a list of its own, such as a part of a list, is
/// one too.
pub fn is_list(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Seq => value.downcast_object_ref::<Range>().is_none(),
        ValueKind::Iterable => value.downcast_object_ref::<View>().is_none() && !is_generator(value),
        _ => false,
    }
}

pub fn is_tuple(value: &Value) -> bool {
    let is_group = || value.as_object().is_some_and(|object| object.type_name().ends_with("GroupTuple"));
    value.downcast_object_ref::<Tuple>().is_some() || is_group()
}

/// The engine's own kinds of objects, which it does not show.
pub fn is_of(value: &Value, kind: &str) -> bool {
    value.as_object().is_some_and(|object| object.type_name().ends_with(kind))
}
