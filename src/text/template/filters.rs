//! Jinja's filters and tests where the template engine's own differ or are missing.

use minijinja::{
    Error, Value,
    value::{Kwargs, ValueKind},
};

use super::methods;

/// `str.strip`.
pub fn trim(text: &Value, chars: Option<&str>) -> String {
    let text = text.to_string();
    methods::strip(&text, chars, methods::Ends::Both).to_owned()
}

/// A number, or `default` where there is none: nothing is refused.
pub fn int(value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = default_of(default, &kwargs, Value::from(0))?;
    let base = kwargs.get::<Option<u32>>("base")?.unwrap_or(10);
    kwargs.assert_all_used()?;
    if let Some(text) = value.as_str() {
        let digits = text.trim().replace('_', "");
        let whole = i64::from_str_radix(&digits, base.clamp(2, 36)).ok();
        let cut = || digits.parse::<f64>().ok().map(|value| value as i64);
        return Ok(whole.or_else(cut).map_or(default, Value::from));
    }
    Ok(match value.kind() {
        ValueKind::Bool => i64::from(value.is_true()).into(),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => f64::try_from(value.clone())
            .ok()
            .filter(|value| value.is_finite())
            .map_or(default, |value| Value::from(value as i64)),
        _ => default,
    })
}

/// The same for a number with a fraction.
pub fn float(value: &Value, default: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let default = default_of(default, &kwargs, Value::from(0.0))?;
    kwargs.assert_all_used()?;
    if let Some(text) = value.as_str() {
        let parsed = text.trim().replace('_', "").parse::<f64>().ok();
        return Ok(parsed.map_or(default, Value::from));
    }
    Ok(match value.kind() {
        ValueKind::Bool => f64::from(u8::from(value.is_true())).into(),
        ValueKind::Number => f64::try_from(value.clone()).map_or(default, Value::from),
        _ => default,
    })
}

fn default_of(given: Option<Value>, kwargs: &Kwargs, otherwise: Value) -> Result<Value, Error> {
    Ok(match given {
        Some(given) => given,
        None => kwargs.get::<Option<Value>>("default")?.unwrap_or(otherwise),
    })
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
    matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
}
