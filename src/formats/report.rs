//! What an import says about a file.

use std::{collections::BTreeMap, path::PathBuf};

use thiserror::Error;

use crate::data::Pair;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Recognised from the first usable record.
    #[default]
    Auto,
    /// TRL preference records, standard or conversational, prompt explicit or implicit; JSON lines or one JSON array.
    Trl,
    /// Anthropic HH: `chosen` and `rejected` hold the whole dialogue, marked `\n\nHuman:` and `\n\nAssistant:`.
    Hh,
}

/// Renames fields while reading: ours to the file's, e.g. `prompt` to `question`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap(pub BTreeMap<String, String>);

/// A record that did not come in, or came in with something to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counts from 1; for a JSON array the line its record starts on.
    pub line: u64,
    pub reason: String,
}

/// What came in and what did not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// Ids are 0: the store gives them theirs.
    pub pairs: Vec<Pair>,
    /// Records that did not come in.
    pub faults: Vec<Fault>,
    /// Records that came in and deserve a look, e.g. an empty answer.
    pub notes: Vec<Fault>,
    /// As recognised; `Auto` if nothing was.
    pub format: Format,
    /// Stopped by the progress callback before the end.
    pub cancelled: bool,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub bytes: u64,
    pub total_bytes: u64,
    pub pairs: usize,
}

/// A file that cannot be read at all.
#[derive(Debug, Error)]
pub enum FormatError {
    #[error("Cannot read {path}: {source}. Check that the file exists and may be read.")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("Cannot write: {0}. Check the disk and the folder's rights.")]
    Write(#[from] std::io::Error),
}
