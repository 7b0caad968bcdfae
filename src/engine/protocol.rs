//! What crosses the thread border: [`Request`] goes in, [`Event`] comes out. Plain data, no tensors, no egui.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use data::{
    Answer, Flaw, Pair, PairId, Prompt,
    config::{Knob, RunConfig},
};
pub use model::{Mix, MixSide, Sampling};
use serde::{Deserialize, Serialize};
use store::RunId;
use train::{measure::outlay::Outlay, run::host::RunEvent};
pub use train::{
    memory::outlook::{EstimateBasis, MemoryOutlook},
    run::host::{HowFar, Metrics, Outcome, SaveAnswer},
};

pub use export::{
    AdapterFormat, AdapterPart, AdapterStrength, CurveFile, CurveOrder, ExportOrder, Exported, GgufType, MergedOptions,
    OnPhase, Proof, WeightType, What, WhichCheckpoint,
};
pub use store::{Arithmetic, LogLevel, Sample};

/// Names one question to the engine, so that a late answer can be told from a current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// What the window or the command line asks of the engine.
#[derive(Debug, Clone)]
pub enum Request {
    /// Queue a run that the project already records (config, data revision). It goes on from its newest checkpoint, or
    /// from that of the step that `from` names, 0 being its beginning; what it measured and saved later is dropped.
    Train { project: PathBuf, run: RunId, from: Option<u64>, control: Arc<RunControl> },
    /// Take a run out of the queue; [`Event::Finished`] says so. One that has begun meanwhile is stopped.
    /// `for_now`: the program ends, and the run is to wait again when it is back.
    Withdraw { run: RunId, for_now: bool },
    /// The order of the runs that wait. Those that are not named come last, as they were.
    Reorder { runs: Vec<RunId> },
    /// Change a setting of the running run from the next step on.
    Turn { run: RunId, knob: Knob },
    /// Write a checkpoint at the next step border.
    Checkpoint { run: RunId },
    /// What is to become of a checkpoint that could not be written, after [`Event::SaveFailed`].
    Settle { run: RunId, answer: SaveAnswer },
    /// Sample an answer; tokens are streamed as [`Event::Token`].
    Generate { request: RequestId, source: Weights, prompt: Prompt, options: AnswerOptions, control: Arc<RunControl> },
    /// Draw answers to choose between, as [`Event::Drawn`], a few prompts at a time. `name`: whose weights they are,
    /// for the answers' origin; of a run the step is added.
    Draw {
        request: RequestId,
        source: Weights,
        name: String,
        prompts: Arc<[Prompt]>,
        asked: Candidates,
        control: Arc<RunControl>,
    },
    /// Score the project's pairs that have no scores yet, under what runs start from or a run's checkpoint (absent step
    /// = its newest), some at a time; they are in the project before [`Event::Scored`] tells of them.
    Score { request: RequestId, project: PathBuf, run: Option<(RunId, Option<u64>)>, control: Arc<RunControl> },
    /// Read answers that share a prompt, token by token, under what runs start from or the checkpoint of a step, as
    /// [`Event::TokensRead`].
    ReadTokens { request: RequestId, project: PathBuf, run: Option<(RunId, u64)>, prompt: Prompt, answers: Vec<Answer> },
    /// Everything that can be known before a start.
    /// `yields`: cut short as soon as anything else is asked for.
    Preflight { request: RequestId, project: PathBuf, config: Box<RunConfig>, yields: bool },
    /// Drop loaded models and finish.
    Shutdown,
}

/// Which weights answer a [`Request::Generate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// The model folder as it is on disk, with a PEFT adapter on top if one is named.
    Model { folder: PathBuf, adapter: Option<PathBuf> },
    /// A run's checkpoint; `step` absent = the newest, or the weights in memory if the run is going.
    Run { project: PathBuf, run: RunId, step: Option<u64> },
    /// A run's saved checkpoint, the newest where `step` is absent, with so much of what was trained. Its weights in
    /// memory are trained on and cannot be scaled.
    Scaled { project: PathBuf, run: RunId, step: Option<u64>, strength: AdapterStrength },
    /// What the project's runs start from, by its settings as they are now.
    Start { project: PathBuf },
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerOptions {
    pub sampling: Sampling,
    /// Any of these texts ends an answer, which is cut before it.
    pub stop: Vec<String>,
    pub max_new_tokens: usize,
    pub seed: u64,
    /// Go on past the end of the turn, up to `max_new_tokens`.
    pub ignore_eos: bool,
    /// From the optimistic or the pessimistic policy instead; only where an adapter was trained.
    pub mix: Option<Mix>,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            stop: Vec::new(),
            max_new_tokens: 256,
            seed: 0,
            ignore_eos: false,
            mix: None,
        }
    }
}

/// Answers to choose between, for many prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    pub options: AnswerOptions,
    /// Answers a prompt: 2 or more to choose between, or 1 to learn what is said.
    pub answers: usize,
    /// Absent = all of them from the policy as it is.
    pub pilaf: Option<Pilaf>,
}

/// What became of a prompt of [`Candidates`].
#[derive(Debug, Clone, PartialEq)]
pub enum DrawnPair {
    /// Unlabelled, all answers different. `again`: they were not at first.
    Pair { pair: Box<Pair>, pilaf: bool, again: bool },
    /// No pair was to be had: why, as a sentence.
    None(String),
}

impl Candidates {
    /// Every number in its range, or which one is not.
    pub fn check(&self) -> Result<(), String> {
        self.options.sampling.check()?;
        if self.answers < 1 {
            return Err("answers is 0; it must be 1 or more".to_owned());
        }
        if self.answers > 1 && self.options.sampling.temperature <= 0.0 {
            return Err("temperature is 0, which gives the same answer each time; it must be above 0".to_owned());
        }
        match self.pilaf {
            Some(Pilaf { share, .. }) if !(0.0..=1.0).contains(&share) => {
                Err(format!("share is {share}; it must be 0 to 1"))
            }
            Some(_) if self.answers != 2 => {
                Err(format!("answers is {}; PILAF compares 2, the optimistic and the pessimistic one", self.answers))
            }
            Some(Pilaf { strength, .. }) => Mix { strength, side: MixSide::Optimistic }.check(),
            None => Ok(()),
        }
    }
}

/// Some of the pairs, one answer optimistic and one pessimistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pilaf {
    /// [`Mix::strength`].
    pub strength: f64,
    /// Of all prompts; which of them, the seed decides.
    pub share: f64,
}

impl Default for Pilaf {
    /// As the paper has them.
    fn default() -> Self {
        Self { strength: 0.1, share: 0.5 }
    }
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

/// What the engine reports. Every event names the run or request it belongs to.
#[derive(Debug, Clone)]
pub enum Event {
    /// What a run is busy with before or between steps, e.g. "Computing reference log-probs", and how far that is.
    Phase {
        run: RunId,
        what: String,
        done: Option<HowFar>,
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
        sample: Sample,
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
    /// The run rests because of this, e.g. while an answer is written between two of its micro-batches; absent = it
    /// trains again.
    Resting {
        run: RunId,
        why: Option<String>,
    },
    /// A checkpoint could not be written. The run rests with its weights in memory until [`Request::Settle`]; asked to
    /// stop, it tries once more and ends. [`Event::Continued`] follows every answer.
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
    /// What came of a prompt of [`Request::Draw`], in their order.
    Drawn {
        request: RequestId,
        drawn: DrawnPair,
    },
    /// All prompts had their turn, or it was stopped.
    AllDrawn {
        request: RequestId,
    },
    /// So many pairs of [`Request::Score`] have their scores in the project, under the checkpoint of this step if it is
    /// a run's.
    Scored {
        request: RequestId,
        step: Option<u64>,
        done: usize,
        of: usize,
    },
    /// All of them, or it was stopped.
    AllScored {
        request: RequestId,
        /// Why the weights are not those of the newest checkpoint, where that was asked for.
        passed_over: Vec<String>,
    },
    TokensRead {
        request: RequestId,
        log_probs: Arc<TokenLogProbs>,
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

impl Event {
    /// What a run tells, with its name.
    pub fn of_run(run: RunId, told: RunEvent) -> Self {
        match told {
            RunEvent::Phase { what, done } => Self::Phase { run, what, done },
            RunEvent::Started { first_step, total_steps, arithmetic } => {
                Self::Started { run, first_step, total_steps, arithmetic }
            }
            RunEvent::Step { step, total_steps, metrics, eta_secs } => {
                Self::Step { run, step, total_steps, metrics, eta_secs }
            }
            RunEvent::Evaluated { step, metrics } => Self::Evaluated { run, step, metrics },
            RunEvent::Sampled { step, probe, sample } => Self::Sampled { run, step, probe, sample },
            RunEvent::Saved { step } => Self::Saved { run, step },
            RunEvent::Logged { step, level, text, mark } => Self::Logged { run, step, level, text, mark },
            RunEvent::Paused { step } => Self::Paused { run, step },
            RunEvent::Continued { step } => Self::Continued { run, step },
            RunEvent::SaveFailed { step, error } => Self::SaveFailed { run, step, error },
        }
    }
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
    /// Why the weights are not those of the newest checkpoint, where that was asked for: sentences, or none.
    pub passed_over: Vec<String>,
}

impl Generated {
    /// It came to no end of its own.
    pub fn is_cut(&self) -> bool {
        matches!(self.stopped_by, StoppedBy::Limit | StoppedBy::Context)
    }

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

/// log π of each scored token, by answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogProbs {
    pub now: Vec<Vec<f32>>,
    /// Under what the run started from.
    pub start: Vec<Vec<f32>>,
    /// What each token counts in the run's margin, the first answer as a chosen one; or why there is no such number.
    pub weights: Result<Vec<Vec<f32>>, String>,
}

/// What is known before the first step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// How many rejected answers pairs bring, where the run takes several.
    pub rejected_answers: Option<String>,
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
    /// From one measured row: at least this, as a rule, see [`PreflightReport::slower`].
    pub estimated_secs: f64,
    /// What a token of a row took there, forward and backward.
    pub secs_a_token: f64,
    /// In the mean of the tries the row took so many times that: more than 1 where other programs compute.
    pub mean_try: f64,
    /// What measuring takes, which is a part of the time.
    pub measuring: Outlay,
    /// Of the time, what the weights of tokens take: a contrast pair that is not there yet, or gradients.
    pub weighing_secs: f64,
    /// Of the time, what it takes to sample the answers that a run learns from.
    pub sampling_secs: f64,
    /// Sentences that deserve a look before the start.
    pub warnings: Vec<String>,
    /// What becomes of the labelled pairs.
    pub fates: Fates,
    pub lengths: Lengths,
    /// What is wrong with their tokens, the grave first.
    pub findings: Vec<PairFinding>,
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
    pub pairs: Vec<PairId>,
}
