//! NeMo-RL's records: the prompt is what a user says.
//!
//! Source: <https://docs.nvidia.com/nemo/rl/latest/guides/dpo.html>.

use super::{
    alpaca::answer,
    shape::{Shape, Writing, decided_chat, fields, is_plain, of_sides},
};
use crate::{
    draft::{Draft, asked},
    options::Format,
};
use ::data::Role;

pub const SHAPE: Shape = Shape {
    format: Format { name: "nemo-rl", title: "NeMo-RL", signs: "a prompt, chosen_response and rejected_response" },
    is: |record| {
        record.first_byte("prompt") == Some(b'"')
            && record.shows("chosen_response")
            && record.shows("rejected_response")
            && !record.shows("chosen")
    },
    read: |record, taking| {
        let prompt = asked(record.text("prompt")?.unwrap_or_default());
        let (chosen, rejected) = (answer(record, "chosen_response")?, answer(record, "rejected_response")?);
        Ok(vec![Draft::decided(prompt, chosen, rejected).read(record, taking)?])
    },
    write: Some(Writing::new(
        |pair| {
            is_plain(pair)
                && decided_chat(pair).is_some_and(|chat| matches!(&***chat, [turn] if turn.role == Role::User))
        },
        |pair| {
            of_sides(pair, |chosen, rejected| {
                fields([
                    ("prompt", pair.prompt.last_text().into()),
                    ("chosen_response", chosen.text.clone().into()),
                    ("rejected_response", rejected.text.clone().into()),
                ])
            })
        },
    )),
};
