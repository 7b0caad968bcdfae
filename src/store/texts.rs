//! Reference answers, retention text and probes: the data that is not labelled.

use serde::{Deserialize, Serialize};

use crate::data::Prompt;

/// A fixed prompt that is answered again and again while a run goes on, to read how answers change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub prompt: Prompt,
    /// What it is there for, e.g. "asked for" or "elsewhere"; shown beside the answers.
    #[serde(default)]
    pub note: String,
}
