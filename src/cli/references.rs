//! `nudge references`: the start model's own answers, for the KL term.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use data::{Prompt, PromptKey, ReferenceAnswer, TopicCoverage, counted};
use engine::{
    Speaker, answer_all, compute_pool,
    protocol::{AnswerOptions, Generated, StoppedBy},
};
use serde_json::json;
use state::{
    candidates::said,
    references::{EVERYDAY, suggested},
};
use store::Project;

use super::{
    args::References,
    drive,
    ending::{Ending, on_interrupt, usage},
    output, prompts,
    sample::{STOPPING, bar},
};

/// Reference answers that are written together and then saved.
const AT_ONCE: usize = 16;

/// Prompts of pairs whose words are looked at.
const LOOKED_AT: usize = 20_000;

pub fn run(args: &References, threads: Option<u16>) -> Result<Ending> {
    let options = args.draws.options(0);
    options.sampling.check().map_err(|reason| usage(format!("--{reason}.")))?;
    let mut project = Project::open(&args.project)?;
    let interrupted = on_interrupt(STOPPING, || {})?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let (asked, came, passed_over) = pool.install(|| -> Result<_> {
        let speaker = Speaker::of_start(&project)?;
        let chat = speaker.codec.has_template();
        let mut prompts = match &args.prompts {
            Some(file) => prompts::for_project(file, chat)?,
            None if args.of_pairs => prompts::of_pairs(&project)?,
            None => elsewhere(&project, chat)?,
        };
        let known: HashSet<Prompt> = project.references()?.into_iter().map(|reference| reference.prompt).collect();
        let all = prompts.len();
        prompts.retain(|prompt| !known.contains(prompt));
        let passed_over = all - prompts.len();
        prompts.truncate(args.count);
        let came = write(&mut project, &speaker, &prompts, &options, &interrupted, args.json)?;
        Ok((prompts.len(), came, passed_over))
    })?;
    let Came { answers: came, cut } = came;
    let references: Vec<Prompt> = project.references()?.into_iter().map(|reference| reference.prompt).collect();
    let total = references.len();
    let coverage = TopicCoverage::of(&project.prompts(LOOKED_AT)?, &references);
    if args.json {
        let covered = [coverage.covered(), coverage.topics.len()];
        output::json(&json!({
            "answers": came,
            "passed_over": passed_over,
            "cut": cut,
            "total": total,
            "covered": covered[0],
            "topics": covered[1],
            "against": coverage.against,
        }))?;
    } else {
        output::line(format!(
            "{} came in; the project has {total}",
            counted(came, "reference answer", "reference answers")
        ))?;
        if cut > 0 {
            let cut = counted(cut, "answer was", "answers were");
            output::line(format!(
                "{cut} longer than {} tokens and left out; --max-new takes longer ones",
                args.draws.max_new
            ))?;
        }
        if passed_over > 0 {
            output::line(format!("{} had one already", counted(passed_over, "prompt", "prompts")))?;
        }
        output::line(coverage.sentence())?;
    }
    if interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    anyhow::ensure!(came > 0 || asked == 0, "No reference answer came of it.");
    Ok(Ending::Done)
}

/// What anybody may ask, and what the retention text gives rise to; none that a pair is about: there the KL term would
/// pull against the preference.
fn elsewhere(project: &Project, chat: bool) -> Result<Vec<Prompt>> {
    let mut about = HashSet::new();
    project.each_prompt_at(project.revision()?, &mut |key, _| {
        about.insert(key);
    })?;
    let suggested = suggested(&project.retention()?);
    let lines = suggested.iter().map(String::as_str).chain(EVERYDAY);
    Ok(lines.map(|line| said(line, chat)).filter(|prompt| !about.contains(&PromptKey::of(prompt))).collect())
}

/// What came of it.
#[derive(Default)]
struct Came {
    answers: usize,
    /// Left out, because they were stopped at the limit: the model would be taught to end there.
    cut: usize,
}

/// Every few of them are in the project before the next are begun.
fn write(
    project: &mut Project,
    speaker: &Speaker,
    prompts: &[Prompt],
    options: &AnswerOptions,
    interrupted: &AtomicBool,
    is_json: bool,
) -> Result<Came> {
    let bar = bar(prompts.len());
    let wanted = || !interrupted.load(Ordering::Acquire);
    let context = speaker.policy.spec().max_positions;
    let mut came = Came::default();
    for group in prompts.chunks(AT_ONCE) {
        let mut asked = Vec::with_capacity(group.len());
        for prompt in group {
            let refused = match speaker.codec.prompt_ids(prompt) {
                Ok(ids) if ids.len() < context => {
                    asked.push((prompt, ids));
                    continue;
                }
                Ok(ids) => format!("the prompt has {} tokens and the model's context only {context}", ids.len()),
                Err(error) => error.to_string(),
            };
            bar.suspend(|| output::note(format!("“{}”: {refused}", output::one_line(prompt.last_text(), 40))));
        }
        let ids = asked.iter().map(|(_, ids)| ids.clone()).collect();
        let answers = answer_all(&speaker.policy, &speaker.codec, ids, options, &wanted, &mut |_, _| {})?;
        came.cut += answers.iter().filter(|answer| answer.is_cut()).count();
        let is_whole = |answer: &Generated| {
            answer.stopped_by != StoppedBy::Cancelled && !answer.is_cut() && !answer.text.trim().is_empty()
        };
        let new: Vec<ReferenceAnswer> = asked
            .into_iter()
            .zip(answers)
            .filter(|(_, answer)| is_whole(answer))
            .map(|((prompt, _), answer)| ReferenceAnswer::new(prompt.clone(), answer.text))
            .collect();
        came.answers += new.len();
        if is_json {
            for reference in &new {
                output::json(reference)?;
            }
        }
        let mut all = project.references()?;
        all.extend(new);
        project.set_references(&all)?;
        bar.inc(group.len() as u64);
        if !wanted() {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(came)
}
