//! `nudge tokens`: the token inspector's twin.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{args::Tokens, ending::Ending, generate::read_messages, output};
use crate::{
    data::{Prompt, Role, Turn},
    text::{Codec, Limits},
};

/// A text as the model sees it. The mask says which tokens are trained on as an answer.
struct Seen {
    text: String,
    prefix: Vec<u32>,
    answer: Vec<u32>,
    warnings: Vec<String>,
}

pub fn run(args: &Tokens) -> Result<Ending> {
    let codec = Codec::load(&args.model)?;
    let seen = match (&args.text, &args.messages) {
        (Some(text), _) => Seen {
            text: text.clone(),
            prefix: codec.encode_text(text),
            answer: Vec::new(),
            warnings: Vec::new(),
        },
        (None, Some(path)) => conversation(&codec, read_messages(path)?, args.generation_prompt)?,
        (None, None) => anyhow::bail!("Name --text or --messages"),
    };
    let Seen {
        text,
        prefix,
        answer,
        warnings,
    } = seen;
    if args.json {
        let ids: Vec<u32> = prefix.iter().chain(&answer).copied().collect();
        let mask: Vec<u8> = std::iter::repeat_n(0, prefix.len())
            .chain(std::iter::repeat_n(1, answer.len()))
            .collect();
        output::json(&json!({"text": text, "ids": ids, "mask": mask, "warnings": warnings}))?;
        return Ok(Ending::Done);
    }
    output::line(&text)?;
    output::line("")?;
    for token in codec.view(&prefix, &answer) {
        let mut marks = Vec::new();
        if token.in_answer {
            marks.push("answer");
        }
        if token.special {
            marks.push("special");
        }
        let line = format!(
            "{:>8}  {:<24}{}",
            token.id,
            format!("{:?}", token.text),
            marks.join(", ")
        );
        output::line(line.trim_end())?;
    }
    output::line(format!(
        "{} tokens, {} of them an answer",
        prefix.len() + answer.len(),
        answer.len()
    ))?;
    for warning in warnings {
        output::line(format!("Look at this: {warning}"))?;
    }
    Ok(Ending::Done)
}

/// A conversation that ends with the assistant's turn is a prompt and its answer, masked as in training; any other is a
/// prompt.
fn conversation(codec: &Codec, mut turns: Vec<Turn>, generation_prompt: bool) -> Result<Seen> {
    let text = codec.render(&turns, generation_prompt)?;
    let ends_with_answer = turns
        .last()
        .is_some_and(|turn| turn.role == Role::Assistant);
    if generation_prompt || !ends_with_answer || turns.len() < 2 {
        return Ok(Seen {
            prefix: codec.encode(&text),
            text,
            answer: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let answer = turns.pop().context("There is a last turn")?.content;
    let prompt = Prompt::Chat(turns);
    let limits = Limits {
        max_prompt: usize::MAX,
        max_answer: usize::MAX,
    };
    let encoded = codec.encode_answers(&prompt, &[&answer], limits)?;
    let inspected = codec.inspect(&prompt, &[&answer], limits)?;
    Ok(Seen {
        text,
        prefix: encoded.prefix,
        answer: encoded
            .answers
            .into_iter()
            .next()
            .map_or_else(Vec::new, |answer| answer.ids),
        warnings: inspected
            .into_iter()
            .flat_map(|inspection| inspection.warnings)
            .collect(),
    })
}
