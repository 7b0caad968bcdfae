//! torchtune's preference records: two whole conversations that begin alike.
//!
//! Source: <https://docs.pytorch.org/torchtune/stable/basics/preference_datasets.html>.

use super::{
    shape::{Shape, Writing, decided_chat, fields, message, messages, of_sides},
    trl::split_turns,
};
use crate::{
    draft::{Draft, imported},
    fields::Content,
    options::Format,
};
use ::data::{Answer, Prompt};

pub const SHAPE: Shape = Shape {
    format: Format { name: "torchtune", title: "torchtune", signs: "chosen_conversations and rejected_conversations" },
    is: |record| record.shows("chosen_conversations") && record.shows("rejected_conversations"),
    read: |record, taking| {
        let (Content::Turns(chosen), Content::Turns(rejected)) =
            (record.content("chosen_conversations")?, record.content("rejected_conversations")?)
        else {
            return Err("the conversations must be lists of messages".to_owned());
        };
        let (turns, chosen, rejected) = split_turns(record, chosen, rejected, &taking.kept.labels)?;
        Ok(vec![Draft::decided(Prompt::chat(turns), imported(chosen), imported(rejected)).read(record, taking)?])
    },
    write: Some(Writing::new(
        |pair| decided_chat(pair).is_some_and(|chat| !chat.is_empty()),
        |pair| {
            of_sides(pair, |chosen, rejected| {
                let whole = |answer: &Answer| {
                    let mut turns = decided_chat(pair).map(|chat| messages(chat)).unwrap_or_default();
                    turns.push(message(answer));
                    turns.into()
                };
                fields([("chosen_conversations", whole(chosen)), ("rejected_conversations", whole(rejected))])
            })
        },
    )),
};
