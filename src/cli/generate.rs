//! `nudge generate`: answers one prompt.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    args::Generate,
    drive,
    ending::{Ending, usage},
    output,
};
use crate::{
    data::{Prompt, Turn},
    engine::{
        Speaker, answer, compute_pool,
        protocol::{RunControl, Sampling, StoppedBy},
    },
};

pub fn run(args: &Generate, threads: Option<u16>) -> Result<Ending> {
    let sampling = sampling(args)?;
    let messages = args.messages.as_deref().map(read_messages).transpose()?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let generated = pool.install(|| -> Result<_> {
        let speaker = Speaker::load(
            &args.model,
            args.adapter.as_deref(),
            args.dtype,
            args.device,
        )?;
        let prompt_ids = match (&args.prompt, messages) {
            (Some(text), _) => speaker.codec.prompt_ids(&Prompt::Text(text.clone()))?,
            (None, Some(turns)) => speaker.codec.prompt_ids(&Prompt::Chat(turns))?,
            (None, None) => args.prompt_ids.clone(),
        };
        // A reader who leaves has read enough.
        let control = RunControl::default();
        let mut shown = Ok(());
        let generated = answer(
            &speaker.policy,
            &speaker.codec,
            prompt_ids,
            &sampling,
            &control,
            &mut |text| {
                if !args.json && shown.is_ok() {
                    shown = output::piece(&text);
                    if shown.is_err() {
                        control.stop();
                    }
                }
            },
        )?;
        shown.map(|()| generated)
    })?;
    if args.json {
        output::json(&json!({
            "prompt_ids": generated.prompt_ids,
            "ids": generated.ids,
            "text": generated.text,
            "stopped_by": generated.stopped_by,
            "tokens_per_sec": generated.tokens_per_sec,
        }))?;
    } else {
        output::line("")?;
        let why = match generated.stopped_by {
            StoppedBy::Eos => "the model ended it",
            StoppedBy::Limit => "cut at the limit",
            StoppedBy::Cancelled => "cancelled",
        };
        output::note(format!(
            "{} tokens, {why}, {:.1} tokens/s",
            generated.ids.len(),
            generated.tokens_per_sec
        ));
    }
    Ok(Ending::Done)
}

fn sampling(args: &Generate) -> Result<Sampling> {
    // Asking for a share of the likeliest tokens is asking to sample.
    let temperature = args
        .temperature
        .unwrap_or(if args.top_p.is_some() { 1.0 } else { 0.0 });
    let top_p = args.top_p.unwrap_or(1.0);
    if !temperature.is_finite() || temperature < 0.0 {
        return Err(usage(format!(
            "--temperature is {temperature}; it must be 0 or more."
        )));
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(usage(format!(
            "--top-p is {top_p}; it must be above 0 and at most 1."
        )));
    }
    Ok(Sampling {
        temperature,
        top_p,
        max_new_tokens: args.max_new,
        seed: args.seed,
        ignore_eos: args.ignore_eos,
    })
}

/// A conversation from a JSON file, or from standard input for "-". Also takes an object with `messages`, and plain text on
/// standard input as one user turn.
pub fn read_messages(path: &Path) -> Result<Vec<Turn>> {
    let is_stdin = path == Path::new("-");
    let text = read_input(path)?;
    let turns = parse_messages(&text, is_stdin).with_context(|| {
        format!(
            "{} is not a conversation such as [{{\"role\": \"user\", \"content\": \"Hello\"}}]",
            path.display()
        )
    })?;
    if turns.is_empty() {
        anyhow::bail!("{} holds no messages.", path.display());
    }
    Ok(turns)
}

/// A file's text, or that of standard input for "-".
pub fn read_input(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("Could not read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("Could not read {}", path.display()))
}

fn parse_messages(text: &str, may_be_plain: bool) -> Result<Vec<Turn>> {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        messages: Vec<Turn>,
    }
    let trimmed = text.trim();
    if may_be_plain && !trimmed.is_empty() && !trimmed.starts_with(['[', '{']) {
        return Ok(vec![Turn {
            role: crate::data::Role::User,
            content: trimmed.to_owned(),
        }]);
    }
    if trimmed.starts_with('{') {
        return Ok(serde_json::from_str::<Wrapped>(trimmed)?.messages);
    }
    Ok(serde_json::from_str(trimmed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Role;

    #[test]
    fn messages_come_as_a_list_an_object_or_plain_text() {
        let list = r#"[{"role": "user", "content": "Hi"}]"#;
        let turns = parse_messages(list, false).unwrap();
        assert_eq!(
            (turns[0].role, turns[0].content.as_str()),
            (Role::User, "Hi")
        );
        let object = format!(r#"{{"messages": {list}}}"#);
        assert_eq!(parse_messages(&object, false).unwrap(), turns);
        assert_eq!(parse_messages(" Hi\n", true).unwrap(), turns);
        assert!(parse_messages("Hi", false).is_err());
        assert!(parse_messages(r#"[{"role": "boss", "content": ""}]"#, false).is_err());
    }
}
