//! `nudge generate`: answers prompts.

use std::{
    cell::Cell,
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
    data::{Chat, Given, Prompt, Turn, counted},
    engine::{
        Speaker, answer_all, compute_pool,
        protocol::{Generated, Sampling, StoppedBy},
    },
    files,
};

pub fn run(args: &Generate, threads: Option<u16>) -> Result<Ending> {
    let sampling = sampling(args)?;
    let asked = asked(args)?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let several = asked.len() * args.samples > 1;
    let answers = pool.install(|| -> Result<_> {
        let speaker = Speaker::load(&args.model, args.adapter.as_deref(), args.dtype, args.device)?;
        let mut prompts = Vec::with_capacity(asked.len() * args.samples);
        for (index, prompt) in asked.into_iter().enumerate() {
            let ids = match prompt {
                Asked::Prompt(prompt) => speaker.codec.prompt_ids(&prompt),
                Asked::Ids(ids) => Ok(ids),
            };
            let ids = ids.with_context(|| format!("Prompt {}", index + 1))?;
            prompts.extend(std::iter::repeat_n(ids, args.samples));
        }
        // A reader who leaves has read enough.
        let left = Cell::new(false);
        let wanted = || !left.get();
        let mut shown = Ok(());
        let answers = answer_all(&speaker.policy, &speaker.codec, prompts, &sampling, &wanted, &mut |_, text| {
            if !args.json && !several && shown.is_ok() {
                shown = output::piece(&text);
                if shown.is_err() {
                    left.set(true);
                }
            }
        })?;
        shown.map(|()| answers)
    })?;
    for (index, answer) in answers.iter().enumerate() {
        let (prompt, sample) = (index / args.samples, index % args.samples);
        if args.json {
            output::json(&json!({
                "prompt": prompt,
                "sample": sample,
                "prompt_ids": answer.prompt_ids,
                "ids": answer.ids,
                "text": answer.text,
                "stopped_by": answer.stopped_by,
                "tokens_per_sec": answer.tokens_per_sec,
                "prompt_tokens_per_sec": answer.prompt_tokens_per_sec,
            }))?;
        } else if several {
            let which = format!("prompt {}, answer {}", prompt + 1, sample + 1);
            output::line(format!("── {which}, {}\n{}", why(answer), answer.text))?;
        } else {
            output::line("")?;
            output::note(why(answer));
        }
    }
    if !args.json
        && let Some(any) = answers.first()
    {
        output::note(format!(
            "prompts read at {:.0} tokens/s, answers written at {:.1} tokens/s",
            any.prompt_tokens_per_sec, any.tokens_per_sec
        ));
    }
    Ok(Ending::Done)
}

fn why(answer: &Generated) -> String {
    let why = match answer.stopped_by {
        StoppedBy::Eos => "the model ended it",
        StoppedBy::Stop => "ended by a stop text",
        StoppedBy::Limit => "cut at the limit",
        StoppedBy::Context => "cut where the model's context is full",
        StoppedBy::Cancelled => "cancelled",
    };
    format!("{}, {why}", counted(answer.ids.len(), "token", "tokens"))
}

/// What is to be answered.
enum Asked {
    Prompt(Prompt),
    Ids(Vec<u32>),
}

fn asked(args: &Generate) -> Result<Vec<Asked>> {
    if let Some(file) = &args.prompts {
        return read_prompts(file);
    }
    Ok(vec![match (&args.prompt, &args.messages) {
        (Some(text), _) => Asked::Prompt(Prompt::Text(text.clone())),
        (None, Some(file)) => Asked::Prompt(Prompt::Chat(read_messages(file)?)),
        (None, None) => Asked::Ids(args.prompt_ids.clone()),
    }])
}

/// A prompt a line; blank lines are skipped.
fn read_prompts(path: &Path) -> Result<Vec<Asked>> {
    let text = read_input(path)?;
    let mut asked = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            let prompt = parse_prompt(line).with_context(|| format!("{}, line {}", path.display(), index + 1))?;
            asked.push(prompt);
        }
    }
    if asked.is_empty() {
        anyhow::bail!("{} holds no prompts.", path.display());
    }
    Ok(asked)
}

fn parse_prompt(line: &str) -> Result<Asked> {
    #[derive(serde::Deserialize)]
    struct Line {
        prompt: Option<Prompt>,
        messages: Option<Vec<Turn>>,
        #[serde(flatten)]
        given: Given,
        prompt_ids: Option<Vec<u32>>,
    }
    let line: Line = serde_json::from_str(line)?;
    match (line.prompt, line.messages, line.prompt_ids) {
        (Some(prompt), None, None) => Ok(Asked::Prompt(prompt)),
        (None, Some(turns), None) => {
            let given = (!line.given.is_empty()).then(|| Box::new(line.given));
            Ok(Asked::Prompt(Prompt::Chat(Chat { turns, given })))
        }
        (None, None, Some(ids)) => Ok(Asked::Ids(ids)),
        _ => anyhow::bail!("It needs one of \"prompt\", \"messages\" and \"prompt_ids\"."),
    }
}

fn sampling(args: &Generate) -> Result<Sampling> {
    let limits = Sampling {
        max_new_tokens: args.max_new,
        seed: args.seed,
        ignore_eos: args.ignore_eos,
        stop: args.stop.clone(),
        ..Sampling::default()
    };
    let share_asked = args.top_p.is_some() || args.top_k.is_some() || args.min_p.is_some();
    if !args.greedy && !share_asked && args.temperature.is_none() && args.repetition_penalty.is_none() {
        let model = Sampling::of_model(&args.model)?;
        if model != Sampling::default() {
            output::note(format!(
                "As the model's generation_config.json asks: temperature {}, top-p {}, top-k {}, min-p {}, repetition penalty \
                 {}. For the likeliest tokens say --greedy",
                model.temperature, model.top_p, model.top_k, model.min_p, model.repetition_penalty
            ));
        }
        return Ok(Sampling {
            temperature: model.temperature,
            top_p: model.top_p,
            top_k: model.top_k,
            min_p: model.min_p,
            repetition_penalty: model.repetition_penalty,
            ..limits
        });
    }
    // Asking for a share of the likeliest tokens is asking to sample.
    let temperature = if share_asked { 1.0 } else { 0.0 };
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(temperature),
        top_p: args.top_p.unwrap_or(1.0),
        top_k: args.top_k.unwrap_or(0),
        min_p: args.min_p.unwrap_or(0.0),
        repetition_penalty: args.repetition_penalty.unwrap_or(1.0),
        ..limits
    };
    sampling.check().map_err(|reason| usage(format!("--{reason}.")))?;
    Ok(sampling)
}

/// A conversation from a JSON file, or from standard input for "-". Also takes an object with `messages` and what a template is
/// given besides, and plain text on
/// standard input as one user turn.
pub fn read_messages(path: &Path) -> Result<Chat> {
    let is_stdin = path == Path::new("-");
    let text = read_input(path)?;
    let turns = parse_messages(&text, is_stdin).with_context(|| {
        format!("{} is not a conversation such as [{{\"role\": \"user\", \"content\": \"Hello\"}}]", path.display())
    })?;
    if turns.is_empty() {
        anyhow::bail!("{} holds no messages.", path.display());
    }
    Ok(turns)
}

/// A file's text, or that of standard input for "-".
pub fn read_input(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return Ok(files::read_any_text(path, files::SETTINGS)?);
    }
    let mut text = String::new();
    io::stdin().take(files::SETTINGS + 1).read_to_string(&mut text).context("Could not read standard input")?;
    let megabytes = files::SETTINGS >> 20;
    anyhow::ensure!(text.len() as u64 <= files::SETTINGS, "Standard input gives more than {megabytes} MiB.");
    Ok(text)
}

fn parse_messages(text: &str, may_be_plain: bool) -> Result<Chat> {
    let trimmed = text.trim();
    if may_be_plain && !trimmed.is_empty() && !trimmed.starts_with(['[', '{']) {
        return Ok(vec![Turn::new(crate::data::Role::User, trimmed)].into());
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
        assert_eq!((turns[0].role, turns[0].content.as_str()), (Role::User, "Hi"));
        let object = format!(r#"{{"messages": {list}}}"#);
        assert_eq!(parse_messages(&object, false).unwrap(), turns);
        assert_eq!(parse_messages(" Hi\n", true).unwrap(), turns);
        assert!(parse_messages("Hi", false).is_err());
        assert!(parse_messages(r#"[{"role": "", "content": ""}]"#, false).is_err());
    }
}
