//! `nudge bench`: some training steps with the engine's own parts, measured.
//!
//! A step here is a run's own ([`Trainer::step`] on a [`Batch`]), without a project around it: `shapes` gives models
//! and pairs when none are named, `timed` breaks the step down by part, `peak` says how fast the machine could be,
//! `report` puts it together. `generation` measures answers instead.

mod generation;
mod peak;
mod report;
mod shapes;
mod timed;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use generation::{GenerationCase, GenerationReport, generation};
pub use peak::MatmulPeak;
pub use report::{BenchReport, DeviceReport, KernelReport, ModelReport, PartReport};
pub use shapes::Shape;

use data::{
    PairId,
    config::{ObjectiveConfig, TokenBudget},
};
use kernels::{Place, device, gpu::KernelTime};
use model::{AdamW, AdamWOptions, Doc, LoadOptions, Policy, PolicyError, init};

use self::timed::{Phase, Stopwatch, Timed};
use crate::{
    dataset::documents::PairDoc,
    error::{Result, TrainError},
    loss::{Batch, BatchLoss, StepDoc, Texts},
    measure::{
        log_probs::{Sums, all_log_probs, sums},
        score::{IdPair, read_batch_file},
    },
    memory::{budget, process},
    objective::Objective,
    step::{Loss, Plan, Slopes, Trainer},
};

/// Learning rate of the measured steps, small and constant.
const LEARNING_RATE: f64 = 1e-4;
/// Gradients are clipped to this norm.
const MAX_GRAD_NORM: f64 = 1.0;
const SEED: u64 = 0;

/// What is measured.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    pub model: BenchModel,
    /// Pairs as token ids; random ones when absent.
    pub batch_file: Option<PathBuf>,
    pub pairs_per_step: usize,
    pub micro_batch_tokens: TokenBudget,
    pub objective: ObjectiveConfig,
    pub load: LoadOptions,
    /// Steps before the measured ones.
    pub warmup: usize,
    pub steps: usize,
}

/// The model that is trained.
#[derive(Debug, Clone)]
pub enum BenchModel {
    /// Random weights.
    Shape(Shape),
    /// A Hugging Face folder.
    Folder(PathBuf),
}

/// Loads, steps, measures, on the current pool. `on_phase` hears what is being done.
pub fn run(options: &BenchOptions, on_phase: &mut dyn FnMut(&str)) -> Result<BenchReport> {
    on_phase("Loading the model");
    let (name, mut policy) = load(&options.model, &options.load, on_phase)?;
    let watch = Arc::new(Stopwatch::new(policy.place().clone()));
    let kernels = Arc::clone(policy.kernels());
    policy.wrap_kernels(|kernels| Arc::new(Timed::new(kernels, Arc::clone(&watch))));

    let rounds = options.warmup + options.steps;
    let pairs = if let Some(file) = &options.batch_file {
        read_batch_file(file)?
    } else {
        let vocabulary = policy.spec().vocab_size;
        shapes::random_pairs(rounds * options.pairs_per_step, vocabulary, SEED)
    };
    let (Some(_), 1..) = (pairs.first(), options.pairs_per_step) else {
        return Err(TrainError::Sentence("There are no pairs to step on".to_owned()));
    };
    let mut bench = Bench::new(policy, &pairs, options, watch)?;
    if options.objective.margin().is_anchored() {
        on_phase("Computing step-0 log-probs");
        bench.anchor()?;
    }

    let place = bench.trainer.policy.place().clone();
    let on_device = || device::memory(&place).map(|memory| memory.peak);
    let host_peak = process::peak_resident_bytes();
    let load_peak = on_device().unwrap_or(host_peak);
    let before = process::used_on(&place);
    device::forget_peak(&place);
    let peak = process::PeakWatch::start().map_err(TrainError::io("watch", "memory"))?;
    let mut steps = Vec::with_capacity(options.steps);
    let mut losses = Vec::with_capacity(rounds);
    let mut cpu = 0.0;
    for step in 0..rounds {
        on_phase(&format!("Step {} of {rounds}", step + 1));
        if step == options.warmup {
            bench.watch.reset();
            bench.data = Duration::ZERO;
            cpu = process::processor_secs();
        }
        let done = bench.step(step)?;
        losses.push(done.loss);
        if step >= options.warmup {
            steps.push(done);
        }
    }
    let cpu = process::processor_secs() - cpu;
    let (host_step_peak, _) = peak.finish();
    let step_peak = on_device().unwrap_or(host_step_peak);
    let host_peak = on_device().map(|_| host_peak.max(host_step_peak));

    on_phase("Measuring the matmul peak");
    let rows = steps.iter().map(|step| step.longest_row.0).max();
    let matmul = peak::measure(
        kernels.as_ref(),
        bench.trainer.policy.spec(),
        rows.unwrap_or(1),
        bench.trainer.policy.weight_dtype(),
        bench.trainer.policy.place(),
    )?;
    let held = Held { load_peak, before, step_peak, host_peak };
    let mut report = bench.report(name, &steps, losses, cpu, &matmul, held);
    on_phase("Timing each shader");
    match bench.watched_step(rounds)? {
        Ok(times) => report.kernels = KernelReport::of(&times, matmul.square_gflops),
        Err(why) => report.no_kernels = Some(why),
    }
    Ok(report)
}

/// Reads the folder, or writes random weights to one that is gone right after.
fn load(model: &BenchModel, options: &LoadOptions, on_phase: &mut dyn FnMut(&str)) -> Result<(String, Policy)> {
    match model {
        BenchModel::Folder(folder) => {
            let name = folder.display().to_string();
            Ok((name, Policy::load(folder, options)?))
        }
        BenchModel::Shape(shape) => {
            on_phase("Drawing random weights");
            let folder = tempfile::tempdir().map_err(TrainError::io("make", Path::new("a temporary folder")))?;
            init::write_random(folder.path(), &shape.spec()?, SEED)?;
            on_phase("Loading the model");
            let policy = Policy::load(folder.path(), options)?;
            Ok((shape.name().to_owned(), policy))
        }
    }
}

/// Bytes held where the model lies: the most while loading, before the steps, the most in a step; and the most that the
/// process held in the machine's memory, where that is another.
struct Held {
    load_peak: u64,
    before: u64,
    step_peak: u64,
    host_peak: Option<u64>,
}

/// One measured step.
struct Stepped {
    secs: f64,
    loss: f64,
    /// Without sharing, as others count them.
    tokens: usize,
    computed: usize,
    longest_row: (usize, usize),
    recomputed_blocks: usize,
}

struct Bench<'a> {
    options: &'a BenchOptions,
    trainer: Trainer,
    watch: Arc<Stopwatch>,
    pairs: Vec<PairDoc>,
    references: Vec<Option<Doc>>,
    /// Σ log-probs at step 0; empty where the margin has no anchor.
    anchors: Sums,
    reference_secs: Option<f64>,
    row_tokens: usize,
    /// Time spent on packing.
    data: Duration,
}

impl<'a> Bench<'a> {
    fn new(policy: Policy, pairs: &[IdPair], options: &'a BenchOptions, watch: Arc<Stopwatch>) -> Result<Self> {
        let optimizer = AdamW::new(policy.parameters(), AdamWOptions::default())?;
        let memory = budget::MemoryLimit::new(None, &policy, 0);
        Ok(Self {
            row_tokens: budget::row_tokens(options.micro_batch_tokens, memory, &policy),
            references: pairs.iter().map(reference_doc).collect(),
            anchors: vec![Vec::new(); pairs.len()],
            pairs: (0..).zip(pairs).map(pair_doc).collect(),
            reference_secs: None,
            data: Duration::ZERO,
            trainer: Trainer { policy, optimizer, memory: Some(memory) },
            options,
            watch,
        })
    }

    /// Step-0 log-probs of the pairs that will be met, as a run has them cached.
    fn anchor(&mut self) -> Result<()> {
        let met = self.pairs.len().min((self.options.warmup + self.options.steps) * self.options.pairs_per_step);
        let started = Instant::now();
        let docs: Vec<&Doc> = self.pairs.iter().map(|pair| &pair.doc).take(met).collect();
        let at_start = sums(&all_log_probs(&self.trainer.policy, &docs, self.row_tokens)?);
        self.anchors[..met].clone_from_slice(&at_start);
        self.reference_secs = Some(started.elapsed().as_secs_f64() / met as f64);
        Ok(())
    }

    /// One optimizer step on the next pairs, the one that a run makes; after the last pair the first comes again.
    fn step(&mut self, step: usize) -> Result<Stepped> {
        let started = Instant::now();
        let batch = self.batch(step)?;
        self.data += started.elapsed();

        let Self { options, trainer, watch, pairs, anchors, .. } = self;
        let at_start = |index: usize| anchors[index].as_slice();
        let loss = BatchLoss::new(&batch, Objective::of(&options.objective), pairs, &at_start);
        let mut loss = Watched { loss, watch };
        let plan = Plan {
            step: step as u64 + 1,
            rows: &batch.rows,
            learning_rate: LEARNING_RATE,
            max_grad_norm: MAX_GRAD_NORM,
        };
        let mut tick = |_: &mut Policy| {
            watch.enter(Phase::Forward);
            Ok(ControlFlow::Continue(()))
        };
        let done = trainer.step(plan, &mut loss, &mut tick)?.done()?;
        let sizes = batch.rows.iter().map(|packed| (packed.row.tokens(), packed.row.answer_tokens()));
        Ok(Stepped {
            secs: started.elapsed().as_secs_f64(),
            loss: loss.value(),
            tokens: batch.pairs.iter().map(|&index| counted_tokens(&pairs[index].doc)).sum(),
            computed: done.passes.tokens,
            longest_row: sizes.max().unwrap_or_default(),
            recomputed_blocks: done.passes.recomputed_blocks,
        })
    }

    /// One more step, in which a graphics card times each of its shaders; a sentence where it has no clock.
    fn watched_step(&mut self, step: usize) -> Result<Result<Vec<KernelTime>, String>> {
        let Place::Gpu(card) = self.trainer.policy.place().clone() else { return Ok(Ok(Vec::new())) };
        if let Err(error) = card.watch() {
            return Ok(Err(error.to_string()));
        }
        self.step(step)?;
        Ok(Ok(card.watched().map_err(PolicyError::from)?))
    }

    fn batch(&self, step: usize) -> Result<Batch> {
        let per_step = self.options.pairs_per_step;
        let pairs: Vec<(usize, &Doc)> = (step * per_step..(step + 1) * per_step)
            .map(|index| index % self.pairs.len())
            .map(|index| (index, &self.pairs[index].doc))
            .collect();
        let weight = self.options.objective.reference_weight();
        let references = pairs.iter().filter_map(|&(index, _)| Some((index, self.references[index].as_ref()?)));
        let docs = if weight > 0.0 { references.collect() } else { Vec::new() };
        Batch::pack(&pairs, &Texts { weight, docs }, &Texts::default(), self.row_tokens)
    }
}

/// A loss whose word on a row is where its forward ends and its backward begins.
struct Watched<'a> {
    loss: BatchLoss<'a>,
    watch: &'a Stopwatch,
}

impl Loss<StepDoc> for Watched<'_> {
    fn add(&mut self, part: StepDoc, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        self.watch.enter(Phase::Backward);
        self.loss.add(part, log_probs, slopes);
    }

    fn value(&self) -> f64 {
        self.loss.value()
    }
}

fn pair_doc((index, pair): (i64, &IdPair)) -> PairDoc {
    let continuations = vec![pair.chosen.clone(), pair.rejected.clone()];
    PairDoc::certain(PairId(index), Doc::new(pair.prompt.clone(), continuations))
}

fn reference_doc(pair: &IdPair) -> Option<Doc> {
    let (prompt, completion) = (pair.sft_prompt.as_ref()?, pair.sft_completion.as_ref()?);
    (!prompt.is_empty() && !completion.is_empty()).then(|| Doc::new(prompt.clone(), vec![completion.clone()]))
}

/// Tokens of a pair as two sequences.
fn counted_tokens(doc: &Doc) -> usize {
    doc.continuations.len() * doc.prefix.len() + doc.answer_tokens()
}
