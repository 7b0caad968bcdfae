//! One optimizer step, the same whoever asks for it: a run, `nudge bench`, the comparison with PyTorch, the demo's
//! lessons.
//!
//! It knows rows, a loss and a policy. Where the rows come from, what becomes of the numbers and who may interrupt it
//! is the caller's.

use std::ops::ControlFlow;

use data::{MEGABYTE, megabytes};
use model::{AdamW, Policy, PolicyError, Row};

use crate::{
    dataset::packing::Packed,
    error::{Result, TrainError},
    memory::{budget::MemoryLimit, process},
};

/// A policy that is trained, and its optimizer.
pub struct Trainer {
    pub policy: Policy,
    pub optimizer: AdamW,
    /// What rows may hold, looked at before each of them; absent = whatever they take.
    pub memory: Option<MemoryLimit>,
}

/// What a step works on, and how far it goes. `K` names a document.
#[derive(Clone, Copy)]
pub struct Plan<'a, K> {
    /// Counted from 1: the dropout masks depend on it.
    pub step: u64,
    /// The micro-batches.
    pub rows: &'a [Packed<K>],
    pub learning_rate: f64,
    /// A longer gradient is scaled to this norm; 0 = never.
    pub max_grad_norm: f64,
}

/// What a step makes smaller: a function of the log-probs of its documents' answers.
pub trait Loss<K> {
    /// Takes in `log_probs`, log π_θ by answer and token of one document, and writes ∂loss/∂(each of them).
    fn add(&mut self, document: K, log_probs: &[Vec<f32>], slopes: &mut Slopes);

    /// Of the documents that were added.
    fn value(&self) -> f64;
}

/// ∂loss/∂(log-prob) of each scored token of a row, in the row's order.
#[derive(Default)]
pub struct Slopes(Vec<f32>);

impl Slopes {
    /// The next answer's tokens, all with the same slope.
    pub fn answer(&mut self, slope: f32, tokens: usize) {
        self.0.extend(std::iter::repeat_n(slope, tokens));
    }

    #[cfg(test)]
    pub(crate) fn into_values(self) -> Vec<f32> {
        self.0
    }

    /// The next answer's tokens, each with its own.
    pub fn tokens(&mut self, slopes: impl IntoIterator<Item = f32>) {
        self.0.extend(slopes);
    }
}

/// Called before each micro-batch with the weights as they are; `Break` = stop now. Its error is the micro-batch's own.
pub type Tick<'a> = dyn FnMut(&mut Policy) -> Result<ControlFlow<()>> + 'a;

/// How a step ended.
pub enum StepEnd<K, T = StepDone> {
    Done(T),
    /// Stopped between micro-batches: the weights are what they were.
    Stopped,
    /// A row did not fit the memory there is: the weights are what they were.
    OutOfMemory {
        error: TrainError,
        /// The row's document, when it is the only one.
        alone: Option<K>,
    },
}

impl<K, T> StepEnd<K, T> {
    /// What was done, where everything else is an error.
    pub fn done(self) -> Result<T> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Stopped => Err(TrainError::Sentence("The step was stopped".to_owned())),
            Self::OutOfMemory { error, .. } => Err(error),
        }
    }

    /// What came of a row, or that it found no memory. `alone`: its document, where that is the only one.
    pub fn of_row(read: Result<T>, alone: Option<K>) -> Result<Self> {
        match read {
            Ok(done) => Ok(Self::Done(done)),
            Err(error) if error.is_out_of_memory() => Ok(Self::OutOfMemory { error, alone }),
            Err(error) => Err(error),
        }
    }

    /// What was done, or how something larger ends with it.
    pub fn or_end<U>(self) -> std::result::Result<T, StepEnd<K, U>> {
        Err(match self {
            Self::Done(done) => return Ok(done),
            Self::Stopped => StepEnd::Stopped,
            Self::OutOfMemory { error, alone } => StepEnd::OutOfMemory { error, alone },
        })
    }
}

/// For whoever never stops a step.
pub fn go_on(_: &mut Policy) -> Result<ControlFlow<()>> {
    Ok(ControlFlow::Continue(()))
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDone {
    /// Before clipping.
    pub gradient_norm: f64,
    /// False where loss or gradient is no number: the weights are what they were.
    pub updated: bool,
    pub passes: Passes,
}

/// What the rows of a step came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passes {
    /// Tokens computed, a shared prompt once.
    pub tokens: usize,
    /// Blocks whose forward ran again in the backward, in the row where they were most.
    pub recomputed_blocks: usize,
}

impl Trainer {
    /// How many bytes of this process are held for others than what is trained.
    pub fn set_others(&mut self, bytes: u64) {
        if let Some(memory) = &mut self.memory {
            memory.set_others(bytes);
        }
    }

    /// Bytes that this process holds for what is trained, where the policy lives.
    pub fn used_bytes(&self) -> u64 {
        let policy = &self.policy;
        self.memory.map_or_else(|| process::used_on(policy.place()), |memory| memory.used(policy))
    }

    /// Forward and backward through every row, then one update.
    pub fn step<K: Copy>(
        &mut self,
        plan: Plan<'_, K>,
        loss: &mut dyn Loss<K>,
        tick: &mut Tick<'_>,
    ) -> Result<StepEnd<K>> {
        let passes = match gradient(&mut self.policy, self.memory, plan.step, plan.rows, loss, tick)? {
            StepEnd::Done(passes) => passes,
            StepEnd::Stopped => return Ok(StepEnd::Stopped),
            StepEnd::OutOfMemory { error, alone } => return Ok(StepEnd::OutOfMemory { error, alone }),
        };
        let squared = self.policy.gradients().norm_squared();
        let gradient_norm = squared.map_err(PolicyError::from)?.sqrt();
        let updated = gradient_norm.is_finite() && loss.value().is_finite();
        if updated {
            let limit = plan.max_grad_norm;
            let scale = if limit > 0.0 && gradient_norm > limit { limit / gradient_norm } else { 1.0 };
            self.policy.update(&mut self.optimizer, plan.learning_rate, scale)?;
        }
        Ok(StepEnd::Done(StepDone { gradient_norm, updated, passes }))
    }
}

/// The gradient of a loss over some rows, into [`Policy::gradients`], with no update.
pub fn gradient<K: Copy>(
    policy: &mut Policy,
    memory: Option<MemoryLimit>,
    step: u64,
    rows: &[Packed<K>],
    loss: &mut dyn Loss<K>,
    tick: &mut Tick<'_>,
) -> Result<StepEnd<K, Passes>> {
    policy.gradients().zero().map_err(PolicyError::from)?;
    let mut passes = Passes::default();
    for (index, packed) in (0u64..).zip(rows) {
        policy.set_noise(step << 20 | index);
        let done = match tick(policy) {
            Ok(ControlFlow::Break(())) => return Ok(StepEnd::Stopped),
            ticked => ticked
                .and_then(|_| memory.map_or(Ok(()), |memory| fit_memory(policy, memory, &packed.row)))
                .and_then(|()| micro_batch(policy, packed, loss, &mut passes)),
        };
        if let Err(end) = StepEnd::of_row(done, packed.alone())?.or_end() {
            return Ok(end);
        }
    }
    Ok(StepEnd::Done(passes))
}

/// Looks whether the row fits the memory there is; blocks that do not fit will run their forward again.
pub(crate) fn fit_memory(policy: &mut Policy, memory: MemoryLimit, row: &Row) -> Result<()> {
    let memory = memory.now(policy);
    policy.set_room(memory);
    let tokens = row.tokens();
    let needed = policy.least_row_bytes(tokens, row.answer_tokens());
    if needed <= memory {
        return Ok(());
    }
    Err(TrainError::OutOfMemory { tokens, needed_mb: megabytes(needed), limit_mb: memory / MEGABYTE })
}

/// One row forward, the loss's word on each document, and backward.
fn micro_batch<K: Copy>(
    policy: &mut Policy,
    packed: &Packed<K>,
    loss: &mut dyn Loss<K>,
    passes: &mut Passes,
) -> Result<()> {
    let pass = policy.forward(&packed.row)?;
    let mut slopes = Slopes(Vec::with_capacity(packed.row.answer_tokens()));
    for (document, log_probs) in packed.by_owner(pass.log_probs()) {
        loss.add(document, log_probs, &mut slopes);
    }
    passes.tokens += packed.row.tokens();
    passes.recomputed_blocks = passes.recomputed_blocks.max(pass.recomputed_blocks());
    Ok(policy.backward_tokens(pass, &slopes.0)?)
}
