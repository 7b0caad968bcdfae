//! `nudge score`: log-probs of given pairs, token by token.

use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use serde_json::json;

use super::{args::Score, drive, ending::Ending, output};
use crate::{
    engine::{
        Speaker, compute_pool,
        score::{PairScore, read_batch_file, score_ids, score_pairs},
    },
    formats::{self, FieldMap, Format},
    text::Limits,
};

/// What is known about a pair, or why nothing is.
type Scored = Result<PairScore, String>;

pub fn run(args: &Score, threads: Option<u16>) -> Result<Ending> {
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let scores = pool.install(|| scores(args))?;
    let mut right = 0_u32;
    let mut scored = 0_u32;
    let (mut margins, mut token_margins) = (0.0, 0.0);
    for (index, score) in scores.iter().enumerate() {
        match score {
            Ok(score) => {
                scored += 1;
                right += u32::from(score.margin > 0.0);
                margins += score.margin;
                token_margins += score.chosen_logp / score.chosen_ids.len() as f64
                    - score.rejected_logp / score.rejected_ids.len() as f64;
                print(index, score, args.json)?;
            }
            Err(reason) if args.json => output::json(&json!({"index": index, "error": reason}))?,
            Err(reason) => output::line(format!("{index:>5}  cannot be scored: {reason}"))?,
        }
    }
    if scored == 0 {
        anyhow::bail!("No pair could be scored.");
    }
    let accuracy = f64::from(right) / f64::from(scored);
    let mean_margin = margins / f64::from(scored);
    let mean_token_margin = token_margins / f64::from(scored);
    if args.json {
        output::json(&json!({
            "accuracy": accuracy,
            "pairs": scored,
            "mean_margin": mean_margin,
            "mean_token_margin": mean_token_margin,
        }))?;
    } else {
        output::line(format!("{right} of {scored} pairs have the chosen answer ahead: accuracy {accuracy:.3}"))?;
        output::line(format!("Mean margin {mean_margin:.4}, per token {mean_token_margin:.4}"))?;
    }
    Ok(Ending::Done)
}

fn scores(args: &Score) -> Result<Vec<Scored>> {
    let speaker = Speaker::load(&args.model, args.adapter.as_deref(), args.dtype, args.device)?;
    let bar = ProgressBar::new(0);
    let mut on_pair = |done: usize| bar.set_position(done as u64);
    let scores = if let Some(file) = &args.batch_file {
        let pairs = read_batch_file(file)?;
        bar.set_length(pairs.len() as u64);
        let scores = score_ids(&speaker.policy, &pairs, &mut on_pair)?;
        scores.into_iter().map(Ok).collect()
    } else {
        let file = args.pairs.as_ref().context("Name --pairs or --batch-file")?;
        let report = formats::read(file, Format::Auto, &FieldMap::default(), &mut |_| ControlFlow::Continue(()))?;
        for fault in &report.faults {
            output::note(format!("{}, line {}: {}", file.display(), fault.line, fault.reason));
        }
        if report.more_faults > 0 {
            output::note(format!("{}: {} more left out", file.display(), report.more_faults));
        }
        bar.set_length(report.pairs.len() as u64);
        let limits = Limits { max_prompt: args.max_prompt_tokens, max_answer: args.max_answer_tokens };
        score_pairs(&speaker.policy, &speaker.codec, &report.pairs, limits, &mut on_pair)?
    };
    bar.finish_and_clear();
    Ok(scores)
}

fn print(index: usize, score: &PairScore, is_json: bool) -> Result<()> {
    if is_json {
        return output::json(score);
    }
    output::line(format!(
        "{index:>5}  chosen {:>10.4} ({} tokens)  rejected {:>10.4} ({} tokens)  margin {:>10.4}",
        score.chosen_logp,
        score.chosen_ids.len(),
        score.rejected_logp,
        score.rejected_ids.len(),
        score.margin
    ))
}
