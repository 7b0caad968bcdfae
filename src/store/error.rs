//! What can go wrong with a project, in sentences: what happened, to what, what to do.

use std::{
    io::{self, Write as _},
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
    #[error("{} is there already. Name another place, or have it replaced.", .0.display())]
    Exists(PathBuf),
    #[error("{path} is no bundle that can be opened: {reason}.")]
    NotABundle { path: PathBuf, reason: String },
    #[error("{} belongs to a run of this project. Name another file.", path.display())]
    OwnFile { path: PathBuf },
    #[error("There is already a Nudge project in {0}. Open it, or choose another folder.")]
    AlreadyAProject(PathBuf),
    #[error(
        "{path} was written by a newer Nudge (file version {found}, this program knows up to {known}). Update Nudge to open it; nothing was changed."
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{0} was made by an older Nudge and has to be brought up to date once, but it cannot be written to. Copy the project to a place where you may write, and open the copy."
    )]
    NeedsUpgrade(PathBuf),
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
    #[error("It was not wanted any more and was cut short.")]
    CutShort,
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
    /// What a file operation that failed is told as. `what` is followed by the path: "make the folder".
    pub(super) fn io(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path.clone()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.clone()),
            _ => Self::Io { what, path: path.clone(), source },
        }
    }

    /// Gives an error from inside the document its place and, where there is one, its own sentence.
    pub(super) fn at(self, document: &Path) -> Self {
        let path = document.to_owned();
        match self {
            Self::Database { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Self::DiskFull(path),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
                Some(
                    code @ (ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied),
                ) => Self::of_the_disk(path, code, source),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Corrupted { path, detail: source.to_string() }
                }
                _ => Self::Database { path, source },
            },
            Self::Corrupted { detail, .. } => Self::Corrupted { path, detail },
            other => other,
        }
    }

    /// SQLite has dozens of codes for what the disk refused (the log's index cannot grow, a file beside the document cannot
    /// be made, ..) and drops the reason. A file of our own in the same folder meets the same reason, and tells it.
    fn of_the_disk(path: PathBuf, code: ErrorCode, source: rusqlite::Error) -> Self {
        let folder = path.parent().unwrap_or(Path::new("."));
        match try_to_write(folder).map_err(Self::io("write in", &path)) {
            Err(reason @ (Self::DiskFull(_) | Self::ReadOnly(_))) => reason,
            // The folder of a document in WAL mode must be writable even to read it.
            _ if code != ErrorCode::SystemIoFailure => Self::ReadOnly(path),
            _ => Self::Database { path, source },
        }
    }
}

/// As much as SQLite asks for at a time, and then some.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![1; 64 << 10])?;
    file.sync_all()
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
