//! `nudge tokens`: the token inspector's twin.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use data::{Answer, Chat, FlawNote, Inspection, Origin, Prompt, Role, TextPart, TokenView, counted, integers};
use model::HubCache;
use serde_json::json;
use text::{Codec, Conversation, Limits};

use super::{
    args::Tokens,
    ending::Ending,
    output,
    prompts::{CONVERSATION, place, read_input},
};

/// A text as the model sees it. The mask says which tokens are trained on as an answer.
struct Seen {
    text: String,
    inspection: Inspection,
}

pub fn run(args: &Tokens) -> Result<Ending> {
    let codec = Codec::load(&HubCache::of_user().resolve(&args.model)?)?;
    let Seen { text, inspection } = match (&args.text, &args.messages) {
        (Some(text), _) => Seen { text: text.clone(), inspection: plain(&codec, &codec.encode_text(text)) },
        (None, Some(path)) => {
            let conversation = parse(&read_input(path, CONVERSATION)?)
                .with_context(|| format!("{} is not a conversation such as {}", place(path), CONVERSATION.such_as))?;
            rendered(&codec, &conversation, args)?
        }
        (None, None) => anyhow::bail!("Name --text or --messages"),
    };
    if args.json {
        let mask: Vec<u8> =
            (0..inspection.tokens.len()).map(|place| u8::from(place >= inspection.scored_from)).collect();
        let ids: Vec<u32> = inspection.tokens.iter().map(|token| token.id).collect();
        let warnings: Vec<&str> = inspection.findings.iter().map(|f| f.text.as_str()).collect();
        output::json(&json!({
            "text": text,
            "ids": ids,
            "mask": mask,
            "warnings": warnings,
            "tokens": inspection.tokens,
            "bos": inspection.bos,
            "ends": inspection.ends,
            "ends_with_eos": inspection.ended,
            "end_trained": inspection.end_trained(),
            "findings": inspection.findings,
        }))?;
        return Ok(Ending::Done);
    }
    print(&text, &inspection)?;
    Ok(Ending::Done)
}

/// Messages as a list, or an object with `messages`, `tools`, `documents` and `chat_template_kwargs`.
fn parse(text: &str) -> Result<Conversation> {
    let conversation = if text.trim_start().starts_with('{') {
        integers::read(text)?
    } else {
        Conversation { messages: integers::read(text)?, ..Conversation::default() }
    };
    anyhow::ensure!(!conversation.messages.is_empty(), "it holds no messages");
    Ok(conversation)
}

/// A conversation that ends with the assistant's turn is a prompt and its answer, masked as in training; any other is a
/// prompt.
fn rendered(codec: &Codec, conversation: &Conversation, args: &Tokens) -> Result<Seen> {
    let chat = conversation.chat();
    if args.as_prompt
        && let Some(chat) = &chat
    {
        let prompt = Prompt::Chat(chat.clone());
        let mut inspection = plain(codec, &codec.prompt_ids(&prompt)?);
        inspection.findings.extend(codec.notes(&prompt));
        let text = codec.render_chat(&codec.fold(chat), true)?;
        return Ok(Seen { text, inspection });
    }
    let text = match &chat {
        Some(chat) => codec.render_chat(chat, args.generation_prompt),
        None => codec.render_conversation(conversation, args.generation_prompt),
    }
    .map_err(|error| hint(codec, chat.as_ref(), error.into()))?;
    if let Some(mut chat) = chat.filter(|chat| !args.generation_prompt && chat.len() > 1)
        && chat.last().is_some_and(|turn| turn.role == Role::Assistant)
    {
        let turn = chat.pop().context("There is a last turn")?;
        let answer = Answer { text: turn.content, origin: Origin::Imported, extras: turn.extras };
        let prompt = Prompt::Chat(chat);
        let seen = codec.inspect(&prompt, &[answer], Limits::NONE);
        if let Some(reason) = seen.reason {
            anyhow::bail!("The answer cannot be used: {reason}");
        }
        let inspection = seen.answers.into_iter().next().context("One answer")?;
        return Ok(Seen { text, inspection });
    }
    let inspection = plain(codec, &codec.encode(&text));
    Ok(Seen { text, inspection })
}

/// A refused system turn has its place in training; say how to see it.
fn hint(codec: &Codec, chat: Option<&Chat>, error: anyhow::Error) -> anyhow::Error {
    if chat.is_some_and(|chat| codec.fold(chat) != *chat) {
        return error.context(
            "In training and answers the system turn stands in front of the first user turn; --as-prompt shows that",
        );
    }
    error
}

fn plain(codec: &Codec, ids: &[u32]) -> Inspection {
    codec.inspect_generated(ids, &[])
}

/// Colours only where a person reads: `NO_COLOR` is respected.
fn colour(token: &TokenView) -> &'static str {
    match (token.special, token.part) {
        (true, _) => "\x1b[33m",
        (false, TextPart::Template) => "\x1b[90m",
        (false, TextPart::Prompt) => "\x1b[36m",
        (false, TextPart::Answer) => "\x1b[32m",
    }
}

fn print(text: &str, inspection: &Inspection) -> Result<()> {
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output::line(text)?;
    output::line("")?;
    for (place, token) in inspection.tokens.iter().enumerate() {
        let scored = place >= inspection.scored_from;
        let mut marks = vec![match token.part {
            TextPart::Template => "template",
            TextPart::Prompt => "prompt",
            TextPart::Answer => "answer",
        }];
        if token.special {
            marks.push("special");
        }
        if scored {
            marks.push("scored");
        }
        let (start, end) = if coloured { (colour(token), "\x1b[0m") } else { ("", "") };
        let shown = format!("{:?}", token.text);
        let line = format!("{:>8}  {start}{shown:<24}{end}{}", token.id, marks.join(", "));
        output::line(line.trim_end())?;
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let answer = inspection.scored();
    output::line(format!(
        "{}, {answer} of them scored as an answer; BOS {}, end of turn {}",
        counted(inspection.tokens.len(), "token", "tokens"),
        inspection.bos,
        inspection.ends,
    ))?;
    if answer > 0 {
        output::line(format!(
            "The answer ends with EOS: {}, trained on: {}",
            yes_no(inspection.ended),
            yes_no(inspection.end_trained())
        ))?;
    }
    for FlawNote { flaw, text } in &inspection.findings {
        let (start, end) = match (coloured, flaw.is_grave()) {
            (true, true) => ("\x1b[31m", "\x1b[0m"),
            _ => ("", ""),
        };
        output::line(format!("{start}Look at this: {text}{end}"))?;
    }
    Ok(())
}
