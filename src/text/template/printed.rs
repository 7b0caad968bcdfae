//! Values as Python prints them: `str` outside, `repr` inside lists and maps.

use std::fmt::Write as _;

use minijinja::{Error, ErrorKind, Output, State, Value, value::ValueKind};

use super::{
    fault,
    views::{self, Range, View},
    whole,
};

/// A deeper value is refused: it would overflow the stack.
pub const DEEPEST: usize = 128;

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
    use ValueKind::{Iterable, Map, Number, Plain, Seq};
    !matches!(value.kind(), Seq | Map | Number | Iterable | Plain)
}

/// Python's `str`.
pub fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
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
            return Err(fault("a value is nested too deep to be written"));
        }
        // A list that holds itself twice, forty times over, is small in memory and endless on paper.
        let written = self.out.len() - self.paid;
        self.state.consume_fuel(1 + written as u64 / 16)?;
        self.paid = self.out.len();
        match value.kind() {
            _ if self.object(value, depth)? => {}
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
            ValueKind::Seq | ValueKind::Iterable => {
                let tuple = views::is_tuple(value);
                self.out.push(if tuple { '(' } else { '[' });
                let items = self.items(value.try_iter()?, depth)?;
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

    fn items(&mut self, items: impl Iterator<Item = Value>, depth: usize) -> Result<usize, Error> {
        let mut written = 0;
        for item in items {
            if written > 0 {
                self.out.push_str(", ");
            }
            self.write(&item, depth + 1)?;
            written += 1;
        }
        Ok(written)
    }

    /// Whether it is an object that Python shows in a way of its own, and then that.
    fn object(&mut self, value: &Value, depth: usize) -> Result<bool, Error> {
        if let Some(view) = value.downcast_object_ref::<View>() {
            self.out.push_str(view.name);
            self.out.push_str("([");
            self.items(view.items().iter().cloned(), depth)?;
            self.out.push_str("])");
        } else if let Some(range) = value.downcast_object_ref::<Range>() {
            write!(self.out, "{range}").ok();
        } else if views::is_of(value, "::Macro") {
            write!(self.out, "<Macro {}>", repr(self.state, &value.get_attr("name")?)?).ok();
        } else if views::is_of(value, "::Namespace") {
            let entries = value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?)));
            let entries = Value::from_pairs(entries.collect::<Result<Vec<_>, Error>>()?);
            self.out.push_str("<Namespace ");
            self.write(&entries, depth + 1)?;
            self.out.push('>');
        } else if value.kind() == ValueKind::Plain && !whole::is_one(value)
            || value.kind() == ValueKind::Iterable && !views::is_list(value)
        {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "it prints an object of Python's with its place in memory, such as a method that is not called, or what \
                 map, select or reverse give without list or join behind them",
            ));
        } else {
            return Ok(false);
        }
        Ok(true)
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
            c if is_printable(c) => out.push(c),
            c => escape(c, out),
        }
    }
    out.push(quote);
}

fn escape(c: char, out: &mut String) {
    match c as u32 {
        code @ ..=0xff => write!(out, "\\x{code:02x}"),
        code @ ..=0xffff => write!(out, "\\u{code:04x}"),
        code => write!(out, "\\U{code:08x}"),
    }
    .ok();
}

/// `str.isprintable`: neither control, format, private, unassigned nor a separator other than the space.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Behind another letter the standard library escapes what it cannot print, and nothing else beyond ASCII.
    let mut text = [0; 5];
    text[0] = b'a';
    let length = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..length]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// Python's `ascii`: a `repr` with whatever lies beyond ASCII escaped.
pub fn ascii(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    for c in repr(state, value)?.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            escape(c, &mut out);
        }
    }
    Ok(out)
}

/// A float as Python's `repr` writes it: the shortest digits that read back the same, an exponent outside 1e-4..1e16.
pub fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn floats_are_written_as_by_python() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e-5, "1e-05"),
            (1.5e16, "1.5e+16"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
            (0.0, "0.0"),
        ] {
            assert_eq!(python_float(value), text);
        }
    }
}
