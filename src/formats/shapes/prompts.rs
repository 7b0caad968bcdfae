//! Prompts alone: pairs whose answers are still to be written, or made by the model.

use super::shape::Shape;
use crate::{
    columns,
    draft::{Draft, said},
    options::Format,
};

pub const SHAPE: Shape = Shape {
    format: Format { name: "prompts", title: "prompts without answers", signs: "a prompt and no answer" },
    is: |record| {
        // Of a record that has an answer under whatever name, something is missing: that is for others to say.
        const ANSWERS: [&str; 9] =
            ["chosen", "rejected", "completion", "answer", "response", "output", "preferred", "label", "verdict"];
        record.shows("prompt") && !record.names().any(|name| ANSWERS.iter().any(|word| name.contains(word)))
    },
    read: |record, taking| {
        Ok(vec![Draft::open(columns::prompt(record)?, vec![said(""), said("")]).read(record, taking)?])
    },
    write: None,
};
