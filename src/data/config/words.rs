//! Settings that are one of some words, and what the words are called on the screen.

use serde::{Deserialize, Serialize};

use super::{Kind, Setting};

/// A word of `run.toml` that a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub word: &'static str,
    /// What it is called on the screen.
    pub shown: &'static str,
    /// One sentence, where its name does not say all.
    pub about: &'static str,
}

impl Setting {
    /// A value of it as the screen says it.
    pub fn shown<'v>(&self, value: &'v str) -> &'v str {
        match (self.kind, value) {
            (Kind::Switch, "true") => "yes",
            (Kind::Switch, "false") => "no",
            _ => self.words().iter().find(|word| word.word == value).map_or(value, |word| word.shown),
        }
    }
}

/// Whose prompts are answered between updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Prompts {
    #[default]
    #[serde(rename = "pairs")]
    Pairs,
    /// Half of them from the reference answers.
    #[serde(rename = "pairs+reference")]
    WithReference,
}

/// Where the score of an answer joins its tokens' rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewardAt {
    #[default]
    LastToken,
    /// A slot of its own behind it, whose value is read at the last token.
    AfterEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    #[default]
    Cosine,
    Linear,
    Constant,
}

impl Schedule {
    /// The word of `run.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Linear => "linear",
            Self::Constant => "constant",
        }
    }
}

/// Which rejected answers a pair brings to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Negatives {
    /// The one that its verdict names.
    #[default]
    First,
    /// All that were said to be worse than the chosen one.
    All,
    /// Of those a few that are likely and unlike each other, chosen once before the run.
    Diverse,
}

impl Negatives {
    /// The word of `run.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::All => "all",
            Self::Diverse => "diverse",
        }
    }
}

/// Whether a block keeps all that its backward needs, or only its input and runs its forward again. Exact either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// As many blocks as do not fit in the memory at hand.
    #[default]
    Auto,
    Never,
    Always,
}

/// Who comes first when the processor is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Gentle beside a window.
    #[default]
    Auto,
    Gentle,
    Full,
}

/// What is done about a run that drifts further than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftAction {
    #[default]
    Stop,
    Warn,
    Steer,
}

pub(super) const fn word(word: &'static str, shown: &'static str, about: &'static str) -> Word {
    Word { word, shown, about }
}

pub(super) const PROMPTS: &[Word] = &[
    word("pairs", "Of the pairs", "Those of the pairs that are trained on"),
    word("pairs+reference", "And of references", "Every other one from the reference answers, where the KL counts too"),
];

pub(super) const REWARD_PLACES: &[Word] = &[
    word("last-token", "Last token", ""),
    word("after-end", "After the end", "A slot of its own behind the last token, as TRL has it"),
];

pub(super) const MARGINS: &[Word] = &[
    word("anchored-sum", "Anchored sum", "Starts at 0 for every pair: a typical data set starts awake"),
    word("anchored-mean", "Anchored mean", "Per token, and starts at 0: long answers count no more than short ones"),
    word("sum", "Sum", "Reference-free: pairs of unlike length may sleep from the start"),
    word("mean", "Mean", "Reference-free, per token"),
];

pub(super) const NEGATIVES: &[Word] = &[
    word("first", "One", "The rejected answer that the verdict names, as in a pair of two"),
    word(
        "all",
        "All",
        "All answers that were said to be worse, against the chosen one at once: a softmax over the pair's answers",
    ),
    word(
        "diverse",
        "Unlike",
        "Of all that are worse some that are likely and far from the chosen answer and from each other; chosen once before the run",
    ),
];

pub(super) const SCHEDULES: &[Word] = &[
    word("cosine", "Cosine", "Falls along a cosine to zero"),
    word("linear", "Linear", "Falls in a straight line to zero"),
    word("constant", "Constant", "Stays at its peak"),
];

pub(super) const DRIFT_ACTIONS: &[Word] = &[
    word("stop", "Stop", "The run ends with a checkpoint"),
    word("warn", "Warn", "The run goes on, with a mark on its charts"),
    word(
        "steer",
        "Steer λ ref",
        "λ ref grows while the drift is above the limit and comes down again below half of it",
    ),
];

pub(super) const OPTIMIZERS: &[Word] = &[word("adamw", "AdamW", "")];

pub(super) const PRECISIONS: &[Word] = &[
    word("auto", "As in the file", ""),
    word("f32", "f32 arithmetic", ""),
    word("bf16", "bf16", ""),
    word("q8_0", "8 bits (q8_0)", ""),
    word("q4_k", "4 bits (q4_k)", ""),
];

pub(super) const RECOMPUTES: &[Word] =
    &[word("auto", "Where needed", ""), word("never", "Never", ""), word("always", "Always", "")];

pub(super) const PRIORITIES: &[Word] =
    &[word("auto", "Gentle here", ""), word("gentle", "Gentle", ""), word("full", "Full speed", "")];
