//! `nudge score PROJECT RUN --weights`: what each token of the labelled pairs counts in a run's margin.

use std::{path::Path, sync::atomic::Ordering};

use anyhow::{Context as _, Result};
use data::{Answer, Choice, Pair, PairId};
use engine::{Speakers, checkpoint_steps, compute_pool, doc_of, protocol::Weights, read};
use serde::Serialize;
use serde_json::json;
use store::{PairQuery, Project, RunId, VerdictFilter};

use super::{
    drive,
    ending::{Ending, on_interrupt},
    output,
    place::find_at,
};

const STOPPING: &str = "Stopping after this pair. Ctrl-C again leaves at once.";

/// One answer of a pair, token by token.
#[derive(Serialize)]
struct Seen {
    tokens: Vec<String>,
    weights: Vec<f32>,
    /// Since the run's start.
    logp_changes: Vec<f32>,
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'s> {
    pair: PairId,
    chosen: Option<&'s Seen>,
    rejected: Option<&'s Seen>,
}

pub fn run(dir: &Path, run: &str, is_json: bool, threads: Option<u16>) -> Result<Ending> {
    let project = Project::open(dir)?;
    let (record, step) = find_at(&project, run)?;
    if !record.config()?.weighs_tokens() {
        anyhow::bail!(
            "{} counts all tokens alike; a run with --set objective.token_weights=tis or =ti weighs them",
            record.name
        );
    }
    let newest = || checkpoint_steps(&record.checkpoints).pop();
    let step =
        step.or_else(newest).with_context(|| format!("{} has no checkpoint yet; let it go on first", record.name))?;
    let interrupted = on_interrupt(STOPPING, || {})?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let mut speakers = Speakers::default();
    let labelled = PairQuery { verdict: Some(VerdictFilter::Labelled), ..PairQuery::default() };
    for id in project.query(&labelled)? {
        let Some(pair) = project.pair(id)? else { continue };
        let Some(Choice::Better { chosen, rejected, .. }) = pair.verdict.as_ref().map(|verdict| verdict.choice) else {
            continue;
        };
        if interrupted.load(Ordering::Acquire) {
            return Ok(Ending::Interrupted);
        }
        let answers = [chosen, rejected].map(|place| pair.answers.get(place).cloned());
        let [Some(chosen), Some(rejected)] = answers else { continue };
        let seen = pool.install(|| look(&mut speakers, dir, (record.id, step), &pair, &[chosen, rejected]));
        match seen {
            Ok(seen) if is_json => {
                output::json(&Line { pair: pair.id, chosen: seen.first(), rejected: seen.get(1) })?;
            }
            Ok(seen) => print(&pair, &seen)?,
            Err(error) if is_json => output::json(&json!({"pair": pair.id.0, "error": error.to_string()}))?,
            Err(error) => output::line(format!("{:>6}  {error}", pair.id.0))?,
        }
    }
    Ok(Ending::Done)
}

fn look(
    speakers: &mut Speakers,
    dir: &Path,
    (run, step): (RunId, u64),
    pair: &Pair,
    answers: &[Answer],
) -> Result<Vec<Seen>> {
    let read = read(speakers, dir, Some((run, step)), &pair.prompt, answers)?;
    let weights = read.weights.map_err(anyhow::Error::msg)?;
    let speaker = speakers.get(&Weights::Run { project: dir.to_owned(), run, step: Some(step) })?;
    let doc = doc_of(&speaker.codec, speaker.limits, &pair.prompt, answers)?;
    let known = doc.continuations.iter().zip(weights).zip(read.now.iter().zip(&read.start));
    let seen = known.map(|((ids, weights), (now, start))| Seen {
        tokens: ids.iter().map(|id| speaker.codec.token(*id)).collect(),
        weights,
        logp_changes: now.iter().zip(start).map(|(now, start)| now - start).collect(),
    });
    Ok(seen.collect())
}

fn print(pair: &Pair, seen: &[Seen]) -> Result<()> {
    for (side, seen) in ["chosen", "rejected"].iter().zip(seen) {
        let mean = seen.weights.iter().sum::<f32>() / seen.weights.len().max(1) as f32;
        output::line(format!("{:>6}  {side}, mean weight {mean:.3}", pair.id.0))?;
        for ((text, weight), change) in seen.tokens.iter().zip(&seen.weights).zip(&seen.logp_changes) {
            output::line(format!("        {weight:>7.3}  {change:>+8.4}  {text:?}"))?;
        }
    }
    Ok(())
}
