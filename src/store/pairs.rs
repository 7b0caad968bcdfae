//! How a pair lies in the document, and reading pairs back.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    PairRow, Project, Revision, StoreError,
    narrow::pin,
    project::Result,
    query::{split_number, state_number, state_of, strength_of},
    search,
};
use ::data::{Answer, Pair, PairId, Prompt, PromptKey, Source, Split, Verdict};

/// Previews in tables are cut to this many characters before anything lays them out.
const PREVIEW_CHARS: usize = 200;

/// The columns [`pair_of`] reads.
const PAIR: &str = "versions.pair, contents.body, versions.verdict, versions.split, versions.tags, versions.note, \
    versions.reward, versions.behaviour";

/// The columns [`insert_state`] writes.
pub(super) const STATE: &str = "content, state, verdict, verdict_at, split, tags, note, reward, behaviour, len_bytes, \
    prompt_key";

/// The texts of a pair: what is written once.
#[derive(Serialize)]
struct ContentRef<'a> {
    prompt: &'a Prompt,
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: &'a Option<Source>,
}

#[derive(Deserialize)]
struct Content {
    prompt: Prompt,
    answers: Vec<Answer>,
    #[serde(default)]
    source: Option<Source>,
}

/// A row of `versions` without an end.
pub(super) struct Newest {
    pub version: i64,
    pub revision_from: i64,
}

impl Project {
    pub fn pair(&self, id: PairId) -> Result<Option<Pair>> {
        self.read(|connection| newest_pair(connection, id))
    }

    /// In the order asked for; ids that do not exist (any more) are left out.
    pub fn pairs(&self, ids: &[PairId]) -> Result<Vec<Pair>> {
        self.snapshot(|connection| {
            let mut pairs = Vec::with_capacity(ids.len());
            for id in ids {
                pairs.extend(newest_pair(connection, *id)?);
            }
            Ok(pairs)
        })
    }

    /// All pairs as they were, by id.
    pub fn pairs_at(&self, revision: Revision) -> Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        self.each_pair_at(revision, &mut |pair| {
            pairs.push(pair);
            ControlFlow::Continue(())
        })?;
        Ok(pairs)
    }

    /// The same one by one, however many there are. `Break` ends it.
    pub fn each_pair_at(&self, revision: Revision, each: &mut dyn FnMut(Pair) -> ControlFlow<()>) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PAIR} FROM versions JOIN contents ON contents.id = versions.content
                 WHERE revision_from <= ?1 AND (revision_to IS NULL OR revision_to > ?1) ORDER BY pair"
            ))?;
            let mut rows = statement.query([revision.0 as i64])?;
            while let Some(row) = rows.next()? {
                if each(pair_of(row)?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The prompt and the pin of each pair as it was, in no order; no text is read for it.
    pub fn each_prompt_at(&self, revision: Revision, each: &mut dyn FnMut(PromptKey, Split)) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT prompt_key, split FROM versions
                 WHERE revision_from <= ?1 AND (revision_to IS NULL OR revision_to > ?1)",
            )?;
            let mut rows = statement.query([revision.0 as i64])?;
            while let Some(row) = rows.next()? {
                each(PromptKey(row.get::<_, i64>(0)? as u64), split_of(row.get(1)?));
            }
            Ok(())
        })
    }

    /// The prompt that fewest pairs have; of several, `seed` decides. Absent of an empty project.
    pub fn prompt_of_fewest(&self, seed: u64) -> Result<Option<Prompt>> {
        self.snapshot(|connection| {
            let pair: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(pair) FROM versions INDEXED BY versions_listed WHERE revision_to IS NULL
                     GROUP BY prompt_key ORDER BY count(*), (prompt_key % 65521 * (?1 + 17)) % 65521 LIMIT 1",
                )?
                .query_row([(seed % 65521) as i64], |row| row.get(0))
                .optional()?;
            let pair = pair.map(|id| newest_pair(connection, PairId(id))).transpose()?.flatten();
            Ok(pair.map(|pair| pair.prompt))
        })
    }

    /// What a table shows, in the order asked for; ids that do not exist are left out.
    pub fn rows(&self, ids: &[PairId]) -> Result<Vec<PairRow>> {
        self.snapshot(|connection| {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(pair) = newest_pair(connection, *id)? {
                    let key = PromptKey::of(&pair.prompt);
                    rows.push(row_of(&pair, key, pin(connection, key)?));
                }
            }
            Ok(rows)
        })
    }
}

pub(super) fn newest_pair(connection: &Connection, id: PairId) -> Result<Option<Pair>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PAIR} FROM versions JOIN contents ON contents.id = versions.content
         WHERE pair = ?1 AND revision_to IS NULL"
    ))?;
    let mut rows = statement.query([id.0])?;
    rows.next()?.map(pair_of).transpose()
}

pub(super) fn newest_version(connection: &Connection, id: PairId) -> Result<Option<Newest>> {
    Ok(connection
        .prepare_cached("SELECT id, revision_from FROM versions WHERE pair = ?1 AND revision_to IS NULL")?
        .query_row([id.0], |row| Ok(Newest { version: row.get(0)?, revision_from: row.get(1)? }))
        .optional()?)
}

/// Writes the state of a pair from `revision` on. Its texts are written only if no earlier state of it has the same.
pub(super) fn insert_version(tx: &Transaction<'_>, pair: &Pair, revision: Revision) -> Result<()> {
    let known: Option<i64> = tx
        .prepare_cached(
            "SELECT contents.id FROM versions JOIN contents ON contents.id = versions.content
             WHERE pair = ?1 AND body = ?2 LIMIT 1",
        )?
        .query_row(params![pair.id.0, body_of(pair)?], |row| row.get(0))
        .optional()?;
    let content = if let Some(content) = known {
        content
    } else {
        let content = insert_content(tx, pair)?;
        search::index(tx, content, &pair.prompt, &pair.answers)?;
        content
    };
    insert_state(tx, "versions (pair, revision_from", [pair.id.0, revision.0 as i64], content, pair)
}

fn body_of(pair: &Pair) -> Result<String> {
    let Pair { prompt, answers, source, .. } = pair;
    Ok(serde_json::to_string(&ContentRef { prompt, answers, source })?)
}

/// Writes the texts of a pair; they are in no index yet.
pub(super) fn insert_content(tx: &Transaction<'_>, pair: &Pair) -> Result<i64> {
    tx.prepare_cached("INSERT INTO contents (body) VALUES (?1)")?.execute([body_of(pair)?])?;
    Ok(tx.last_insert_rowid())
}

/// Writes everything of a pair but its texts. `into`: a table and its first two columns, up to which `place` goes.
pub(super) fn insert_state(
    tx: &Transaction<'_>,
    into: &'static str,
    place: [i64; 2],
    content: i64,
    pair: &Pair,
) -> Result<()> {
    let verdict = pair.verdict.as_ref().map(serde_json::to_string).transpose()?;
    tx.prepare_cached(&format!(
        "INSERT INTO {into}, {STATE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ))?
    .execute(params![
        place[0],
        place[1],
        content,
        state_number(state_of(pair)),
        verdict,
        pair.verdict.as_ref().map(|verdict| verdict.at_ms),
        split_number(pair.split),
        serde_json::to_string(&pair.tags)?,
        pair.note,
        f64::from(pair.reward),
        f64::from(pair.behaviour),
        pair.len_bytes() as i64,
        PromptKey::of(&pair.prompt).0 as i64,
    ])?;
    Ok(())
}

fn split_of(number: i64) -> Split {
    match number {
        1 => Split::Train,
        2 => Split::Eval,
        _ => Split::Auto,
    }
}

/// Prompt and answers of a content's JSON, for the search to look into.
pub(super) fn texts_of(body: &str) -> Result<(Prompt, Vec<Answer>)> {
    let Content { prompt, answers, .. } = serde_json::from_str(body)?;
    Ok((prompt, answers))
}

fn pair_of(row: &Row<'_>) -> Result<Pair> {
    let Content { prompt, answers, source } = serde_json::from_str(row.get_ref(1)?.as_str().map_err(unreadable)?)?;
    let verdict: Option<Verdict> = match row.get_ref(2)?.as_str_or_null().map_err(unreadable)? {
        None => None,
        Some(json) => Some(serde_json::from_str(json)?),
    };
    Ok(Pair {
        id: PairId(row.get(0)?),
        prompt,
        answers,
        verdict,
        split: split_of(row.get(3)?),
        tags: serde_json::from_str(row.get_ref(4)?.as_str().map_err(unreadable)?)?,
        note: row.get(5)?,
        reward: row.get::<_, f64>(6)? as f32,
        behaviour: row.get::<_, f64>(7)? as f32,
        source,
    })
}

pub(super) fn unreadable(error: rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Corrupted { path: std::path::PathBuf::new(), detail: error.to_string() }
}

fn row_of(pair: &Pair, prompt_key: PromptKey, pinned: Option<bool>) -> PairRow {
    let side = |named: Option<&Answer>, place: usize| {
        named.or_else(|| pair.answers.get(place)).map_or_else(String::new, |answer| preview(&answer.text))
    };
    PairRow {
        id: pair.id,
        prompt: preview(pair.prompt.last_text()),
        chosen: side(pair.chosen(), 0),
        rejected: side(pair.rejected(), 1),
        answers: pair.answers.len(),
        worse: pair.worse().len(),
        state: state_of(pair),
        strength: strength_of(pair),
        verdict_at_ms: pair.verdict.as_ref().map(|verdict| verdict.at_ms),
        split: pair.split,
        prompt_key,
        pinned,
        tags: pair.tags.clone(),
        noted: !pair.note.trim().is_empty(),
        len_bytes: pair.len_bytes(),
    }
}

/// One line, with "…" at its end where more would follow.
fn preview(text: &str) -> String {
    let mut letters = text.split_whitespace().flat_map(|word| std::iter::once(' ').chain(word.chars())).skip(1);
    let mut line: String = letters.by_ref().take(PREVIEW_CHARS - 1).collect();
    match (letters.next(), letters.next()) {
        (None, _) => {}
        (Some(last), None) => line.push(last),
        (Some(_), Some(_)) => line.push('…'),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview("  a\n\nb\tc "), "a b c");
        let long = preview(&"水 ".repeat(500));
        assert_eq!(long.chars().count(), PREVIEW_CHARS);
        assert!(long.ends_with('…'));
        let exact = "x".repeat(PREVIEW_CHARS);
        assert_eq!(preview(&exact), exact);
        assert_eq!(preview(""), "");
    }
}
