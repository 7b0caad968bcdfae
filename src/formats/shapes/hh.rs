//! Anthropic HH: two whole dialogues in one text each.
//!
//! Source: <https://huggingface.co/datasets/Anthropic/hh-rlhf>. The border is the one of the DPO authors: the prompt is
//! everything up to and with the last `\n\nAssistant:`, the rest, with its leading space, is the answer.

use super::shape::{Fields, Shape, Writing, fields, of_sides};
use crate::{
    columns,
    draft::{Draft, Read, Taking, said},
    fields::{Content, Record},
    options::Format,
};
use ::data::{Pair, Prompt};

pub const SHAPE: Shape = Shape {
    format: Format {
        name: "hh",
        title: "Anthropic HH",
        signs: "dialogues in one text each, marked Human: and Assistant:",
    },
    is: |record| {
        let dialogue = |name| record.first_byte(name) == Some(b'"') && record.text_holds(name, "\\n\\nAssistant:");
        dialogue("chosen") && record.shows("rejected") && !record.has("prompt")
    },
    read,
    write: Some(Writing::new(fits, write)),
};

/// What the model's turns begin with.
const ASSISTANT: &str = "\n\nAssistant:";

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let (Content::Text(chosen), Content::Text(rejected)) =
        (columns::answer(record, "chosen")?, columns::answer(record, "rejected")?)
    else {
        return Err("the dialogues must be texts".to_owned());
    };
    let (prompt, chosen, rejected) = split(&chosen, &rejected)?;
    Ok(vec![Draft::decided(Prompt::Text(prompt), said(chosen), said(rejected)).read(record, taking)?])
}

/// The shared prompt and both answers. Where the dialogues part before the last turn, the prompt ends with the last
/// turn of the model that both begin the same way; what follows in each is its answer.
fn split(chosen: &str, rejected: &str) -> Result<(String, String, String), String> {
    let mut end = chosen.len();
    while let Some(mark) = chosen[..end].rfind(ASSISTANT) {
        let prompt = &chosen[..mark + ASSISTANT.len()];
        if let Some(answer) = rejected.strip_prefix(prompt) {
            return Ok((prompt.to_owned(), chosen[prompt.len()..].to_owned(), answer.to_owned()));
        }
        end = mark;
    }
    Err("chosen and rejected are dialogues that share no turn of the assistant".to_owned())
}

/// A dialogue up to the model's turn, which the answers do not go on with.
fn fits(pair: &Pair) -> bool {
    let Prompt::Text(prompt) = &pair.prompt else {
        return false;
    };
    prompt.ends_with(ASSISTANT) && pair.sides().is_some_and(|(chosen, _)| !chosen.text.contains(ASSISTANT))
}

fn write(pair: &Pair) -> Vec<Fields> {
    let whole = |answer: &str| format!("{}{answer}", pair.prompt.last_text()).into();
    of_sides(pair, |chosen, rejected| fields([("chosen", whole(&chosen.text)), ("rejected", whole(&rejected.text))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_shared_turn_of_the_assistant_is_the_border() {
        let (prompt, chosen, rejected) = split(
            "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Tea?\n\nAssistant: Yes.",
            "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Tea?\n\nAssistant: No.",
        )
        .unwrap();
        assert!(prompt.ends_with("Tea?\n\nAssistant:"));
        assert_eq!((&*chosen, &*rejected), (" Yes.", " No."));
    }

    #[test]
    fn dialogues_that_part_earlier_keep_what_they_share() {
        let (prompt, chosen, rejected) = split(
            "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Tea?\n\nAssistant: Yes.",
            "\n\nHuman: Hi\n\nAssistant: Go away.",
        )
        .unwrap();
        assert_eq!(prompt, "\n\nHuman: Hi\n\nAssistant:");
        assert_eq!(chosen, " Hello!\n\nHuman: Tea?\n\nAssistant: Yes.");
        assert_eq!(rejected, " Go away.");
        assert!(split("\n\nHuman: A\n\nAssistant: x", "\n\nHuman: B\n\nAssistant: y").is_err());
    }
}
