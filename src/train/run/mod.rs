//! One run, from its record in the project to its last checkpoint.
//!
//! `host`: what it needs from whoever runs it; `context`: what it holds on to. `prepare` comes before the first step,
//! with `loading` (its model), `start` (where it goes on), `checkpoint` (what it goes on with) and `same` (whether it
//! may); `training` is a step of it, with `schedule`, and `take_in` is what happens between two epochs, when `joining`
//! says so; `saving` saves it, and `rotation` says which
//! checkpoints stay. `budget` is what is done about drift, `pace` how long the rest takes; `fork` makes a run of
//! another one's checkpoint. The loop itself is here.

pub mod budget;
pub mod checkpoint;
pub mod context;
pub mod fork;
pub mod host;
mod joining;
mod loading;
mod pace;
pub(crate) mod prepare;
pub mod rotation;
mod same;
mod saving;
pub mod schedule;
pub mod start;
mod take_in;
pub mod training;

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use data::{
    config::Knob,
    metrics::{EVAL_RUNTIME, HELD_OUT_LOSS, HELD_OUT_PREFERENCE_LOSS, HELD_OUT_SCORE_ACCURACY},
};
use store::{LogLevel, Project, RunId, RunRecord, RunStatus};

use crate::{
    dataset::inputs,
    error::{Result, TrainError},
    loss::StepDoc,
    run::{
        budget::DriftVerdict,
        checkpoint::Best,
        context::Context,
        host::{Host, Outcome, RunEvent},
        pace::Pace,
        prepare::{Asked, prepare},
        saving::{Saving, insist, save_checkpoint},
        training::{StepReport, Training, Update},
    },
    step::StepEnd,
};

/// A run stops after so many steps in a row that could not be applied.
const REFUSED_IN_A_ROW: u32 = 3;

/// And after so many for which memory had no room, not even for one of their pairs.
const UNDONE_IN_A_ROW: u32 = 3;

/// Which run of which project is to be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The project's folder.
    pub project: PathBuf,
    pub run: RunId,
    /// The step whose checkpoint it goes on from, 0 for its beginning; absent = its newest, if it has one.
    pub from: Option<u64>,
}

/// Trains a recorded run to its end. The outcome is in the project when this returns.
pub fn train(host: &mut dyn Host, task: &Task) -> Outcome {
    let before = Project::open(&task.project).and_then(|project| project.run(task.run));
    let mut began = false;
    match start_and_run(host, task, &mut began) {
        Ok(outcome) => outcome,
        Err(error) => {
            let sentence = error.to_string();
            match before {
                // Not a failure of the run: it is as complete as it was.
                Ok(record) if error.leaves_the_run() || (!began && record.step > 0) => {
                    leave_as_it_was(task, &record, &error);
                }
                Ok(_) | Err(_) => record_failure(task, &sentence),
            }
            Outcome::Failed { error: sentence }
        }
    }
}

fn leave_as_it_was(task: &Task, record: &RunRecord, error: &TrainError) {
    let has_done_all = matches!(error, TrainError::AtLastStep { step, total } if step == total);
    match record.status {
        _ if has_done_all => record_status(task, RunStatus::Completed, None),
        // What it was before it was handed over is not known any more.
        status if status.is_live() => record_status(task, RunStatus::Interrupted, None),
        status => record_status(task, status, record.message.as_deref()),
    }
}

/// Writes a failure into the project.
pub fn record_failure(task: &Task, error: &str) {
    record_status(task, RunStatus::Failed, Some(error));
}

/// Taken out of the queue before its turn came: it stands where it stood. `for_now`: it is to wait again when the
/// program is back.
pub fn never_began(task: &Task, for_now: bool) -> Outcome {
    if for_now {
        let written = Project::open(&task.project).and_then(|project| project.set_waited(task.run));
        if let Err(error) = written {
            tracing::error!("run {} left the queue, and {error}", task.run.0);
        }
    } else {
        record_status(task, RunStatus::Stopped, None);
    }
    let step = Project::open(&task.project).and_then(|project| project.run(task.run)).map_or(0, |record| record.step);
    Outcome::Stopped { step }
}

/// Through a connection of its own: the run's may be gone.
fn record_status(task: &Task, status: RunStatus, message: Option<&str>) {
    let written = Project::open(&task.project).and_then(|project| project.set_run_status(task.run, status, message));
    if let Err(unwritten) = written {
        let message = message.unwrap_or("no message");
        tracing::error!("run {} ended ({message}), and {unwritten}", task.run.0);
    }
}

/// `began`: it went as far as its next step.
fn start_and_run(host: &mut dyn Host, task: &Task, began: &mut bool) -> Result<Outcome> {
    let project = Project::open(&task.project)?;
    let record = project.run(task.run)?;
    if record.status == RunStatus::Away {
        return Err(TrainError::Away { run: record.id });
    }
    let mut context = Context::new(host, project, task.run)?;
    if context.must_stop() {
        return stopped(&context, record.step);
    }
    context.write(None, &mut |project| project.set_run_status(task.run, RunStatus::Running, None))?;
    let Some((mut training, asked)) = prepare(&mut context, &record, task.from)? else {
        return stopped(&context, record.step);
    };
    *began = true;
    context.tell(RunEvent::Started {
        first_step: training.state.step + 1,
        total_steps: training.length.steps,
        arithmetic: inputs::arithmetic(&training.trainer.policy),
    });
    let outcome = steps(&mut training, &mut context, &asked)?;
    if let Some(text) = training.anchors.summary() {
        context.log(LogLevel::Info, text)?;
    }
    let status = match &outcome {
        Outcome::Completed => RunStatus::Completed,
        Outcome::Stopped { .. } => RunStatus::Stopped,
        Outcome::Failed { .. } => RunStatus::Failed,
    };
    context.end(status)?;
    Ok(outcome)
}

/// Stopped before there was anything to save.
fn stopped(context: &Context<'_>, step: u64) -> Result<Outcome> {
    context.end(RunStatus::Stopped)?;
    Ok(Outcome::Stopped { step })
}

/// What was done at a step border, so that it is done once.
#[derive(Default)]
struct Border {
    evaluated: Option<u64>,
    sampled: Option<u64>,
    saved: Option<u64>,
    /// Somebody decided to go on without this step's checkpoint.
    passed_over: Option<u64>,
    pace: Pace,
    /// The step that is tried again found no memory.
    short_of_memory: Option<TrainError>,
    /// Steps in a row of which memory let nothing be done.
    undone: u32,
}

/// The loop: at each border what is due, then a step.
fn steps(training: &mut Training, context: &mut Context<'_>, asked: &Asked) -> Result<Outcome> {
    let mut total = training.length.steps;
    // What a checkpoint holds was measured and sampled before it was written, unless the run was stopped meanwhile.
    let resumed = (training.state.step > 0).then_some(training.state.step);
    let held_out = if training.rlhf.is_some() { HELD_OUT_PREFERENCE_LOSS } else { HELD_OUT_LOSS };
    let evaluated = context.project.series(context.run, held_out, None)?;
    let sampled = context.project.samples(context.run)?;
    let mut border = Border {
        evaluated: resumed.filter(|step| evaluated.iter().any(|(at, _)| at == step)),
        sampled: resumed.filter(|step| sampled.iter().any(|sample| sample.step == *step)),
        saved: resumed,
        ..Border::default()
    };
    loop {
        let step = training.state.step;
        context.step = step;
        let flow = match at_border(training, context, asked, &mut border) {
            // What is measured is measured again, with less at a time.
            Err(error) if error.is_out_of_memory() => {
                if training.state.budget <= 1 {
                    return Err(no_room_left(&error));
                }
                halve_rows(training, context, step, &format!("{error}. What is measured begins anew"))?;
                continue;
            }
            // No answer can be drawn from weights that give no numbers: that says less than why.
            Err(error @ TrainError::Policy(_)) if step > 0 => {
                return Err(if training.gives_numbers()? {
                    error
                } else {
                    fall_back(training, context, spoiled(step))?
                });
            }
            flow => flow?,
        };
        if flow.is_break() || context.attend(Some(training.weights()))?.is_break() {
            return stop(training, context, &mut border);
        }
        if step >= total {
            take_in::say_what_waits(training, context)?;
            return Ok(Outcome::Completed);
        }
        if take_in::join(training, context)?.is_break() {
            return stop(training, context, &mut border);
        }
        total = training.length.steps;
        turn_knobs(training, context)?;
        training.joining.look_ahead(&training.state, training.length, context)?;
        let started = Instant::now();
        let (rested, anchored) = (context.rested, training.anchors.spent());
        let done = match training.step(context) {
            Ok(StepEnd::Done(done)) => done,
            Ok(StepEnd::Stopped) => return stop(training, context, &mut border),
            Ok(StepEnd::OutOfMemory { error, alone }) => {
                // Nothing of the step was applied: it is tried again with less at a time.
                take_less(training, context, &error, alone)?;
                border.short_of_memory = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let short_of_memory = border.short_of_memory.take();
        // What a pair costs once is told apart.
        let rests = context.rested.saturating_sub(rested) + training.anchors.spent().saturating_sub(anchored);
        let update = done.update;
        if update != Update::Nothing {
            border.pace.stepped(started.elapsed().saturating_sub(rests));
        }
        record_step(training, context, done, &border.pace)?;
        border.undone = if update == Update::Nothing && short_of_memory.is_some() { border.undone + 1 } else { 0 };
        if let Some(error) = short_of_memory.filter(|_| border.undone >= UNDONE_IN_A_ROW) {
            return Err(no_room_left(&error));
        }
        if update == Update::Unscored && training.state.refused >= REFUSED_IN_A_ROW {
            // Nothing is wrong with the policy: what it has learnt stays.
            training.state.refused = 0;
            save(training, context, &mut border)?;
            return Err(training.nothing_is_scored());
        }
        if update == Update::Refused && training.state.refused >= REFUSED_IN_A_ROW {
            let what = "Three steps in a row gave a loss or a gradient that is not a number".to_owned();
            return Err(fall_back(training, context, what)?);
        }
    }
}

/// Why a run ends that cannot go on even with one pair at a time.
fn no_room_left(error: &TrainError) -> TrainError {
    TrainError::Sentence(format!(
        "{error}. There is no room for one pair at a time. Go on from the last checkpoint when there is more memory: what is saved is whole"
    ))
}

/// What is wrong with weights that give no numbers.
fn spoiled(step: u64) -> String {
    format!("With the weights of step {step} the model gives values that are not numbers, so they are not saved")
}

/// The weights went wrong at the last update that was applied, or before. Checkpoints that were written since do not
/// count any more; the present weights are put aside if they may be good for something. Gives the error that tells of
/// it.
fn fall_back(training: &mut Training, context: &mut Context<'_>, what: String) -> Result<TrainError> {
    // The count starts anew for whoever goes on from here.
    training.state.refused = 0;
    let step = training.state.step;
    let folders = context.project.run(context.run)?.checkpoints;
    rotation::doubt_after(&folders, training.state.proven)?;
    let back = rotation::steps(&folders).pop();
    // The pairs may be to blame instead of the weights.
    let mut doubtful = None;
    if training.gives_numbers()? && save_checkpoint(training, context)? == Saving::Saved {
        let folders = context.project.run(context.run)?.checkpoints;
        rotation::doubt_after(&folders, training.state.proven)?;
        doubtful = Some(step);
    }
    Ok(TrainError::NotANumber { what, back, doubtful })
}

/// From this step on rows hold half as many tokens; `why` is a sentence.
fn halve_rows(training: &mut Training, context: &mut Context<'_>, step: u64, why: &str) -> Result<()> {
    training.state.budget = (training.state.budget / 2).max(1);
    context.step = step;
    context.mark(LogLevel::Warning, format!("{why}. From this step on rows hold {} tokens", training.state.budget))
}

/// Halves the rows; a document that is alone in its row is set aside.
fn take_less(
    training: &mut Training,
    context: &mut Context<'_>,
    error: &TrainError,
    alone: Option<StepDoc>,
) -> Result<()> {
    let (aside, what) = match alone {
        None => {
            let why = format!("{error}. The step is tried again, with the same pairs");
            return halve_rows(training, context, training.state.step + 1, &why);
        }
        // A step of samples names what their prompts are of.
        Some(StepDoc::Rollout(_)) => return Err(TrainError::Sentence(error.to_string())),
        Some(StepDoc::Pair(i)) => {
            training.state.aside.pairs.push(i);
            let (pair, config) = (training.dataset.pairs.train[i].id.0, &training.config);
            let what = if config.objective.kind.samples() {
                format!("The prompt of pair {pair} with its {} answers", config.answers_per_prompt())
            } else {
                format!("Pair {pair}")
            };
            (&training.state.aside.pairs, what)
        }
        Some(StepDoc::Reference(i)) => {
            training.state.aside.references.push(i);
            (&training.state.aside.references, "A reference answer".to_owned())
        }
        Some(StepDoc::Retention(i)) => {
            training.state.aside.retention.push(i);
            (&training.state.aside.retention, "A piece of retention text".to_owned())
        }
    };
    let text = format!("{what} is set aside: {error}. The step is tried again without it; {} so far", aside.len());
    context.step = training.state.step + 1;
    context.mark(LogLevel::Warning, text)?;
    if training.state.aside.pairs.len() == training.dataset.pairs.train.len() {
        return Err(TrainError::NoPairs(format!("no pair fits: {error}")));
    }
    Ok(())
}

/// Evaluation, probes and checkpoint where they are due. `Break` = stopped meanwhile.
fn at_border(
    training: &mut Training,
    context: &mut Context<'_>,
    asked: &Asked,
    border: &mut Border,
) -> Result<ControlFlow<()>> {
    let step = training.state.step;
    let last = step == training.length.steps;
    let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
    let train = &training.config.train;
    let (checkpoint_due, eval_due, sample_due) = (
        step > 0 && (last || every(train.checkpoint_every)),
        step == 0 || last || every(train.eval_every),
        step == 0 || last || every(train.sample_every),
    );
    if eval_due && border.evaluated != Some(step) {
        context.phase("Evaluating", None);
        let watch = context.watch();
        let Some(mut metrics) = training.evaluate(context)? else {
            return Ok(ControlFlow::Break(()));
        };
        if let Some(judging) = asked.judging.as_ref().filter(|_| training.speaks()) {
            let Some(judged) = training.judge(judging, context)? else {
                return Ok(ControlFlow::Break(()));
            };
            metrics.extend(judged);
        }
        let took = watch.elapsed(context);
        border.pace.evaluated(took);
        metrics.push((EVAL_RUNTIME.to_owned(), took.as_secs_f64()));
        let run = context.run;
        insist(training, context, &mut |project| project.append_step(run, step, training.state.wall_ms, &metrics))?;
        note_best(training, &metrics);
        border.evaluated = Some(step);
        let verdict = training.drift_verdict(&metrics);
        context.tell(RunEvent::Evaluated { step, metrics });
        match verdict {
            // After the last step nothing can be done about it.
            DriftVerdict::Steer(..) | DriftVerdict::Stop(_) if last => {}
            DriftVerdict::Within => {}
            DriftVerdict::Warn(sentence) => context.mark(LogLevel::Warning, sentence)?,
            DriftVerdict::Steer(weight, sentence) => {
                training.steer(weight);
                context.mark(LogLevel::Info, sentence)?;
            }
            DriftVerdict::Stop(sentence) => {
                context.mark(LogLevel::Warning, sentence)?;
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    if sample_due && training.speaks() && border.sampled != Some(step) {
        let watch = context.watch();
        if training.answer_probes(&asked.probes, asked.draw(), context)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        border.pace.sampled(watch.elapsed(context));
        border.sampled = Some(step);
    }
    let wished = context.host.wishes().checkpoint;
    let answered = [border.saved, border.passed_over].contains(&Some(step));
    if wished || (checkpoint_due && !answered) {
        save(training, context, border)?;
    }
    Ok(ControlFlow::Continue(()))
}

/// Writes the checkpoint of the present step, if it is not there yet and the weights are good for something. One that
/// was asked for stays for good.
fn save(training: &mut Training, context: &mut Context<'_>, border: &mut Border) -> Result<()> {
    let step = training.state.step;
    if border.saved != Some(step) {
        if !training.gives_numbers()? {
            return Err(fall_back(training, context, spoiled(step))?);
        }
        match save_checkpoint(training, context)? {
            Saving::Saved => border.saved = Some(step),
            Saving::Without => border.passed_over = Some(step),
        }
    }
    if std::mem::take(&mut context.host.wishes().checkpoint) && border.saved == Some(step) {
        rotation::keep_for_good(&context.project.run(context.run)?.checkpoints, step)?;
    }
    Ok(())
}

fn note_best(training: &mut Training, metrics: &[(String, f64)]) {
    let step = training.state.step;
    let of = |wanted: &str| metrics.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let measured = of(HELD_OUT_LOSS).filter(|loss| loss.is_finite() && step > 0);
    let best = measured.map(|loss| Best { step, loss, accuracy: of(HELD_OUT_SCORE_ACCURACY) });
    if let Some(best) = best.filter(|best| training.state.best.is_none_or(|before| best.beats(&before))) {
        training.state.best = Some(best);
    }
}

/// Takes in what was turned since the last border; it counts from the next step on.
fn turn_knobs(training: &mut Training, context: &mut Context<'_>) -> Result<()> {
    for knob in std::mem::take(&mut context.host.wishes().knobs) {
        context.step = training.state.step + 1;
        match training.state.knobs.turn(knob) {
            Ok(mark) => {
                if let Knob::ReferenceWeight(weight) = knob {
                    training.state.held = Some(weight);
                }
                context.mark(LogLevel::Info, mark)?;
            }
            Err(refused) => context.log(LogLevel::Warning, refused)?,
        }
    }
    Ok(())
}

/// Into the project first, then to whoever listens.
fn record_step(training: &Training, context: &mut Context<'_>, done: StepReport, pace: &Pace) -> Result<()> {
    let (run, step) = (context.run, training.state.step);
    context.step = step;
    let StepReport { metrics, visits, remark, sampled, update: _ } = done;
    let kept_every = training.config.train.sample_every;
    insist(training, context, &mut |project| {
        project.append_step(run, step, training.state.wall_ms, &metrics)?;
        if !sampled.is_empty() {
            project.append_rollout(run, step, &sampled, kept_every)?;
        }
        project.append_pair_visits(run, step, &visits)
    })?;
    if let Some(remark) = remark {
        context.log(LogLevel::Warning, remark)?;
    }
    let total_steps = training.length.steps;
    let left = total_steps - step;
    let visits_left = left.saturating_mul(training.config.train.pairs_per_step as u64);
    let eta_secs = pace.left(&training.config.train, step, total_steps);
    let eta_secs = eta_secs.map(|secs| secs + training.anchors.secs_to_come(visits_left));
    context.tell(RunEvent::Step { step, total_steps, metrics, eta_secs });
    Ok(())
}

/// Ends a run early, with a checkpoint of the last finished step.
fn stop(training: &mut Training, context: &mut Context<'_>, border: &mut Border) -> Result<Outcome> {
    let step = training.state.step;
    if step > 0 {
        save(training, context, border)?;
    }
    if step == 0 || border.saved == Some(step) {
        return Ok(Outcome::Stopped { step });
    }
    let saved = rotation::steps(&context.project.run(context.run)?.checkpoints);
    Ok(Outcome::Stopped { step: saved.last().copied().unwrap_or(0) })
}
