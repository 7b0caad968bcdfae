//! What an import is told, and what it says about a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

use ::{
    data::Pair,
    files::{FileError, WriteError},
};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Recognised record by record.
    #[default]
    Auto,
    /// TRL preference records, standard or conversational, prompt explicit or implicit; JSON lines or one JSON array.
    Trl,
    /// Anthropic HH: `chosen` and `rejected` hold the whole dialogue, marked `\n\nHuman:` and `\n\nAssistant:`.
    Hh,
}

impl Format {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Trl => "trl",
            Self::Hh => "hh",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Auto, Self::Trl, Self::Hh]
            .into_iter()
            .find(|format| format.name() == word)
            .ok_or_else(|| format!("unknown format {word:?}; there are auto, trl and hh"))
    }
}

/// Renames fields while reading: ours to the file's, e.g. `prompt` to `question`; `instruction+input` joins the texts of
/// two of the file's, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap(pub BTreeMap<String, String>);

impl FieldMap {
    /// Our fields, all of which may go by another name in a file.
    pub const FIELDS: [&str; 14] = [
        "prompt",
        "chosen",
        "rejected",
        "completion",
        "text",
        "system",
        "tags",
        "split",
        "strength",
        "reward",
        "behaviour",
        "note",
        "id",
        "messages",
    ];

    /// From the command line's `prompt=question` words.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut map = BTreeMap::new();
        for word in words {
            match word.split_once('=') {
                Some((ours, theirs)) if Self::FIELDS.contains(&ours) && !theirs.is_empty() => {
                    map.insert(ours.to_owned(), theirs.to_owned());
                }
                Some((ours, theirs)) if !theirs.is_empty() => {
                    return Err(format!("unknown field {ours:?} in {word:?}; there are {}", Self::FIELDS.join(", ")));
                }
                _ => {
                    return Err(format!("expected OURS=THEIRS such as prompt=question, found {word:?}"));
                }
            }
        }
        Ok(Self(map))
    }

    /// Whether our field was given another name.
    pub(super) fn maps(&self, ours: &str) -> bool {
        self.0.contains_key(ours)
    }

    /// What the file calls our field.
    pub(super) fn theirs<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.get(ours).map_or(ours, String::as_str)
    }
}

/// A record that did not come in, or came in with something to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counts from 1; for a JSON array the line its record starts on.
    pub line: u64,
    pub reason: String,
}

/// More columns than this have no table's reason to be.
const COLUMNS: usize = 100;

/// What came in and what did not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// Ids are 0: the store gives them theirs.
    pub pairs: Vec<Pair>,
    /// Records that did not come in, the first [`ImportReport::LISTED`] of them.
    pub faults: Vec<Fault>,
    /// Those that are not listed.
    pub more_faults: u64,
    /// Records that came in and deserve a look, e.g. an empty answer; as many at most.
    pub notes: Vec<Fault>,
    pub more_notes: u64,
    /// Columns that hold texts and were not used, with the number of records in which they do.
    pub unused: BTreeMap<String, u64>,
    /// Records looked at.
    pub records: u64,
    /// As recognised in the first record that came in; `Auto` if none did.
    pub format: Format,
    /// Stopped by the progress callback before the end.
    pub cancelled: bool,
}

impl ImportReport {
    /// So many faults are listed, and as many notes; the others are counted. If that many records at the beginning of a file
    /// are all unusable, the others are not looked at.
    pub const LISTED: usize = 10_000;

    pub(super) fn fault(&mut self, fault: Fault) {
        list(&mut self.faults, &mut self.more_faults, fault);
    }

    pub(super) fn note(&mut self, note: Fault) {
        list(&mut self.notes, &mut self.more_notes, note);
    }

    pub(super) fn unused(&mut self, column: &str) {
        if let Some(count) = self.unused.get_mut(column) {
            *count += 1;
        } else if self.unused.len() < COLUMNS {
            self.unused.insert(column.to_owned(), 1);
        }
    }

    /// "the columns input (3 records) and source (40 records) were not used"; absent when all were.
    pub fn unused_columns(&self) -> Option<String> {
        let columns: Vec<String> = self
            .unused
            .iter()
            .map(|(name, count)| format!("{name:?} ({count} record{})", if *count == 1 { "" } else { "s" }))
            .collect();
        match columns.as_slice() {
            [] => None,
            [one] => Some(format!("the column {one} was not used")),
            many => Some(format!("the columns {} were not used", many.join(", "))),
        }
    }
}

fn list(listed: &mut Vec<Fault>, more: &mut u64, fault: Fault) {
    if listed.len() < ImportReport::LISTED {
        listed.push(fault);
    } else {
        *more += 1;
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub bytes: u64,
    /// Never less than `bytes`; of a pipe nobody knows.
    pub total_bytes: u64,
    pub pairs: usize,
}

/// A file that cannot be read or written at all.
#[derive(Debug, Error)]
pub enum FormatError {
    #[error("Cannot read {path}: {source}. Check that the file exists and may be read.")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is {what}. {remedy}")]
    Foreign { path: PathBuf, what: String, remedy: String },
    #[error("{path} cannot be used: {reason}")]
    Unfit { path: PathBuf, reason: String },
    #[error("The pairs were changed while they were written. Write them again.")]
    Changed,
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Output(#[from] WriteError),
}

impl FormatError {
    /// An error while reading `path`.
    pub(super) fn reading(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::InvalidData => Self::Unfit { path: path.clone(), reason: source.to_string() },
            _ => Self::Read { path: path.clone(), source },
        }
    }

    /// A file that holds something else.
    pub(super) fn foreign(path: &Path, what: &str, remedy: &str) -> Self {
        let remedy = remedy.replace("FILE", &path.display().to_string());
        Self::Foreign { path: path.to_owned(), what: what.to_owned(), remedy }
    }
}
