//! Jinja's filters and tests where the template engine's own differ or are missing.

use minijinja::{
    Error, State, Value,
    value::{Kwargs, Rest, ValueKind},
};

use super::{arguments::bind, methods, whole};

/// `str.strip`.
pub fn trim(text: &Value, chars: Option<&str>) -> String {
    let text = text.to_string();
    methods::strip(&text, chars, methods::Ends::Both).to_owned()
}

/// A number, or `default` where there is none: nothing is refused.
pub fn int(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let [default, base] = bind(&args, &kwargs, ["default", "base"])?;
    let default = default.unwrap_or_else(|| Value::from(0));
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
    if value.kind() != ValueKind::Iterable || value.len().is_some() {
        return Ok(value);
    }
    let mut all = Vec::new();
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        all.push(item);
    }
    Ok(all.into())
}

/// In the middle of 80 characters, or as many as are asked for.
pub fn center(text: &Value, width: Option<Value>) -> Result<Value, Error> {
    let width = width.unwrap_or(Value::from(80));
    methods::pad(&text.to_string(), "center", &[width])
}

pub fn wordcount(text: &Value) -> usize {
    let text = text.to_string();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| !word.is_empty()).count()
}

/// Whatever has a length and places: texts and maps too.
pub fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
}

/// In Python, `True` is a number.
pub fn is_number(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool) || whole::is_one(value)
}

/// Of any size; a truth value is none.
pub fn is_integer(value: &Value) -> bool {
    value.is_integer() || whole::is_one(value)
}
