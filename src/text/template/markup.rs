//! Jinja's filters for texts that go into web pages, as MarkupSafe has them.

use std::fmt::Write as _;

use minijinja::{Error, State, Value, value::ValueKind};

use super::{
    fault, printed,
    strip::{Ends, is_space, strip},
};

/// A text that is escaped once, however often it is asked for.
pub fn escape(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = printed::string(state, value)?.to_string();
    state.consume_fuel(text.len() as u64 / 16)?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    Ok(Value::from_safe_string(escaped))
}

/// `Markup.striptags`: no comments, no tags, single spaces, and letters for their names.
pub fn striptags(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let text = printed::string(state, value)?.to_string();
    state.consume_fuel(text.len() as u64 / 16)?;
    let text = without(&without(&text, "<!--", "-->"), "<", ">");
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let joined = words.join(" ");
    unescape(strip(&joined, None, Ends::Both))
}

/// A text without what stands between two marks, them included.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        // The closing mark of a comment may share its hyphens with the opening one.
        let Some(end) = rest[start..].find(close) else { break };
        kept.push_str(&rest[..start]);
        rest = &rest[start + end + close.len()..];
    }
    kept + rest
}

/// `html.unescape`, of numbers and of the names that everybody knows. What may be one of the two thousand others is
/// refused rather than left as it is.
fn unescape(text: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '#')).unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        let code = name.strip_prefix('#').and_then(|code| match code.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => code.parse().ok(),
        });
        let letter = match (name, code) {
            ("amp", _) => Some('&'),
            ("lt", _) => Some('<'),
            ("gt", _) => Some('>'),
            ("quot", _) => Some('"'),
            ("apos", _) if behind.starts_with(';') => Some('\''),
            ("nbsp", _) => Some('\u{a0}'),
            (_, Some(code)) => char::from_u32(code).filter(|c| !c.is_control() || c.is_ascii_whitespace()),
            _ => None,
        };
        match letter {
            Some(letter) => {
                out.push(letter);
                rest = behind.strip_prefix(';').unwrap_or(behind);
            }
            None if name.is_empty() || name.starts_with('#') => {
                out.push('&');
                rest = after;
            }
            None => {
                let reason = format!("striptags does not know the letter \"&{name};\" here");
                return Err(fault(reason));
            }
        }
    }
    Ok(out + rest)
}

/// A text for an address, or pairs for its query.
pub fn urlencode(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let plain = |value: &Value| printed::string(state, value).map(|text| text.to_string());
    let pairs: Vec<[Value; 2]> = match value.kind() {
        ValueKind::Map => {
            value.try_iter()?.map(|key| Ok([key.clone(), value.get_item(&key)?])).collect::<Result<_, Error>>()?
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let pair = |pair: Value| Ok([pair.get_item_by_index(0)?, pair.get_item_by_index(1)?]);
            value.try_iter()?.map(pair).collect::<Result<_, Error>>()?
        }
        _ => return Ok(quoted(&plain(value)?, "/")),
    };
    let parts: Vec<String> = pairs
        .iter()
        .map(|[key, value]| {
            let part = |value| Ok::<_, Error>(quoted(&plain(value)?, "").replace("%20", "+"));
            Ok(format!("{}={}", part(key)?, part(value)?))
        })
        .collect::<Result<_, Error>>()?;
    Ok(parts.join("&"))
}

fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            out.push(c);
        } else {
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}
