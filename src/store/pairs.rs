//! How a pair lies in the document, and reading pairs back.

use std::ops::ControlFlow;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    PairRow, Project, Revision,
    contents::{Content, Contents, Packer, body_of},
    error::unreadable,
    narrow::pin,
    project::Result,
    query::{COUNTS, NEWEST, split_number, state_number, state_of, strength_number, strength_of},
    sources::note_source,
};
use ::data::{Answer, Pair, PairId, PromptKey, Split, Verdict};

/// Previews in tables are cut to this many characters before anything lays them out.
const PREVIEW_CHARS: usize = 200;

/// The columns [`pair_of`] reads.
const PAIR: &str = "pair, content, verdict, split, tags, note, reward, behaviour";

/// The columns of [`VersionRow`], the content before them.
pub(super) const STATE: &str = "content, state, strength, verdict, verdict_at, split, source, tags, note, reward, \
    behaviour, len_bytes, prompt_key";

/// Everything of a pair but its texts, as a row of `versions` has it.
#[derive(Serialize, Deserialize)]
pub(super) struct VersionRow {
    state: i64,
    strength: Option<i64>,
    verdict: Option<String>,
    verdict_at: Option<i64>,
    split: i64,
    /// As [`super::sources`] numbers them.
    pub source: i64,
    tags: String,
    note: String,
    reward: f32,
    behaviour: f32,
    len_bytes: i64,
    prompt_key: i64,
}

impl VersionRow {
    /// Without its source, whose number only the document knows.
    pub fn of(pair: &Pair) -> Result<Self> {
        Ok(Self {
            state: state_number(state_of(pair)),
            strength: strength_of(pair).map(strength_number),
            verdict: pair.verdict.as_ref().map(serde_json::to_string).transpose()?,
            verdict_at: pair.verdict.as_ref().map(|verdict| verdict.at_ms),
            split: split_number(pair.split),
            source: 0,
            tags: serde_json::to_string(&pair.tags)?,
            note: pair.note.clone(),
            reward: pair.reward,
            behaviour: pair.behaviour,
            len_bytes: pair.len_bytes() as i64,
            prompt_key: PromptKey::of(&pair.prompt).0 as i64,
        })
    }

    /// The pair that has this state and these texts.
    pub fn pair(&self, Content { prompt, answers, source }: Content) -> Result<Pair> {
        Ok(Pair {
            id: PairId::NEW,
            prompt,
            answers,
            verdict: self.verdict.as_deref().map(serde_json::from_str).transpose()?,
            split: split_of(self.split),
            tags: serde_json::from_str(&self.tags)?,
            note: self.note.clone(),
            reward: self.reward,
            behaviour: self.behaviour,
            source,
        })
    }

    /// What [`Self::insert`] is written by.
    pub fn insertion<'c>(tx: &'c Transaction<'_>) -> Result<CachedStatement<'c>> {
        Ok(tx.prepare_cached(&format!(
            "INSERT INTO versions (pair, revision_from, {STATE})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        ))?)
    }

    /// Writes it as the state of a pair from `revision` on.
    pub fn insert(&self, by: &mut CachedStatement<'_>, pair: i64, revision: Revision, content: i64) -> Result<()> {
        by.execute(params![
            pair,
            revision.0 as i64,
            content,
            self.state,
            self.strength,
            self.verdict,
            self.verdict_at,
            self.split,
            self.source,
            self.tags,
            self.note,
            f64::from(self.reward),
            f64::from(self.behaviour),
            self.len_bytes,
            self.prompt_key,
        ])?;
        Ok(())
    }
}

/// A row of `versions` without an end.
pub(super) struct Newest {
    pub version: i64,
    pub revision_from: i64,
}

impl Project {
    pub fn pair(&self, id: PairId) -> Result<Option<Pair>> {
        self.read(|connection| newest_pair(&mut Contents::of(connection), id))
    }

    /// In the order asked for; ids that do not exist (any more) are left out.
    pub fn pairs(&self, ids: &[PairId]) -> Result<Vec<Pair>> {
        self.snapshot(|connection| {
            let mut contents = Contents::of(connection);
            let mut pairs = Vec::with_capacity(ids.len());
            for id in ids {
                pairs.extend(newest_pair(&mut contents, *id)?);
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
            let mut contents = Contents::of(connection);
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {PAIR} FROM versions
                 WHERE revision_from <= ?1 AND (revision_to IS NULL OR revision_to > ?1) AND {COUNTS} ORDER BY pair"
            ))?;
            let mut rows = statement.query([revision.0 as i64])?;
            while let Some(row) = rows.next()? {
                if each(pair_of(row, &mut contents)?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The prompt and the pin of each pair as it was, in no order; no text is read for it.
    pub fn each_prompt_at(&self, revision: Revision, each: &mut dyn FnMut(PromptKey, Split)) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT prompt_key, split FROM versions
                 WHERE revision_from <= ?1 AND (revision_to IS NULL OR revision_to > ?1) AND {COUNTS}"
            ))?;
            let mut rows = statement.query([revision.0 as i64])?;
            while let Some(row) = rows.next()? {
                each(PromptKey(row.get::<_, i64>(0)? as u64), split_of(row.get(1)?));
            }
            Ok(())
        })
    }

    /// What a table shows, in the order asked for; ids that do not exist are left out.
    pub fn rows(&self, ids: &[PairId]) -> Result<Vec<PairRow>> {
        self.snapshot(|connection| {
            let mut contents = Contents::of(connection);
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(pair) = newest_pair(&mut contents, *id)? {
                    let key = PromptKey::of(&pair.prompt);
                    rows.push(row_of(&pair, key, pin(connection, key)?));
                }
            }
            Ok(rows)
        })
    }
}

pub(super) fn newest_pair(contents: &mut Contents<'_>, id: PairId) -> Result<Option<Pair>> {
    let mut statement =
        contents.connection().prepare_cached(&format!("SELECT {PAIR} FROM versions WHERE pair = ?1 AND {NEWEST}"))?;
    let mut rows = statement.query([id.0])?;
    rows.next()?.map(|row| pair_of(row, contents)).transpose()
}

pub(super) fn newest_version(connection: &Connection, id: PairId) -> Result<Option<Newest>> {
    Ok(connection
        .prepare_cached("SELECT id, revision_from FROM versions WHERE pair = ?1 AND revision_to IS NULL")?
        .query_row([id.0], |row| Ok(Newest { version: row.get(0)?, revision_from: row.get(1)? }))
        .optional()?)
}

/// Writes the state of a pair from `revision` on. Its texts are written only if no earlier state of it has the same.
pub(super) fn insert_version(
    tx: &Transaction<'_>,
    contents: &mut Contents<'_>,
    pair: &Pair,
    revision: Revision,
) -> Result<()> {
    let body = body_of(pair)?;
    let mut known = None;
    let mut statement =
        tx.prepare_cached("SELECT DISTINCT content FROM versions WHERE pair = ?1 ORDER BY content DESC")?;
    let mut rows = statement.query([pair.id.0])?;
    while let Some(row) = rows.next()? {
        let content = row.get(0)?;
        if contents.body(content)? == body {
            known = Some(content);
            break;
        }
    }
    let content = match known {
        Some(content) => content,
        None => Packer::new()?.pack(std::slice::from_ref(pair))?.insert(tx)?,
    };
    let state = VersionRow { source: note_source(tx, pair)?, ..VersionRow::of(pair)? };
    state.insert(&mut VersionRow::insertion(tx)?, pair.id.0, revision, content)
}

fn split_of(number: i64) -> Split {
    match number {
        1 => Split::Train,
        2 => Split::Eval,
        _ => Split::Auto,
    }
}

fn pair_of(row: &Row<'_>, contents: &mut Contents<'_>) -> Result<Pair> {
    let id = PairId(row.get(0)?);
    read_pair(id, row, contents).map_err(|error| error.within(format_args!("pair {}", id.0)))
}

fn read_pair(id: PairId, row: &Row<'_>, contents: &mut Contents<'_>) -> Result<Pair> {
    let Content { prompt, answers, source } = contents.read(row.get(1)?)?;
    let verdict: Option<Verdict> = match row.get_ref(2)?.as_str_or_null().map_err(unreadable("its verdict"))? {
        None => None,
        Some(json) => Some(serde_json::from_str(json)?),
    };
    Ok(Pair {
        id,
        prompt,
        answers,
        verdict,
        split: split_of(row.get(3)?),
        tags: serde_json::from_str(row.get_ref(4)?.as_str().map_err(unreadable("its tags"))?)?,
        note: row.get(5)?,
        reward: row.get::<_, f64>(6)? as f32,
        behaviour: row.get::<_, f64>(7)? as f32,
        source,
    })
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
