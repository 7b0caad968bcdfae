//! Values as Python prints them: `str` outside, `repr` inside lists and maps.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, Output, State, Value,
    value::{Tuple, ValueKind},
};

use super::json::{DEEPEST, python_float};

/// What `{{ value }}` writes.
pub fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if is_plain(value) {
        return minijinja::escape_formatter(out, state, value);
    }
    out.write_str(&text(state, value)?).map_err(Error::from)
}

/// The filter `string`.
pub fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.as_str().is_some() {
        return Ok(value.clone());
    }
    Ok(text(state, value)?.into())
}

fn is_plain(value: &Value) -> bool {
    !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Number)
}

fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    if is_plain(value) {
        return Ok(value.to_string());
    }
    repr(state, value)
}

/// Python's `repr`.
pub fn repr(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut writer = Writer { state, out: String::new(), paid: 0 };
    writer.write(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    out: String,
    paid: usize,
}

impl Writer<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "a value is nested too deep to be written"));
        }
        // A list that holds itself twice, forty times over, is small in memory and endless on paper.
        let written = self.out.len() - self.paid;
        self.state.consume_fuel(1 + written as u64 / 16)?;
        self.paid = self.out.len();
        match value.kind() {
            ValueKind::String => quote(value.as_str().unwrap_or_default(), &mut self.out),
            ValueKind::Undefined => self.out.push_str("Undefined"),
            ValueKind::Number if !value.is_integer() => {
                let float = f64::try_from(value.clone()).unwrap_or(f64::NAN);
                self.out.push_str(&match float {
                    f64::INFINITY => "inf".to_owned(),
                    f64::NEG_INFINITY => "-inf".to_owned(),
                    float if float.is_nan() => "nan".to_owned(),
                    float => python_float(float),
                });
            }
            ValueKind::Seq => {
                let tuple = value.downcast_object_ref::<Tuple>().is_some();
                self.out.push(if tuple { '(' } else { '[' });
                let mut items = 0;
                for item in value.try_iter()? {
                    if items > 0 {
                        self.out.push_str(", ");
                    }
                    self.write(&item, depth + 1)?;
                    items += 1;
                }
                self.out.push_str(match (tuple, items) {
                    (true, 1) => ",)",
                    (true, _) => ")",
                    (false, _) => "]",
                });
            }
            ValueKind::Map => {
                self.out.push('{');
                for (index, key) in value.try_iter()?.enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.write(&key, depth + 1)?;
                    self.out.push_str(": ");
                    self.write(&value.get_item(&key)?, depth + 1)?;
                }
                self.out.push('}');
            }
            _ => {
                write!(self.out, "{value}").ok();
            }
        }
        Ok(())
    }
}

/// Python's `repr` of a text: single quotes where they serve.
fn quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c < ' ' || ('\x7f'..='\u{a0}').contains(&c) || c == '\u{ad}' => {
                write!(out, "\\x{:02x}", c as u32).ok();
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2000}'..='\u{200a}' => {
                write!(out, "\\u{:04x}", c as u32).ok();
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}
