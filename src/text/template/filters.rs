//! Jinja's filters and tests where the template engine's own differ or are missing.

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, Rest, ValueKind},
};

use super::{
    arguments::bind,
    fault, methods, printed,
    strip::{Ends, strip},
    views, whole,
};

/// `str.strip`.
pub fn trim(state: &State<'_, '_>, text: &Value, chars: Option<&str>) -> Result<String, Error> {
    let text = printed::text(state, text)?;
    Ok(strip(&text, chars, Ends::Both).to_owned())
}

/// `str.replace`.
pub fn replace(
    state: &State<'_, '_>,
    text: &Value,
    old: &Value,
    new: &Value,
    count: Option<i64>,
) -> Result<String, Error> {
    let [text, old, new] = [text, old, new].map(|value| printed::text(state, value));
    let (text, old, new) = (text?, old?, new?);
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let places = text.matches(&old).count().min(most);
    state.consume_fuel((text.len() + places * new.len()) as u64 / 64)?;
    Ok(text.replacen(&old, &new, most))
}

/// A filter of texts, which takes anything as Python's `str` gives it.
pub fn of_any(filter: impl Fn(&str) -> String) -> impl Fn(&State<'_, '_>, &Value) -> Result<String, Error> {
    move |state, value| Ok(filter(&printed::text(state, value)?))
}

/// Jinja's `title`, which begins words elsewhere than `str.title` does.
pub fn title(text: &str) -> String {
    minijinja::filters::title(text.into())
}

/// A number, or `default` where there is none: nothing is refused.
pub fn int(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let [default, base] = bind(&args, &kwargs, ["default", "base"])?;
    let default = default.unwrap_or_else(|| Value::from(0));
    defined(value)?;
    if let Some(text) = value.as_str() {
        let base = base.map_or(Ok(10), u32::try_from)?;
        let cut = || whole::read_float(text).and_then(whole::of_float);
        return Ok(whole::read(text, base).or_else(cut).unwrap_or(default));
    }
    Ok(match value.kind() {
        ValueKind::Bool => i64::from(value.is_true()).into(),
        ValueKind::Number if !value.is_integer() => {
            f64::try_from(value.clone()).ok().and_then(whole::of_float).unwrap_or(default)
        }
        ValueKind::Number => value.clone(),
        _ if whole::is_one(value) => value.clone(),
        _ => default,
    })
}

/// The same for a number with a fraction.
pub fn float(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let [default] = bind(&args, &kwargs, ["default"])?;
    let default = default.unwrap_or_else(|| Value::from(0.0));
    defined(value)?;
    if let Some(text) = value.as_str() {
        return Ok(whole::read_float(text).map_or(default, Value::from));
    }
    Ok(match value.kind() {
        ValueKind::Bool => f64::from(u8::from(value.is_true())).into(),
        ValueKind::Number => f64::try_from(value.clone()).map_or(default, Value::from),
        _ if whole::is_one(value) => whole::read_float(&value.to_string()).map_or(default, Value::from),
        _ => default,
    })
}

/// What a loop goes through: of a text its letters, so that their number is known, as Jinja knows it.
pub fn items(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        state.consume_fuel(1 + text.len() as u64 / 2)?;
        return Ok(text.chars().map(Value::from).collect());
    }
    match value.kind() {
        // The engine goes through nothing here; Python says what is missing.
        ValueKind::None | ValueKind::Bool | ValueKind::Number => Err(no_iterable(&value)),
        ValueKind::Iterable if value.len().is_none() => list(state, value),
        _ => Ok(value),
    }
}

/// Python's `list`.
pub fn list(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::None => Err(no_iterable(&value)),
        _ => minijinja::filters::list(state, value),
    }
}

fn no_iterable(value: &Value) -> Error {
    fault(format!("{value} is not iterable"))
}

fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() { Err(ErrorKind::UndefinedError.into()) } else { Ok(()) }
}

/// Python's `~`: each as `str` gives it, one behind the other.
pub fn concat(state: &State<'_, '_>, value: Value, others: Rest<Value>) -> Result<Value, Error> {
    let mut text = printed::text(state, &value)?;
    for other in others.iter() {
        match other.as_str() {
            Some(other) => text.push_str(other),
            None => text.push_str(&printed::text(state, other)?),
        }
    }
    state.consume_fuel(1 + text.len() as u64 / 64)?;
    Ok(text.into())
}

/// In the middle of 80 characters, or as many as are asked for.
pub fn center(state: &State<'_, '_>, text: &Value, width: Option<Value>) -> Result<Value, Error> {
    let width = width.unwrap_or(Value::from(80));
    methods::pad(&printed::text(state, text)?, "center", &[width])
}

pub fn wordcount(text: &Value) -> usize {
    let text = text.to_string();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty()).count()
}

/// Whatever has a length and places: texts and maps too.
pub fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
        || views::is_list(value)
}

/// In Python, `True` is a number.
pub fn is_number(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool) || whole::is_one(value)
}

/// Of any size; a truth value is none.
pub fn is_integer(value: &Value) -> bool {
    value.is_integer() || whole::is_one(value)
}
