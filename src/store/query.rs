//! What a table of pairs asks for: which ids in which order, then the rows that are on the screen.

use crate::data::{PairId, Split, SplitRule, Strength};

use super::RunId;

/// Which pairs, in which order. The default is all of them, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairQuery {
    /// Words that must all occur in the prompt or an answer, in any order and case; each as it is, also inside longer words.
    pub search: String,
    /// Absent: all.
    pub verdict: Option<VerdictFilter>,
    /// As pinned by the user; absent: all.
    pub pinned: Option<Split>,
    /// The side of the hold-out a pair's prompt falls on when nothing is pinned: `true` for held out.
    pub held_out: Option<(SplitRule, bool)>,
    /// Exactly this tag.
    pub tag: Option<String>,
    /// Only pairs whose newest margin in this run lies in the range, ends included.
    pub margin: Option<(RunId, f32, f32)>,
    pub sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    pub key: SortKey,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortKey {
    #[default]
    Id,
    /// Bytes of prompt and answers.
    Length,
    /// When the verdict was made; pairs without one last, whatever the direction.
    VerdictTime,
    /// Newest margin in a run; pairs the run has not visited last, whatever the direction.
    Margin(RunId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictFilter {
    Is(VerdictState),
    /// Anything but unlabelled.
    Labelled,
}

/// What was said about a pair, without the circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VerdictState {
    #[default]
    Unlabelled,
    Better,
    Tie,
    BothBad,
    Skip,
}

/// How many pairs are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub unlabelled: usize,
    pub better: usize,
    pub tie: usize,
    pub both_bad: usize,
    pub skip: usize,
}

impl Counts {
    pub fn total(&self) -> usize {
        self.unlabelled + self.labelled()
    }

    pub fn labelled(&self) -> usize {
        self.better + self.tie + self.both_bad + self.skip
    }
}

/// One line of a table; texts are cut to 200 characters and hold no line breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRow {
    pub id: PairId,
    /// The last turn of the prompt.
    pub prompt: String,
    /// The chosen answer, or the first one when none is chosen.
    pub chosen: String,
    /// The rejected answer, or the second one when none is rejected.
    pub rejected: String,
    pub answers: usize,
    pub state: VerdictState,
    pub strength: Option<Strength>,
    pub verdict_at_ms: Option<i64>,
    pub split: Split,
    pub tags: Vec<String>,
    /// Bytes of prompt and answers.
    pub len_bytes: usize,
}
