//! LLaMA-Factory's ranking records in ShareGPT's fields: a conversation, and two messages that may follow it.
//!
//! Source: <https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md>. Its `dataset_info.json` may give every
//! name here another, see `dataset_info`.

use serde_json::{Map, Value as Json, json};

use super::shape::{Fields, Shape, Writing, decided_chat, fields, is_plain, of_sides};
use crate::{
    draft::{Draft, Read, Taking, imported, said, with_system},
    fields::Record,
    options::Format,
};
use ::data::{Answer, Pair, Prompt, Role, Turn, kind};

pub const SHAPE: Shape = Shape {
    format: Format { name: "sharegpt", title: "ShareGPT ranking", signs: "conversations, chosen and rejected" },
    is: |record| {
        record.first_byte("conversations") == Some(b'[')
            && record.shows("chosen")
            && record.shows("rejected")
            && !record.shows("prompt")
    },
    read,
    write: Some(Writing { described: true, ..Writing::new(is_plain, write) }),
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let name = record.theirs("conversations").to_owned();
    let Some(Json::Array(messages)) = record.get("conversations")? else {
        return Err(format!("{name:?} must be a list of messages"));
    };
    let turns: Vec<Turn> = messages.iter().map(|message| turn(record, &name, message)).collect::<Result<_, _>>()?;
    // It has a system column of its own name, which opens the conversation.
    let prompt = with_system(Prompt::chat(turns), record.text("system")?);
    let (chosen, rejected) = (answer(record, "chosen")?, answer(record, "rejected")?);
    Ok(vec![Draft::decided(prompt, chosen, rejected).read(record, taking)?])
}

fn answer(record: &Record<'_>, ours: &str) -> Result<Answer, String> {
    let name = record.theirs(ours).to_owned();
    match record.require(ours)? {
        Json::String(text) => Ok(said(text)),
        message @ Json::Object(_) => {
            let turn = turn(record, &name, &message)?;
            if turn.role == Role::Assistant {
                Ok(imported(turn))
            } else {
                Err(format!("{name:?} is a message of the {}, not of the assistant", turn.role.name()))
            }
        }
        other => Err(format!("{name:?} must be a message or a text, found {}", kind(&other))),
    }
}

/// Who speaks, in ShareGPT's words, and in those of chat templates.
const ROLES: [(&str, &str); 6] = [
    ("human", "user"),
    ("gpt", "assistant"),
    ("system", "system"),
    ("observation", "tool"),
    ("function_call", "assistant"),
    ("tool", "tool"),
];

fn turn(record: &Record<'_>, field: &str, message: &Json) -> Result<Turn, String> {
    let (from, value) = (record.theirs("from"), record.theirs("value"));
    let Some(Json::String(speaker)) = message.get(from) else {
        if message.get("role").is_some() {
            return crate::fields::turn(field, message);
        }
        return Err(format!("{field:?} must hold messages {{{from:?}: .., {value:?}: ..}}, found {}", kind(message)));
    };
    let content = match message.get(value) {
        Some(Json::String(text)) => text.clone(),
        other => return Err(format!("in {field:?} {value:?} must be a text, found {}", other.map_or("nothing", kind))),
    };
    let known = ROLES.iter().find(|(theirs, _)| record.theirs(theirs) == speaker);
    let (word, role) = known.copied().unwrap_or((speaker, speaker));
    let mut fields = Map::new();
    fields.insert("role".to_owned(), role.into());
    match (word, calls(&content)) {
        ("function_call", Some(calls)) => {
            fields.insert("tool_calls".to_owned(), calls);
        }
        _ => {
            fields.insert("content".to_owned(), content.into());
        }
    }
    Turn::from_message(&fields).map_err(|reason| format!("in {field:?} {reason}"))
}

/// Functions that are called, written as `{"name": .., "arguments": ..}` or a list of such.
fn calls(text: &str) -> Option<Json> {
    let called = match serde_json::from_str(text).ok()? {
        Json::Array(calls) => calls,
        one => vec![one],
    };
    let call = |one: Json| one.get("name").is_some().then(|| json!({"type": "function", "function": one}));
    called.into_iter().map(call).collect::<Option<Vec<Json>>>().map(Json::from)
}

fn write(pair: &Pair) -> Vec<Fields> {
    let said = |role: Role, text: &str| {
        let from = ROLES.iter().find(|(_, word)| *word == role.name()).map_or("human", |(from, _)| from);
        json!({"from": from, "value": text})
    };
    let turns: Vec<Json> = decided_chat(pair)
        .into_iter()
        .flat_map(|chat| chat.iter())
        .map(|turn| said(turn.role, &turn.content))
        .collect();
    of_sides(pair, |chosen, rejected| {
        fields([
            ("conversations", turns.into()),
            ("chosen", said(Role::Assistant, &chosen.text)),
            ("rejected", said(Role::Assistant, &rejected.text)),
        ])
    })
}
