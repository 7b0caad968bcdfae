//! `nudge bench`: some training steps with the engine's own parts, measured.
//!
//! A step here is what a run's step is (rows packed to the same budget, one forward and backward a row, one update),
//! without a project around it: `shapes` gives models and pairs when none are named, `timed` breaks the step down by
//! part, `peak` says how fast the machine could be, `report` puts it together. `generation` measures answers instead.

mod generation;
mod peak;
mod report;
mod shapes;
mod timed;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use generation::{GenerationCase, GenerationReport, generation};
pub use peak::MatmulPeak;
pub use report::{BenchReport, ModelReport, PartReport};
pub use shapes::Shape;

use self::timed::{Part, Phase, Stopwatch, Timed};
use super::{
    batches::PairDoc,
    budget,
    error::{EngineError, Result},
    memory,
    reference::{Sums, sum},
    rows::{Packed, pack},
    score::{IdPair, read_batch_file},
    step::judge,
};
use crate::{
    data::{
        PairId, Prompt, PromptKey,
        config::{ObjectiveConfig, TokenBudget},
    },
    model::{AdamW, AdamWOptions, Doc, LoadOptions, Policy, PolicyError, init},
    objective::{Objective, TokenMean},
    text::Start,
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
    let watch = Arc::new(Stopwatch::default());
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
        return Err(EngineError::Sentence("There are no pairs to step on".to_owned()));
    };
    let mut bench = Bench::new(policy, &pairs, options, watch)?;
    if options.objective.margin().is_anchored() {
        on_phase("Computing step-0 log-probs");
        bench.anchor()?;
    }

    let load_peak = memory::peak_resident_bytes();
    let before = memory::resident_bytes();
    let peak = memory::PeakWatch::start().map_err(EngineError::io("watch", "memory"))?;
    let mut steps = Vec::with_capacity(options.steps);
    let mut losses = Vec::with_capacity(rounds);
    let mut cpu = 0.0;
    for step in 0..rounds {
        on_phase(&format!("Step {} of {rounds}", step + 1));
        if step == options.warmup {
            bench.watch.reset();
            bench.data = Duration::ZERO;
            cpu = memory::processor_secs();
        }
        let done = bench.step(step)?;
        losses.push(done.loss);
        if step >= options.warmup {
            steps.push(done);
        }
    }
    let cpu = memory::processor_secs() - cpu;
    let (step_peak, _) = peak.finish();

    on_phase("Measuring the matmul peak");
    let rows = steps.iter().map(|step| step.longest_row.0).max();
    let matmul = peak::measure(
        kernels.as_ref(),
        bench.policy.spec(),
        rows.unwrap_or(1),
        bench.policy.weight_dtype(),
        bench.policy.device(),
    )?;
    Ok(bench.report(name, &steps, losses, cpu, &matmul, Held { load_peak, before, step_peak }))
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
            let folder = tempfile::tempdir().map_err(EngineError::io("make", Path::new("a temporary folder")))?;
            init::write_random(folder.path(), &shape.spec()?, SEED)?;
            on_phase("Loading the model");
            let policy = Policy::load(folder.path(), options)?;
            Ok((shape.name().to_owned(), policy))
        }
    }
}

/// Bytes held: the most while loading, before the steps, the most in a step.
struct Held {
    load_peak: u64,
    before: u64,
    step_peak: u64,
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

/// A pair, or the reference answer that goes with it.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Pair(usize),
    Reference,
}

struct Bench<'a> {
    options: &'a BenchOptions,
    policy: Policy,
    optimizer: AdamW,
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
        Ok(Self {
            row_tokens: budget::row_tokens(options.micro_batch_tokens, budget::Room::new(None, &policy, 0), &policy),
            references: pairs.iter().map(reference_doc).collect(),
            anchors: vec![Vec::new(); pairs.len()],
            pairs: (0..).zip(pairs).map(pair_doc).collect(),
            reference_secs: None,
            data: Duration::ZERO,
            options,
            policy,
            optimizer,
            watch,
        })
    }

    /// Step-0 log-probs of the pairs that will be met, as a run has them cached.
    fn anchor(&mut self) -> Result<()> {
        let met = self.pairs.len().min((self.options.warmup + self.options.steps) * self.options.pairs_per_step);
        let started = Instant::now();
        let docs = self.pairs.iter().map(|pair| &pair.doc).take(met);
        for packed in pack(docs.enumerate(), self.row_tokens).map_err(PolicyError::from)? {
            let log_probs = self.policy.log_probs(&packed.row)?;
            for (index, answers) in packed.by_owner(&log_probs) {
                self.anchors[index] = answers.iter().map(|values| sum(values)).collect();
            }
        }
        self.reference_secs = Some(started.elapsed().as_secs_f64() / met as f64);
        Ok(())
    }

    /// One optimizer step on the next pairs; after the last one the first comes again.
    fn step(&mut self, step: usize) -> Result<Stepped> {
        let started = Instant::now();
        let per_step = self.options.pairs_per_step;
        let chosen: Vec<usize> =
            (step * per_step..(step + 1) * per_step).map(|index| index % self.pairs.len()).collect();
        let weight = self.options.objective.reference_weight();
        let references: Vec<&Doc> = if weight > 0.0 {
            chosen.iter().filter_map(|&i| self.references[i].as_ref()).collect()
        } else {
            Vec::new()
        };
        let mean = TokenMean { weight, tokens: references.iter().map(|doc| doc.answer_tokens()).sum() };
        let docs = chosen
            .iter()
            .map(|&i| (Owner::Pair(i), &self.pairs[i].doc))
            .chain(references.into_iter().map(|doc| (Owner::Reference, doc)));
        let rows = pack(docs, self.row_tokens).map_err(PolicyError::from)?;
        self.data += started.elapsed();

        let watch = Arc::clone(&self.watch);
        watch.time(Part::Optimizer, || self.policy.gradients().zero()).map_err(PolicyError::from)?;
        let mut done = Stepped {
            secs: 0.0,
            loss: 0.0,
            tokens: chosen.iter().map(|&i| counted_tokens(&self.pairs[i].doc)).sum(),
            computed: 0,
            longest_row: (0, 0),
            recomputed_blocks: 0,
        };
        for packed in &rows {
            self.micro_batch(packed, per_step, mean, &mut done)?;
        }
        let squared = watch.time(Part::Optimizer, || self.policy.gradients().norm_squared());
        let norm = squared.map_err(PolicyError::from)?.sqrt();
        let scale = if norm > MAX_GRAD_NORM { MAX_GRAD_NORM / norm } else { 1.0 };
        self.policy.update(&mut self.optimizer, LEARNING_RATE, scale)?;
        done.secs = started.elapsed().as_secs_f64();
        Ok(done)
    }

    fn micro_batch(&mut self, packed: &Packed<Owner>, pairs: usize, mean: TokenMean, done: &mut Stepped) -> Result<()> {
        let objective = Objective::of(&self.options.objective);
        self.watch.enter(Phase::Forward);
        let pass = self.policy.forward(&packed.row)?;
        let mut coefficients = Vec::with_capacity(packed.row.scored().len());
        for (owner, answers) in packed.by_owner(pass.log_probs()) {
            match owner {
                Owner::Pair(index) => {
                    let term = judge(&objective, &self.pairs[index], answers, &self.anchors[index]);
                    coefficients.extend(term.coefficients(pairs));
                    done.loss += term.loss / pairs as f64;
                }
                Owner::Reference => {
                    done.loss += mean.term(answers.iter().map(|values| sum(values)).sum());
                    coefficients.push(mean.coefficient());
                }
            }
        }
        done.computed += packed.row.tokens();
        done.recomputed_blocks = done.recomputed_blocks.max(pass.recomputed_blocks());
        let size = (packed.row.tokens(), packed.row.answer_tokens());
        done.longest_row = done.longest_row.max(size);
        self.watch.enter(Phase::Backward);
        self.policy.backward(pass, &coefficients)?;
        Ok(())
    }
}

fn pair_doc((index, pair): (i64, &IdPair)) -> PairDoc {
    PairDoc {
        id: PairId(index),
        doc: Doc { prefix: pair.prompt.clone(), continuations: vec![pair.chosen.clone(), pair.rejected.clone()] },
        certainty: 1.0,
        reward: 1.0,
        behaviour: 1.0,
        cut: 0,
        start: Start::AtBorder,
        prompt: PromptKey::of(&Prompt::Text(String::new())),
    }
}

fn reference_doc(pair: &IdPair) -> Option<Doc> {
    let (prompt, completion) = (pair.sft_prompt.as_ref()?, pair.sft_completion.as_ref()?);
    (!prompt.is_empty() && !completion.is_empty())
        .then(|| Doc { prefix: prompt.clone(), continuations: vec![completion.clone()] })
}

/// Tokens of a pair as two sequences.
fn counted_tokens(doc: &Doc) -> usize {
    doc.continuations.len() * doc.prefix.len() + doc.answer_tokens()
}
