//! Everything before a run's first step: model, data, step-0 log-probs, the checks, and the checkpoint to go on from.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use data::{
    MEGABYTE,
    config::{DataConfig, Done, Knobs, Length, RunConfig, validate},
    counted, megabytes,
};
use model::{AdamW, Policy};
use store::{LeftOut, LogLevel, Probe, Project, RunId, RunRecord};
use text::{Clock, Codec};

use crate::{
    dataset::{
        coverage::coverage,
        diverse,
        documents::{self, Bounds, Dataset, PairDoc},
        inputs::{self, Inputs},
        negatives,
        sampler::Sampler,
    },
    error::{Result, TrainError},
    importance::{Weigher, later_bytes},
    measure::{
        anchors::Anchors,
        judging::Judging,
        probes::Draw,
        reference::{Reference, StartWeights},
    },
    memory::{budget, largest_row},
    rlhf::{Rlhf, prompts},
    run::{
        budget::unlooked_remark,
        checkpoint::{Aside, Checkpoint, SeenRevision, State, Teacher},
        context::Context,
        joining::Joining,
        loading, rotation,
        same::check_same,
        schedule,
        start::Start,
        training::{self, Training},
    },
    step::Trainer,
};

/// How long a write to the cache of log-probs waits for another program.
const CACHE_PATIENCE: Duration = Duration::from_secs(1);

/// What a run on conversations is told where the model has no chat template.
const PLAIN: &str = "The model has no chat template: turns are written in plain style, “User: …” and “Assistant: …”, and \
     whoever uses the result has to write them so too";

/// What a run answers on its way.
pub struct Asked {
    pub probes: Vec<Probe>,
    pub judging: Option<Judging>,
}

impl Asked {
    /// How the probes' answers are drawn that are not the likeliest.
    pub fn draw(&self) -> Draw {
        self.judging.as_ref().map(Judging::draw).unwrap_or_default()
    }
}

/// Everything before the first step. `None` = stopped meanwhile.
pub fn prepare(context: &mut Context<'_>, record: &RunRecord, from: Option<u64>) -> Result<Option<(Training, Asked)>> {
    let mut config = record.config()?;
    let faults: Vec<String> = validate(&config).into_iter().map(|(_, s)| s).collect();
    if !faults.is_empty() {
        return Err(TrainError::Settings(faults.join("; ")));
    }
    let start = Start::of(record, &config, from)?;
    let saved = start.open(record)?;
    context.step = saved.as_ref().map_or(0, |saved| saved.state().step);
    context.log(LogLevel::Info, inputs::open_device(&config)?)?;
    if let Some((level, text)) = context.host.remark() {
        context.log(level, text)?;
    }

    context.phase("Loading the model", None);
    let folder = inputs::model_folder(&context.project, &config)?;
    let options = inputs::load_options_of(record, &config, context.project.dir());
    if let (Some(by), Some(_)) = (options.multiplier.filter(|by| !by.is_present()), &saved) {
        return Err(TrainError::Resume(format!(
            "its products were taken by {}, which this processor lacks. Resume it where it began, or start a new run",
            by.name()
        )));
    }
    let Some(mut policy) = loading::load(context, &folder, &options)? else {
        return Ok(None);
    };
    let arithmetic = inputs::arithmetic(&policy);
    context.write(None, &mut |project| project.set_arithmetic(record.id, &arithmetic))?;
    context.log(LogLevel::Info, arithmetic.to_string())?;
    for remark in policy.remarks() {
        context.log(LogLevel::Warning, remark.clone())?;
    }
    // The day it began stays its day: token ids depend on the project alone.
    let codec = Codec::load(&folder)?.at(Clock::of_ms(record.day_ms));

    context.phase("Reading the data", None);
    let inputs = data_of(&context.project, record, &config, saved.as_ref())?;
    let bounds = Bounds::of(policy.spec());
    let mut dataset = documents::prepare(&inputs, &codec, &config, bounds, &mut |done| {
        context.phase("Tokenising", Some(done));
    })?;
    let plain = dataset.chats && !codec.has_template();
    drop(inputs);
    let mut cache = cache(context)?;
    if choose_answers(&mut dataset, &config, (&policy, &codec), &mut cache, context)?.is_break() {
        return Ok(None);
    }
    report_data(context, &config, &dataset, saved.is_some())?;
    if saved.is_none() && plain {
        context.log(LogLevel::Warning, PLAIN.to_owned())?;
    }
    refuse(&dataset, &codec, &config.data)?;
    let length = length(&config, &dataset, saved.as_ref());
    refuse_last_step(saved.as_ref(), length.steps)?;

    let reference = Reference::of(&policy, &codec);
    if let Some(saved) = &saved {
        check_same(saved.state(), &reference, &dataset, context)?;
    }
    let mut rlhf = None;
    if config.objective.kind.samples() {
        context.phase("Loading the reward model", None);
        let before = saved.as_ref().and_then(|saved| saved.state().teacher.as_ref());
        rlhf = Some(learn_from(context, record.id, &mut config, (&policy, &reference), before)?);
        for text in prompts::remarks(&config, &dataset, bounds.context).into_iter().filter(|_| saved.is_none()) {
            context.log(LogLevel::Warning, text)?;
        }
    }
    let mut memory = budget::MemoryLimit::new(config.train.memory_mb, &policy, 0);
    memory.expect(rlhf.as_ref().map_or(0, |rlhf| rlhf.later_bytes(&policy)) + later_bytes(&config, &policy));
    let mut budget = match &saved {
        Some(saved) => saved.state().budget,
        None => budget::row_tokens(config.train.micro_batch_tokens, memory, &policy),
    };
    let aside = try_row(context, &mut policy, &config, &dataset, &mut budget, &mut memory)?;
    if let Some(critic) = rlhf.as_mut().and_then(|rlhf| rlhf.critic.as_mut()) {
        critic.memory = Some(memory.seen_from(&policy, &critic.policy));
    }
    // What is to go on exactly packs the rows that it packed; one that does not fit is met on the way.
    if let Some(saved) = &saved {
        budget = saved.state().budget;
    }
    let knobs = saved.as_ref().map_or_else(|| Knobs::new(&config.objective), |s| s.state().knobs);
    let anchors = Anchors::new(StartWeights::of(&policy, &config)?, cache, dataset.pairs.train.len());
    let optimizer = AdamW::new(policy.parameters(), inputs::adamw(&config))?;
    let mut state = first_state(record, &dataset, config.train.shuffle_seed, (knobs, budget, aside), reference);
    state.teacher = rlhf.as_ref().map(|rlhf| rlhf.teacher.clone());
    let trainer = Trainer { policy, optimizer, memory: Some(memory) };
    let left_out = left_out(context, record, &dataset, saved.is_some())?;
    let joining = Joining::of(&context.project, record, config.data.live_labels, start)?;
    let weigher = Weigher::of(&config, dataset.pairs.train.len());
    let mut training =
        Training { config, trainer, codec, dataset, anchors, weigher, state, length, left_out, joining, rlhf };
    // Before a checkpoint is put back the policy is at step 0, on a resumed run too.
    if at_step_zero(&mut training, saved.as_ref(), context)?.is_break() {
        return Ok(None);
    }
    match (start, &saved) {
        (_, Some(saved)) => restore(&mut training, saved, start.is_named(), context)?,
        (Start::Again { measured, asked }, None) => begin_again(context, measured, asked)?,
        (Start::New | Start::After { .. }, None) => {}
    }
    report_rate(&training, record, context)?;
    context.write(None, &mut |project| project.set_total_steps(record.id, length.steps))?;
    let probes = context.project.probes()?;
    let judging = Judging::of(context, record, &probes, &training.codec, saved.is_some())?;
    Ok(Some((training, Asked { probes, judging })))
}

/// Chooses the rejected answers of pairs that have too many, where the settings ask for some that are unlike each
/// other. `Break` = stopped meanwhile.
pub fn choose_answers(
    dataset: &mut Dataset,
    config: &RunConfig,
    weights: (&Policy, &Codec),
    cache: &mut Project,
    context: &mut Context<'_>,
) -> Result<ControlFlow<()>> {
    diverse::choose(dataset, &config.objective, weights, cache, &mut |done| {
        context.phase("Choosing rejected answers", Some(done));
        context.attend(None)
    })
}

/// A hold on the project of its own, for what can be computed again.
fn cache(context: &Context<'_>) -> Result<Project> {
    let cache = Project::open(context.project.dir())?;
    // A cache is not worth waiting for.
    cache.set_patience(CACHE_PATIENCE)?;
    Ok(cache)
}

/// What it trains on: the pairs that it trained on last, on the sides of the hold-out that it has them on.
fn data_of(project: &Project, record: &RunRecord, config: &RunConfig, saved: Option<&Checkpoint>) -> Result<Inputs> {
    let revision = saved.map_or(record.revision, |saved| saved.state().revision);
    let inputs = inputs::of_run(project, record.id, revision, config)?;
    let kept = saved.map_or_else(Vec::new, |saved| saved.state().kept_sides.clone());
    Ok(Inputs { pairs: inputs.pairs.keeping(kept), ..inputs })
}

/// How long the run is from what it has to train on.
fn length(config: &RunConfig, dataset: &Dataset, saved: Option<&Checkpoint>) -> Length {
    let pairs = dataset.pairs.train.len();
    match saved {
        Some(saved) => training::length(&config.train, saved.state(), pairs),
        None => Length::of(&config.train, pairs),
    }
}

/// Where a run stands before its first step.
fn first_state(
    record: &RunRecord,
    dataset: &Dataset,
    seed: u64,
    (knobs, budget, aside): (Knobs, usize, Aside),
    reference: Reference,
) -> State {
    State {
        step: 0,
        wall_ms: 0,
        pairs: Sampler::new(dataset.pairs.train.len(), seed, 0),
        references: Sampler::new(dataset.references.train.len(), seed, 1),
        retention: Sampler::new(dataset.retention.train.len(), seed, 2),
        knobs,
        held: None,
        budget,
        refused: 0,
        proven: 0,
        aside,
        revision: record.revision,
        seen: vec![SeenRevision { step: 0, revision: record.revision }],
        kept_sides: Vec::new(),
        done: Done::default(),
        reference,
        data: dataset.identity(),
        best: None,
        scale: None,
        teacher: None,
        contrast: None,
        episodes: 0,
        sampled_tokens: 0,
        reference_prompts: None,
        critic_updates: 0,
        critic_began: 0,
        said_far: false,
        said_lost: false,
        prompts: 0,
    }
}

/// Refuses what cannot be trained on at all, and what has to be accepted first.
pub fn refuse(dataset: &Dataset, codec: &Codec, config: &DataConfig) -> Result<()> {
    if dataset.pairs.train.is_empty() {
        return Err(TrainError::NoPairs(dataset.why_empty()));
    }
    let doubled = |pair: &&PairDoc| codec.doubles_bos(&pair.doc.prefix);
    let pairs = dataset.pairs.train.iter().chain(&dataset.pairs.eval).filter(doubled).count();
    if pairs > 0 && !config.allow_doubled_bos {
        return Err(TrainError::DoubledBos { pairs });
    }
    Ok(())
}

/// Loads the reward model. It and its step are named in the run's settings from now on, so that whoever begins it again
/// learns from the same, and its checkpoint stays.
fn learn_from(
    context: &mut Context<'_>,
    run: RunId,
    config: &mut RunConfig,
    (policy, reference): (&Policy, &Reference),
    before: Option<&Teacher>,
) -> Result<Rlhf> {
    let (rlhf, opened) = Rlhf::open(&context.project, config, policy, reference, before)?;
    opened.keep()?;
    for sentence in opened.passed_over() {
        context.log(LogLevel::Warning, sentence)?;
    }
    let number = rlhf.teacher.run.0;
    if before.is_none() {
        let (name, step, which) = (&opened.record.name, rlhf.teacher.step, &opened.which);
        let text = format!("Learns from the reward model of {name} (run {number}) at step {step}{which}");
        context.log(LogLevel::Info, text)?;
        if let Some(sentence) = opened.no_better_than_a_coin() {
            context.log(LogLevel::Warning, sentence)?;
        }
    }
    let learnt_from = (Some(number as u64), Some(rlhf.teacher.step));
    if (config.reward.run, config.reward.step) != learnt_from {
        (config.reward.run, config.reward.step) = learnt_from;
        let toml = config.to_toml()?;
        context.write(None, &mut |project| project.set_run_config(run, &toml))?;
    }
    Ok(rlhf)
}

/// The pairs that the run is to leave out, by their place in the training data.
fn left_out(
    context: &mut Context<'_>,
    record: &RunRecord,
    dataset: &Dataset,
    resumed: bool,
) -> Result<BTreeSet<usize>> {
    let Some(left_out) = &record.left_out else {
        return Ok(BTreeSet::new());
    };
    let found = places_of(left_out, dataset)?;
    if !resumed {
        let text = format!("Leaves {left_out} out; {} of them would have been trained on", found.len());
        context.log(LogLevel::Info, text)?;
    }
    Ok(found)
}

/// Places of these pairs in the training data; they may not be all there are.
pub fn places_of(left_out: &LeftOut, dataset: &Dataset) -> Result<BTreeSet<usize>> {
    let pairs = dataset.pairs.train.iter().enumerate();
    let found: BTreeSet<usize> = pairs.filter(|(_, pair)| left_out.holds(pair.id)).map(|(index, _)| index).collect();
    if found.len() == dataset.pairs.train.len() {
        return Err(TrainError::NoPairs(format!("the run leaves out all {}", counted(found.len(), "pair", "pairs"))));
    }
    Ok(found)
}

fn refuse_last_step(saved: Option<&Checkpoint>, total: u64) -> Result<()> {
    match saved.map(|saved| saved.state().step) {
        Some(step) if step >= total => Err(TrainError::AtLastStep { step, total }),
        _ => Ok(()),
    }
}

/// Says in the log what is special about the learning rate of the steps to come.
fn report_rate(training: &Training, record: &RunRecord, context: &mut Context<'_>) -> Result<()> {
    let (optimizer, total) = (&training.config.optimizer, training.length.steps);
    let State { step, knobs, .. } = &training.state;
    if *step == 0 || record.total_steps != total {
        let config = &training.config;
        let remarks = [
            schedule::warm_up_remark(optimizer, total),
            schedule::critic_remark(config, total),
            unlooked_remark(&config.train),
        ];
        for text in remarks.into_iter().flatten() {
            context.log(LogLevel::Warning, text)?;
        }
    }
    if *step > 0
        && let Some(text) = schedule::bend(optimizer, knobs.learning_rate_scale, *step, (record.total_steps, total))
    {
        context.mark(LogLevel::Info, text)?;
    }
    Ok(())
}

/// Says in the log what was set aside, what is measured instead where nothing is held out, and where the KL term has no
/// say.
fn report_data(context: &mut Context<'_>, config: &RunConfig, dataset: &Dataset, resumed: bool) -> Result<()> {
    if resumed {
        return Ok(());
    }
    if let Some(adapter) = &config.model.continue_adapter {
        let text = format!(
            "Trains the adapter {} further: its own rank, alpha and layers count, not those of [lora]. The reference is the \
             model with it as it is now",
            adapter.display()
        );
        context.log(LogLevel::Info, text)?;
    }
    for (level, text) in dataset.remarks() {
        context.log(level, text)?;
    }
    if let Some(text) = negatives::remark(&dataset.pairs.train, config.objective.negatives_max) {
        context.log(LogLevel::Info, text)?;
    }
    for text in coverage(config, dataset) {
        context.log(LogLevel::Warning, text)?;
    }
    Ok(())
}

/// Tries the largest row, so that a run that does not fit is told so now and not hours in. Gives what is set aside from
/// the start.
fn try_row(
    context: &mut Context<'_>,
    policy: &mut Policy,
    config: &RunConfig,
    dataset: &Dataset,
    budget: &mut usize,
    memory: &mut budget::MemoryLimit,
) -> Result<Aside> {
    context.phase("Trying the largest row", None);
    let tried = largest_row::try_out(policy, config, dataset, budget, memory, false)?;
    context.log(LogLevel::Info, format!("Memory: {}", tried.outlook))?;
    for warning in tried.warnings {
        context.log(LogLevel::Warning, warning)?;
    }
    if tried.never_fit.pairs.len() == dataset.pairs.train.len() {
        let (tokens, bytes) = largest_row::smallest(policy, config, dataset);
        return Err(TrainError::OutOfMemory {
            tokens,
            needed_mb: megabytes(bytes),
            limit_mb: memory.whole(policy) / MEGABYTE,
        });
    }
    Ok(tried.never_fit)
}

/// What only a policy at step 0 can do: show that it is its own reference and, with full weights, be it for the last
/// time. `Break` = stopped meanwhile.
fn at_step_zero(
    training: &mut Training,
    saved: Option<&Checkpoint>,
    context: &mut Context<'_>,
) -> Result<ControlFlow<()>> {
    let state = saved.map_or(&training.state, Checkpoint::state);
    let (next, done) = (state.pairs.clone(), state.step);
    training.joining.look_ahead(state, training.length, context)?;
    let contrast = saved.and_then(|saved| saved.state().contrast.clone());
    if training.ready_contrast(contrast, context)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    if training.check_start(&next, done + 1, context)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    if training.anchors.origin.lasts() {
        return Ok(ControlFlow::Continue(()));
    }
    training.anchor_ahead(&next, done + 1, context)
}

/// Puts a checkpoint back and drops what the project holds of later steps.
fn restore(training: &mut Training, saved: &Checkpoint, is_named: bool, context: &mut Context<'_>) -> Result<()> {
    let state = saved.state();
    saved.restore(&mut training.trainer.policy)?;
    saved.restore_optimizer(&mut training.trainer.optimizer)?;
    let (teacher, contrast) = (training.state.teacher.take(), training.state.contrast.take());
    training.state = State { teacher, contrast, ..state.clone() };
    if training.rlhf.is_some() {
        // No loss of theirs is measured on what is held out.
        training.state.best = None;
    }
    if let Some(critic) = training.rlhf.as_mut().and_then(|rlhf| rlhf.critic.as_mut())
        && !saved.restore_critic(&mut critic.policy, &mut critic.optimizer)?
    {
        let text = "The checkpoint has no critic, so it begins as the reward model scores";
        context.log(LogLevel::Info, text)?;
        (training.state.critic_began, training.state.critic_updates) = (state.step, 0);
    }
    if state.proven == 0 {
        // Written before this was kept: the weights of the last step come from the ones before it.
        training.state.proven = state.step.saturating_sub(1);
    }
    let run = context.run;
    context.write(None, &mut |project| {
        if is_named {
            project.forget_take_ins(run, state.step)?;
        }
        project.truncate_after(run, state.step)
    })?;
    let folders = context.project.run(run)?.checkpoints;
    rotation::trust(&folders, state.step)?;
    rotation::truncate_after(&folders, state.step)?;
    for reason in &saved.passed_over {
        context.log(LogLevel::Warning, reason.clone())?;
    }
    let Knobs { learning_rate_scale, reference_weight, retention_weight, beta } = state.knobs;
    context.log(
        LogLevel::Info,
        format!(
            "Continues from the checkpoint of step {}: learning rate × {learning_rate_scale}, λ_ref {reference_weight}, λ_pre {retention_weight}, β {beta}",
            state.step
        ),
    )
}

/// Drops what the project holds of a run that goes through its steps once more.
fn begin_again(context: &mut Context<'_>, measured: u64, asked: bool) -> Result<()> {
    let run = context.run;
    context.write(None, &mut |project| {
        if asked {
            project.forget_take_ins(run, 0)?;
        }
        project.truncate_after(run, 0)
    })?;
    rotation::truncate_after(&context.project.run(run)?.checkpoints, 0)?;
    let why = if asked {
        "as asked".to_owned()
    } else {
        format!("because it ended after step {measured}, before its first checkpoint")
    };
    context.mark(LogLevel::Warning, format!("Begins again at step 0, {why}: what it had measured since is dropped"))
}
