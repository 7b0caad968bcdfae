//! Why a run, a pre-flight or an answer ended early, as sentences.

use std::path::PathBuf;

use data::config::ConfigError;
use formats::FormatError;
use kernels::KernelError;
use model::{LoadError, PolicyError};
use store::{RunId, StoreError};
use text::{TextError, Unusable};

/// What stops a run or what is done beside one. Every variant is a sentence for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("The settings cannot be used: {0}")]
    Settings(String),
    #[error("There is nothing to train on: {0}")]
    NoPairs(String),
    #[error("The start is wrong, so nothing was trained: {0}")]
    Golden(String),
    #[error("The start is wrong, so nothing was trained: {0}")]
    NoNumber(String),
    #[error(
        "BOS stands twice in a row in {pairs} of the pairs: the chat template writes it and the prompt spells it out once more. Remove it from the prompts (`nudge check` lists the pairs), or set data.allow_doubled_bos to train all the same."
    )]
    DoubledBos { pairs: usize },
    #[error("The run cannot be continued: {0}")]
    Resume(String),
    #[error("The run cannot be forked so: {0}")]
    Fork(String),
    #[error(
        "The run is already at its last step ({step} of {total}). Give it more steps to go on, for example `--steps {}`", 2 * .step.max(.total)
    )]
    AtLastStep { step: u64, total: u64 },
    #[error(
        "Run {0} is away: it was handed over to another machine. Take back what it has learnt there (`nudge takeback`), or give that up with `nudge takeback PROJECT {0} --give-up`", .run.0
    )]
    Away { run: RunId },
    #[error("There is no checkpoint of step {step}; {there}")]
    NoSuchCheckpoint { step: u64, there: String },
    #[error(
        "Run {} cannot go on from step {step}: none of its checkpoints is left in {folders}. Put them back; or begin it again from step 0 (`nudge resume` with `--step 0`), which drops what it measured; or start a new run", .run.0
    )]
    CheckpointsGone { run: RunId, step: u64, folders: String },
    #[error(
        "Run {} has no checkpoint left after which a step gave numbers. Start a new run with a lower learning rate, or name where it is to go on all the same: `--step {step}` for a checkpoint in doubt, `--step 0` for its beginning", .run.0
    )]
    OnlyDoubtful { run: RunId, step: u64 },
    #[error("Could not {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("The checkpoint {path} cannot be used: {reason}")]
    Checkpoint { path: PathBuf, reason: String },
    #[error("What step {step} measured could not be saved: {source}")]
    Unwritten { step: u64, source: StoreError },
    #[error("The checkpoint of step {step} could not be saved: {reason}")]
    NotSaved { step: u64, reason: String },
    #[error(
        "{what}{}. In a new run a lower learning rate or a longer warm-up usually helps.", fallen_back(*.back, *.doubtful)
    )]
    NotANumber {
        what: String,
        /// The newest checkpoint whose weights gave numbers.
        back: Option<u64>,
        /// The step under which the present weights were put aside, where they might be good for something.
        doubtful: Option<u64>,
    },
    #[error(
        "Out of memory: a row of {tokens} tokens needs about {needed_mb} MB with recomputation, and {limit_mb} MB may be taken (train.memory_mb sets it)"
    )]
    OutOfMemory { tokens: usize, needed_mb: u64, limit_mb: u64 },
    #[error("The check was cut short, because what it was done beside was to stop or to rest. Ask again")]
    CutShort,
    #[error("This device is not available: {0}")]
    Device(String),
    #[error("The prompt cannot be used: {0}")]
    Prompt(#[from] Unusable),
    #[error("{0}")]
    Sentence(String),
}

pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// What is left after the weights went wrong.
fn fallen_back(back: Option<u64>, doubtful: Option<u64>) -> String {
    let back = match back {
        Some(step) => {
            format!(". The run is back at the checkpoint of step {step}, the newest whose weights gave numbers")
        }
        None => ". No earlier checkpoint is there to go back to".to_owned(),
    };
    match doubtful {
        Some(step) => {
            format!("{back}; the last weights are put aside as doubtful (`nudge resume` with `--step {step}`)")
        }
        None => format!("{back}; the last weights are not saved"),
    }
}

impl TrainError {
    /// Refused before anything was touched: the run is what it was.
    pub fn leaves_the_run(&self) -> bool {
        matches!(
            self,
            Self::AtLastStep { .. }
                | Self::Away { .. }
                | Self::NoSuchCheckpoint { .. }
                | Self::CheckpointsGone { .. }
                | Self::OnlyDoubtful { .. }
        )
    }

    /// Wraps an I/O error with what was done to which path.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// The device, not the data, had no room: the same work in smaller pieces may succeed.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. } | Self::Policy(PolicyError::Kernel(KernelError::OutOfMemory(_))))
    }
}
