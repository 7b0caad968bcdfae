//! What can go wrong with a project, in sentences: what happened, to what, what to do.

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rusqlite::{
    ErrorCode,
    types::{FromSqlError, Type},
};

use ::data::{PairId, config::ConfigError};

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
    #[error(
        "Run {}, “{name}”, has settings that this Nudge cannot read ({reason}). A newer one may have made it: go on with that one, or leave this run out. What the run measured can be looked at all the same.",
        .run.0
    )]
    RunSettings { run: RunId, name: String, reason: ConfigError },
    #[error("Could not {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Output(#[from] files::WriteError),
    #[error("{path}, line {line}: {reason}")]
    Line { path: PathBuf, line: usize, reason: String },
    #[error(
        "The project's document {path} refused an operation: {source}. Nothing of it was done. Do it again; if it is refused again, work on a copy of the project's folder."
    )]
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

    /// Says of damage what it is in: "pair 7".
    pub(super) fn within(self, what: impl fmt::Display) -> Self {
        let detail = match self {
            Self::Corrupted { detail, .. } => detail,
            Self::Database { source, path } => match damage(&source) {
                Some(detail) => detail,
                None => return Self::Database { source, path },
            },
            other => return other,
        };
        Self::Corrupted { path: PathBuf::new(), detail: format!("{what}: {detail}") }
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
                _ => match damage(&source) {
                    Some(detail) => Self::Corrupted { path, detail },
                    None => Self::Database { path, source },
                },
            },
            Self::Corrupted { detail, .. } => Self::Corrupted { path, detail },
            other => other,
        }
    }

    /// SQLite has dozens of codes for what the disk refused (the log's index cannot grow, a file beside the document
    /// cannot be made, ..) and drops the reason. A file of our own in the same folder meets the same reason, and tells
    /// it.
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

/// The same of a value that is of another kind; `what` it is: "the tags".
pub fn unreadable(what: &'static str) -> impl Fn(FromSqlError) -> StoreError {
    move |error| {
        let detail = match error {
            FromSqlError::InvalidType => format!("{what} should be there and is missing, or is of another kind"),
            other => format!("{what} cannot be read: {other}"),
        };
        StoreError::Corrupted { path: PathBuf::new(), detail }
    }
}

/// What is damaged where the document's answer is none that an undamaged one gives; absent of other errors.
fn damage(source: &rusqlite::Error) -> Option<String> {
    use rusqlite::Error;
    Some(match source {
        Error::InvalidColumnType(_, column, Type::Null) => format!("a value of `{column}` is missing"),
        Error::InvalidColumnType(_, column, found) => {
            let found = match found {
                Type::Null => "nothing",
                Type::Integer | Type::Real => "a number",
                Type::Text => "a text",
                Type::Blob => "bytes",
            };
            format!("a value of `{column}` is {found}, which it never is")
        }
        Error::FromSqlConversionFailure(_, _, reason) => format!("a value cannot be read: {reason}"),
        Error::IntegralValueOutOfRange(_, number) => format!("a number is {number}, which it never is"),
        Error::Utf8Error(_, reason) => format!("a text is none: {reason}"),
        Error::QueryReturnedNoRows => "something that is referred to is missing".to_owned(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(error, told) => match error.code {
            ErrorCode::Unknown if told.as_deref() == Some("malformed JSON") => "a value is no JSON".to_owned(),
            ErrorCode::DatabaseCorrupt => "its pages contradict one another".to_owned(),
            ErrorCode::NotADatabase => "it does not begin as a document does".to_owned(),
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
                let told = told.clone().unwrap_or_else(|| error.to_string());
                format!("what is there does not go with what is written: {told}")
            }
            _ => return None,
        },
        _ => return None,
    })
}
