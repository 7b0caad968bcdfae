//! Prodigy's `compare`: an input, the answer shown under each button, and the button that was pressed.
//!
//! Source: <https://prodi.gy/docs/api-interfaces#compare>.

use serde_json::Value as Json;

use super::shape::Shape;
use crate::{
    draft::{Draft, Read, Taking, asked, said},
    fields::Record,
    options::Format,
};
use ::data::Choice;

pub const SHAPE: Shape = Shape {
    format: Format { name: "prodigy", title: "Prodigy compare", signs: "an input, accept, reject and the answer" },
    is: |record| {
        record.first_byte("answer") == Some(b'"')
            && record.shows("accept")
            && record.shows("reject")
            && record.shows("input")
    },
    read,
    write: None,
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let (input, one, other) = (text(record, "input")?, text(record, "accept")?, text(record, "reject")?);
    let mut draft = Draft::decided(asked(input), said(one), said(other));
    match record.text("answer")?.as_deref() {
        Some("accept") => {}
        Some("reject") => draft.answers.reverse(),
        Some("ignore") => draft.choice = Some(Choice::Skip),
        other => return Err(format!("\"answer\" must be accept, reject or ignore, found {other:?}")),
    }
    draft.who = record.text("_annotator_id")?.or(record.text("_session_id")?);
    Ok(vec![draft.read(record, taking)?])
}

/// A text, or an object around it.
fn text(record: &Record<'_>, name: &str) -> Result<String, String> {
    match record.require(name)? {
        Json::String(text) => Ok(text),
        value => match value["text"].as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(format!("{name:?} must hold a text")),
        },
    }
}
