//! What a table of pairs asks for: which pairs in which order, and what its rows say.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Revision;
use ::data::{Choice, Pair, PairId, PromptKey, Split, SplitRule, Strength, config::Basis};

macro_rules! counts {
    () => {
        "versions.pair NOT BETWEEN (SELECT coalesce(min(first_pair), 0) FROM imports) \
         AND (SELECT coalesce(max(last_pair), -1) FROM imports)"
    };
}

/// Of `versions`: not of an import that is still under way.
pub(super) const COUNTS: &str = counts!();

/// Of `versions`: the state that a pair has now.
pub(super) const NEWEST: &str = concat!("versions.revision_to IS NULL AND ", counts!());

/// Which pairs, in which order. The default is all of them, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairQuery {
    /// Words that must all occur in the prompt or an answer, in any order and case; each as it is, also inside longer
    /// words.
    pub search: String,
    /// Absent: all.
    pub verdict: Option<VerdictFilter>,
    /// As pinned by the user; absent: all.
    pub pinned: Option<Split>,
    /// The side of the hold-out, pins and the rule together: `true` for held out.
    pub held_out: Option<(SplitRule, bool)>,
    /// Exactly this tag.
    pub tag: Option<String>,
    /// Only pairs with a better answer, and this sure.
    pub strength: Option<Strength>,
    pub source: Option<PairSource>,
    /// Bytes of prompt and answers, ends included.
    pub length: Option<(usize, usize)>,
    /// Only pairs that are no longer what they were at this revision, new ones too.
    pub changed_since: Option<Revision>,
    pub sort: Sort,
}

/// Where a pair came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PairSource {
    /// Imported from this file.
    File(String),
    /// From no file, and at least one of its answers was written by a model.
    Model,
    /// From no file, all by hand.
    Hand,
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
    /// A number made of a pair's scores ([`Project::query_scored`]); pairs without one last, whatever the direction.
    Scores,
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub unlabelled: usize,
    pub better: usize,
    pub tie: usize,
    pub both_bad: usize,
    pub skip: usize,
    /// Of `better` and `tie`: those that are always held out.
    pub held_out: usize,
    /// Of `better` and `tie`: those that are never held out.
    pub trained_on: usize,
    /// Of `better` and `tie`: prompts and answers, in bytes.
    pub learnt_bytes: usize,
    /// As [`Basis::open`].
    pub open: Arc<[(PromptKey, usize)]>,
}

impl Counts {
    pub fn total(&self) -> usize {
        self.unlabelled + self.labelled()
    }

    /// What settings follow, with a model of so many parameters.
    pub fn basis(&self, parameters: Option<u64>) -> Basis {
        let Self { held_out, trained_on, .. } = *self;
        let (pairs, open) = (self.learnt(), self.open.clone());
        Basis { pairs, held_out, trained_on, open, bytes: self.learnt_bytes / pairs.max(1), parameters }
    }

    /// What a run learns from.
    pub(super) fn learnt(&self) -> usize {
        self.better + self.tie
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
    /// Answers that were said to be worse than the chosen one.
    pub worse: usize,
    pub state: VerdictState,
    pub strength: Option<Strength>,
    pub verdict_at_ms: Option<i64>,
    pub split: Split,
    /// What its prompt is about, and the side of the hold-out that it was pinned to, by whatever pair of it.
    pub prompt_key: PromptKey,
    pub pinned: Option<bool>,
    pub tags: Vec<String>,
    /// There is a note.
    pub noted: bool,
    /// Bytes of prompt and answers.
    pub len_bytes: usize,
}

impl PairRow {
    /// Whether it is kept back to measure with.
    pub fn is_held_out(&self, rule: SplitRule) -> bool {
        self.pinned.unwrap_or_else(|| rule.holds_out(self.prompt_key))
    }
}

pub(super) fn state_of(pair: &Pair) -> VerdictState {
    state_of_choice(pair.choice())
}

pub(super) fn state_of_choice(choice: Option<Choice>) -> VerdictState {
    match choice {
        None => VerdictState::Unlabelled,
        Some(Choice::Better { .. }) => VerdictState::Better,
        Some(Choice::Tie) => VerdictState::Tie,
        Some(Choice::BothBad) => VerdictState::BothBad,
        Some(Choice::Skip) => VerdictState::Skip,
    }
}

pub(super) fn strength_of(pair: &Pair) -> Option<Strength> {
    match pair.choice()? {
        Choice::Better { strength, .. } => Some(strength),
        Choice::Tie | Choice::BothBad | Choice::Skip => None,
    }
}

/// As the document stores it.
pub(super) fn strength_number(strength: Strength) -> i64 {
    match strength {
        Strength::Slightly => 1,
        Strength::Clearly => 2,
        Strength::Strongly => 3,
    }
}

/// As the document stores it.
pub(super) fn state_number(state: VerdictState) -> i64 {
    match state {
        VerdictState::Unlabelled => 0,
        VerdictState::Better => 1,
        VerdictState::Tie => 2,
        VerdictState::BothBad => 3,
        VerdictState::Skip => 4,
    }
}

/// As the document stores it.
pub(super) fn split_number(split: Split) -> i64 {
    match split {
        Split::Auto => 0,
        Split::Train => 1,
        Split::Eval => 2,
    }
}
