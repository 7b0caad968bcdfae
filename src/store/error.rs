//! What can go wrong with a project, in sentences: what happened, to what, what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use ::data::PairId;

use super::RunId;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "There is no Nudge project in {0}. Choose a folder that holds project.sqlite, or make a new project with `nudge new`."
    )]
    NotAProject(PathBuf),
    #[error("There is already a Nudge project in {0}. Open it, or choose another folder.")]
    AlreadyAProject(PathBuf),
    #[error(
        "{path} was written by a newer Nudge (file version {found}, this program knows up to {known}). Update Nudge to open it; nothing was changed."
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{0} cannot be written to. Make the folder writable, or copy the project to a place where you may write.")]
    ReadOnly(PathBuf),
    #[error(
        "{path} is damaged ({detail}). Nothing was changed. Restore a copy, or save what can be read with `sqlite3 {path} .recover`."
    )]
    Corrupted { path: PathBuf, detail: String },
    #[error("The disk of {0} is full. Free some space and do it again; what was saved before is safe.")]
    DiskFull(PathBuf),
    #[error("Another program holds {0} locked. Close it, or wait for its import to end, and do it again.")]
    Locked(PathBuf),
    #[error("Pair {} was changed elsewhere in the meantime. Look at it again; your edit was not applied.", .0.0)]
    Stale(PairId),
    #[error("There is no run {} in this project.", .0.0)]
    NoSuchRun(RunId),
    #[error("Run {} is in the hands of a running process. Stop it first.", .0.0)]
    RunIsLive(RunId),
    #[error("Could not {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{path}, line {line}: {reason}")]
    Line { path: PathBuf, line: usize, reason: String },
    #[error("The project's document {path} refused an operation: {source}")]
    Database { path: PathBuf, source: rusqlite::Error },
}

impl StoreError {
    /// Gives an error from inside the document its place and, where there is one, its own sentence.
    pub(super) fn at(self, document: &Path) -> Self {
        let path = document.to_owned();
        match self {
            Self::Database { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Self::DiskFull(path),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
                // The folder of a document in WAL mode must be writable even to read it.
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::ReadOnly(path),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Corrupted { path, detail: source.to_string() }
                }
                _ => Self::Database { path, source },
            },
            Self::Corrupted { detail, .. } => Self::Corrupted { path, detail },
            other => other,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database { path: PathBuf::new(), source }
    }
}

/// Values are written by this room alone: one that cannot be read back was damaged.
impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupted { path: PathBuf::new(), detail: format!("a value cannot be read: {error}") }
    }
}
