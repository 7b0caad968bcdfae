//! OpenAI's preference fine-tuning: the messages and tools of an input, and two outputs of one message each.
//!
//! Source: <https://developers.openai.com/api/docs/guides/direct-preference-optimization>. Together and Fireworks take
//! the same.

use serde_json::Value as Json;

use super::{
    alpaca::answer,
    shape::{Fields, Shape, Writing, decided_chat, fields, message, messages, of_sides},
};
use crate::{
    draft::{Draft, Read, Taking},
    fields::{Record, turns},
    options::Format,
};
use ::data::{Given, Pair, Prompt};

pub const SHAPE: Shape = Shape {
    format: Format {
        name: "openai",
        title: "OpenAI preference",
        signs: "an input, preferred_output and non_preferred_output",
    },
    is: |record| record.shows("preferred_output") && record.shows("non_preferred_output") && record.shows("input"),
    read,
    write: Some(Writing { columns: false, ..Writing::new(fits, write) }),
};

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let input = record.get("input")?.unwrap_or_default();
    let Some(messages) = input["messages"].as_array() else {
        return Err("\"input\" must hold \"messages\"".to_owned());
    };
    let turns = turns("input", messages)?;
    let tools = input["tools"].as_array().filter(|tools| !tools.is_empty()).cloned();
    if tools.iter().flatten().any(|tool: &Json| !tool.is_object()) {
        return Err("\"tools\" must hold JSON schemas".to_owned());
    }
    let given = Given { tools, ..Given::default() };
    let (chosen, rejected) = (answer(record, "preferred_output")?, answer(record, "non_preferred_output")?);
    Ok(vec![Draft { given, ..Draft::decided(Prompt::chat(turns), chosen, rejected) }.read(record, taking)?])
}

/// Variables of a template have no place there.
fn fits(pair: &Pair) -> bool {
    decided_chat(pair).is_some_and(|chat| {
        chat.given.as_ref().is_none_or(|given| given.variables.is_empty() && given.documents.is_none())
    })
}

fn write(pair: &Pair) -> Vec<Fields> {
    let Some(chat) = decided_chat(pair) else {
        return Vec::new();
    };
    let tools = chat.given.as_ref().and_then(|given| given.tools.clone()).unwrap_or_default();
    let input =
        fields([("messages", messages(chat).into()), ("tools", tools.into()), ("parallel_tool_calls", true.into())]);
    of_sides(pair, |chosen, rejected| {
        fields([
            ("input", input.into()),
            ("preferred_output", vec![message(chosen)].into()),
            ("non_preferred_output", vec![message(rejected)].into()),
        ])
    })
}
