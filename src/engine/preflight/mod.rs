//! Everything that can be known before a start, most of it measured.

mod findings;
mod weights;

use std::{ops::ControlFlow, path::Path};

use data::config::{Length, Method, RunConfig, validate};
use kernels::device;
use model::{Doc, GenerateOptions, Policy, PolicyError};
use store::Project;
use text::Codec;
use train::{
    Result, TrainError,
    dataset::{
        coverage::coverage,
        diverse,
        documents::{self, Bounds, Dataset},
        inputs, negatives,
    },
    importance::{Planned, kind_of, later_bytes},
    loss::judge,
    measure::{
        golden, judging,
        log_probs::sums,
        outlay::Outlay,
        reference::{Reference, ReferenceSource, StartWeights},
    },
    memory::{budget, largest_row, process},
    objective::Objective,
    reward,
    rlhf::{Rlhf, prompts, rollout, teacher, trial},
    run::{budget::unlooked_remark, schedule},
};

use crate::protocol::PreflightReport;

/// Pairs whose step-0 margins are computed; spread over the data.
const SAMPLED: usize = 64;
/// Labelled pairs that are tokenised at most, so that a look ahead takes seconds whatever the data.
const LOOKED_AT: usize = 20_000;
/// More sleeping pairs than this share deserve a word.
const MANY_ASLEEP: f64 = 0.3;

/// Whoever asked, and whoever else is at work meanwhile.
pub struct Asker<'a> {
    /// Looked at between the parts of the work: false = cut it short.
    pub wanted: &'a (dyn Fn() -> bool + Sync),
    /// Bytes of this process that will be free when the run goes: another run's, weights loaded to answer with.
    pub others: u64,
}

impl Asker<'_> {
    fn go_on(&self) -> Result<()> {
        if (self.wanted)() { Ok(()) } else { Err(TrainError::CutShort) }
    }
}

/// Loads, tokenises and runs one step of the run that `config` would be, without changing any weight.
pub fn report(project: &Path, config: &RunConfig, asker: &Asker<'_>) -> Result<PreflightReport> {
    let faults: Vec<String> = validate(config).into_iter().map(|(_, s)| s).collect();
    if !faults.is_empty() {
        return Err(TrainError::Settings(faults.join("; ")));
    }
    let why = inputs::open_device(config)?;
    let mut project = Project::open(project)?;
    let probes = project.probes()?;
    // A start refuses rules that make no sense.
    let rules = judging::rules_of(&project, &probes)?;
    let folder = inputs::model_folder(&project, config)?;
    let options = inputs::load_options(config, project.dir());
    let place = device::open(options.device).map_err(PolicyError::from)?.place;
    // All that is held on an accelerator now belongs to others.
    let others = device::memory(&place).map_or(asker.others, |memory| memory.used);
    let free_memory_bytes = process::free_on(&place) + others;
    if config.objective.kind.samples() {
        teacher::find(&project, config, true)?;
    }
    asker.go_on()?;
    let mut policy = Policy::load(&folder, &options)?;
    asker.go_on()?;
    let codec = Codec::load(&folder)?;
    let (data, share) = inputs::sample_of_now(&project, config, LOOKED_AT)?;
    let bounds = Bounds::of(policy.spec());
    let mut dataset = documents::prepare(&data, &codec, config, bounds, &mut |_| {})?;
    asker.go_on()?;
    let mut tick = |_| Ok(if (asker.wanted)() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) });
    if diverse::choose(&mut dataset, &config.objective, (&policy, &codec), &mut project, &mut tick)?.is_break() {
        return Err(TrainError::CutShort);
    }
    let train = &dataset.pairs.train;
    if train.is_empty() {
        return Err(TrainError::NoPairs(dataset.why_empty()));
    }
    let train_pairs = share.carried(train.len());
    let total_steps = Length::of(&config.train, train_pairs).steps;
    let reference = Reference::of(&policy, &codec);
    let (rlhf, of_rewards) = reward_model(&project, config, (&policy, &reference), &dataset)?;
    let mut memory = budget::MemoryLimit::new(config.train.memory_mb, &policy, others);
    memory.expect(rlhf.as_ref().map_or(0, |rlhf| rlhf.later_bytes(&policy)) + later_bytes(config, &policy));
    let mut row_tokens = budget::row_tokens(config.train.micro_batch_tokens, memory, &policy);

    let mut report = PreflightReport {
        model: folder.display().to_string(),
        device: why,
        devices: device::all_present().iter().map(|present| format!("{} ({})", present.choice, present.name)).collect(),
        reference: reference.describe(&config.model),
        arithmetic: inputs::arithmetic(&policy),
        trainable_parameters: policy.trainable_parameters() as u64,
        total_parameters: policy.total_parameters() as u64,
        train_pairs,
        eval_pairs: share.carried(dataset.pairs.eval.len()),
        reference_answers: dataset.references.len(),
        set_aside: dataset.set_aside.clone(),
        tokens: train.iter().map(|pair| pair.doc.tokens() as u64).sum(),
        longest_pair_tokens: train.iter().map(|p| p.doc.tokens()).max().unwrap_or(0),
        cut_answers: train.iter().map(|pair| pair.cut).sum(),
        free_memory_bytes,
        total_steps,
        rejected_answers: negatives::remark(train, config.objective.negatives_max),
        warnings: policy.remarks().iter().cloned().chain(share.remark()).collect(),
        ..PreflightReport::default()
    };
    report.warnings.extend(of_rewards);
    findings::fill(&mut report, &data, &dataset, &codec, &config.data)?;
    let is_fitted = weights::is_fitted(&project, config, &reference, (&dataset, share), total_steps);
    try_row(&mut report, &mut policy, (config, is_fitted), &dataset, &mut row_tokens, &mut memory)?;
    if config.objective.kind.samples() {
        let options = rollout::options(config, 1, codec.stop_ids()).within(Some(memory.for_caches(&policy)));
        try_sampling(&mut report, &policy, config, &dataset, &options, asker)?;
    }
    let asked = (rules.as_ref().map(|(_, rules)| rules), &probes[..]);
    let speaker = (&policy, &codec);
    let measuring = Outlay::of(speaker, config, &dataset, asked, report.secs_a_token, asker.wanted)?;
    report.measuring = measuring.ok_or(TrainError::CutShort)?;
    report.estimated_secs += report.measuring.secs(&config.train, total_steps);
    asker.go_on()?;
    step_zero(&mut report, &mut project, &mut policy, &reference, config, &dataset, asker)?;
    warn(&mut report, config, &dataset);
    Ok(report)
}

/// The reward model that the run would learn from, loaded as the run would, and what is to be said of it. One that is
/// not fitted yet cannot be looked at: the run may wait its turn behind it.
fn reward_model(
    project: &Project,
    config: &RunConfig,
    (policy, reference): (&Policy, &Reference),
    dataset: &Dataset,
) -> Result<(Option<Rlhf>, Vec<String>)> {
    if !config.objective.kind.samples() {
        return Ok((None, Vec::new()));
    }
    let mut warnings: Vec<String> = prompts::remarks(config, dataset, policy.spec().max_positions);
    if teacher::find(project, config, false).is_err() {
        let record = teacher::find(project, config, true)?;
        warnings.push(format!(
            "The reward model of {} (run {}) has no checkpoint yet: this run has to wait its turn behind it, and what the model takes of the memory is not counted here",
            record.name, record.id.0
        ));
        return Ok((None, warnings));
    }
    let (rlhf, opened) = Rlhf::open(project, config, policy, reference, None)?;
    warnings.extend(opened.passed_over());
    Ok((Some(rlhf), warnings))
}

/// Sleeping share and golden values, from the step-0 log-probs of some pairs; these are cached for the run.
fn step_zero(
    report: &mut PreflightReport,
    project: &mut Project,
    policy: &mut Policy,
    reference: &Reference,
    config: &RunConfig,
    dataset: &Dataset,
    asker: &Asker<'_>,
) -> Result<()> {
    let row_tokens = report.memory.row_tokens;
    let objective = Objective::of(&config.objective);
    let train = &dataset.pairs.train;
    let stride = train.len().div_ceil(SAMPLED);
    let sampled: Vec<_> = train.iter().step_by(stride).cloned().collect();
    if config.objective.kind == Method::Reward {
        report.golden = reward::measure::check_start(policy, config, &sampled, row_tokens)?;
        return Ok(());
    }
    let docs: Vec<&Doc> = sampled.iter().map(|pair| &pair.doc).collect();
    let origin = StartWeights::of(policy, config)?;
    let mut source = ReferenceSource { cache: project, policy, origin: &origin, budget: row_tokens };
    let mut on = |_: &Policy, _| if (asker.wanted)() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let Some(found) = reference.log_probs(&mut source, &docs, &mut on)? else {
        return Err(TrainError::CutShort);
    };
    let anchors = sums(&found.log_probs);
    // At step 0 the policy is the reference: one Σ of each answer, as if it were one token's log-prob.
    let asleep = sampled.iter().zip(&anchors).filter(|(pair, sums)| {
        let at_start: Vec<Vec<f32>> = pair
            .doc
            .continuations
            .iter()
            .zip(*sums)
            .map(|(ids, sum)| vec![(sum / ids.len() as f64) as f32; ids.len()])
            .collect();
        judge(&objective, pair, &at_start, sums, None).asleep
    });
    report.asleep = asleep.count() as f64 / sampled.len() as f64;
    match golden::check(policy, &objective, &sampled, &anchors, &|_| None, row_tokens) {
        Ok(golden) => report.golden = golden,
        Err(error) => report.warnings.push(error.to_string()),
    }
    Ok(())
}

/// Tries the largest row: the peak of memory, and the time that the steps of a run take. `is_fitted`: its contrast pair
/// is there already.
fn try_row(
    report: &mut PreflightReport,
    policy: &mut Policy,
    (config, is_fitted): (&RunConfig, bool),
    dataset: &Dataset,
    row_tokens: &mut usize,
    memory: &mut budget::MemoryLimit,
) -> Result<()> {
    let tried = largest_row::try_out(policy, config, dataset, row_tokens, memory, true)?;
    let (references, retention) = largest_row::texts(config, dataset);
    let pairs = &dataset.pairs.train;
    let per_step = config.train.pairs_per_step;
    let of_texts = mean_tokens(references.iter().map(|text| &text.doc)) * per_step.min(references.len()) as f64
        + mean_tokens(retention.iter().map(|text| &text.doc)) * per_step.min(retention.len()) as f64;
    let of_a_pair = mean_tokens(pairs.iter().map(|pair| &pair.doc));
    let secs_a_token = tried.secs_a_token.unwrap_or(0.0);
    let tokens_a_step = if config.objective.kind.samples() {
        // Every update goes over the texts, and none over the answers of the pairs.
        of_texts * (config.rlhf_epochs() * config.rlhf.minibatches) as f64
    } else {
        of_texts + of_a_pair * per_step.min(pairs.len()) as f64
    };
    report.secs_a_token = secs_a_token;
    report.mean_try = tried.mean_try;
    let planned = Planned {
        pairs: report.train_pairs + report.eval_pairs,
        of_a_pair,
        per_step: per_step.min(report.train_pairs),
        steps: report.total_steps,
        is_fitted,
    };
    report.weighing_secs = secs_a_token * kind_of(config).map_or(0.0, |kind| kind.tokens(&planned));
    report.estimated_secs = secs_a_token * tokens_a_step * report.total_steps as f64 + report.weighing_secs;
    report.memory = tried.outlook;
    report.warnings.extend(tried.warnings);
    let too_large = tried.never_fit.pairs.iter().map(|&index| pairs[index].id);
    findings::too_large(report, too_large.collect());
    Ok(())
}

/// Samples as a step does, and adds to the time of a run what its answers take: to be sampled, and to be learnt from.
fn try_sampling(
    report: &mut PreflightReport,
    policy: &Policy,
    config: &RunConfig,
    dataset: &Dataset,
    options: &GenerateOptions,
    asker: &Asker<'_>,
) -> Result<()> {
    let Some(sampling) = trial::sample(policy, config, dataset, options, asker.wanted)? else {
        return Err(TrainError::CutShort);
    };
    let pairs = &dataset.pairs.train;
    let of_prompts: usize = pairs.iter().map(|pair| pair.doc.prefix.len()).sum();
    let a_prompt = of_prompts as f64 / pairs.len().max(1) as f64;
    let tokens = config.train.pairs_per_step as f64 * a_prompt + sampling.tokens;
    let steps = report.total_steps as f64;
    report.sampling_secs = steps * sampling.secs;
    report.estimated_secs += report.sampling_secs + steps * report.secs_a_token * tokens * passes(config);
    Ok(())
}

/// What a token that was sampled costs in forwards with their backwards, each of which is two forwards: the policy's,
/// the reference's and the reward model's word on it, and the updates; the critic has its own word and its own updates.
fn passes(config: &RunConfig) -> f64 {
    let (frozen, updates) = (3.0, 2.0 * config.rlhf_epochs() as f64);
    let critic = if config.objective.kind == Method::Ppo { 1.0 + updates } else { 0.0 };
    (frozen + updates + critic) / 2.0
}

impl PreflightReport {
    /// A run takes up to so many times what one row takes in the mean of its tries: that row is the largest, whose
    /// tokens go quickest; shorter rows, the optimizer and other programs come on top.
    const SLOWER: f64 = 2.0;

    /// Other programs may make it so many times slower in what is told; beyond that nobody knows how long they go on.
    const BUSIEST: f64 = 3.0;

    /// The run takes up to so many times [`PreflightReport::estimated_secs`], unless it is
    /// [`PreflightReport::hindered`].
    pub fn slower(&self) -> f64 {
        Self::SLOWER * self.mean_try.clamp(1.0, Self::BUSIEST)
    }

    /// Other programs leave so little of the processor that the time says only what a run takes without them.
    pub fn hindered(&self) -> bool {
        self.mean_try > Self::BUSIEST
    }

    /// Behind a time, for a run that is [`PreflightReport::hindered`].
    pub const LONGER: &str = ", longer while other programs compute";

    /// "2 to 4 min".
    pub fn time(&self) -> String {
        let time = data::between(self.estimated_secs, self.slower() * self.estimated_secs);
        if self.hindered() { time + Self::LONGER } else { time }
    }

    /// ", 12 s of it for token weights" behind the time, where that is a part of it.
    pub fn parts(&self) -> String {
        let parts = [(self.weighing_secs, "for token weights"), (self.sampling_secs, "to sample answers")];
        let told = parts.iter().filter(|(secs, _)| *secs > 0.0);
        let told: Vec<String> = told.map(|(secs, what)| format!(", {} of it {what}", data::duration(*secs))).collect();
        told.concat()
    }
}

fn mean_tokens<'a>(docs: impl Iterator<Item = &'a Doc>) -> f64 {
    let (count, tokens) = docs.fold((0usize, 0usize), |(n, t), doc| (n + 1, t + doc.tokens()));
    tokens as f64 / count.max(1) as f64
}

/// Sentences that deserve a look.
fn warn(report: &mut PreflightReport, config: &RunConfig, dataset: &Dataset) {
    let warnings = &mut report.warnings;
    if report.asleep > MANY_ASLEEP {
        warnings.push(format!(
            "{:.0} % of the pairs are asleep: their margin at step 0 is so large that they get almost no push. A smaller β, a mean margin or an anchored margin wakes them",
            100.0 * report.asleep
        ));
    }
    warnings.extend(coverage(config, dataset));
    if dataset.pairs.eval.is_empty() {
        warnings.push(
            "No pairs are held out, so nothing shows whether the preference carries over to new prompts".to_owned(),
        );
    }
    if !report.set_aside.is_empty() {
        warnings.push(format!("{} labelled pairs are set aside and will not be trained on", report.set_aside.len()));
    }
    warnings.extend(schedule::critic_remark(config, report.total_steps));
    warnings.extend(unlooked_remark(&config.train));
    warnings.extend(schedule::warm_up_remark(&config.optimizer, report.total_steps));
}
