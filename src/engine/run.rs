//! One run, from its record in the project to its last checkpoint.

use std::{ops::ControlFlow, time::Instant};

use super::{
    checkpoint::Best,
    desk::{Desk, Job},
    error::{EngineError, Result},
    helm::Helm,
    keep::{Kept, insist, keep},
    material,
    prepare::prepare,
    protocol::{Event, LogLevel, Outcome},
    rotation,
    step::{Part, StepDone, StepEnd, Trainer, Update},
};
use crate::{
    data::metrics::HELD_OUT_LOSS,
    store::{Probe, Project, RunRecord, RunStatus},
};

/// A run stops after so many steps in a row that could not be applied.
const REFUSED_IN_A_ROW: u32 = 3;

/// Trains a queued run to its end, from its newest checkpoint if it has one. The outcome is in the project when this returns.
pub fn train(desk: &mut Desk, job: &Job) -> Outcome {
    let before = Project::open(&job.project).and_then(|project| project.run(job.run));
    match start_and_run(desk, job) {
        Ok(outcome) => outcome,
        Err(error) => {
            let sentence = error.to_string();
            match before {
                // Not a failure of the run: it is as complete as it was.
                Ok(record) if error.leaves_the_run() => leave_as_it_was(job, &record, &error),
                Ok(_) | Err(_) => record_failure(job, &sentence),
            }
            Outcome::Failed { error: sentence }
        }
    }
}

fn leave_as_it_was(job: &Job, record: &RunRecord, error: &EngineError) {
    let has_done_all = matches!(error, EngineError::AtLastStep { step, total } if step == total);
    match record.status {
        _ if has_done_all => record_status(job, RunStatus::Completed, None),
        // What it was before it was handed over is not known any more.
        status if status.is_live() => record_status(job, RunStatus::Interrupted, None),
        status => record_status(job, status, record.message.as_deref()),
    }
}

/// Writes a failure into the project.
pub fn record_failure(job: &Job, error: &str) {
    record_status(job, RunStatus::Failed, Some(error));
}

/// Taken out of the queue before its turn came: it stands where it stood.
pub fn never_began(job: &Job) -> Outcome {
    record_status(job, RunStatus::Stopped, None);
    let step = Project::open(&job.project).and_then(|project| project.run(job.run)).map_or(0, |record| record.step);
    Outcome::Stopped { step }
}

/// Through a connection of its own: the run's may be gone.
fn record_status(job: &Job, status: RunStatus, message: Option<&str>) {
    let written = Project::open(&job.project).and_then(|project| project.set_run_status(job.run, status, message));
    if let Err(unwritten) = written {
        let message = message.unwrap_or("no message");
        tracing::error!("run {} ended ({message}), and {unwritten}", job.run.0);
    }
}

fn start_and_run(desk: &mut Desk, job: &Job) -> Result<Outcome> {
    let project = Project::open(&job.project)?;
    let record = project.run(job.run)?;
    let mut helm = Helm::new(desk, job, project)?;
    if job.control.stopping() {
        return stopped(&helm, record.step);
    }
    helm.write(None, &mut |project| project.set_run_status(job.run, RunStatus::Running, None))?;
    let Some((mut trainer, probes)) = prepare(&mut helm, &record)? else {
        return stopped(&helm, record.step);
    };
    let (run, first_step) = (job.run, trainer.state.step + 1);
    let total_steps = trainer.length.steps;
    helm.send(Event::Started { run, first_step, total_steps, arithmetic: material::arithmetic(&trainer.policy) });
    let outcome = steps(&mut trainer, &mut helm, &probes)?;
    if let Some(text) = trainer.anchors.summary() {
        helm.log(LogLevel::Info, text)?;
    }
    let status = match &outcome {
        Outcome::Completed => RunStatus::Completed,
        Outcome::Stopped { .. } => RunStatus::Stopped,
        Outcome::Failed { .. } => RunStatus::Failed,
    };
    helm.end(status)?;
    Ok(outcome)
}

/// Stopped before there was anything to save.
fn stopped(helm: &Helm<'_>, step: u64) -> Result<Outcome> {
    helm.end(RunStatus::Stopped)?;
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
}

/// The loop: at each border what is due, then a step.
fn steps(trainer: &mut Trainer, helm: &mut Helm<'_>, probes: &[Probe]) -> Result<Outcome> {
    let total = trainer.length.steps;
    // What a checkpoint holds was measured and sampled before it was written, unless the run was stopped meanwhile.
    let resumed = (trainer.state.step > 0).then_some(trainer.state.step);
    let evaluated = helm.project.series(helm.run(), HELD_OUT_LOSS, None)?;
    let sampled = helm.project.samples(helm.run())?;
    let mut border = Border {
        evaluated: resumed.filter(|step| evaluated.iter().any(|(at, _)| at == step)),
        sampled: resumed.filter(|step| sampled.iter().any(|sample| sample.step == *step)),
        saved: resumed,
        passed_over: None,
    };
    let mut pace = Pace::default();
    loop {
        let step = trainer.state.step;
        helm.step = step;
        let flow = match at_border(trainer, helm, probes, &mut border) {
            // No answer can be drawn from weights that give no numbers: that says less than why.
            Err(error @ EngineError::Policy(_)) if step > 0 => {
                return Err(if trainer.gives_numbers()? { error } else { fall_back(trainer, helm, spoiled(step))? });
            }
            flow => flow?,
        };
        if flow.is_break() || helm.attend(Some((&trainer.policy, &trainer.codec)))?.is_break() {
            return stop(trainer, helm, &mut border);
        }
        if step >= total {
            return Ok(Outcome::Completed);
        }
        turn_knobs(trainer, helm)?;
        let started = Instant::now();
        let (rested, anchored) = (helm.rested, trainer.anchors.spent());
        let done = match trainer.step(helm) {
            Ok(StepEnd::Done(done)) => done,
            Ok(StepEnd::Abandoned) => return stop(trainer, helm, &mut border),
            Ok(StepEnd::NoRoom { error, alone }) => {
                // Nothing of the step was applied: it is tried again with less at a time.
                take_less(trainer, helm, &error, alone)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        // What a pair costs once is told apart.
        let rests = helm.rested.saturating_sub(rested) + trainer.anchors.spent().saturating_sub(anchored);
        let update = done.update;
        if update != Update::Nothing {
            pace.add(started.elapsed().saturating_sub(rests).as_secs_f64());
        }
        record_step(trainer, helm, done, &pace)?;
        if update == Update::Refused && trainer.state.refused >= REFUSED_IN_A_ROW {
            let what = "Three steps in a row gave a loss or a gradient that is not a number".to_owned();
            return Err(fall_back(trainer, helm, what)?);
        }
    }
}

/// What is wrong with weights that give no numbers.
fn spoiled(step: u64) -> String {
    format!("With the weights of step {step} the model gives values that are not numbers, so they are not saved")
}

/// The weights went wrong at the last update that was applied, or before. Checkpoints that were written since do not count
/// any more; the present weights are put aside if they may be good for something. Gives the error that tells of it.
fn fall_back(trainer: &mut Trainer, helm: &mut Helm<'_>, what: String) -> Result<EngineError> {
    // The count starts anew for whoever goes on from here.
    trainer.state.refused = 0;
    let step = trainer.state.step;
    let folders = helm.project.run(helm.run())?.checkpoints;
    rotation::doubt_after(&folders, trainer.state.proven)?;
    let back = rotation::steps(&folders).pop();
    // The pairs may be to blame instead of the weights.
    let mut doubtful = None;
    if trainer.gives_numbers()? && keep(trainer, helm)? == Kept::Saved {
        let folders = helm.project.run(helm.run())?.checkpoints;
        rotation::doubt_after(&folders, trainer.state.proven)?;
        doubtful = Some(step);
    }
    Ok(EngineError::NotANumber { what, back, doubtful })
}

/// Halves the rows; a document that is alone in its row is set aside.
fn take_less(trainer: &mut Trainer, helm: &mut Helm<'_>, error: &EngineError, alone: Option<Part>) -> Result<()> {
    let (aside, what) = match alone {
        None => {
            trainer.state.budget = (trainer.state.budget / 2).max(1);
            let budget = trainer.state.budget;
            let text = format!(
                "{error}. From this step on rows hold {budget} tokens; the step is tried again, with the same pairs"
            );
            helm.step = trainer.state.step + 1;
            return helm.mark(LogLevel::Warning, text);
        }
        Some(Part::Pair(i)) => {
            trainer.state.aside.pairs.push(i);
            let pair = trainer.batches.pairs.train[i].id.0;
            (&trainer.state.aside.pairs, format!("Pair {pair}"))
        }
        Some(Part::Reference(i)) => {
            trainer.state.aside.references.push(i);
            (&trainer.state.aside.references, "A reference answer".to_owned())
        }
        Some(Part::Retention(i)) => {
            trainer.state.aside.retention.push(i);
            (&trainer.state.aside.retention, "A piece of retention text".to_owned())
        }
    };
    let text = format!("{what} is set aside: {error}. The step is tried again without it; {} so far", aside.len());
    helm.step = trainer.state.step + 1;
    helm.mark(LogLevel::Warning, text)?;
    if trainer.state.aside.pairs.len() == trainer.batches.pairs.train.len() {
        return Err(EngineError::NoPairs(format!("no pair fits: {error}")));
    }
    Ok(())
}

/// Evaluation, probes and checkpoint where they are due. `Break` = stopped meanwhile.
fn at_border(
    trainer: &mut Trainer,
    helm: &mut Helm<'_>,
    probes: &[Probe],
    border: &mut Border,
) -> Result<ControlFlow<()>> {
    let step = trainer.state.step;
    let last = step == trainer.length.steps;
    let every = |interval: u64| interval > 0 && step.is_multiple_of(interval);
    let train = &trainer.config.train;
    let (checkpoint_due, eval_due, sample_due) = (
        step > 0 && (last || every(train.checkpoint_every)),
        step == 0 || last || every(train.eval_every),
        step == 0 || last || every(train.sample_every),
    );
    if eval_due && border.evaluated != Some(step) {
        helm.phase("Evaluating", None);
        let Some(metrics) = trainer.evaluate(helm)? else {
            return Ok(ControlFlow::Break(()));
        };
        let run = helm.run();
        insist(trainer, helm, &mut |project| project.append_step(run, step, trainer.state.wall_ms, &metrics))?;
        note_best(trainer, &metrics);
        border.evaluated = Some(step);
        helm.send(Event::Evaluated { run, step, metrics });
    }
    if sample_due && border.sampled != Some(step) {
        if trainer.answer_probes(probes, helm)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        border.sampled = Some(step);
    }
    let wished = helm.desk.wishes.checkpoint;
    let answered = [border.saved, border.passed_over].contains(&Some(step));
    if wished || (checkpoint_due && !answered) {
        save(trainer, helm, border)?;
    }
    Ok(ControlFlow::Continue(()))
}

/// Writes the checkpoint of the present step, if it is not there yet and the weights are good for something. One that was
/// asked for stays for good.
fn save(trainer: &mut Trainer, helm: &mut Helm<'_>, border: &mut Border) -> Result<()> {
    let step = trainer.state.step;
    if border.saved != Some(step) {
        if !trainer.gives_numbers()? {
            return Err(fall_back(trainer, helm, spoiled(step))?);
        }
        match keep(trainer, helm)? {
            Kept::Saved => border.saved = Some(step),
            Kept::Without => border.passed_over = Some(step),
        }
    }
    if std::mem::take(&mut helm.desk.wishes.checkpoint) && border.saved == Some(step) {
        rotation::keep_for_good(&helm.project.run(helm.run())?.checkpoints, step)?;
    }
    Ok(())
}

fn note_best(trainer: &mut Trainer, metrics: &[(String, f64)]) {
    let loss = metrics.iter().find(|(name, _)| name == HELD_OUT_LOSS);
    if let Some(&(_, loss)) = loss
        && loss.is_finite()
        && trainer.state.step > 0
        && trainer.state.best.is_none_or(|best| loss < best.loss)
    {
        trainer.state.best = Some(Best { step: trainer.state.step, loss });
    }
}

/// Takes in what was turned since the last border; it counts from the next step on.
fn turn_knobs(trainer: &mut Trainer, helm: &mut Helm<'_>) -> Result<()> {
    for knob in std::mem::take(&mut helm.desk.wishes.knobs) {
        helm.step = trainer.state.step + 1;
        match trainer.state.knobs.turn(knob) {
            Ok(mark) => helm.mark(LogLevel::Info, mark)?,
            Err(refused) => helm.log(LogLevel::Warning, refused)?,
        }
    }
    Ok(())
}

/// Into the project first, then to whoever listens.
fn record_step(trainer: &Trainer, helm: &mut Helm<'_>, done: StepDone, pace: &Pace) -> Result<()> {
    let (run, step) = (helm.run(), trainer.state.step);
    helm.step = step;
    let StepDone { metrics, visits, remark, update: _ } = done;
    insist(trainer, helm, &mut |project| {
        project.append_step(run, step, trainer.state.wall_ms, &metrics)?;
        project.append_pair_visits(run, step, &visits)
    })?;
    if let Some(remark) = remark {
        helm.log(LogLevel::Warning, remark)?;
    }
    let total_steps = trainer.length.steps;
    let left = total_steps - step;
    let visits_left = left.saturating_mul(trainer.config.train.pairs_per_step as u64);
    let eta_secs = pace.eta(left).map(|secs| secs + trainer.anchors.secs_to_come(visits_left));
    helm.send(Event::Step { run, step, total_steps, metrics, eta_secs });
    Ok(())
}

/// Ends a run early, with a checkpoint of the last finished step.
fn stop(trainer: &mut Trainer, helm: &mut Helm<'_>, border: &mut Border) -> Result<Outcome> {
    let step = trainer.state.step;
    if step > 0 {
        save(trainer, helm, border)?;
    }
    if step == 0 || border.saved == Some(step) {
        return Ok(Outcome::Stopped { step });
    }
    let saved = rotation::steps(&helm.project.run(helm.run())?.checkpoints);
    Ok(Outcome::Stopped { step: saved.last().copied().unwrap_or(0) })
}

/// Seconds a step takes, with the recent ones counting most.
#[derive(Default)]
struct Pace(Option<f64>);

impl Pace {
    fn add(&mut self, secs: f64) {
        const NEWEST: f64 = 0.2;
        self.0 = Some(self.0.map_or(secs, |old| old + NEWEST * (secs - old)));
    }

    fn eta(&self, steps: u64) -> Option<f64> {
        self.0.map(|secs| secs * steps as f64)
    }
}
