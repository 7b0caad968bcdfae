//! One run, from its record in the project to its last checkpoint.

use std::{ops::ControlFlow, time::Instant};

use super::{
    batches::{self, Batches},
    budget,
    checkpoint::{self, Best, Saved, State},
    config::RunConfig,
    desk::{Desk, Job},
    error::{EngineError, Result},
    evaluate::first,
    golden,
    helm::Helm,
    knobs::Knobs,
    material,
    order::Order,
    protocol::{Event, LogLevel, Outcome},
    reference::{Reference, Sums},
    step::{Anchors, StepDone, StepEnd, Trainer},
    validate::validate,
};
use crate::{
    model::{AdamW, AdamWOptions, Doc, Policy},
    store::{Probe, Project, RunRecord, RunStatus},
    text::Codec,
};

/// A run stops after so many steps in a row that could not be applied.
const REFUSED_IN_A_ROW: u32 = 3;

/// Trains a queued run to its end, from its newest checkpoint if it has one. The outcome is in the project when this returns.
pub fn train(desk: &mut Desk, job: &Job) -> Outcome {
    match start_and_run(desk, job) {
        Ok(outcome) => outcome,
        Err(error @ EngineError::AtLastStep { .. }) => {
            // Not a failure of the run: it is as complete as it was.
            record_status(job, RunStatus::Completed, None);
            Outcome::Failed {
                error: error.to_string(),
            }
        }
        Err(error) => {
            let error = error.to_string();
            record_failure(job, &error);
            Outcome::Failed { error }
        }
    }
}

/// Writes a failure into the project.
pub fn record_failure(job: &Job, error: &str) {
    record_status(job, RunStatus::Failed, Some(error));
}

/// Through a connection of its own: the run's may be gone.
fn record_status(job: &Job, status: RunStatus, message: Option<&str>) {
    let written = Project::open(&job.project)
        .and_then(|project| project.set_run_status(job.run, status, message));
    if let Err(unwritten) = written {
        let message = message.unwrap_or("no message");
        tracing::error!("run {} ended ({message}), and {unwritten}", job.run.0);
    }
}

fn start_and_run(desk: &mut Desk, job: &Job) -> Result<Outcome> {
    let project = Project::open(&job.project)?;
    let record = project.run(job.run)?;
    let mut helm = Helm::new(desk, job, project);
    if job.control.stopping() {
        return stopped(&helm, record.step);
    }
    helm.project
        .set_run_status(job.run, RunStatus::Running, None)?;
    let Some((mut trainer, probes)) = prepare(&mut helm, &record)? else {
        return stopped(&helm, record.step);
    };
    let (run, first_step) = (job.run, trainer.state.step + 1);
    let total_steps = trainer.total_steps;
    helm.send(Event::Started {
        run,
        first_step,
        total_steps,
    });
    let outcome = steps(&mut trainer, &mut helm, &probes)?;
    let status = match &outcome {
        Outcome::Completed => RunStatus::Completed,
        Outcome::Stopped { .. } => RunStatus::Stopped,
        Outcome::Failed { .. } => RunStatus::Failed,
    };
    helm.project.set_run_status(run, status, None)?;
    Ok(outcome)
}

/// Stopped before there was anything to save.
fn stopped(helm: &Helm<'_>, step: u64) -> Result<Outcome> {
    helm.project
        .set_run_status(helm.job.run, RunStatus::Stopped, None)?;
    Ok(Outcome::Stopped { step })
}

/// Everything before the first step. `None` = stopped meanwhile.
fn prepare(helm: &mut Helm<'_>, record: &RunRecord) -> Result<Option<(Trainer, Vec<Probe>)>> {
    let config = RunConfig::from_toml(&record.config_toml)?;
    let faults: Vec<String> = validate(&config).into_iter().map(|(_, s)| s).collect();
    if !faults.is_empty() {
        return Err(EngineError::Settings(faults.join("; ")));
    }
    material::check_device(&config)?;
    let run_dir = helm.project.run_dir(record.id);
    let saved = if checkpoint::steps(&run_dir).is_empty() {
        None
    } else {
        Some(checkpoint::open(&run_dir, None)?)
    };
    helm.step = saved.as_ref().map_or(0, |saved| saved.state().step);

    helm.phase("Loading the model", None);
    let folder = material::model_folder(&helm.project, &config)?;
    let policy = Policy::load(
        &folder,
        &material::load_options(&config, helm.project.dir()),
    )?;
    let codec = Codec::load(&folder)?;

    helm.phase("Reading the data", None);
    let material = material::of_run(&helm.project, record.id, record.revision, &config)?;
    let context = policy.spec().max_positions;
    let batches = batches::prepare(&material, &codec, &config.data, context, &mut |done| {
        helm.phase("Tokenising", Some(done));
    });
    drop(material);
    report_data(helm, &batches, saved.is_some())?;
    if batches.pairs.train.is_empty() {
        return Err(EngineError::NoPairs(batches.why_empty()));
    }
    let total_steps = total_steps(&config, batches.pairs.train.len());
    if let Some(saved) = &saved
        && saved.state().step >= total_steps
    {
        return Err(EngineError::AtLastStep {
            step: saved.state().step,
            total: total_steps,
        });
    }
    helm.project.set_total_steps(record.id, total_steps)?;

    let reference = Reference::of(&policy, &codec);
    if let Some(saved) = &saved {
        check_same(saved.state(), record, &reference, &batches)?;
    }
    let budget = match &saved {
        Some(saved) => saved.state().budget,
        None => budget::row_tokens(config.train.micro_batch_tokens, &policy),
    };
    let Some(anchors) = anchors(helm, &reference, &policy, &codec, &batches, budget)? else {
        return Ok(None);
    };
    // Before a checkpoint is put back the policy is at step 0, on a resumed run too.
    let knobs = saved
        .as_ref()
        .map_or_else(|| Knobs::new(&config.objective), |s| s.state().knobs);
    golden::check(
        &policy,
        &knobs.objective(&config.objective),
        &batches.pairs.train,
        &anchors.train,
        budget,
    )?;

    let optimizer = AdamW::new(
        policy.parameters(),
        AdamWOptions {
            betas: config.optimizer.betas,
            eps: config.optimizer.eps,
            weight_decay: config.optimizer.weight_decay,
        },
    )?;
    let seed = config.train.shuffle_seed;
    let state = State {
        step: 0,
        wall_ms: 0,
        pairs: Order::new(batches.pairs.train.len(), seed, 0),
        references: Order::new(batches.references.train.len(), seed, 1),
        retention: Order::new(batches.retention.train.len(), seed, 2),
        knobs,
        budget,
        refused: 0,
        revision: record.revision,
        reference,
        data: batches.identity(),
        best: None,
    };
    let mut trainer = Trainer {
        config,
        policy,
        codec,
        optimizer,
        batches,
        anchors,
        state,
        total_steps,
    };
    if let Some(saved) = &saved {
        restore(&mut trainer, saved, helm)?;
    }
    let probes = helm.project.probes()?;
    Ok(Some((trainer, probes)))
}

/// Steps of the whole run.
pub fn total_steps(config: &RunConfig, pairs: usize) -> u64 {
    config.train.steps.unwrap_or_else(|| {
        let per_step = config.train.pairs_per_step.min(pairs).max(1);
        (config.train.epochs * pairs as f64 / per_step as f64)
            .ceil()
            .max(1.0) as u64
    })
}

/// Says in the log what was set aside, and what is measured instead where nothing is held out.
fn report_data(helm: &mut Helm<'_>, batches: &Batches, resumed: bool) -> Result<()> {
    if resumed {
        return Ok(());
    }
    for (level, text) in batches.remarks() {
        helm.log(level, text)?;
    }
    Ok(())
}

/// A checkpoint only continues the run it came from.
fn check_same(
    state: &State,
    record: &RunRecord,
    reference: &Reference,
    batches: &Batches,
) -> Result<()> {
    let reason = if state.reference.policy != reference.policy {
        "the reference is not the one it began with: the model folder or the starting adapter was changed since. Put the old files back, or start a new run"
    } else if state.reference.codec != reference.codec {
        "the tokenizer or the chat template was changed since it began. Put the old files back, or start a new run"
    } else if state.revision != record.revision {
        "its data revision is not the one the checkpoint was made with. Start a new run"
    } else if state.data != batches.identity() {
        "its data or its token limits are not those the checkpoint was made with. Put the old settings back, or start a new run"
    } else {
        return Ok(());
    };
    Err(EngineError::Resume(reason.to_owned()))
}

/// The step-0 log-probs of everything that is trained or measured against them.
fn anchors(
    helm: &mut Helm<'_>,
    reference: &Reference,
    policy: &Policy,
    codec: &Codec,
    batches: &Batches,
    budget: usize,
) -> Result<Option<Anchors>> {
    let train: Vec<&Doc> = batches.pairs.train.iter().map(|pair| &pair.doc).collect();
    let eval: Vec<&Doc> = first(&batches.pairs.eval)
        .iter()
        .map(|pair| &pair.doc)
        .collect();
    let answers: Vec<&Doc> = first(batches.references.measured())
        .iter()
        .map(|text| &text.doc)
        .collect();
    let docs: Vec<&Doc> = [train.as_slice(), &eval, &answers].concat();
    // The cache and the desk both need the project: the cache gets a connection of its own.
    let mut cache = Project::open(helm.project.dir())?;
    let mut failed = None;
    let sums = reference.log_probs(&mut cache, policy, &docs, budget, &mut |done| {
        helm.phase("Computing reference log-probs", Some(done));
        helm.attend(Some((policy, codec))).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    Ok(sums.map(|mut sums: Sums| {
        let references = sums.split_off(train.len() + eval.len());
        let eval = sums.split_off(train.len());
        Anchors {
            train: sums,
            eval,
            references,
        }
    }))
}

/// Puts a checkpoint back and drops what the project holds of later steps.
fn restore(trainer: &mut Trainer, saved: &Saved, helm: &mut Helm<'_>) -> Result<()> {
    let state = saved.state();
    trainer.policy.set_trainable(&saved.trainable()?)?;
    trainer.optimizer.restore(&saved.optimizer()?)?;
    trainer.state = state.clone();
    let run = helm.run();
    helm.project.truncate_after(run, state.step)?;
    checkpoint::truncate_after(&helm.project.run_dir(run), state.step)?;
    let Knobs {
        learning_rate_scale,
        reference_weight,
        retention_weight,
        beta,
    } = state.knobs;
    helm.log(
        LogLevel::Info,
        format!(
            "Continues from the checkpoint of step {}: learning rate × {learning_rate_scale}, λ_ref {reference_weight}, λ_pre {retention_weight}, β {beta}",
            state.step
        ),
    )
}

/// What was done at a step border, so that it is done once.
#[derive(Default)]
struct Border {
    evaluated: Option<u64>,
    sampled: Option<u64>,
    saved: Option<u64>,
}

/// The loop: at each border what is due, then a step.
fn steps(trainer: &mut Trainer, helm: &mut Helm<'_>, probes: &[Probe]) -> Result<Outcome> {
    let total = trainer.total_steps;
    // What a checkpoint holds was measured, sampled and saved before it was written.
    let resumed = (trainer.state.step > 0).then_some(trainer.state.step);
    let mut border = Border {
        evaluated: resumed,
        sampled: resumed,
        saved: resumed,
    };
    let mut pace = Pace::default();
    loop {
        let step = trainer.state.step;
        helm.step = step;
        let flow = at_border(trainer, helm, probes, &mut border)?;
        if flow.is_break()
            || helm
                .attend(Some((&trainer.policy, &trainer.codec)))?
                .is_break()
        {
            return stop(trainer, helm, &border);
        }
        if step >= total {
            return Ok(Outcome::Completed);
        }
        turn_knobs(trainer, helm)?;
        let started = Instant::now();
        let paused = helm.paused;
        let StepEnd::Done(done) = trainer.step(helm)? else {
            return stop(trainer, helm, &border);
        };
        pace.add(
            started
                .elapsed()
                .saturating_sub(helm.paused - paused)
                .as_secs_f64(),
        );
        let refused = record_step(trainer, helm, done, &pace)?;
        if refused && trainer.state.refused >= REFUSED_IN_A_ROW {
            // Not applied, so the weights are the last good ones. The count starts anew for whoever resumes.
            trainer.state.refused = 0;
            save(trainer, helm)?;
            return Err(EngineError::NotANumber {
                step: trainer.state.step,
            });
        }
    }
}

/// Evaluation, probes and checkpoint where they are due. `Break` = stopped meanwhile.
fn at_border(
    trainer: &mut Trainer,
    helm: &mut Helm<'_>,
    probes: &[Probe],
    border: &mut Border,
) -> Result<ControlFlow<()>> {
    let step = trainer.state.step;
    let last = step == trainer.total_steps;
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
        helm.project
            .append_step(run, step, trainer.state.wall_ms, &metrics)?;
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
    let wished = std::mem::take(&mut helm.desk.wishes.checkpoint);
    if (checkpoint_due || wished) && border.saved != Some(step) {
        helm.phase("Saving a checkpoint", None);
        match save(trainer, helm) {
            Ok(()) => border.saved = Some(step),
            // The run itself is well: it goes on, and tries again at the next checkpoint.
            Err(error) if !last => helm.log(LogLevel::Error, error.to_string())?,
            Err(error) => return Err(error),
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn note_best(trainer: &mut Trainer, metrics: &[(String, f64)]) {
    let loss = metrics.iter().find(|(name, _)| name == "eval_loss");
    if let Some(&(_, loss)) = loss
        && trainer.state.step > 0
        && trainer.state.best.is_none_or(|best| loss < best.loss)
    {
        trainer.state.best = Some(Best {
            step: trainer.state.step,
            loss,
        });
    }
}

/// Takes in what was turned since the last border; it counts from the next step on.
fn turn_knobs(trainer: &mut Trainer, helm: &mut Helm<'_>) -> Result<()> {
    for knob in std::mem::take(&mut helm.desk.wishes.knobs) {
        helm.step = trainer.state.step + 1;
        match trainer.state.knobs.turn(knob) {
            Ok(mark) => helm.mark(mark)?,
            Err(refused) => helm.log(LogLevel::Warning, refused)?,
        }
    }
    Ok(())
}

/// Into the project first, then to whoever listens. Returns whether the step was refused.
fn record_step(
    trainer: &Trainer,
    helm: &mut Helm<'_>,
    done: StepDone,
    pace: &Pace,
) -> Result<bool> {
    let (run, step) = (helm.run(), trainer.state.step);
    helm.step = step;
    let StepDone {
        metrics,
        visits,
        refused,
    } = done;
    helm.project
        .append_step(run, step, trainer.state.wall_ms, &metrics)?;
    helm.project.append_pair_visits(run, step, &visits)?;
    let was_refused = refused.is_some();
    if let Some(text) = refused {
        helm.log(LogLevel::Warning, text)?;
    }
    helm.send(Event::Step {
        run,
        step,
        total_steps: trainer.total_steps,
        metrics,
        eta_secs: pace.eta(trainer.total_steps - step),
    });
    Ok(was_refused)
}

/// Ends a run early, with a checkpoint of the last finished step.
fn stop(trainer: &Trainer, helm: &mut Helm<'_>, border: &Border) -> Result<Outcome> {
    let step = trainer.state.step;
    if step > 0 && border.saved != Some(step) {
        helm.phase("Saving a checkpoint", None);
        save(trainer, helm)?;
    }
    Ok(Outcome::Stopped { step })
}

fn save(trainer: &Trainer, helm: &mut Helm<'_>) -> Result<()> {
    let run_dir = helm.project.run_dir(helm.run());
    let folder = material::model_folder(&helm.project, &trainer.config)?;
    checkpoint::save(
        &run_dir,
        &trainer.policy,
        &trainer.optimizer,
        &trainer.state,
        &folder.to_string_lossy(),
    )?;
    let best = trainer.state.best.map(|best| best.step);
    checkpoint::prune(&run_dir, trainer.config.train.keep, best)?;
    let (run, step) = (helm.run(), trainer.state.step);
    helm.send(Event::Saved { run, step });
    Ok(())
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
