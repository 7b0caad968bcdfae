//! Intel's orca pairs, as Axolotl's `chatml.intel` reads them: a system text, a question, two answers.
//!
//! Source: <https://huggingface.co/datasets/Intel/orca_dpo_pairs>.

use super::{alpaca::answer, shape::Shape};
use crate::{
    draft::{Draft, asked},
    options::Format,
};

pub const SHAPE: Shape = Shape {
    format: Format { name: "orca", title: "Intel orca", signs: "a question, chosen and rejected" },
    is: |record| {
        record.first_byte("question") == Some(b'"')
            && !record.text_is_blank("question")
            && record.shows("chosen")
            && record.shows("rejected")
            && !record.shows("prompt")
            && record.first_byte("chosen") == Some(b'"')
    },
    read: |record, taking| {
        let question = record.text("question")?.unwrap_or_default();
        let draft = Draft::decided(asked(question), answer(record, "chosen")?, answer(record, "rejected")?);
        Ok(vec![draft.read(record, taking)?])
    },
    write: None,
};
