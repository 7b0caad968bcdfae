//! Answers that were said to be good or bad one by one (KTO): a good one and a bad one of the same prompt make a pair.
//!
//! Source: <https://huggingface.co/docs/trl/dataset_formats>, unpaired preference. TRL's own
//! `unpair_preference_dataset` writes all good ones of a batch before the bad ones, so what belongs together may be far
//! apart.

use serde_json::Value as Json;

use super::{
    shape::{Fields, Shape, Writing, fields},
    trl,
};
use crate::{
    columns,
    draft::{Draft, Read, Taking, imported, only_answer, said},
    fields::{Content, Record},
    options::Format,
};
use ::data::{Answer, Pair};

pub const SHAPE: Shape = Shape {
    format: Format { name: "unpaired", title: "unpaired (KTO)", signs: "a completion and a label" },
    is: |record| record.shows("completion") && record.first_byte("label").is_some() && !record.shows("chosen"),
    read,
    write: Some(Writing::new(Pair::is_decided, write)),
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let good = match record.get("label")? {
        Some(Json::Bool(good)) => good,
        Some(Json::Number(number)) if number.as_f64() == Some(1.0) => true,
        Some(Json::Number(number)) if matches!(number.as_f64(), Some(0.0 | -1.0)) => false,
        Some(Json::String(word)) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "good" | "chosen" | "desirable" => true,
            "false" | "0" | "-1" | "no" | "bad" | "rejected" | "undesirable" => false,
            _ => return Err(format!("\"label\" must be true or false, found {word:?}")),
        },
        _ => return Err("\"label\" must be true or false".to_owned()),
    };
    record.require("prompt")?;
    let prompt = columns::prompt(record)?;
    let answer = match record.content("completion")? {
        Content::Text(text) => said(text),
        Content::Turns(turns) => imported(only_answer("completion", &turns)?),
    };
    let mut waiting = taking.kept.waiting.borrow_mut();
    let Some([chosen, rejected]) = waiting.pair_up(prompt, taking.place, good, answer)? else {
        // What the pair will say of itself is the other's to say: here it is known to be used.
        for name in ["system", "tags", "split", "strength", "note", "id"] {
            record.get(name)?;
        }
        return Ok(Vec::new());
    };
    record.require("prompt")?;
    Ok(vec![Draft::decided(columns::prompt(record)?, chosen, rejected).read(record, taking)?])
}

/// A record for each answer, the good one first.
fn write(pair: &Pair) -> Vec<Fields> {
    let row = |answer: &Answer, good: bool| {
        fields([
            ("prompt", trl::prompt(&pair.prompt)),
            ("completion", trl::answer(answer, &pair.prompt)),
            ("label", good.into()),
        ])
    };
    pair.sides().map(|(chosen, rejected)| vec![row(chosen, true), row(rejected, false)]).unwrap_or_default()
}
