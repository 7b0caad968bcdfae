//! What a table of pairs asks for: which ids in which order, then the rows that are on the screen.

use rusqlite::Connection;

use super::{
    PairSource, Project, Revision,
    narrow::{narrowed, pins},
    pairs::split_number,
    project::Result,
    search,
};
use ::data::{Choice, Pair, PairId, PromptKey, Split, SplitRule, Strength, config::Basis};

/// Which pairs, in which order. The default is all of them, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairQuery {
    /// Words that must all occur in the prompt or an answer, in any order and case; each as it is, also inside longer words.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
}

impl Counts {
    pub fn total(&self) -> usize {
        self.unlabelled + self.labelled()
    }

    /// What settings follow, with a model of so many parameters.
    pub fn basis(&self, parameters: Option<u64>) -> Basis {
        let Self { better, tie, held_out, trained_on, .. } = *self;
        Basis { pairs: better + tie, held_out, trained_on, parameters }
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

impl Project {
    /// Ids only: a million of them take a fraction of a second, the rows on the screen come from [`Self::rows`].
    pub fn query(&self, query: &PairQuery) -> Result<Vec<PairId>> {
        self.snapshot(|connection| find(connection, query, &|_| Some(None)))
    }

    pub fn counts(&self) -> Result<Counts> {
        self.read(|connection| {
            let mut counts = Counts::default();
            let mut statement = connection.prepare_cached(
                "SELECT state, split, count(*) FROM versions INDEXED BY versions_listed WHERE revision_to IS NULL
                 GROUP BY state, split",
            )?;
            let [trained_on, held_out] = [Split::Train, Split::Eval].map(split_number);
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (state, split): (i64, i64) = (row.get(0)?, row.get(1)?);
                let count = row.get::<_, i64>(2)? as usize;
                match state {
                    0 => counts.unlabelled += count,
                    1 => counts.better += count,
                    2 => counts.tie += count,
                    3 => counts.both_bad += count,
                    _ => counts.skip += count,
                }
                if matches!(state, 1 | 2) && split == held_out {
                    counts.held_out += count;
                } else if matches!(state, 1 | 2) && split == trained_on {
                    counts.trained_on += count;
                }
            }
            Ok(counts)
        })
    }

    /// Tags in use with the number of pairs that carry them, by name.
    pub fn tags(&self) -> Result<Vec<(String, usize)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT json_each.value, count(*) FROM versions, json_each(versions.tags)
                 WHERE revision_to IS NULL AND tags <> '[]' GROUP BY json_each.value ORDER BY json_each.value",
            )?;
            let tags = statement
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(tags)
        })
    }
}

/// The pairs that a query finds, in its order. `place`: a pair's number for [`SortKey::Scores`], nothing for one that is left out.
pub(super) fn find(
    connection: &Connection,
    query: &PairQuery,
    place: &dyn Fn(i64) -> Option<Option<f64>>,
) -> Result<Vec<PairId>> {
    let contents = search::matching(connection, &query.search)?;
    let narrowed = narrowed(connection, query)?;
    let pins = query.held_out.map(|_| pins(connection)).transpose()?.unwrap_or_default();
    let keep = |listed: &Listed| {
        contents.as_ref().is_none_or(|contents| contents.contains(&listed.content))
            && narrowed.as_ref().is_none_or(|narrowed| narrowed.binary_search(&listed.pair).is_ok())
            && query.held_out.is_none_or(|(rule, held_out)| {
                let pin = pins.get(&listed.prompt).copied();
                pin.unwrap_or_else(|| rule.holds_out(listed.prompt)) == held_out
            })
            && query.length.is_none_or(|(least, most)| (least..=most).contains(&(listed.len_bytes as usize)))
    };
    // What is sorted by: absent ones go last, whatever the direction.
    let key = |listed: &Listed, place: Option<f64>| match query.sort.key {
        SortKey::Id => Some(listed.pair as f64),
        SortKey::Length => Some(listed.len_bytes as f64),
        SortKey::VerdictTime => listed.verdict_at.map(|at| at as f64),
        SortKey::Scores => place,
    };
    let mut found: Vec<(Option<f64>, i64)> = Vec::new();
    list(connection, query, |listed| {
        if keep(listed)
            && let Some(place) = place(listed.pair)
        {
            found.push((key(listed, place), listed.pair));
        }
    })?;
    let descending = query.sort.descending;
    if query.sort != Sort::default() {
        found.sort_unstable_by(|(a, pair_a), (b, pair_b)| {
            let order = match (a, b) {
                (Some(a), Some(b)) if descending => b.total_cmp(a),
                (Some(a), Some(b)) => a.total_cmp(b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            order.then(pair_a.cmp(pair_b))
        });
    }
    Ok(found.into_iter().map(|(_, pair)| PairId(pair)).collect())
}

/// A newest pair, as far as the index alone knows it.
struct Listed {
    pair: i64,
    len_bytes: i64,
    verdict_at: Option<i64>,
    prompt: PromptKey,
    content: i64,
}

/// Walks all newest pairs that fit the plain filters, by id.
fn list(connection: &Connection, query: &PairQuery, mut each: impl FnMut(&Listed)) -> Result<()> {
    let state = match query.verdict {
        None => -1,
        Some(VerdictFilter::Labelled) => -2,
        Some(VerdictFilter::Is(state)) => state_number(state),
    };
    let split = query.pinned.map_or(-1, split_number);
    let mut statement = connection.prepare_cached(
        "SELECT pair, len_bytes, verdict_at, prompt_key, content FROM versions INDEXED BY versions_listed
         WHERE revision_to IS NULL AND (?1 = -1 OR state = ?1 OR (?1 = -2 AND state > 0)) AND (?2 = -1 OR split = ?2)
         ORDER BY pair",
    )?;
    let mut rows = statement.query([state, split])?;
    while let Some(row) = rows.next()? {
        each(&Listed {
            pair: row.get(0)?,
            len_bytes: row.get(1)?,
            verdict_at: row.get(2)?,
            prompt: PromptKey(row.get::<_, i64>(3)? as u64),
            content: row.get(4)?,
        });
    }
    Ok(())
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

/// As the document stores it in a verdict.
pub(super) fn strength_word(strength: Strength) -> &'static str {
    match strength {
        Strength::Slightly => "slightly",
        Strength::Clearly => "clearly",
        Strength::Strongly => "strongly",
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

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
