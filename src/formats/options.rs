//! How a file is taken in, as far as it does not say so itself.

use std::str::FromStr;

use super::fields::FieldMap;

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

/// What people see of the shape of a file's records; which is recognised record by record unless it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The word of the command line.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it is recognised by, in words.
    pub signs: &'static str,
}

impl Format {
    /// Recognised.
    pub const AUTO: Self = Self { name: "auto", title: "unknown", signs: "" };
}

impl Default for Format {
    fn default() -> Self {
        Self::AUTO
    }
}
