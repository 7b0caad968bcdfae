//! `nudge sample`: answers of a model, as pairs to label.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use data::{Answer, Change, Edit, Prompt, counted, pilaf::Sampled};
use engine::{
    Speaker, compute_pool, draw,
    protocol::{AnswerOptions, Candidates, DrawnPair, Pilaf, Sampling},
};
use indicatif::ProgressBar;
use serde_json::json;
use store::Project;

use super::{
    args::{Draws, Sample},
    drive,
    ending::{Ending, on_interrupt, usage},
    output,
    place::find_at,
    prompts,
};

pub(super) const STOPPING: &str = "Stopping; what was written so far is kept. Ctrl-C again leaves at once.";

/// Pairs of so many prompts are one step of the journal.
const SAVED_TOGETHER: usize = 8;

impl Draws {
    /// `seed`: where none was named.
    pub(super) fn options(&self, seed: u64) -> AnswerOptions {
        let Self { temperature, top_p, max_new, .. } = *self;
        let seed = self.seed.unwrap_or(seed);
        let sampling = Sampling { top_p, ..Sampling::at(temperature) };
        AnswerOptions { sampling, seed, max_new_tokens: max_new, ..AnswerOptions::default() }
    }
}

pub fn run(args: &Sample, threads: Option<u16>) -> Result<Ending> {
    let pilaf = args.pilaf.then_some(Pilaf { strength: args.strength, share: args.share });
    let mut project = Project::open(&args.project)?;
    // Every pair that came is a change: asked again, a model says something else.
    let options = args.draws.options(project.revision()?.0);
    let asked = Candidates { options, answers: args.answers, pilaf };
    asked.check().map_err(|reason| usage(format!("--{reason}.")))?;
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
            None if args.of_pairs => prompts::of_pairs(&project)?,
            None => prompts::waiting(&project)?,
        };
        sample(&mut project, &speaker, &prompts, &asked, &whose, &interrupted, args.json)
    })?;
    let mut labelled = Sampled::default();
    project.each_pair_at(project.revision()?, &mut |pair| {
        labelled.add(&pair);
        ControlFlow::Continue(())
    })?;
    sums.tell(&labelled, asked.options.seed, args.json)?;
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
    /// Answers that were stopped at the limit.
    cut: usize,
}

impl Sums {
    fn tell(&self, labelled: &Sampled, seed: u64, is_json: bool) -> Result<()> {
        let asked = (self.pairs + self.none).max(1) as f64;
        let identical = (self.again + self.none) as f64 / asked;
        if is_json {
            return output::json(&json!({
                "pairs": self.pairs,
                "without": self.none,
                "cut": self.cut,
                "seed": seed,
                "label/pilaf_share": self.pilaf as f64 / (self.pairs.max(1)) as f64,
                "label/identical": identical,
                // Of all pairs that a model has written in this project, those of earlier calls too.
                "project": {"label/distance": labelled.distance(), "label/plus_wins": labelled.plus_share()},
            }));
        }
        output::line(format!(
            "{} to label in the project, drawn with seed {seed}",
            counted(self.pairs, "new pair", "new pairs")
        ))?;
        if self.cut > 0 {
            let cut = counted(
                self.cut,
                "answer was cut at the limit of its length",
                "answers were cut at the limit of their length",
            );
            output::line(format!("{cut}; --max-new takes longer ones"))?;
        }
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
                DrawnPair::Pair { pair, pilaf, again } => {
                    sums.pairs += 1;
                    sums.pilaf += usize::from(pilaf);
                    sums.again += usize::from(again);
                    sums.cut += pair.answers.iter().filter(|answer| Answer::is_cut(answer)).count();
                    new.push(*pair);
                }
                DrawnPair::None(reason) => {
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

pub(super) fn bar(len: usize) -> ProgressBar {
    output::bar(len, "{bar:24} {pos}/{len} prompts  {elapsed} of {duration}")
}
