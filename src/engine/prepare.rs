//! Everything before a run's first step: model, data, step-0 log-probs, the checks, and the checkpoint to go on from.

use std::{ops::ControlFlow, time::Duration};

use super::{
    anchors::Anchors,
    batches::{self, Batches},
    budget,
    checkpoint::{self, Aside, Saved, State},
    config::RunConfig,
    error::{EngineError, Result},
    findings,
    helm::Helm,
    knobs::Knobs,
    material,
    order::Order,
    preflight,
    protocol::LogLevel,
    reference::{Origin, Reference},
    step::Trainer,
    trial,
    validate::validate,
};
use crate::{
    model::{AdamW, AdamWOptions, Doc, Policy},
    store::{Probe, Project, RunRecord},
    text::Codec,
};

/// How long a write to the cache of log-probs waits for another program.
const CACHE_PATIENCE: Duration = Duration::from_secs(1);

/// Everything before the first step. `None` = stopped meanwhile.
pub fn prepare(helm: &mut Helm<'_>, record: &RunRecord) -> Result<Option<(Trainer, Vec<Probe>)>> {
    let config = RunConfig::from_toml(&record.config_toml)?;
    let faults: Vec<String> = validate(&config).into_iter().map(|(_, s)| s).collect();
    if !faults.is_empty() {
        return Err(EngineError::Settings(faults.join("; ")));
    }
    helm.log(LogLevel::Info, material::open_device(&config)?)?;
    let (level, hands) = helm.desk.crew.remark();
    helm.log(level, hands)?;
    let saved = if checkpoint::steps(&record.checkpoints).is_empty() {
        None
    } else {
        Some(checkpoint::open(&record.checkpoints, None)?)
    };
    helm.step = saved.as_ref().map_or(0, |saved| saved.state().step);

    helm.phase("Loading the model", None);
    let folder = material::model_folder(&helm.project, &config)?;
    let options = material::load_options_of(record, &config, helm.project.dir());
    if let (Some(by), Some(_)) = (options.multiplier.filter(|by| !by.is_present()), &saved) {
        return Err(EngineError::Resume(format!(
            "its products were taken by {}, which this processor lacks. Resume it where it began, or start a new run",
            by.name()
        )));
    }
    let mut policy = Policy::load(&folder, &options)?;
    let arithmetic = material::arithmetic(&policy);
    helm.write(None, &mut |project| project.set_arithmetic(record.id, &arithmetic))?;
    helm.log(LogLevel::Info, arithmetic.to_string())?;
    for remark in policy.remarks() {
        helm.log(LogLevel::Warning, remark.clone())?;
    }
    let codec = Codec::load(&folder)?;

    helm.phase("Reading the data", None);
    let material = material::of_run(&helm.project, record.id, record.revision, &config)?;
    let context = policy.spec().max_positions;
    let batches = batches::prepare(&material, &codec, &config.data, context, &mut |done| {
        helm.phase("Tokenising", Some(done));
    });
    drop(material);
    report_data(helm, &config, &batches, saved.is_some())?;
    findings::refuse(&batches, &codec, &config.data)?;
    let total_steps = total_steps(&config, batches.pairs.train.len());
    refuse_last_step(saved.as_ref(), total_steps)?;
    helm.write(None, &mut |project| project.set_total_steps(record.id, total_steps))?;

    let reference = Reference::of(&policy, &codec);
    if let Some(saved) = &saved {
        check_same(saved.state(), record, &reference, &batches)?;
    }
    let mut room = budget::Room::new(config.train.memory_mb, &policy);
    let mut budget = match &saved {
        Some(saved) => saved.state().budget,
        None => budget::row_tokens(config.train.micro_batch_tokens, room, &policy),
    };
    let aside = try_row(helm, &mut policy, &config, &batches, &mut budget, &mut room)?;
    // What is to go on exactly packs the rows that it packed; one that does not fit is met on the way.
    if let Some(saved) = &saved {
        budget = saved.state().budget;
    }
    let knobs = saved.as_ref().map_or_else(|| Knobs::new(&config.objective), |s| s.state().knobs);
    // A cache is not worth waiting for.
    let cache = Project::open(helm.project.dir())?;
    cache.set_patience(CACHE_PATIENCE)?;
    let anchors = Anchors::new(Origin::of(&policy, &config)?, cache, batches.pairs.train.len());
    let optimizer = optimizer(&config, &policy)?;
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
        aside,
        revision: record.revision,
        reference,
        data: batches.identity(),
        best: None,
    };
    let mut trainer = Trainer { config, policy, codec, optimizer, batches, anchors, state, room, total_steps };
    // Before a checkpoint is put back the policy is at step 0, on a resumed run too.
    if at_step_zero(&mut trainer, saved.as_ref(), helm)?.is_break() {
        return Ok(None);
    }
    if let Some(saved) = &saved {
        restore(&mut trainer, saved, helm)?;
    }
    let probes = helm.project.probes()?;
    Ok(Some((trainer, probes)))
}

fn refuse_last_step(saved: Option<&Saved>, total: u64) -> Result<()> {
    match saved.map(|saved| saved.state().step) {
        Some(step) if step >= total => Err(EngineError::AtLastStep { step, total }),
        _ => Ok(()),
    }
}

fn optimizer(config: &RunConfig, policy: &Policy) -> Result<AdamW> {
    let options = AdamWOptions {
        betas: config.optimizer.betas,
        eps: config.optimizer.eps,
        weight_decay: config.optimizer.weight_decay,
    };
    Ok(AdamW::new(policy.parameters(), options)?)
}

/// Steps of the whole run.
pub fn total_steps(config: &RunConfig, pairs: usize) -> u64 {
    config.train.steps.unwrap_or_else(|| {
        let per_step = config.train.pairs_per_step.min(pairs).max(1);
        (config.train.epochs * pairs as f64 / per_step as f64).ceil().max(1.0) as u64
    })
}

/// Says in the log what was set aside, what is measured instead where nothing is held out, and where the KL term has no say.
fn report_data(helm: &mut Helm<'_>, config: &RunConfig, batches: &Batches, resumed: bool) -> Result<()> {
    if resumed {
        return Ok(());
    }
    if let Some(adapter) = &config.model.continue_adapter {
        let text = format!(
            "Trains the adapter {} further: its own rank, alpha and layers count, not those of [lora]. The reference is the \
             model with it as it is now",
            adapter.display()
        );
        helm.log(LogLevel::Info, text)?;
    }
    for (level, text) in batches.remarks() {
        helm.log(level, text)?;
    }
    for text in preflight::coverage(config, batches) {
        helm.log(LogLevel::Warning, text)?;
    }
    Ok(())
}

/// Tries the largest row, so that a run that does not fit is told so now and not hours in. Gives what is set aside from
/// the start.
fn try_row(
    helm: &mut Helm<'_>,
    policy: &mut Policy,
    config: &RunConfig,
    batches: &Batches,
    budget: &mut usize,
    room: &mut budget::Room,
) -> Result<Aside> {
    helm.phase("Trying the largest row", None);
    let trial = trial::run(policy, config, batches, budget, room, false)?;
    helm.log(LogLevel::Info, format!("Memory: {}", trial.outlook))?;
    for warning in trial.warnings {
        helm.log(LogLevel::Warning, warning)?;
    }
    if trial.never_fit.pairs.len() == batches.pairs.train.len() {
        let least = |doc: &Doc| policy.least_row_bytes(doc.tokens(), doc.answer_tokens());
        let docs = batches.pairs.train.iter().map(|pair| &pair.doc);
        let smallest = docs.min_by_key(|doc| least(doc));
        return Err(EngineError::NoRoom {
            tokens: smallest.map_or(0, Doc::tokens),
            needed_mb: smallest.map_or(0, least).div_ceil(1 << 20),
            room_mb: room.whole(policy) >> 20,
        });
    }
    Ok(trial.never_fit)
}

/// A checkpoint only continues the run it came from.
fn check_same(state: &State, record: &RunRecord, reference: &Reference, batches: &Batches) -> Result<()> {
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

/// What only a policy at step 0 can do: show that it is its own reference and, with full weights, be it for the last time.
/// `Break` = stopped meanwhile.
fn at_step_zero(trainer: &mut Trainer, saved: Option<&Saved>, helm: &mut Helm<'_>) -> Result<ControlFlow<()>> {
    let next = saved.map_or_else(|| trainer.state.pairs.clone(), |saved| saved.state().pairs.clone());
    if trainer.check_start(&next, helm)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    if trainer.anchors.origin.lasts() {
        return Ok(ControlFlow::Continue(()));
    }
    let done = saved.map_or(0, |saved| saved.state().step);
    trainer.anchor_ahead(&next, trainer.total_steps.saturating_sub(done), helm)
}

/// Puts a checkpoint back and drops what the project holds of later steps.
fn restore(trainer: &mut Trainer, saved: &Saved, helm: &mut Helm<'_>) -> Result<()> {
    let state = saved.state();
    saved.restore(&mut trainer.policy)?;
    saved.restore_optimizer(&mut trainer.optimizer)?;
    trainer.state = state.clone();
    let run = helm.run();
    helm.write(None, &mut |project| project.truncate_after(run, state.step))?;
    checkpoint::truncate_after(&helm.project.run(run)?.checkpoints, state.step)?;
    for reason in &saved.passed_over {
        helm.log(LogLevel::Warning, reason.clone())?;
    }
    let Knobs { learning_rate_scale, reference_weight, retention_weight, beta } = state.knobs;
    helm.log(
        LogLevel::Info,
        format!(
            "Continues from the checkpoint of step {}: learning rate × {learning_rate_scale}, λ_ref {reference_weight}, λ_pre {retention_weight}, β {beta}",
            state.step
        ),
    )
}
