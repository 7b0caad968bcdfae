//! Label Studio's JSON export of pairwise projects, and the verdict in its tables.
//!
//! Source: <https://labelstud.io/guide/export>. Which fields `data` has is each project's own affair.

use serde_json::Value as Json;

use super::{compared, shape::Shape};
use crate::{
    agreement::Vote,
    draft::{Draft, Read, Taking, imported, only_answer, said},
    fields::{Content, Record},
    options::Format,
};
use ::data::Choice;

pub const SHAPE: Shape = Shape {
    format: Format { name: "label-studio", title: "Label Studio", signs: "annotations of data" },
    is: |record| record.first_byte("annotations") == Some(b'[') && record.first_byte("data") == Some(b'{'),
    read,
    write: None,
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let Some(Json::Array(annotations)) = record.get("annotations")? else {
        return Err("\"annotations\" must be a list".to_owned());
    };
    let data = record.inner("data")?;
    let names = compared::answers(&data).ok_or_else(|| {
        let has = data.names().take(12).collect::<Vec<_>>().join(", ");
        format!(
            "its data holds no two answers that are known; name them with --map a=FIELD --map b=FIELD; it has {has}"
        )
    })?;
    let mut answers = Vec::new();
    for name in &names {
        answers.push(match data.content(name)? {
            Content::Text(text) => said(text),
            Content::Turns(turns) => imported(only_answer(name, &turns)?),
        });
    }
    let names = names.map(|name| data.theirs(&name).to_owned());
    let mut votes = Vec::new();
    let mut skipped = 0;
    for annotation in &annotations {
        if annotation["was_cancelled"] == Json::Bool(true) {
            skipped += 1;
            continue;
        }
        for result in annotation["result"].as_array().into_iter().flatten() {
            votes.extend(vote(result, &names));
        }
    }
    let prompt = compared::prompt(&data)?;
    let mut draft = Draft::voted(prompt, answers, &votes, taking);
    if votes.is_empty() && skipped > 0 {
        draft.choice = Some(Choice::Skip);
    }
    draft.who = who(&annotations);
    Ok(vec![draft.read(record, taking)?])
}

/// What one result says: of a pairwise tag, or of a choice beside it.
fn vote(result: &Json, names: &[String; 2]) -> Option<Vote> {
    let value = &result["value"];
    match result["type"].as_str()? {
        "pairwise" => match value["selected"].as_str()? {
            "left" => Some(Vote::For(0)),
            "right" => Some(Vote::For(1)),
            other => compared::vote(other, names),
        },
        "choices" => compared::vote(value["choices"][0].as_str()?, names),
        _ => None,
    }
}

/// The verdict of a row of its tables (CSV, JSON-MIN): they have a column for each tag, under the name that the project
/// gave it, which holds the name of a side, alone or as the pairwise tag writes it.
pub fn selected(record: &Record<'_>, names: &[String; 2]) -> Option<Json> {
    if !record.shows("annotation_id") {
        return None;
    }
    let side = |text: &str| {
        let value: Json = serde_json::from_str(text).ok()?;
        // In a table of texts a list is written as JSON.
        let inner = value.as_str().and_then(|text| serde_json::from_str(text).ok());
        let selected = inner.as_ref().unwrap_or(&value)[0]["selected"].clone();
        let said = if selected.is_string() { selected } else { value };
        let word = said.as_str()?;
        (matches!(word, "left" | "right") || names.iter().any(|name| name == word)).then_some(said)
    };
    record.unused().find_map(|(_, text)| side(text))
}

/// The labeller, if it was one.
fn who(annotations: &[Json]) -> Option<String> {
    let [one] = annotations else {
        return None;
    };
    match &one["completed_by"] {
        Json::Number(id) => Some(format!("label studio {id}")),
        Json::String(name) => Some(name.clone()),
        by => by["email"].as_str().map(str::to_owned),
    }
}
