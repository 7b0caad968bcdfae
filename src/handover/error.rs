//! Why a run was not handed over, heard or taken back, as sentences.

use std::path::PathBuf;

use files::FileError;
use model::{LoadError, PolicyError};
use store::StoreError;
use train::TrainError;

#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("This run cannot be handed over: {0}")]
    Refused(String),
    #[error("Stopped before the folder was whole; nothing is left of it")]
    Stopped,
    #[error("Could not {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Sentence(String),
}

pub type Result<T, E = HandoverError> = std::result::Result<T, E>;

/// Wraps an I/O error with what was done to which path.
pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> HandoverError {
    let path = path.into();
    move |source| HandoverError::Io { what, path, source }
}

pub(crate) fn sentence<T>(text: impl Into<String>) -> Result<T> {
    Err(HandoverError::Sentence(text.into()))
}
