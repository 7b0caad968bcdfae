//! What every shape is, and what those that are written have in common.

use serde_json::{Map, Value as Json};

use crate::{
    draft::{Read, Taking},
    fields::Record,
    options::Format,
};
use ::data::{Answer, Chat, Pair, Prompt, Role, Turn};

/// One shape of records.
pub struct Shape {
    pub format: Format,
    /// Whether a record is one.
    pub is: fn(&Record<'_>) -> bool,
    /// The pairs of a record, none where it waits for another; or why there are none.
    pub read: fn(&Record<'_>, &Taking<'_>) -> Result<Vec<Read>, String>,
    /// Absent for what is only read.
    pub write: Option<Writing>,
}

/// How pairs are written in a shape, so that they come back the same.
pub struct Writing {
    /// Whether a pair has a place in it.
    pub fits: fn(&Pair) -> bool,
    /// The records of a pair that has, without our own columns.
    pub records: fn(&Pair) -> Vec<Fields>,
    /// Our own columns may come along.
    pub columns: bool,
    /// Texts and conversations may stand in one file.
    pub together: bool,
    /// LLaMA-Factory's `dataset_info.json` describes it.
    pub described: bool,
}

impl Writing {
    pub const fn new(fits: fn(&Pair) -> bool, records: fn(&Pair) -> Vec<Fields>) -> Self {
        Self { fits, records, columns: true, together: false, described: false }
    }
}

/// A record as it is written.
pub type Fields = Map<String, Json>;

pub fn fields<const N: usize>(fields: [(&str, Json); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The conversation of a pair that is decided.
pub fn decided_chat(pair: &Pair) -> Option<&Chat> {
    match &pair.prompt {
        Prompt::Chat(chat) if pair.is_decided() => Some(chat),
        _ => None,
    }
}

/// A record of a pair that is decided, of its better and its worse answer.
pub fn of_sides(pair: &Pair, record: impl FnOnce(&Answer, &Answer) -> Fields) -> Vec<Fields> {
    pair.sides().map(|(chosen, rejected)| record(chosen, rejected)).into_iter().collect()
}

/// Nothing but texts is said, by those who speak in every shape, and the template is given nothing else.
pub fn is_plain(pair: &Pair) -> bool {
    let answers = pair.sides().is_some_and(|(a, b)| a.extras.is_empty() && b.extras.is_empty());
    let usual =
        |turn: &Turn| turn.extras.is_empty() && matches!(turn.role, Role::System | Role::User | Role::Assistant);
    answers && decided_chat(pair).is_some_and(|chat| chat.given.is_none() && chat.iter().all(usual))
}

pub fn message(answer: &Answer) -> Json {
    answer.turn().message().into()
}

pub fn messages(chat: &[Turn]) -> Vec<Json> {
    chat.iter().map(|turn| turn.message().into()).collect()
}
