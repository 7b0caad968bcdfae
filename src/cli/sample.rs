//! `nudge sample` and `nudge references`: answers of a model, as pairs to label and for the KL term.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use data::{Change, Edit, Prompt, ReferenceAnswer, counted, pilaf::Sampled};
use engine::{
    Speaker, answer_all, compute_pool, draw,
    protocol::{Candidates, Drawn, Generated, Pilaf, Sampling, StoppedBy},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use store::Project;

use super::{
    args::{Draws, References, Sample},
    drive,
    ending::{Ending, on_interrupt, usage},
    output,
    place::find_at,
    prompts,
};

const STOPPING: &str = "Stopping; what was written so far is kept. Ctrl-C again leaves at once.";

/// Pairs of so many prompts are one step of the journal.
const SAVED_TOGETHER: usize = 8;

/// Reference answers that are written together and then saved.
const AT_ONCE: usize = 16;

impl Draws {
    fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, max_new, seed } = *self;
        Sampling { temperature, top_p, seed, max_new_tokens: max_new, ..Sampling::default() }
    }
}

pub fn run(args: &Sample, threads: Option<u16>) -> Result<Ending> {
    let pilaf = args.pilaf.then_some(Pilaf { strength: args.strength, share: args.share });
    let asked = Candidates { sampling: args.draws.sampling(), answers: args.answers, pilaf };
    asked.check().map_err(|reason| usage(format!("--{reason}.")))?;
    let mut project = Project::open(&args.project)?;
    let interrupted = on_interrupt(STOPPING, || {})?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let sums = pool.install(|| -> Result<Sums> {
        let (speaker, whose) = whose(&project, &args.from)?;
        if pilaf.is_some() && speaker.step.is_none() {
            return Err(usage("PILAF compares a trained policy with its start; name a run with --from."));
        }
        for sentence in &speaker.passed_over {
            output::note(sentence);
        }
        let prompts = match &args.prompts {
            Some(file) => prompts::for_project(file, speaker.codec.has_template())?,
            None => prompts::of_pairs(&project)?,
        };
        sample(&mut project, &speaker, &prompts, &asked, &whose, &interrupted, args.json)
    })?;
    let mut labelled = Sampled::default();
    project.each_pair_at(project.revision()?, &mut |pair| {
        labelled.add(&pair);
        ControlFlow::Continue(())
    })?;
    sums.tell(&labelled, args.json)?;
    if interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    anyhow::ensure!(sums.pairs > 0, "No pair came of it.");
    Ok(Ending::Done)
}

/// The weights that `--from` names, and how they are called.
fn whose(project: &Project, from: &str) -> Result<(Speaker, String)> {
    if from == "start" {
        return Ok((Speaker::of_start(project)?, "start model".to_owned()));
    }
    let (run, step) = find_at(project, from)?;
    let speaker = Speaker::of_run(project.dir(), run.id, step)?;
    let whose = format!("run {} at step {}", run.id.0, speaker.step.unwrap_or_default());
    Ok((speaker, whose))
}

/// What came of a whole call.
#[derive(Default)]
struct Sums {
    pairs: usize,
    pilaf: usize,
    /// Answers were alike at first.
    again: usize,
    none: usize,
}

impl Sums {
    fn tell(&self, labelled: &Sampled, is_json: bool) -> Result<()> {
        let asked = (self.pairs + self.none).max(1) as f64;
        let identical = (self.again + self.none) as f64 / asked;
        if is_json {
            return output::json(&json!({
                "pairs": self.pairs,
                "without": self.none,
                "label/pilaf_share": self.pilaf as f64 / (self.pairs.max(1)) as f64,
                "label/identical": identical,
                // Of all pairs that a model has written in this project, those of earlier calls too.
                "project": {"label/distance": labelled.distance(), "label/plus_wins": labelled.plus_share()},
            }));
        }
        output::line(format!("{} to label in the project", counted(self.pairs, "new pair", "new pairs")))?;
        if self.none > 0 {
            output::line(format!("{} without a pair", counted(self.none, "prompt", "prompts")))?;
        }
        if let Some(share) = labelled.plus_share() {
            output::line(format!(
                "Of {} with a verdict the optimistic answer won {:.0} %",
                counted(labelled.decided, "PILAF pair", "PILAF pairs"),
                100.0 * share
            ))?;
        }
        Ok(())
    }
}

/// Some pairs at a time are in the project before the next are begun.
fn sample(
    project: &mut Project,
    speaker: &Speaker,
    prompts: &[Prompt],
    asked: &Candidates,
    whose: &str,
    interrupted: &AtomicBool,
    is_json: bool,
) -> Result<Sums> {
    let bar = bar(prompts.len());
    let wanted = || !interrupted.load(Ordering::Acquire);
    let mut sums = Sums::default();
    for group in prompts.chunks(SAVED_TOGETHER) {
        let mut new = Vec::with_capacity(group.len());
        let drawn = draw(&speaker.policy, &speaker.codec, group, asked, whose, &wanted, &mut |index, drawn| {
            bar.inc(1);
            match drawn {
                Drawn::Pair { pair, pilaf, again } => {
                    sums.pairs += 1;
                    sums.pilaf += usize::from(pilaf);
                    sums.again += usize::from(again);
                    new.push(*pair);
                }
                Drawn::None(reason) => {
                    sums.none += 1;
                    let prompt = output::one_line(group[index].last_text(), 40);
                    bar.suspend(|| output::note(format!("“{prompt}”: {reason}")));
                }
            }
        });
        let label = format!("Sample {}", counted(new.len(), "pair", "pairs"));
        let applied = project.apply(&Change::new(label, new.into_iter().map(Edit::add).collect()))?;
        if is_json {
            for pair in project.pairs(&applied.pairs)? {
                output::json(&pair)?;
            }
        }
        drawn?;
        if !wanted() {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(sums)
}

fn bar(len: usize) -> ProgressBar {
    ProgressBar::new(len as u64).with_style(
        ProgressStyle::with_template("{bar:24} {pos}/{len} prompts  {elapsed} of {duration}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

/// `nudge references`.
pub fn references(args: &References, threads: Option<u16>) -> Result<Ending> {
    let sampling = args.draws.sampling();
    sampling.check().map_err(|reason| usage(format!("--{reason}.")))?;
    let mut project = Project::open(&args.project)?;
    let interrupted = on_interrupt(STOPPING, || {})?;
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let (asked, came, passed_over) = pool.install(|| -> Result<_> {
        let speaker = Speaker::of_start(&project)?;
        let mut prompts = match &args.prompts {
            Some(file) => prompts::for_project(file, speaker.codec.has_template())?,
            None => prompts::of_pairs(&project)?,
        };
        let known: HashSet<Prompt> = project.references()?.into_iter().map(|reference| reference.prompt).collect();
        let all = prompts.len();
        prompts.retain(|prompt| !known.contains(prompt));
        let passed_over = all - prompts.len();
        prompts.truncate(args.count);
        let came = write_references(&mut project, &speaker, &prompts, &sampling, &interrupted, args.json)?;
        Ok((prompts.len(), came, passed_over))
    })?;
    let total = project.references()?.len();
    if args.json {
        output::json(&json!({"answers": came, "passed_over": passed_over, "total": total}))?;
    } else {
        output::line(format!(
            "{} came in; the project has {total}",
            counted(came, "reference answer", "reference answers")
        ))?;
        if passed_over > 0 {
            output::line(format!("{} had one already", counted(passed_over, "prompt", "prompts")))?;
        }
    }
    if interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    anyhow::ensure!(came > 0 || asked == 0, "No reference answer came of it.");
    Ok(Ending::Done)
}

/// Every few of them are in the project before the next are begun; says how many came in.
fn write_references(
    project: &mut Project,
    speaker: &Speaker,
    prompts: &[Prompt],
    sampling: &Sampling,
    interrupted: &AtomicBool,
    is_json: bool,
) -> Result<usize> {
    let bar = bar(prompts.len());
    let wanted = || !interrupted.load(Ordering::Acquire);
    let context = speaker.policy.spec().max_positions;
    let mut came = 0;
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
        let answers = answer_all(&speaker.policy, &speaker.codec, ids, sampling, &wanted, &mut |_, _| {})?;
        let whole = |answer: &Generated| answer.stopped_by != StoppedBy::Cancelled && !answer.text.trim().is_empty();
        let new: Vec<ReferenceAnswer> = asked
            .into_iter()
            .zip(answers)
            .filter(|(_, answer)| whole(answer))
            .map(|((prompt, _), answer)| ReferenceAnswer::new(prompt.clone(), answer.text))
            .collect();
        came += new.len();
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
