//! Writes JSON as the text of a record.

use serde::Serialize;

use crate::object::NO_TEXT;

/// A text in its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Nothing but an allocation can fail, and that does not return.
    serde_json::to_writer(out, text).ok();
}

/// Bytes that may be a text: many tools write texts so into Parquet and Arrow.
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(out, text),
        Err(_) => no_text(out),
    }
}

pub fn no_text(out: &mut Vec<u8>) {
    out.push(b'{');
    name(out, NO_TEXT, true);
    string(out, "(bytes)");
    out.push(b'}');
}

/// A number or a truth; what is not finite is null.
pub fn number(out: &mut Vec<u8>, number: &impl Serialize) {
    serde_json::to_writer(out, number).ok();
}

/// The name of a field, with what separates it from the one before.
pub fn name(out: &mut Vec<u8>, name: &str, first: bool) {
    if !first {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}

/// Fields by their names. `value` writes one.
pub fn object<'a, T>(
    out: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a str, T)>,
    mut value: impl FnMut(&mut Vec<u8>, T) -> Result<(), String>,
) -> Result<(), String> {
    out.push(b'{');
    for (at, (name, field)) in fields.enumerate() {
        self::name(out, name, at == 0);
        value(out, field)?;
    }
    out.push(b'}');
    Ok(())
}

pub fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut value: impl FnMut(&mut Vec<u8>, T) -> Result<(), String>,
) -> Result<(), String> {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value(out, item)?;
    }
    out.push(b']');
    Ok(())
}

/// Keys with their values: an object if the keys are texts, else a list of lists of two.
pub fn map<T>(
    out: &mut Vec<u8>,
    keys_are_texts: bool,
    entries: impl Iterator<Item = [T; 2]>,
    mut value: impl FnMut(&mut Vec<u8>, T) -> Result<(), String>,
) -> Result<(), String> {
    if !keys_are_texts {
        return list(out, entries, |out, entry| list(out, entry.into_iter(), &mut value));
    }
    out.push(b'{');
    for (at, [key, of_key]) in entries.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value(out, key)?;
        out.push(b':');
        value(out, of_key)?;
    }
    out.push(b'}');
    Ok(())
}
