//! Labels that join a run on its way: verdicts, edits, removals and flips made meanwhile, at an end of an epoch.
//!
//! They join when somebody asks ([`Project::ask_to_take_in`](store::Project::ask_to_take_in)), or always
//! (`data.live_labels`). The step before ends with its epoch, so that no pair of either data is met twice or left out.
//! What joined is recorded with its step and revision: a run that goes through its steps once more takes in the same
//! there, and nothing else before it is where it had been.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::ControlFlow,
};

use data::{
    HoldOut, PairId, PromptKey, SplitRule,
    config::{Done, Negatives},
};
use model::Policy;
use store::{LabelChanges, LogLevel, Revision, TakeIn};

use crate::{
    dataset::{
        documents::{self, Bounds, Dataset, PairDoc, first},
        inputs::{self, Inputs},
    },
    error::{Result, TrainError},
    run::{
        checkpoint::{SeenRevision, State},
        context::Context,
        loading, prepare, schedule,
        training::Training,
    },
};

/// Pairs looked at to say what waits.
const MOST_COUNTED: usize = 100_000;

/// Takes in what was labelled since, where an epoch has just ended and somebody wants it. `Break` = stopped meanwhile.
pub fn join(training: &mut Training, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
    let (step, now) = (training.state.step, training.state.revision);
    let Some(epochs) = training.state.pairs.at_border() else {
        return Ok(ControlFlow::Continue(()));
    };
    let Some(revision) = training.joining.due(step, now, context)? else {
        return Ok(ControlFlow::Continue(()));
    };
    context.phase("Taking in new labels", None);
    let kept_sides = kept_sides(training, context, revision)?;
    let Some(data) = read(training, context, revision, &kept_sides)? else {
        return Ok(ControlFlow::Break(()));
    };
    let left_out = context.project.run(context.run)?.left_out;
    let usable = prepare::refuse(&data, &training.codec, &training.config.data)
        .and_then(|()| left_out.map_or_else(|| Ok(BTreeSet::new()), |left_out| prepare::places_of(&left_out, &data)));
    let left_out = match usable {
        Ok(left_out) => left_out,
        Err(error) => return say_refused(training, context, revision, &error),
    };
    let difference = Difference::between(&training.dataset, &data);
    let before = (training.state.clone(), training.length.steps);
    let start = if training.anchors.origin.lasts() {
        None
    } else {
        let Some(start) = start_model(training, context)? else { return Ok(ControlFlow::Break(())) };
        Some(start)
    };
    replace_pairs(training, data, &difference);
    training.left_out = left_out;
    let state = &mut training.state;
    state.done = Done { steps: step, epochs };
    state.seen.push(SeenRevision { step, revision });
    (state.revision, state.kept_sides) = (revision, kept_sides);
    training.length = training.measure_length();
    if let Some(start) = start
        && training.anchor_ahead_with(start, context)?.is_break()
    {
        // The checkpoint that is written now is that of the step as it was: the labels join when the run goes on.
        (training.state, _) = before;
        return Ok(ControlFlow::Break(()));
    }
    let taken = TakeIn { step, revision, labels: difference.labels };
    let (run, total) = (context.run, training.length.steps);
    context.write(None, &mut |project| {
        project.record_take_in(run, &taken)?;
        project.set_total_steps(run, total)
    })?;
    tell(training, context, &difference, (now, before.1))?;
    Ok(ControlFlow::Continue(()))
}

/// The run goes on with what it has.
fn say_refused(
    training: &mut Training,
    context: &mut Context<'_>,
    revision: Revision,
    error: &TrainError,
) -> Result<ControlFlow<()>> {
    training.joining.refused = Some(revision);
    let text = format!("The labels made meanwhile do not join; the run goes on with those it has: {error}");
    context.log(LogLevel::Warning, text)?;
    Ok(ControlFlow::Continue(()))
}

/// Says at the end of a run what was labelled meanwhile and did not join it, if somebody wanted it to.
pub fn say_what_waits(training: &Training, context: &mut Context<'_>) -> Result<()> {
    let labels = context.project.run_labels(context.run, MOST_COUNTED)?;
    if labels.waiting.is_none() || !(labels.asked || training.joining.always) {
        return Ok(());
    }
    let text = format!(
        "Not taken in: {}. The run has ended its last epoch; the next run has them, or this one if it is made longer",
        labels.waiting
    );
    context.log(LogLevel::Warning, text)
}

/// The pairs of `revision` on the sides of the hold-out that the run knows them on. `None` = stopped meanwhile.
fn read(
    training: &mut Training,
    context: &mut Context<'_>,
    revision: Revision,
    kept_sides: &[(PromptKey, bool)],
) -> Result<Option<Dataset>> {
    let inputs = inputs::pairs_of(&context.project, revision)?;
    let inputs = Inputs { pairs: inputs.pairs.keeping(kept_sides.to_vec()), ..inputs };
    let bounds = Bounds::of(training.trainer.policy.spec());
    let mut data = documents::prepare(&inputs, &training.codec, &training.config, bounds, &mut |done| {
        context.phase("Taking in new labels", Some(done));
    })?;
    let chooses = training.config.objective.negatives == Negatives::Diverse && !training.anchors.origin.lasts();
    let start = if chooses {
        let Some(start) = start_model(training, context)? else { return Ok(None) };
        Some(start)
    } else {
        None
    };
    let Training { config, trainer, codec, anchors, .. } = training;
    let policy = start.as_ref().unwrap_or(&trainer.policy);
    let chosen = prepare::choose_answers(&mut data, config, (policy, codec), &mut anchors.cache, context)?;
    Ok(chosen.is_continue().then_some(data))
}

/// Prompts that the pairs of `revision` would put on another side of the hold-out than the run has them on.
fn kept_sides(training: &Training, context: &Context<'_>, revision: Revision) -> Result<Vec<(PromptKey, bool)>> {
    let mut kept: HashMap<PromptKey, bool> = training.state.kept_sides.iter().copied().collect();
    let Dataset { pairs: known, .. } = &training.dataset;
    let trained_on: HashSet<PromptKey> = known.train.iter().map(|pair| pair.prompt).collect();
    let held_out: HashSet<PromptKey> = known.eval.iter().map(|pair| pair.prompt).collect();
    let config = &training.config.data;
    let mut hold_out = HoldOut::new(SplitRule { eval_fraction: config.eval_fraction, seed: config.seed });
    context.project.each_prompt_at(revision, &mut |prompt, split| hold_out.tell(prompt, split))?;
    context.project.each_prompt_at(revision, &mut |prompt, _| {
        let (now, before) = if hold_out.holds_out(prompt) { (true, &trained_on) } else { (false, &held_out) };
        if before.contains(&prompt) {
            kept.insert(prompt, !now);
        }
    })?;
    let mut kept: Vec<(PromptKey, bool)> = kept.into_iter().collect();
    kept.sort_unstable();
    Ok(kept)
}

/// What becomes of a run's pairs.
struct Difference {
    labels: LabelChanges,
    /// Of those that are new or changed.
    held_out: usize,
    /// Where each training pair was before, if it was there and is the same.
    same: Vec<Option<usize>>,
    /// The held-out pairs that are measured are the same.
    measured_stay: bool,
}

impl Difference {
    fn between(old: &Dataset, new: &Dataset) -> Self {
        let (before, after) = (by_id(old), by_id(new));
        let is_new = |pair: &PairDoc| !before.contains_key(&pair.id);
        let is_changed = |pair: &PairDoc| before.get(&pair.id).is_some_and(|old| *old != pair);
        let labels = LabelChanges {
            added: after.values().filter(|pair| is_new(pair)).count(),
            changed: after.values().filter(|pair| is_changed(pair)).count(),
            removed: before.keys().filter(|id| !after.contains_key(id)).count(),
        };
        let held_out = new.pairs.eval.iter().filter(|pair| is_new(pair) || is_changed(pair)).count();
        let places: HashMap<PairId, usize> =
            old.pairs.train.iter().enumerate().map(|(place, pair)| (pair.id, place)).collect();
        let place_of =
            |pair: &PairDoc| places.get(&pair.id).copied().filter(|&place| old.pairs.train[place].doc == pair.doc);
        Self {
            labels,
            held_out,
            same: new.pairs.train.iter().map(place_of).collect(),
            measured_stay: first(&old.pairs.eval) == first(&new.pairs.eval),
        }
    }
}

fn by_id(data: &Dataset) -> HashMap<PairId, &PairDoc> {
    data.pairs.train.iter().chain(&data.pairs.eval).map(|pair| (pair.id, pair)).collect()
}

/// The run trains on the pairs of `data` from here on, beginning an epoch.
fn replace_pairs(training: &mut Training, data: Dataset, difference: &Difference) {
    let state = &mut training.state;
    let aside = std::mem::take(&mut state.aside.pairs);
    let was_aside = |place: &Option<usize>| place.is_some_and(|place| aside.contains(&place));
    state.aside.pairs = (0..difference.same.len()).filter(|&index| was_aside(&difference.same[index])).collect();
    state.pairs = state.pairs.renewed(data.pairs.train.len());
    if !difference.measured_stay {
        // Its loss was measured on other pairs.
        state.best = None;
    }
    training.anchors.move_to(difference.same.len(), |index| difference.same[index], difference.measured_stay);
    if let Some(weigher) = &mut training.weigher {
        weigher.move_to(difference.same.len(), |index| difference.same[index], difference.measured_stay);
    }
    training.dataset.set_pairs(data);
    training.state.data = training.dataset.identity();
}

/// Full weights have moved away from what they are measured against: it is read once more. `None` = stopped meanwhile.
fn start_model(training: &Training, context: &mut Context<'_>) -> Result<Option<Policy>> {
    context.phase("Loading the start model for the new labels", None);
    let record = context.project.run(context.run)?;
    let folder = inputs::model_folder(&context.project, &training.config)?;
    let options = inputs::load_options_of(&record, &training.config, context.project.dir());
    loading::load(context, &folder, &options)
}

/// Marks the charts where labels joined; labels that change nothing of the training pass in silence.
fn tell(
    training: &Training,
    context: &mut Context<'_>,
    difference: &Difference,
    (before, total): (Revision, u64),
) -> Result<()> {
    let State { step, revision, knobs, .. } = &training.state;
    context.step = step + 1;
    let Difference { labels, held_out, measured_stay, .. } = difference;
    if !labels.is_none() {
        let mut text = format!("Takes in {labels}: data revision {} → {}", before.0, revision.0);
        if *held_out > 0 {
            text = format!("{text}; {held_out} of them held out");
        }
        if !measured_stay {
            text = format!("{text}; held-out numbers are of other pairs from here on");
        }
        context.mark(LogLevel::Info, text)?;
    }
    let lengths = (total, training.length.steps);
    if let Some(text) = schedule::bend(&training.config.optimizer, knobs.learning_rate_scale, *step, lengths) {
        context.mark(LogLevel::Info, text)?;
    }
    Ok(())
}
