//! Whole numbers, which in Python have as many digits as it takes.

use std::{cmp::Ordering, fmt, sync::Arc};

use minijinja::{
    Value,
    value::{DynObject, Object, ObjectRepr},
};

use super::strip::{Ends, strip};

/// More digits than the engine counts with, 38: such a number can be printed and compared with its like, and no more.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole(String);

impl Object for Whole {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = &other.downcast_ref::<Self>()?.0;
        let is_below = |number: &str| number.starts_with('-');
        let by_size = || (self.0.len(), &self.0).cmp(&(other.len(), other));
        Some(match (is_below(&self.0), is_below(other)) {
            (false, false) => by_size(),
            (true, true) => by_size().reverse(),
            (below, _) => {
                if below {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of these decimal digits, with a sign or without.
pub fn of_digits(digits: &str) -> Value {
    if let Ok(number) = digits.parse::<i64>() {
        return number.into();
    }
    digits.parse::<i128>().map_or_else(|_| Value::from_object(Whole(digits.to_owned())), Value::from)
}

/// A float without its fraction; none where it is not finite.
pub fn of_float(float: f64) -> Option<Value> {
    float.is_finite().then(|| {
        let digits = format!("{:.0}", float.trunc());
        of_digits(if digits == "-0" { "0" } else { &digits })
    })
}

pub fn is_one(value: &Value) -> bool {
    value.downcast_object_ref::<Whole>().is_some()
}

/// `int` of Python: signs, underscores between digits, and the prefixes of bases; base 0 reads the base from the
/// prefix.
pub fn read(text: &str, base: u32) -> Option<Value> {
    let text = &in_ascii(text);
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = |of: u32, mark: char| {
        let behind = body.strip_prefix('0')?.strip_prefix([mark, mark.to_ascii_uppercase()])?;
        (base == of || base == 0).then(|| (of, behind.strip_prefix('_').unwrap_or(behind)))
    };
    let (base, digits) = match prefixed(16, 'x').or_else(|| prefixed(8, 'o')).or_else(|| prefixed(2, 'b')) {
        Some(found) => found,
        None if base == 0 && body.len() > 1 && body.starts_with('0') && body.contains(|c| c != '0' && c != '_') => {
            return None;
        }
        None => (if base == 0 { 10 } else { base }, body),
    };
    if !(2..=36).contains(&base) {
        return None;
    }
    let digits = without_underscores(digits)?;
    if !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    match i128::from_str_radix(&format!("{sign}{digits}"), base) {
        Ok(number) => Some(i64::try_from(number).map_or_else(|_| number.into(), Value::from)),
        Err(_) if base == 10 && !digits.is_empty() => {
            Some(of_digits(&format!("{sign}{}", digits.trim_start_matches('0'))))
        }
        Err(_) => None,
    }
}

/// `float` of Python.
pub fn read_float(text: &str) -> Option<f64> {
    without_underscores(&in_ascii(text))?.parse().ok()
}

/// Without white space around it, and the decimal digits of every script as those of ASCII, which Python reads alike.
fn in_ascii(text: &str) -> String {
    let text = strip(text, None, Ends::Both);
    text.chars().map(|c| decimal(c).and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)).collect()
}

/// The zeros of Unicode's decimal digits; the nine others stand behind each.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0,
    0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60,
    0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
pub fn decimal(c: char) -> Option<u32> {
    let behind = ZEROS.partition_point(|zero| *zero <= c as u32);
    let digit = c as u32 - ZEROS.get(behind.checked_sub(1)?)?;
    (digit < 10).then_some(digit)
}

/// Python takes one underscore between two digits, and none elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let stands_well = |at: usize| at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1));
    text.match_indices('_').all(|(at, _)| stands_well(at)).then(|| text.replace('_', ""))
}
