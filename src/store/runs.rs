//! Runs and what they left behind.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Revision, RunId};
use crate::data::{PairId, Prompt};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Recorded, waiting for its turn.
    Queued,
    Running,
    Paused,
    /// Ended by the user; can be resumed.
    Stopped,
    Completed,
    Failed,
    /// Its process ended without a word; can be resumed from its last checkpoint.
    Interrupted,
}

impl RunStatus {
    /// Whether a living process has this run in hand.
    pub fn is_live(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Paused => true,
            Self::Stopped | Self::Completed | Self::Failed | Self::Interrupted => false,
        }
    }
}

/// What a run is before its first step.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    pub name: String,
    /// The whole `run.toml`, defaults written out.
    pub config_toml: String,
    /// For lists, e.g. "MPO anchored-sum".
    pub method: String,
    /// The data this run sees: [`super::Project::pairs_at`] gives exactly this again.
    pub revision: Revision,
    /// The run this one continues or varies.
    pub parent: Option<RunId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    pub id: RunId,
    pub name: String,
    pub method: String,
    pub status: RunStatus,
    /// Unix time in milliseconds.
    pub created_ms: i64,
    pub config_toml: String,
    pub revision: Revision,
    pub parent: Option<RunId>,
    /// The last step with metrics; 0 before the first.
    pub step: u64,
    /// 0 until the engine has counted them.
    pub total_steps: u64,
    /// Why it ended as it did, if there is something to say.
    pub message: Option<String>,
    /// Its folder: `config.toml` and `checkpoints/`.
    pub dir: PathBuf,
}

/// One pair met in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairVisit {
    pub pair: PairId,
    /// m_θ of the run's own margin kind, before the step.
    pub margin: f32,
    /// |∂loss/∂m|.
    pub push: f32,
}

/// A probe answered by a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub prompt: Prompt,
    pub answer: String,
    pub tokens: usize,
    /// Whether the model ended the answer by itself.
    pub ended: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    pub step: u64,
    pub probe: usize,
    pub sample: Sample,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    pub step: u64,
    /// Unix time in milliseconds.
    pub at_ms: i64,
    pub level: LogLevel,
    pub text: String,
    /// Drawn on the charts: a knob was turned, new labels came in.
    pub mark: bool,
}

/// Names cached log-probs by everything they depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogProbKey(pub [u8; 32]);

impl LogProbKey {
    /// `reference`: [`crate::model`]'s identity of the policy at step 0; `codec`: the tokenizer's and template's. The ids are
    /// those that were fed in, so nothing has to be forgotten when a text or a limit changes.
    pub fn new(reference: &str, codec: &str, prefix: &[u32], answer: &[u32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in [reference, codec] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for ids in [prefix, answer] {
            hasher.update(&(ids.len() as u64).to_le_bytes());
            for id in ids {
                hasher.update(&id.to_le_bytes());
            }
        }
        Self(*hasher.finalize().as_bytes())
    }
}
