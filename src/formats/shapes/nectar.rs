//! Nectar: a prompt and several answers, each with its rank, the best having the lowest.
//!
//! Source: <https://huggingface.co/datasets/berkeley-nest/Nectar>. Its prompts are marked like those of Anthropic HH
//! and stay as they are.

use serde_json::Value as Json;

use super::shape::Shape;
use crate::{
    columns,
    draft::{Draft, Read, Taking, said},
    fields::Record,
    options::Format,
};
use ::data::{Answer, Origin};

pub const SHAPE: Shape = Shape {
    format: Format { name: "nectar", title: "ranked answers (Nectar)", signs: "a list of answers with ranks" },
    is: |record| {
        record.first_byte("answers") == Some(b'[') && record.text_holds("answers", "\"rank\"") && record.shows("prompt")
    },
    read,
    write: None,
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let Some(Json::Array(list)) = record.get("answers")? else {
        return Err("\"answers\" must be a list".to_owned());
    };
    let prompt = columns::prompt(record)?;
    let (mut answers, mut ranks) = (Vec::new(), Vec::new());
    for one in &list {
        let (Some(text), Some(rank)) = (one["answer"].as_str(), one["rank"].as_f64()) else {
            return Err("\"answers\" must hold {\"answer\": text, \"rank\": number}".to_owned());
        };
        let model = one["model"].as_str();
        answers.push(Answer {
            origin: model.map_or(Origin::Imported, |name| Origin::Model(name.to_owned())),
            ..said(text)
        });
        ranks.push(rank);
    }
    if answers.len() < 2 {
        return Err("a pair needs two answers at least".to_owned());
    }
    let drafts = Draft::ranked(&prompt, answers, &ranks, taking.options.several);
    drafts.into_iter().map(|draft| draft.read(record, taking)).collect()
}
