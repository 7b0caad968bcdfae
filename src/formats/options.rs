//! How a file is taken in, as far as it does not say so itself.

use std::{collections::BTreeMap, str::FromStr};

use super::shapes::{SHAPES, Shape};

/// Everything an import is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub format: Format,
    pub names: FieldMap,
    pub ties: Ties,
    pub several: Several,
    pub scores: Scores,
    /// A prompt that is a text is what a user says, not the beginning of what the model writes.
    pub chat: bool,
}

/// A choice of the command line, by its words.
macro_rules! words {
    ($name:ident, $what:literal, $($word:literal => $value:ident),+) => {
        impl $name {
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The word of the command line.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|one| one.word() == word).ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|one| one.word()).collect();
                    format!("unknown {} {word:?}; there are {}", $what, all.join(", "))
                })
            }
        }
    };
}

/// What becomes of records that say both answers are as good, or whose scores or labellers say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    #[default]
    Keep,
    LeaveOut,
}

words!(Ties, "choice for ties", "keep" => Keep, "leave-out" => LeaveOut);

/// What becomes of records with more than two answers in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Several {
    /// One pair with all answers and their order: the best against the worst, or against all that are worse.
    #[default]
    Worst,
    /// The best against each of the others, a pair each.
    Each,
}

words!(Several, "choice for several answers", "worst" => Worst, "each" => Each);

/// What becomes of a score for each answer, or of the margin between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scores {
    /// Equal scores are a tie, and that is all.
    #[default]
    Ignore,
    /// How sure the label is: the margin as the log-odds of the better answer.
    Strength,
    /// The margin as the pair's reward.
    Reward,
    /// The margin as a tag.
    Tag,
}

words!(Scores, "choice for scores", "ignore" => Ignore, "strength" => Strength, "reward" => Reward, "tag" => Tag);

/// The shape of a file's records; recognised record by record unless it is named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Format(Option<&'static Shape>);

impl Format {
    /// Recognised.
    pub const AUTO: Self = Self(None);

    pub const fn of(shape: &'static Shape) -> Self {
        Self(Some(shape))
    }

    pub(super) fn shape(self) -> Option<&'static Shape> {
        self.0
    }

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        self.0.map_or("auto", |shape| shape.name)
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        self.0.map_or("unknown", |shape| shape.title)
    }

    /// What it was recognised by.
    pub fn signs(self) -> &'static str {
        self.0.map_or("", |shape| shape.signs)
    }

    /// All words of the command line.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["auto"].into_iter().chain(SHAPES.iter().map(|shape| shape.name))
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == Self::AUTO.name() {
            return Ok(Self::AUTO);
        }
        SHAPES.iter().find(|shape| shape.name == word).map(Self::of).ok_or_else(|| {
            format!("unknown format {word:?}; there are {}", Self::names().collect::<Vec<_>>().join(", "))
        })
    }
}

/// Renames fields while reading: ours to the file's, e.g. `prompt` to `question`; `instruction+input` joins the texts of
/// two of the file's, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap(pub BTreeMap<String, String>);

impl FieldMap {
    /// Our fields, all of which may go by another name in a file.
    pub const FIELDS: [&str; 17] = [
        "prompt",
        "chosen",
        "rejected",
        "a",
        "b",
        "verdict",
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
