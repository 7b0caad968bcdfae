//! Pairs that are in the project already, by what is asked and answered.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    ops::ControlFlow,
};

use super::{Project, project::Result};
use ::data::{Answer, Choice, Pair, PairId, Verdict};

/// What becomes of pairs that are imported and are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Not taken in.
    #[default]
    Skip,
    /// Not taken in; but where the pair that is there has no verdict it gets theirs, and their tags are added to its own.
    Merge,
    /// Taken in as pairs of their own.
    Keep,
}

impl Duplicates {
    pub const ALL: [Self; 3] = [Self::Skip, Self::Merge, Self::Keep];

    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Merge => "merge",
            Self::Keep => "keep",
        }
    }
}

impl std::str::FromStr for Duplicates {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|one| one.word() == word)
            .ok_or_else(|| format!("unknown choice for duplicates {word:?}; there are skip, merge, keep"))
    }
}

/// What became of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    New,
    /// It was there, and is left as it is.
    Known,
    /// It was there, and takes something of this one.
    Merged,
}

/// The pairs of a project, by what they say.
pub struct Known(HashMap<u128, PairId>);

impl Known {
    /// Reads all texts of the project, one pair at a time.
    pub fn of(project: &Project) -> Result<Self> {
        let mut known = HashMap::new();
        project.each_pair_at(project.revision()?, &mut |pair| {
            known.entry(fingerprint(&pair)).or_insert(pair.id);
            ControlFlow::Continue(())
        })?;
        Ok(Self(known))
    }

    pub fn find(&self, pair: &Pair) -> Option<PairId> {
        if self.0.is_empty() { None } else { self.0.get(&fingerprint(pair)).copied() }
    }
}

/// `known` with what `other` says of the same answers; absent when that is nothing new.
pub fn merged(known: &Pair, other: &Pair) -> Option<Pair> {
    let mut after = known.clone();
    if known.verdict.is_none() {
        after.verdict = other.verdict.clone().and_then(|verdict| turned(verdict, known, other));
    }
    after.tags.extend(other.tags.iter().filter(|tag| !known.tags.contains(tag)).cloned());
    (after != *known).then_some(after)
}

/// A verdict about the answers of `other` as one about those of `known`, whose order may be another.
fn turned(verdict: Verdict, known: &Pair, other: &Pair) -> Option<Verdict> {
    let at = |index: usize| {
        let answer = other.answers.get(index)?;
        known.answers.iter().position(|mine| said(mine) == said(answer))
    };
    let choice = match verdict.choice {
        Choice::Better { chosen, rejected, strength } => {
            Choice::Better { chosen: at(chosen)?, rejected: at(rejected)?, strength }
        }
        same @ (Choice::Tie | Choice::BothBad | Choice::Skip) => same,
    };
    let order = verdict.order.iter().map(|index| at(*index)).collect::<Option<_>>()?;
    Some(Verdict { choice, shown_left: verdict.shown_left.and_then(at), order, ..verdict })
}

fn said(answer: &Answer) -> (&str, &::data::Extras) {
    (&answer.text, &answer.extras)
}

/// What a pair says: its prompt and its answers in any order, wherever they came from.
fn fingerprint(pair: &Pair) -> u128 {
    let mut answers: Vec<u128> = pair.answers.iter().map(|answer| digest(&said(answer))).collect();
    answers.sort_unstable();
    digest(&(&pair.prompt, answers))
}

fn digest(value: &impl Hash) -> u128 {
    let mut hasher = Fingerprint(blake3::Hasher::new());
    value.hash(&mut hasher);
    let mut bytes = [0; 16];
    hasher.0.finalize_xof().fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

struct Fingerprint(blake3::Hasher);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.finalize_xof().fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
