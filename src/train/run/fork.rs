//! Forks: a new run that goes on from a checkpoint of another one, with some of its settings changed or some pairs left
//! out.
//!
//! A fork begins its life with its parent's history and checkpoint, so that training it is an ordinary resume: weights,
//! optimizer, order of the data and curves go on, and with nothing changed every number is what it would have been.

use std::{fs, path::Path};

use data::{
    SplitRule,
    config::{AtFork, Changed, Method, RewardConfig, RunConfig},
    counted,
};
use store::{LeftOut, LogLevel, NewRun, PairQuery, Project, RunId, RunRecord, VerdictFilter, VerdictState};

use crate::{
    error::{Result, TrainError},
    objective,
    run::{
        checkpoint::{self, Checkpoint, State},
        rotation,
    },
};

/// What is to be forked, and what is otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    pub run: RunId,
    /// The step whose checkpoint it goes on from; 0: from the same beginning.
    pub at: u64,
    /// [`name_of`] where absent.
    pub name: Option<String>,
    pub config: RunConfig,
    /// Besides those that the run itself leaves out.
    pub left_out: Option<LeftOut>,
}

/// What a fork with these settings is called unless somebody says otherwise.
pub fn name_of(parent: &RunRecord, at: u64, config: &RunConfig) -> String {
    // A run that is called after its method gives that to no fork by another one.
    match parent.name.strip_prefix(&parent.method) {
        Some(rest) => format!("{}{rest} from {at}", objective::name(&config.objective)),
        None => format!("{} from {at}", parent.name),
    }
}

/// The name, or the same with the first number behind it that no run has: forks from one step are told apart.
fn unused(name: &str, runs: &[RunRecord]) -> String {
    let is_free = |name: &String| runs.iter().all(|run| run.name != *name);
    let numbered = (2..).map(|number| format!("{name} ({number})"));
    std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

/// Records the fork; it stands as a run that was stopped at that step.
pub fn fork(project: &mut Project, fork: &Fork) -> Result<RunId> {
    let parent = project.run(fork.run)?;
    let before = parent.config()?;
    let changed = before.changes_in(&fork.config)?;
    refuse_what_stays(&changed, &before)?;
    let kinds = [before.objective.kind, fork.config.objective.kind];
    if kinds[0] != kinds[1] && kinds.contains(&Method::Reward) {
        return Err(TrainError::Fork(
            "a reward model gives scores and a policy text, so neither can go on as the other; start a new run"
                .to_owned(),
        ));
    }
    let saved = checkpoint_of(&parent, fork.at)?;
    if let (Some(steps), true) = (fork.config.train.steps, fork.at > 0)
        && steps <= fork.at
    {
        return Err(TrainError::Fork(format!(
            "it goes on from step {} and is to have {steps} steps in all, so none is left to do; give it more, for example \
             `--steps {}`",
            fork.at,
            2 * fork.at
        )));
    }
    let left_out = match (parent.left_out.clone(), fork.left_out.clone()) {
        (Some(before), Some(more)) => Some(before.and(more)),
        (before, more) => before.or(more),
    };
    refuse_nothing_left(project, &fork.config, left_out.as_ref())?;
    let name = match &fork.name {
        Some(name) => name.clone(),
        None => unused(&name_of(&parent, fork.at, &fork.config), &project.runs()?),
    };
    let run = project.fork_run(
        &NewRun {
            name,
            config_toml: fork.config.to_toml()?,
            method: objective::name(&fork.config.objective),
            revision: saved.as_ref().map_or(parent.revision, |saved| saved.state().revision),
            parent: Some(parent.id),
        },
        fork.at,
        left_out.as_ref(),
    )?;
    let brought = bring(project, run, &parent, saved.as_ref(), (&before, fork), &changed);
    if brought.is_err() {
        // Half a fork is of no use to anyone; the error is what counts.
        project.delete_run(run).ok();
    }
    brought.map(|()| run)
}

fn refuse_what_stays(changed: &[Changed], before: &RunConfig) -> Result<()> {
    // What only a method that samples answers looks at binds no fork of another one.
    let of_the_scores = [RewardConfig::RUN, RewardConfig::STEP, RewardConfig::NORMALIZE];
    let binds = |changed: &&Changed| !of_the_scores.contains(&changed.setting) || before.objective.kind.samples();
    let kept = changed.iter().filter(binds).filter_map(|changed| match changed.setting.at_fork {
        AtFork::Stays(why) => Some(format!("{} stays {}, because {why}", changed.setting.key, changed.before)),
        AtFork::Changes(_) => None,
    });
    let kept: Vec<String> = kept.collect();
    if kept.is_empty() { Ok(()) } else { Err(TrainError::Fork(kept.join("; "))) }
}

/// All that the project would train on is left out.
fn refuse_nothing_left(project: &Project, config: &RunConfig, left_out: Option<&LeftOut>) -> Result<()> {
    let Some(left_out) = left_out else { return Ok(()) };
    let rule = SplitRule { eval_fraction: config.data.eval_fraction, seed: config.data.seed };
    let decided = Some(VerdictFilter::Is(VerdictState::Better));
    let trained =
        project.query(&PairQuery { verdict: decided, held_out: Some((rule, false)), ..PairQuery::default() })?;
    if trained.is_empty() || trained.iter().any(|pair| !left_out.holds(*pair)) {
        return Ok(());
    }
    let what = counted(trained.len(), "pair", "pairs");
    Err(TrainError::NoPairs(format!("the fork leaves out all {what} with a better answer; leave out fewer")))
}

fn checkpoint_of(parent: &RunRecord, at: u64) -> Result<Option<Checkpoint>> {
    (at > 0).then(|| checkpoint::open(&parent.checkpoints, Some(at))).transpose()
}

/// What does not lie in the document: the checkpoint and the rules. Then the fork says what it is.
fn bring(
    project: &Project,
    run: RunId,
    parent: &RunRecord,
    saved: Option<&Checkpoint>,
    (before, fork): (&RunConfig, &Fork),
    changed: &[Changed],
) -> Result<()> {
    let record = project.run(run)?;
    if let Some(saved) = saved {
        let folder = record.checkpoints.last().cloned().unwrap_or_default();
        checkpoint::lay_down(saved, &state_of(saved.state(), before, fork, changed), &folder)?;
        // The fork begins there: it may be gone back to.
        rotation::keep_for_good(&record.checkpoints, fork.at)?;
    }
    copy_rules(&parent.dir, &record.dir)?;
    Ok(project.append_mark(
        run,
        fork.at,
        LogLevel::Info,
        &sentence(parent, fork.at, changed, record.left_out.as_ref()),
    )?)
}

/// The parent's state with what the fork changes of it.
fn state_of(state: &State, before: &RunConfig, fork: &Fork, changed: &[Changed]) -> State {
    let after = &fork.config;
    let mut forked = state.clone();
    forked.knobs = state.knobs.forked(&before.objective, &after.objective);
    if before.objective.reference_weight() != after.objective.reference_weight() {
        // What the fork says is newer than what a hand did.
        forked.held = None;
    }
    if changed.iter().any(|changed| changed.setting.refits) || fork.left_out.is_some() {
        // Another contrast pair, of the pairs at the fork.
        forked.contrast = None;
    }
    if changed.iter().any(|changed| changed.setting.is_of_loss()) {
        // Losses of another objective say nothing about which evaluation was the best.
        forked.best = None;
    }
    forked
}

/// The rules that the parent's answers were judged by.
fn copy_rules(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join(judge::FILE), to.join(judge::FILE));
    match fs::copy(&from, to) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(TrainError::io("copy", from)(source)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// "Forked from MPO (run 3) at step 40: β 0.1 → 0.2; without 12 pairs tagged “blunt”".
fn sentence(parent: &RunRecord, at: u64, changed: &[Changed], left_out: Option<&LeftOut>) -> String {
    let mut what: Vec<String> = changed.iter().map(ToString::to_string).collect();
    what.extend(left_out.map(|left_out| format!("without {left_out}")));
    let what = if what.is_empty() { "nothing changed".to_owned() } else { what.join("; ") };
    format!("Forked from {} (run {}) at step {at}: {what}", parent.name, parent.id.0)
}
