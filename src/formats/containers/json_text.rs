//! Writes JSON as the text of a record.

/// A text in its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Nothing but an allocation can fail, and that does not return.
    serde_json::to_writer(out, text).ok();
}

/// The name of a field, with what separates it from the one before.
pub fn name(out: &mut Vec<u8>, name: &str, first: bool) {
    if !first {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}
