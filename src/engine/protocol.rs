//! What crosses the thread border: [`Request`] goes in, [`Event`] comes out. Plain data, no tensors, no egui.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use crate::{
    data::{
        Flaw, PairId, Prompt,
        config::{Knob, RunConfig},
    },
    store::RunId,
};
pub use crate::{
    export::{Layout, MergedOptions, OnPhase, Part, Proof, Stored, What},
    store::{Arithmetic, LogLevel},
};

/// Names one question to the engine, so that a late answer can be told from a current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// What the window or the command line asks of the engine.
#[derive(Debug, Clone)]
pub enum Request {
    /// Queue a run that the project already records (config, data revision). It goes on from its newest checkpoint, or from
    /// that of the step that `from` names, 0 being its beginning; what it measured and saved later is then dropped.
    Train { project: PathBuf, run: RunId, from: Option<u64>, control: Arc<RunControl> },
    /// Take a run out of the queue; [`Event::Finished`] says so. One that has begun meanwhile is stopped.
    Withdraw { run: RunId },
    /// The order of the runs that wait. Those that are not named come last, as they were.
    Reorder { runs: Vec<RunId> },
    /// Change a setting of the running run from the next step on.
    Turn { run: RunId, knob: Knob },
    /// Write a checkpoint at the next step border.
    Checkpoint { run: RunId },
    /// What is to become of a checkpoint that could not be written, after [`Event::SaveFailed`].
    Settle { run: RunId, answer: SaveAnswer },
    /// Sample an answer; tokens are streamed as [`Event::Token`].
    Generate { request: RequestId, source: Weights, prompt: Prompt, sampling: Sampling, control: Arc<RunControl> },
    /// Everything that can be known before a start.
    Preflight { request: RequestId, project: PathBuf, config: Box<RunConfig> },
    /// Drop loaded models and finish.
    Shutdown,
}

/// An export of a run, as a form or a command line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOrder {
    /// The project's folder.
    pub project: PathBuf,
    pub run: RunId,
    pub which: Which,
    pub what: What,
    /// A new folder, or a file for a report.
    pub to: PathBuf,
    /// An earlier export of ours there, or any file in the place of a report, may be replaced.
    pub overwrite: bool,
}

/// Which of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Newest,
    Step(u64),
    /// The evaluation with the lowest held-out loss.
    Best,
}

/// An export that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The step of the weights, or the last one that a report tells of.
    pub step: u64,
    /// What the files were checked with; a report has nothing to check.
    pub proof: Option<Proof>,
    /// Why it is not the newest checkpoint: sentences, none where it is or another one was asked for.
    pub passed_over: Vec<String>,
}

/// Which weights answer a [`Request::Generate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// The model folder as it is on disk, with a PEFT adapter on top if one is named.
    Model { folder: PathBuf, adapter: Option<PathBuf> },
    /// A run's checkpoint; `step` absent = the newest, or the weights in memory if the run is going.
    Run { project: PathBuf, run: RunId, step: Option<u64> },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 = greedy.
    pub temperature: f64,
    /// 1 = off.
    pub top_p: f64,
    /// 0 = off.
    pub top_k: usize,
    /// 0 = off.
    pub min_p: f64,
    /// 1 = off.
    pub repetition_penalty: f64,
    /// Any of these texts ends an answer, which is cut before it.
    pub stop: Vec<String>,
    pub max_new_tokens: usize,
    pub seed: u64,
    /// Go on past the end of the turn, up to `max_new_tokens`.
    pub ignore_eos: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            stop: Vec::new(),
            max_new_tokens: 256,
            seed: 0,
            ignore_eos: false,
        }
    }
}

/// What to do about a checkpoint that could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveAnswer {
    TryAgain,
    /// Into a folder in this one, and the later ones as well.
    Elsewhere(PathBuf),
    /// Without this checkpoint; the next one is tried when it is due.
    GoOn,
}

/// Read by the engine every micro-batch; shared with whoever started the run.
#[derive(Debug, Default)]
pub struct RunControl {
    stop: AtomicBool,
    pause: AtomicBool,
}

impl RunControl {
    /// End within one micro-batch, with a checkpoint of the last finished step.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub fn set_paused(&self, paused: bool) {
        self.pause.store(paused, Ordering::Release);
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub fn paused(&self) -> bool {
        self.pause.load(Ordering::Acquire)
    }
}

/// Name and value, in the order they are to be shown. Names are TRL's (`rewards/margins`, `eval_rewards/accuracies`, `kl/ref`).
/// A value that is NaN or infinite is kept as it is: it says where a run went wrong.
pub type Metrics = Vec<(String, f64)>;

/// What the engine reports. Every event names the run or request it belongs to.
#[derive(Debug, Clone)]
pub enum Event {
    /// What a run is busy with before or between steps, e.g. "Computing reference log-probs", with its share done.
    Phase {
        run: RunId,
        what: String,
        fraction: Option<f32>,
    },
    Started {
        run: RunId,
        first_step: u64,
        total_steps: u64,
        arithmetic: Arithmetic,
    },
    Step {
        run: RunId,
        step: u64,
        total_steps: u64,
        metrics: Metrics,
        eta_secs: Option<f64>,
    },
    Evaluated {
        run: RunId,
        step: u64,
        metrics: Metrics,
    },
    /// A probe prompt was answered with the weights of `step`.
    Sampled {
        run: RunId,
        step: u64,
        probe: usize,
        answer: String,
    },
    Saved {
        run: RunId,
        step: u64,
    },
    /// A knob was turned, data was set aside, a step was refused: what the run's log shows.
    Logged {
        run: RunId,
        step: u64,
        level: LogLevel,
        text: String,
        /// Drawn on the charts as well: it explains a bend in them.
        mark: bool,
    },
    Paused {
        run: RunId,
        step: u64,
    },
    Continued {
        run: RunId,
        step: u64,
    },
    /// The run rests because of this, e.g. while an answer is written between two of its micro-batches; absent = it trains
    /// again.
    Resting {
        run: RunId,
        why: Option<String>,
    },
    /// A checkpoint could not be written. The run rests with its weights in memory until [`Request::Settle`]; asked to stop,
    /// it tries once more and ends. [`Event::Continued`] follows every answer.
    SaveFailed {
        run: RunId,
        step: u64,
        /// A sentence.
        error: String,
    },
    Finished {
        run: RunId,
        outcome: Outcome,
    },
    Token {
        request: RequestId,
        text: String,
    },
    Generated {
        request: RequestId,
        answer: Generated,
    },
    Preflight {
        request: RequestId,
        report: Box<PreflightReport>,
    },
    Failed {
        request: RequestId,
        error: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    /// Asked to stop; the last checkpoint is at `step`.
    Stopped {
        step: u64,
    },
    /// A sentence: what happened, to what, what to do. Nothing already saved is lost.
    Failed {
        error: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    pub prompt_ids: Vec<u32>,
    pub ids: Vec<u32>,
    pub text: String,
    pub stopped_by: StoppedBy,
    /// After the first token; all answers of one question together.
    pub tokens_per_sec: f64,
    /// Of the prompts, until the first token came.
    pub prompt_tokens_per_sec: f64,
    /// Why the weights are not those of the newest checkpoint, where that was asked for: sentences, none where they are.
    pub passed_over: Vec<String>,
}

impl Generated {
    /// What there is of an answer that was stopped before it began.
    pub fn cancelled() -> Self {
        Self {
            prompt_ids: Vec::new(),
            ids: Vec::new(),
            text: String::new(),
            stopped_by: StoppedBy::Cancelled,
            tokens_per_sec: 0.0,
            prompt_tokens_per_sec: 0.0,
            passed_over: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoppedBy {
    /// The model ended its turn.
    Eos,
    /// One of the stop texts; the answer is cut before it.
    Stop,
    /// `max_new_tokens`.
    Limit,
    /// The model's context is full.
    Context,
    Cancelled,
}

/// What is known before the first step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PreflightReport {
    pub model: String,
    /// Where it would be trained, and why there.
    pub device: String,
    /// What could be chosen instead, as `train.device` says it.
    pub devices: Vec<String>,
    /// e.g. "the model folder as it is, blake3 3f9a…" or with frozen adapters named.
    pub reference: String,
    pub arithmetic: Arithmetic,
    pub trainable_parameters: u64,
    pub total_parameters: u64,
    pub train_pairs: usize,
    pub eval_pairs: usize,
    pub reference_answers: usize,
    /// Pairs that will not be trained on, each with its reason.
    pub set_aside: Vec<(PairId, String)>,
    /// Tokens of the training set, prompts counted once a pair.
    pub tokens: u64,
    pub longest_pair_tokens: usize,
    /// Answers cut at `max_answer_tokens`.
    pub cut_answers: usize,
    /// Share of pairs with almost no push at step 0.
    pub asleep: f64,
    /// Measured loss of the first pairs at step 0, beside what theory says: (name, measured, expected).
    pub golden: Vec<(String, f64, f64)>,
    /// In JSON its fields stand beside these.
    #[serde(flatten)]
    pub memory: MemoryOutlook,
    /// What the machine had free before the model was loaded, bytes.
    pub free_memory_bytes: u64,
    pub total_steps: u64,
    /// From one measured step.
    pub estimated_secs: f64,
    /// Sentences that deserve a look before the start.
    pub warnings: Vec<String>,
    /// What becomes of the labelled pairs.
    pub fates: Fates,
    pub lengths: Lengths,
    /// What is wrong with their tokens, the grave first.
    pub findings: Vec<PairFinding>,
}

/// What a run holds at its peak, and what it may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryOutlook {
    /// Bytes of everything that the program holds while the largest row is worked on.
    pub peak_memory_bytes: u64,
    pub peak_memory_is: Basis,
    /// Weights, optimizer, gradients and activations of that row alone, counted from their shapes.
    pub estimated_memory_bytes: u64,
    /// `train.memory_mb`, or a share of what is free.
    pub memory_limit_bytes: u64,
    /// Tokens that a row may hold.
    pub row_tokens: usize,
    /// Tokens of the largest row there is.
    pub largest_row_tokens: usize,
    /// Blocks whose forward runs again in the backward of that row, of all there are.
    pub recomputed_blocks: usize,
    pub blocks: usize,
}

/// Where a number comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// From shapes.
    #[default]
    Estimated,
    /// From shapes, corrected by what a larger row or less recomputation was seen to take.
    FromMeasured,
    /// Exactly this was done and watched.
    Measured,
}

impl MemoryOutlook {
    pub fn fits(&self) -> bool {
        self.peak_memory_bytes <= self.memory_limit_bytes
    }
}

impl fmt::Display for MemoryOutlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes.div_ceil(1 << 20);
        let basis = match self.peak_memory_is {
            Basis::Estimated => "estimated",
            Basis::FromMeasured => "estimated from a measured row",
            Basis::Measured => "measured",
        };
        write!(
            f,
            "{} MB at the peak, {basis} ({} MB by shapes alone), of {} MB that may be taken; the largest row has {} tokens",
            mb(self.peak_memory_bytes),
            mb(self.estimated_memory_bytes),
            mb(self.memory_limit_bytes),
            self.largest_row_tokens
        )?;
        match self.recomputed_blocks {
            0 => Ok(()),
            blocks => write!(f, ", and {blocks} of {} blocks run their forward again", self.blocks),
        }
    }
}

/// Labelled pairs by what becomes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fates {
    pub fit: usize,
    /// At least one answer loses its end.
    pub answer_cut: usize,
    /// Set aside.
    pub prompt_too_long: usize,
    /// Set aside for any other reason.
    pub unusable: usize,
}

/// How long the answers are, before anything is cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Answers by tokens: the first bin holds those of 0 to `bin`-1 tokens, and so on.
    pub answers: Vec<usize>,
    /// Tokens a bin.
    pub bin: usize,
    pub longest: usize,
    /// `data.max_answer_tokens`: where answers are cut.
    pub cut_at: usize,
}

/// One kind of flaw over all pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairFinding {
    pub flaw: Flaw,
    /// A sentence.
    pub text: String,
    pub pairs: usize,
    /// The first few of them.
    pub examples: Vec<PairId>,
}
