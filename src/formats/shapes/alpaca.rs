//! LLaMA-Factory's ranking records in Alpaca's fields: an instruction and its input are what the user says.
//!
//! Source: <https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md>.

use serde_json::Value as Json;

use super::shape::{Fields, Shape, Writing, decided_chat, fields, is_plain, of_sides};
use crate::{
    columns,
    draft::{Draft, Read, Taking, imported, only_answer, said},
    fields::{Content, Record},
    options::Format,
};
use ::data::{Answer, Pair, Prompt, Role, Turn};

pub const SHAPE: Shape = Shape {
    format: Format { name: "alpaca", title: "Alpaca ranking", signs: "an instruction, chosen and rejected" },
    is: |record| {
        record.shows("instruction") && record.shows("chosen") && record.shows("rejected") && !record.shows("prompt")
    },
    read,
    write: Some(Writing { described: true, ..Writing::new(fits, write) }),
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let mut turns = history(record)?;
    turns.push(Turn::new(Role::User, question(record)?));
    let (chosen, rejected) = (answer(record, "chosen")?, answer(record, "rejected")?);
    Ok(vec![Draft::decided(Prompt::chat(turns), chosen, rejected).read(record, taking)?])
}

/// The instruction, and on the next line its input.
pub fn question(record: &Record<'_>) -> Result<String, String> {
    let text = |name: &str| Ok::<_, String>(record.text(name)?.unwrap_or_default());
    let (instruction, input) = (text("instruction")?, text("input")?);
    let parts: Vec<String> = [instruction, input].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.iter().all(|part| part.trim().is_empty()) {
        return Err("the instruction is empty".to_owned());
    }
    Ok(parts.join("\n"))
}

/// Turns before the question: lists of what was asked and what was answered.
fn history(record: &Record<'_>) -> Result<Vec<Turn>, String> {
    let wrong = || "\"history\" must be a list of [question, answer]".to_owned();
    let history = match record.get("history")? {
        None => return Ok(Vec::new()),
        Some(Json::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        // In a table of texts, as JSON.
        Some(Json::String(text)) => serde_json::from_str(&text).map_err(|_| wrong())?,
        Some(history) => history,
    };
    let rounds = history.as_array().ok_or_else(wrong)?;
    let mut turns = Vec::new();
    for round in rounds {
        match round.as_array().map(Vec::as_slice) {
            Some([Json::String(asked), Json::String(answered)]) => {
                turns.push(Turn::new(Role::User, asked.clone()));
                turns.push(Turn::new(Role::Assistant, answered.clone()));
            }
            _ => return Err(wrong()),
        }
    }
    Ok(turns)
}

/// An answer that is a text, or one message of the assistant.
pub fn answer(record: &Record<'_>, name: &str) -> Result<Answer, String> {
    match columns::answer(record, name)? {
        Content::Text(text) => Ok(said(text)),
        Content::Turns(turns) => Ok(imported(only_answer(name, &turns)?)),
    }
}

/// The system's turn, what was asked and answered before, and the question.
type Rounds<'a> = (Option<&'a Turn>, Vec<[&'a Turn; 2]>, &'a Turn);

/// A conversation in which user and assistant take turns, and the user has the last word.
fn rounds(pair: &Pair) -> Option<Rounds<'_>> {
    let turns = decided_chat(pair)?.as_slice();
    let (system, turns) = match turns {
        [first, rest @ ..] if first.role == Role::System && !first.content.is_empty() => (Some(first), rest),
        all => (None, all),
    };
    let (question, before) = turns.split_last()?;
    let pairs: Option<Vec<[&Turn; 2]>> = before
        .chunks(2)
        .map(|round| match round {
            [asked, answered] if asked.role == Role::User && answered.role == Role::Assistant => {
                Some([asked, answered])
            }
            _ => None,
        })
        .collect();
    (question.role == Role::User && !question.content.trim().is_empty()).then_some((system, pairs?, question))
}

fn fits(pair: &Pair) -> bool {
    is_plain(pair) && rounds(pair).is_some()
}

fn write(pair: &Pair) -> Vec<Fields> {
    let Some((system, history, question)) = rounds(pair) else {
        return Vec::new();
    };
    let text = |turn: &Turn| Json::from(turn.content.clone());
    let history: Vec<Json> = history.iter().map(|round| round.map(text).to_vec().into()).collect();
    of_sides(pair, |chosen, rejected| {
        fields([
            ("instruction", text(question)),
            ("input", "".into()),
            ("chosen", chosen.text.clone().into()),
            ("rejected", rejected.text.clone().into()),
            ("system", system.map_or_else(|| "".into(), text)),
            ("history", history.into()),
        ])
    })
}
