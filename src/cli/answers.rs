//! `nudge answers`: how a run answered the probes, step by step; what its rules judged; what it sampled to learn from.

use anyhow::Result;
use data::config::Method;
use serde_json::json;
use store::{Probe, Project, RunId, SampleRecord, SampledAnswer, SeedAnswer, by_prompt};

use super::{
    args::Answers,
    ending::{Ending, usage},
    output,
};

pub fn run(args: &Answers) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    if args.judged {
        return judged(&project, record.id, args);
    }
    if args.sampled {
        return sampled(&project, record.id, args);
    }
    if args.step.is_some() {
        return Err(usage("--step goes with --judged or --sampled.".to_owned()));
    }
    let rows = by_prompt(project.samples(record.id)?);
    let probes = project.probes()?;
    for (place, samples) in rows.iter().enumerate() {
        answered(samples, &probes, place > 0, args)?;
    }
    if rows.is_empty() && !args.json {
        output::line(format!("Run {} has not answered any probe.", record.id.0))?;
    }
    Ok(Ending::Done)
}

/// The answers to one prompt, by step.
fn answered(samples: &[SampleRecord], probes: &[Probe], is_further: bool, args: &Answers) -> Result<()> {
    for (index, SampleRecord { step, probe, sample }) in samples.iter().enumerate() {
        if args.ends && index > 0 && index + 1 < samples.len() {
            continue;
        }
        let drawn = if args.greedy { &[] } else { &sample.drawn[..] };
        if args.json {
            output::json(&json!({
                "probe": probe,
                "step": step,
                "prompt": sample.prompt,
                "answer": sample.answer,
                "tokens": sample.tokens,
                "ended": sample.ended,
                "drawn": drawn,
            }))?;
            continue;
        }
        if index == 0 {
            let note = Probe::note_of(probes, &sample.prompt);
            let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
            let gap = if is_further { "\n" } else { "" };
            output::line(format!("{gap}{}{note}", sample.prompt.last_text().trim()))?;
        }
        output::line(format!("  step {step:>5}  {}", said(&sample.answer, sample.ended)))?;
        for (seed, SeedAnswer { answer, ended }) in drawn.iter().enumerate() {
            output::line(format!("  seed {:>5}  {}", seed + 1, said(answer, *ended)))?;
        }
    }
    Ok(())
}

/// An answer under its first line.
fn said(answer: &str, ended: bool) -> String {
    let cut = if ended { "" } else { " […]" };
    format!("{}{cut}", answer.trim().replace('\n', "\n             "))
}

/// What the rules judged, as they saw it.
fn judged(project: &Project, run: RunId, args: &Answers) -> Result<Ending> {
    let steps = project.judged_steps(run)?;
    let Some(step) = args.step.or(steps.last().copied()) else {
        let kind = project.run(run)?.config()?.objective.kind;
        let why = if kind == Method::Reward {
            "a reward model writes no answers"
        } else {
            "it began without rules (judge.toml)"
        };
        anyhow::bail!("Nothing of run {} was judged: {why}.", run.0);
    };
    if !steps.contains(&step) {
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        return Err(usage(format!("Nothing was judged at step {step}; there are: {}.", steps.join(", "))));
    }
    let mut asked = None;
    for answer in project.judged(run, step)? {
        if args.json {
            let said: serde_json::Map<String, serde_json::Value> =
                answer.said.iter().map(|(rule, counts)| (rule.clone(), (*counts).into())).collect();
            output::json(&json!({
                "step": step,
                "group": answer.group,
                "prompt": answer.prompt,
                "answer": answer.answer,
                "ended": answer.ended,
                "counts": said,
            }))?;
            continue;
        }
        if asked.as_ref() != Some(&answer.prompt) {
            let gap = if asked.is_some() { "\n" } else { "" };
            output::line(format!("{gap}{}  ({})", answer.prompt.last_text().trim(), answer.group))?;
            asked = Some(answer.prompt.clone());
        }
        let said: Vec<String> =
            answer.said.iter().map(|(rule, counts)| format!("{} {rule}", if *counts { "+" } else { "-" })).collect();
        let cut = if answer.ended { "" } else { " […]" };
        output::line(format!("  {}{cut}\n      {}", answer.answer.trim().replace('\n', "\n  "), said.join("  ")))?;
    }
    Ok(Ending::Done)
}

/// What the run learns from, prompt by prompt.
fn sampled(project: &Project, run: RunId, args: &Answers) -> Result<Ending> {
    let steps = project.rollout_steps(run)?;
    let Some(step) = args.step.or(steps.last().copied()) else {
        let kind = project.run(run)?.config()?.objective.kind;
        let why = if kind.samples() { "it has not come to its first step" } else { "it learns from the pairs alone" };
        anyhow::bail!("Run {} has sampled no answers to learn from: {why}.", run.0);
    };
    let Some(groups) = project.rollout(run, step)? else {
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        return Err(usage(format!("No answers of step {step} are kept; there are: {}.", steps.join(", "))));
    };
    for (index, group) in groups.iter().enumerate() {
        if !args.json {
            let gap = if index == 0 { "" } else { "\n" };
            let pair = group.pair.map_or(String::new(), |pair| format!("  (pair {})", pair.0));
            output::line(format!("{gap}{}{pair}", group.prompt.trim()))?;
        }
        for SampledAnswer { text, tokens, ended, score, kl } in &group.answers {
            if args.json {
                output::json(&json!({
                    "step": step,
                    "pair": group.pair,
                    "prompt": group.prompt,
                    "answer": text,
                    "tokens": tokens,
                    "ended": ended,
                    "score": score,
                    "kl": kl,
                }))?;
                continue;
            }
            let cut = if *ended { "" } else { " […]" };
            output::line(format!("  {score:>7.3}  {}{cut}", text.trim().replace('\n', "\n           ")))?;
        }
    }
    Ok(Ending::Done)
}
