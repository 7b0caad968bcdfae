//! What an import is told, and what it says about a file.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use thiserror::Error;

use ::data::Pair;

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

/// Renames fields while reading: ours to the file's, e.g. `prompt` to `question`.
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

/// What came in and what did not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// Ids are 0: the store gives them theirs.
    pub pairs: Vec<Pair>,
    /// Records that did not come in.
    pub faults: Vec<Fault>,
    /// Records that came in and deserve a look, e.g. an empty answer.
    pub notes: Vec<Fault>,
    /// As recognised in the first record that came in; `Auto` if none did.
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

/// A file that cannot be read or written at all.
#[derive(Debug, Error)]
pub enum FormatError {
    #[error("Cannot read {path}: {source}. Check that the file exists and may be read.")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is {what}, which cannot be read. Save it as JSON lines in UTF-8, one record a line.")]
    NotText { path: PathBuf, what: &'static str },
    #[error("Cannot write: {0}. Check the disk and the folder's rights.")]
    Write(#[from] std::io::Error),
}
