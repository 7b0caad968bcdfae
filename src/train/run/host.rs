//! What a run needs from whoever runs it, and what it tells: the only way in and out of one.

use std::{fmt, path::PathBuf, time::Duration};

use data::config::Knob;
use model::Policy;
use store::{Arithmetic, LogLevel, Sample};
use text::Codec;

use crate::error::Result;

/// A run's weights as they are, to answer with.
#[derive(Clone, Copy)]
pub struct CurrentWeights<'a> {
    pub policy: &'a Policy,
    pub codec: &'a Codec,
}

/// Whoever runs a run: the engine, or a test.
pub trait Host {
    /// What the run is to do; looked at between micro-batches.
    fn signal(&self) -> Signal;

    /// Looks after whatever else is asked, with the run's weights where it has some by then. With `patience` the run
    /// has nothing to do meanwhile, and so long may be waited for a question; without, whatever is there already is
    /// answered. Gives what kept the run from its work.
    fn attend(&mut self, weights: Option<CurrentWeights<'_>>, patience: Option<Duration>) -> Vec<Rest>;

    /// What somebody asked of the run since its last step border; the run takes it out.
    fn wishes(&mut self) -> &mut Wishes;

    /// What the run has to tell, after it is in the project. Never waits.
    fn tell(&mut self, told: RunEvent);

    /// Nobody listens, so nobody answers a question.
    fn is_alone(&self) -> bool {
        false
    }

    /// Bytes that this process holds now and the run did not take.
    fn others(&self) -> u64 {
        0
    }

    /// For the log at the beginning: what the run computes with.
    fn remark(&self) -> Option<(LogLevel, String)> {
        None
    }

    /// Before each micro-batch of `step`. What fails here fails like the micro-batch itself: this is where tests let
    /// something break.
    fn before_micro_batch(&mut self, _step: u64, _policy: &mut Policy) -> Result<()> {
        Ok(())
    }

    /// Before answers are sampled and before each row that is read of them, likewise.
    fn before_reading(&mut self, _what: RolloutStage) -> Result<()> {
        Ok(())
    }
}

/// What is done with answers before an update learns from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutStage {
    /// They are sampled, at most so many at once.
    Sampling { at_once: usize },
    /// A row of them is scored by the reward model, or valued by the critic.
    Scoring,
    /// The log-probs of a row under policy and reference are frozen.
    Freezing,
}

/// What a run is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    GoOn,
    /// Rest until told otherwise.
    Pause,
    /// End with a checkpoint of the last finished step.
    Stop,
    /// The same, because the whole program ends.
    Leave,
}

impl Signal {
    pub fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::Leave)
    }
}

/// Something that was done for somebody else while a run was going.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// Behind the word "while".
    pub what: &'static str,
    pub took: Duration,
}

/// Asked of a run since its last step border.
#[derive(Debug, Default)]
pub struct Wishes {
    pub knobs: Vec<Knob>,
    pub checkpoint: bool,
    /// About a checkpoint that failed.
    pub save: Option<SaveAnswer>,
}

/// How much of what a run is busy with is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HowFar {
    /// Between 0 and 1.
    Share(f32),
    /// So many of so many.
    Of([usize; 2]),
}

impl HowFar {
    /// Between 0 and 1.
    pub fn share(self) -> f32 {
        match self {
            Self::Share(share) => share,
            Self::Of([done, all]) => done as f32 / all.max(1) as f32,
        }
    }
}

impl fmt::Display for HowFar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{:.0} %", 100.0 * share),
            Self::Of([done, all]) => write!(f, "{done} of {all}"),
        }
    }
}

/// What a run tells.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// What it is busy with before or between steps, and how far that is.
    Phase {
        what: String,
        done: Option<HowFar>,
    },
    Started {
        first_step: u64,
        total_steps: u64,
        arithmetic: Arithmetic,
    },
    Step {
        step: u64,
        total_steps: u64,
        metrics: Metrics,
        eta_secs: Option<f64>,
    },
    Evaluated {
        step: u64,
        metrics: Metrics,
    },
    /// A probe was answered with the weights of `step`.
    Sampled {
        step: u64,
        probe: usize,
        sample: Sample,
    },
    Saved {
        step: u64,
    },
    Logged {
        step: u64,
        level: LogLevel,
        text: String,
        mark: bool,
    },
    Paused {
        step: u64,
    },
    Continued {
        step: u64,
    },
    /// A checkpoint could not be written; the run rests until [`Wishes::save`] says what to do.
    SaveFailed {
        step: u64,
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

/// What to do about a checkpoint that could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveAnswer {
    TryAgain,
    /// Into a folder in this one, and the later ones as well.
    Elsewhere(PathBuf),
    /// Without this checkpoint; the next one is tried when it is due.
    GoOn,
}

/// Name and value, in the order they are to be shown. Names are TRL's (`rewards/margins`, `eval_rewards/accuracies`,
/// `kl/ref`). A value that is NaN or infinite is kept as it is: it says where a run went wrong.
pub type Metrics = Vec<(String, f64)>;
