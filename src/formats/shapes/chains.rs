//! H2O LLM Studio's rows: those with a `parent_id` go on with the conversation of the row of that id.
//!
//! Source: <https://docs.h2o.ai/h2o-llmstudio/guide/datasets/data-connectors-format>. Columns have any names there;
//! these are the ones its own data sets use.

use super::{alpaca::answer, shape::Shape};
use crate::{
    draft::{Draft, Read, Taking},
    fields::Record,
    options::Format,
};
use ::data::{Prompt, Role, Turn};

pub const SHAPE: Shape = Shape {
    format: Format {
        name: "h2o",
        title: "H2O LLM Studio",
        signs: "a parent_id, chosen_response and rejected_response",
    },
    is: |record| {
        record.names().any(|name| name == PARENT)
            && record.shows("chosen_response")
            && record.shows("rejected_response")
            && PROMPTS.iter().any(|name| record.shows(name))
    },
    read,
    write: None,
};

const PARENT: &str = "parent_id";
const PROMPTS: [&str; 3] = ["prompt", "instruction", "question"];

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let name = PROMPTS.into_iter().find(|name| record.shows(name)).unwrap_or(PROMPTS[0]);
    let (chosen, rejected) = (answer(record, "chosen_response")?, answer(record, "rejected_response")?);
    let chains = &mut *taking.kept.chains.borrow_mut();
    let mut turns = match record.word(PARENT)? {
        Some(parent) => chains.get(&parent).map(<[Turn]>::to_vec).ok_or_else(|| {
            format!("its parent {parent:?} does not come before it; write a conversation's rows in their order")
        })?,
        None => Vec::new(),
    };
    turns.push(Turn::new(Role::User, record.text(name)?.unwrap_or_default()));
    if let Some(id) = record.id()? {
        let mut with_answer = turns.clone();
        with_answer.push(chosen.turn());
        chains.put(id, with_answer)?;
    }
    Ok(vec![Draft::decided(Prompt::chat(turns), chosen, rejected).read(record, taking)?])
}
