//! What is true, as far as the window knows: the project, its runs, what is being saved.

use std::path::PathBuf;

use super::{Notices, answers::AnswersData, pairs::PairsData};

/// The open project in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSummary {
    pub dir: PathBuf,
    pub name: String,
    /// Hugging Face folder the project tunes.
    pub model: PathBuf,
}

/// Writes on their way to the disk. "Saved" is said only after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saving {
    pub under_way: usize,
    /// A write failed since the last one that succeeded.
    pub failed: bool,
}

/// Read by the screens, written only by `app`.
#[derive(Debug, Default)]
pub struct Workspace {
    pub project: Option<ProjectSummary>,
    pub saving: Saving,
    pub notices: Notices,
    pub pairs: PairsData,
    pub answers: AnswersData,
    /// Unix time in milliseconds of this frame, so that drawing asks no clock.
    pub now_ms: i64,
}
