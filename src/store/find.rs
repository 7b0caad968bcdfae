//! The pairs that a query finds: ids first, the rows that are on the screen later.

use std::{collections::BTreeMap, ops::ControlFlow};

use rusqlite::Connection;

use super::{
    Counts, PairQuery, Project, SortKey, VerdictFilter,
    error::unreadable,
    narrow::{narrowed, pins},
    project::Result,
    query::{NEWEST, split_number, state_number, strength_number},
    search::{self, OnSearched},
    sources::number_of,
};
use ::data::{PairId, PromptKey, Split, config::Basis};

impl Project {
    /// Ids only: a million of them take a fraction of a second, the rows on the screen come from [`Self::rows`].
    pub fn query(&self, query: &PairQuery) -> Result<Vec<PairId>> {
        self.query_watched(query, &mut |_| ControlFlow::Continue(()))
    }

    /// The same where a search may take seconds: `watch` hears how much was looked at.
    pub fn query_watched(&self, query: &PairQuery, watch: OnSearched<'_>) -> Result<Vec<PairId>> {
        self.snapshot(|connection| find(connection, query, &|_| Some(None), watch))
    }

    pub fn counts(&self) -> Result<Counts> {
        self.read(|connection| {
            let mut counts = Counts::default();
            let mut statement = connection.prepare_cached(&format!(
                "SELECT state, split, count(*), sum(len_bytes) FROM versions INDEXED BY versions_listed WHERE {NEWEST}
                 GROUP BY state, split"
            ))?;
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
                if matches!(state, 1 | 2) {
                    counts.learnt_bytes += row.get::<_, i64>(3)? as usize;
                    counts.held_out += if split == held_out { count } else { 0 };
                    counts.trained_on += if split == trained_on { count } else { 0 };
                }
            }
            if counts.learnt() <= Basis::FEW {
                by_prompt(connection, &mut counts)?;
            }
            Ok(counts)
        })
    }

    /// Tags in use with the number of pairs that carry them, by name.
    pub fn tags(&self) -> Result<Vec<(String, usize)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT tags, count(*) FROM versions INDEXED BY versions_tagged
                 WHERE {NEWEST} AND tags <> '[]' GROUP BY tags"
            ))?;
            let mut tags: BTreeMap<String, usize> = BTreeMap::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let count = row.get::<_, i64>(1)? as usize;
                let together: Vec<String> =
                    serde_json::from_str(row.get_ref(0)?.as_str().map_err(unreadable("the tags of a pair"))?)?;
                for tag in together {
                    *tags.entry(tag).or_default() += count;
                }
            }
            Ok(tags.into_iter().collect())
        })
    }
}

/// Of few pairs to learn from, prompt by prompt: those that a pin takes along, and those whose hash decides.
fn by_prompt(connection: &Connection, counts: &mut Counts) -> Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "WITH learnt AS (SELECT prompt_key AS prompt, count(*) AS pairs FROM versions INDEXED BY versions_listed
                         WHERE {NEWEST} AND state IN (1, 2) GROUP BY prompt_key)
         SELECT prompt, pairs, (SELECT max(split) FROM versions WHERE {NEWEST} AND split > 0 AND prompt_key = prompt)
         FROM learnt"
    ))?;
    let held_out = split_number(Split::Eval);
    (counts.held_out, counts.trained_on) = (0, 0);
    let mut open = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let pairs = row.get::<_, i64>(1)? as usize;
        match row.get::<_, Option<i64>>(2)? {
            None => open.push((PromptKey(row.get::<_, i64>(0)? as u64), pairs)),
            Some(pin) if pin == held_out => counts.held_out += pairs,
            Some(_) => counts.trained_on += pairs,
        }
    }
    counts.open = open.into();
    Ok(())
}

/// The pairs that a query finds, in its order. `place`: a pair's number for [`SortKey::Scores`], nothing for one that
/// is left out.
pub(super) fn find(
    connection: &Connection,
    query: &PairQuery,
    place: &dyn Fn(i64) -> Option<Option<f64>>,
    watch: OnSearched<'_>,
) -> Result<Vec<PairId>> {
    let contents = search::matching(connection, &query.search, watch)?;
    let narrowed = narrowed(connection, query)?;
    let pins = query.held_out.map(|_| pins(connection)).transpose()?.unwrap_or_default();
    let keep = |listed: &Listed| {
        contents.as_ref().is_none_or(|contents| contents.binary_search(&listed.content).is_ok())
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
    // What comes out of the index is in order already, stretch by stretch: next to nothing is left to do for the usual
    // one.
    found.sort_by(|(a, pair_a), (b, pair_b)| {
        let order = match (a, b) {
            (Some(a), Some(b)) if descending => b.total_cmp(a),
            (Some(a), Some(b)) => a.total_cmp(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        order.then(pair_a.cmp(pair_b))
    });
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

/// Walks all newest pairs that fit the plain filters.
fn list(connection: &Connection, query: &PairQuery, mut each: impl FnMut(&Listed)) -> Result<()> {
    let state = match query.verdict {
        None => -1,
        Some(VerdictFilter::Labelled) => -2,
        Some(VerdictFilter::Is(state)) => state_number(state),
    };
    let split = query.pinned.map_or(-1, split_number);
    let strength = query.strength.map_or(-1, strength_number);
    let source = match &query.source {
        None => -1,
        Some(source) => match number_of(connection, source)? {
            Some(number) => number,
            None => return Ok(()),
        },
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT pair, len_bytes, verdict_at, prompt_key, content FROM versions INDEXED BY versions_listed
         WHERE {NEWEST} AND (?1 = -1 OR state = ?1 OR (?1 = -2 AND state > 0)) AND (?2 = -1 OR split = ?2)
             AND (?3 = -1 OR strength = ?3) AND (?4 = -1 OR source = ?4)"
    ))?;
    let mut rows = statement.query([state, split, strength, source])?;
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

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
