//! What can go wrong with an export.

use std::path::PathBuf;

use model::{LoadError, PolicyError};
use store::StoreError;
use text::TextError;
use train::TrainError;

/// An export that failed or did not read back.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("There is no prompt to check the export with; give at least one")]
    NoProbe,
    #[error("{} is not empty{}", path.display(), if *ours { "; it holds an earlier export, which --overwrite replaces" } else { "; name a new folder" })]
    Occupied { path: PathBuf, ours: bool },
    #[error(
        "{} holds an earlier export and `{}`, which is not part of it; move that away, or name a new folder",
        path.display(), other.display()
    )]
    Shared { path: PathBuf, other: PathBuf },
    #[error("{} exists; name a new file, or replace it with --overwrite", path.display())]
    Exists { path: PathBuf },
    #[error(transparent)]
    Model(LoadError),
    #[error("The export could not be checked: {0}")]
    Check(#[from] PolicyError),
    #[error("Could not write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "What was written for {path} does not read back as this policy: logits differ by up to {difference}. Nothing was kept"
    )]
    Differs { path: PathBuf, difference: f64 },
    #[error("This training changes nothing: the logits are the base model's own. Nothing was exported to {path}")]
    NoEffect { path: PathBuf },
    #[error("This run trained all weights, so there is no adapter that holds what was learnt; export the merged model")]
    NoAdapter,
    #[error(
        "This run trained an earlier adapter further, so its newest part is that adapter and cannot go on top of it; export \
         the sum, which replaces it"
    )]
    NotOnTop,
    #[error("This run fitted a reward model, which gives scores and no text: it leaves as a PEFT adapter only")]
    Reward,
    #[error("The export was stopped; nothing was kept")]
    Stopped,
    #[error(transparent)]
    Text(#[from] TextError),
    /// The run's data or its checkpoint.
    #[error(transparent)]
    Run(#[from] TrainError),
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Output(error) => error.into(),
            error => Self::Run(error.into()),
        }
    }
}

impl From<LoadError> for ExportError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Stopped => Self::Stopped,
            error => Self::Model(error),
        }
    }
}
