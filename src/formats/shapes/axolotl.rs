//! Messages up to the question, and two answers beside them: Axolotl's `chat_template.default`; and ms-swift's, where
//! the better answer ends the messages.
//!
//! Sources: <https://docs.axolotl.ai/docs/rlhf.html>,
//! <https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html>.

use super::{
    alpaca::answer,
    shape::{Shape, Writing, decided_chat, fields, message, messages, of_sides},
};
use crate::{
    draft::{Draft, Read, Taking, imported},
    fields::{Content, Record},
    options::Format,
};
use ::data::{Prompt, Role, Turn};

pub const SHAPE: Shape = Shape {
    format: Format { name: "axolotl", title: "Axolotl", signs: "messages, chosen and rejected" },
    is: |record| {
        record.first_byte("messages") == Some(b'[')
            && matches!(record.first_byte("chosen"), Some(b'{' | b'"'))
            && record.shows("rejected")
            && !record.shows("prompt")
    },
    read: |record, taking| {
        let turns = conversation(record)?;
        let (chosen, rejected) = (answer(record, "chosen")?, answer(record, "rejected")?);
        Ok(vec![Draft::decided(Prompt::chat(turns), chosen, rejected).read(record, taking)?])
    },
    write: Some(Writing::new(
        |pair| decided_chat(pair).is_some(),
        |pair| {
            of_sides(pair, |chosen, rejected| {
                let turns = decided_chat(pair).map(|chat| messages(chat));
                fields([
                    ("messages", turns.unwrap_or_default().into()),
                    ("chosen", message(chosen)),
                    ("rejected", message(rejected)),
                ])
            })
        },
    )),
};

pub const SWIFT: Shape = Shape {
    format: Format { name: "swift", title: "ms-swift", signs: "messages and a rejected_response" },
    is: |record| {
        record.first_byte("messages") == Some(b'[') && record.shows("rejected_response") && !record.shows("chosen")
    },
    read: read_swift,
    write: None,
};

fn read_swift(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let mut turns = conversation(record)?;
    let chosen = turns.pop().filter(|turn| turn.role == Role::Assistant);
    let chosen = chosen.ok_or_else(|| "\"messages\" must end with the better answer".to_owned())?;
    let rejected = answer(record, "rejected_response")?;
    Ok(vec![Draft::decided(Prompt::chat(turns), imported(chosen), rejected).read(record, taking)?])
}

fn conversation(record: &Record<'_>) -> Result<Vec<Turn>, String> {
    match record.content("messages")? {
        Content::Turns(turns) if !turns.is_empty() => Ok(turns),
        _ => Err("\"messages\" must be a list of messages".to_owned()),
    }
}
