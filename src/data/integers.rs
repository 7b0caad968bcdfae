//! Whole numbers that 64 bits cannot hold, as a tool's ids may be: JSON has them, Python reads and prints every digit,
//! and `serde_json` makes floats of them. Of `-0` too.
//!
//! Between a file and a template, or another file, such a number is `{"$integer": "123456789012345678901234567890"}`,
//! in documents too.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value as Json};

const KEY: &str = "$integer";
/// One as `serde_json` writes it: what stands in front of its digits and behind them.
const OPEN: &str = "{\"$integer\":\"";
const CLOSE: &str = "\"}";

/// Fewer digits always fit.
const FEWEST: usize = 19;

/// Reads JSON.
pub fn read<T: serde::de::DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(&kept(text))
}

/// Writes JSON, with such numbers as files have them.
pub fn write(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    let mut rest = text.as_str();
    let mut bare = String::new();
    // In a text its quotes would have backslashes.
    while let Some((before, after)) = rest.split_once(OPEN) {
        bare.push_str(before);
        if let Some((digits, after)) = after.split_once(CLOSE).filter(|(digits, _)| is_long(digits)) {
            bare.push_str(digits);
            rest = after;
        } else {
            bare.push_str(OPEN);
            rest = after;
        }
    }
    Ok(if bare.is_empty() { text } else { bare + rest })
}

/// The digits of such a number, with its sign.
pub fn digits(object: &Map<String, Json>) -> Option<&str> {
    let digits = object.get(KEY).filter(|_| object.len() == 1)?.as_str()?;
    is_long(digits).then_some(digits)
}

/// A text of JSON in which such numbers are objects.
pub fn kept(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut kept = String::new();
    let (mut at, mut done, mut in_text) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let number = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let end = at + bytes[at..].iter().take_while(number).count();
                match &text[at..end] {
                    number if is_long(number) => kept.extend([&text[done..at], OPEN, number, CLOSE]),
                    // A whole number has no zero below zero, and `serde_json` makes a float of this one.
                    "-0" => kept.extend([&text[done..at], "0"]),
                    _ => {
                        at = end;
                        continue;
                    }
                }
                done = end;
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if done == 0 { text.into() } else { (kept + &text[done..]).into() }
}

/// A whole number of more than 64 bits, as JSON writes it.
fn is_long(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() >= FEWEST
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
        && number.parse::<u64>().is_err()
        && number.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_digit_is_kept_and_written_again() {
        for text in [
            r#"{"a":123456789012345678901234567890,"b":[18446744073709551616,-9223372036854775809]}"#,
            r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":"18446744073709551616 \\","d":1.5}"#,
            r#"["{\"$integer\":\"123456789012345678901234567890\"}",{"$integer":"12"},{"$integer":7}]"#,
            "123456789012345678901234567890",
        ] {
            let value: Json = read(text).unwrap();
            assert_eq!(write(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<Json>(&value.to_string()).unwrap(), value, "in a document");
        }
        let zeros: Json = read(r#"[-0, {"a": -0}, -0.0, "-0", -0e1]"#).unwrap();
        assert_eq!(zeros.to_string(), r#"[0,{"a":0},-0.0,"-0",-0.0]"#);
        let value: Json = read("[123456789012345678901234567890, 7]").unwrap();
        assert_eq!(value[0].as_object().and_then(digits), Some("123456789012345678901234567890"));
        assert_eq!(digits(json!({"$integer": "12"}).as_object().unwrap()), None);
    }

    #[test]
    fn what_is_no_such_number_is_as_it_was() {
        for text in [
            "1e30",
            "12345678901234567890.5",
            "0123456789012345678901234567890",
            "\"\\\"12345678901234567890123\"",
            "é1",
        ] {
            assert_eq!(kept(text), text);
        }
    }
}
