//! What an import is told, and what it says about a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{agreement::Agreement, options::Format};
use ::{
    data::{Pair, Prompt, counted},
    files::{FileError, WriteError},
};

/// A record that did not come in, or came in with something to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// Counts from 1: the line its record starts on, or its row in a table without lines; see [`ImportReport::unit`].
    pub line: u64,
    pub reason: String,
}

/// What places in a file count, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineOrRow {
    #[default]
    Line,
    /// Of a table that has no lines.
    Row,
}

impl LineOrRow {
    pub fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
        }
    }
}

/// More columns than this have no table's reason to be.
const COLUMNS: usize = 100;

/// What came in and what did not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// Records that did not come in, the first [`ImportReport::LISTED`] of them.
    pub faults: Vec<RecordFault>,
    /// Those that are not listed.
    pub more_faults: u64,
    /// Records that came in and deserve a look, e.g. an empty answer; as many at most.
    pub notes: Vec<RecordFault>,
    pub more_notes: u64,
    /// Columns that hold texts and were not used, with the number of records in which they do.
    pub unused: BTreeMap<String, u64>,
    /// The names of the fields of the first record.
    pub columns: Vec<String>,
    /// Records looked at.
    pub records: u64,
    /// As recognised in the first record that came in; unknown if none did.
    pub format: Format,
    /// What the records lie in, e.g. "JSON lines, packed with gzip".
    pub container: String,
    /// What the places of faults and notes count.
    pub unit: LineOrRow,
    /// How much several labellers of the same records agree.
    pub agreement: Option<Agreement>,
    /// Pairs that came in whose prompt is a text, which a model goes on with outside its chat template.
    pub text_prompts: usize,
}

impl ImportReport {
    /// So many faults are listed, and as many notes; the others are counted. If that many records at the beginning of a
    /// file are all unusable, the others are not looked at.
    pub const LISTED: usize = 10_000;

    pub(super) fn fault(&mut self, fault: RecordFault) {
        list(&mut self.faults, &mut self.more_faults, fault);
    }

    /// A pair came in.
    pub(super) fn came(&mut self, pair: &Pair) {
        self.text_prompts += usize::from(matches!(pair.prompt, Prompt::Text(_)));
    }

    pub(super) fn note(&mut self, note: RecordFault) {
        list(&mut self.notes, &mut self.more_notes, note);
    }

    pub(super) fn unused(&mut self, column: &str) {
        if let Some(count) = self.unused.get_mut(column) {
            *count += 1;
        } else if self.unused.len() < COLUMNS {
            self.unused.insert(column.to_owned(), 1);
        }
    }

    /// "Intel orca, by a question, chosen and rejected".
    pub fn recognised(&self) -> String {
        format!("{}, by {}", self.format.title, self.format.signs)
    }

    /// What it means that prompts are texts and no conversations; absent where none is.
    pub fn texts_to_be_continued(&self) -> Option<String> {
        (self.text_prompts > 0).then(|| {
            format!(
                "{} as a text to be continued: the model goes on with it word by word, without its chat template",
                counted(self.text_prompts, "prompt came in", "prompts came in")
            )
        })
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

fn list(listed: &mut Vec<RecordFault>, more: &mut u64, fault: RecordFault) {
    if listed.len() < ImportReport::LISTED {
        listed.push(fault);
    } else {
        *more += 1;
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
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
    #[error("{format} can be read, but is not written. `nudge pairs --help` names the formats that are.")]
    ReadOnly { format: &'static str },
    #[error("{format} records hold more than a table can: name a file that ends in .jsonl or .json.")]
    JsonOnly { format: &'static str },
    #[error(
        "{path} is not written under that name: JSON lines (.jsonl), JSON (.json), .csv or .tsv are, also with .gz behind, and .parquet."
    )]
    NotWritten { path: PathBuf },
    #[error("The pairs were changed while they were written. Write them again.")]
    Changed,
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Output(#[from] WriteError),
}

impl FormatError {
    /// An error while reading `path`.
    pub(super) fn reading(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
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
