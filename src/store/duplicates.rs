//! Pairs that are in the project already, by what is asked and answered.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    ops::ControlFlow,
};

use rusqlite::Connection;

use super::{
    Project, Revision,
    contents::{Content, Contents},
    journal::newest_revision,
    project::Result,
    query::NEWEST,
};
use ::data::{Answer, Choice, Pair, PairId, Prompt, Verdict};

/// What becomes of pairs that are imported and are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Not taken in.
    #[default]
    Skip,
    /// Not taken in; but where the pair that is there has no verdict it gets theirs, and their tags are added to its
    /// own.
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
    /// It was there.
    Known,
}

/// The pairs of a project, by what they say.
pub struct Known {
    pairs: HashMap<u128, PairId>,
    /// The state of the data that it knows, and how many texts it knew when it was asked last.
    seen: Revision,
    asked: usize,
}

impl Known {
    /// Reads all texts of the project, one pair at a time.
    pub fn of(project: &Project) -> Result<Self> {
        let (seen, mut pairs) = (project.revision()?, HashMap::new());
        project.each_pair_at(seen, &mut |pair| {
            pairs.entry(fingerprint(&pair.prompt, &pair.answers)).or_insert(pair.id);
            ControlFlow::Continue(())
        })?;
        Ok(Self { seen, asked: pairs.len(), pairs })
    }

    /// Reads the texts that have come since it last looked.
    pub fn catch_up(&mut self, connection: &Connection) -> Result<()> {
        let newest = newest_revision(connection)?;
        if newest == self.seen {
            return Ok(());
        }
        let mut contents = Contents::of(connection);
        let mut statement = connection.prepare_cached(&format!(
            "SELECT pair, content FROM versions WHERE revision_from > ?1 AND {NEWEST} ORDER BY pair"
        ))?;
        let mut rows = statement.query([self.seen.0 as i64])?;
        while let Some(row) = rows.next()? {
            let Content { prompt, answers, .. } = contents.read(row.get(1)?)?;
            self.pairs.entry(fingerprint(&prompt, &answers)).or_insert(PairId(row.get(0)?));
        }
        self.seen = newest;
        Ok(())
    }

    pub fn find(&self, pair: &Pair) -> Option<PairId> {
        let print = || fingerprint(&pair.prompt, &pair.answers);
        if self.pairs.is_empty() { None } else { self.pairs.get(&print()).copied() }
    }

    /// Of pairs that it did not know in the first: the places of those that have come meanwhile, each with the pair
    /// that is there; none if no text is new since this was asked last.
    pub fn come_since(&mut self, prints: &[u128]) -> Vec<(usize, PairId)> {
        if self.pairs.len() == self.asked {
            return Vec::new();
        }
        self.asked = self.pairs.len();
        prints.iter().enumerate().filter_map(|(at, print)| Some((at, *self.pairs.get(print)?))).collect()
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
pub fn fingerprint(prompt: &Prompt, answers: &[Answer]) -> u128 {
    let mut answers: Vec<u128> = answers.iter().map(|answer| digest(&said(answer))).collect();
    answers.sort_unstable();
    digest(&(prompt, answers))
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
