//! `nudge generate`: answers prompts.

use std::cell::Cell;

use anyhow::{Context as _, Result};
use data::{Prompt, counted};
use engine::{
    answer_all, compute_pool,
    protocol::{AnswerOptions, Generated, Sampling, StoppedBy},
    sampling_of,
};
use formats::PromptOrIds;
use serde_json::json;

use super::{
    args::Generate,
    drive,
    ending::{Ending, usage},
    output, prompts,
};

pub fn run(args: &Generate, threads: Option<u16>) -> Result<Ending> {
    let options = options(args)?;
    let asked = asked(args)?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let several = asked.len() * args.samples > 1;
    let answers = pool.install(|| -> Result<_> {
        let speaker = args.loading.speaker(&args.model)?;
        let mut prompts = Vec::with_capacity(asked.len() * args.samples);
        for (index, prompt) in asked.into_iter().enumerate() {
            let ids = match prompt {
                PromptOrIds::Prompt(prompt) => speaker.codec.prompt_ids(&prompt),
                PromptOrIds::Ids(ids) => Ok(ids),
            };
            let ids = ids.with_context(|| format!("Prompt {}", index + 1))?;
            prompts.extend(std::iter::repeat_n(ids, args.samples));
        }
        // A reader who leaves has read enough.
        let left = Cell::new(false);
        let wanted = || !left.get();
        let mut shown = Ok(());
        let answers = answer_all(&speaker.policy, &speaker.codec, prompts, &options, &wanted, &mut |_, text| {
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

fn asked(args: &Generate) -> Result<Vec<PromptOrIds>> {
    if let Some(file) = &args.prompts {
        return prompts::read(file);
    }
    Ok(vec![match (&args.prompt, &args.messages) {
        (Some(text), _) => PromptOrIds::Prompt(Prompt::Text(text.clone())),
        (None, Some(file)) => PromptOrIds::Prompt(Prompt::Chat(prompts::read_messages(file)?)),
        (None, None) => PromptOrIds::Ids(args.prompt_ids.clone()),
    }])
}

fn options(args: &Generate) -> Result<AnswerOptions> {
    let options = |sampling| AnswerOptions {
        sampling,
        max_new_tokens: args.max_new,
        seed: args.seed,
        ignore_eos: args.ignore_eos,
        stop: args.stop.clone(),
        mix: None,
    };
    let share_asked = args.top_p.is_some() || args.top_k.is_some() || args.min_p.is_some();
    if !args.greedy && !share_asked && args.temperature.is_none() && args.repetition_penalty.is_none() {
        let model = sampling_of(&args.model)?;
        if model != Sampling::default() {
            output::note(format!(
                "As the model's generation_config.json asks: temperature {}, top-p {}, top-k {}, min-p {}, repetition penalty \
                 {}. For the likeliest tokens say --greedy",
                model.temperature, model.top_p, model.top_k, model.min_p, model.repetition_penalty
            ));
        }
        return Ok(options(model));
    }
    // Asking for a share of the likeliest tokens is asking to sample.
    let temperature = if share_asked { 1.0 } else { 0.0 };
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(temperature),
        top_p: args.top_p.unwrap_or(1.0),
        top_k: args.top_k.unwrap_or(0),
        min_p: args.min_p.unwrap_or(0.0),
        repetition_penalty: args.repetition_penalty.unwrap_or(1.0),
    };
    sampling.check().map_err(|reason| usage(format!("--{reason}.")))?;
    Ok(options(sampling))
}
