//! Filters that the table's index does not know: they are looked up aside, as ids.

use std::collections::HashMap;

use rusqlite::{Connection, types::Value};

use super::{PairQuery, PairSource, Project, project::Result, query::strength_word};
use ::data::PromptKey;

/// The name of the file in a content's JSON.
const FILE: &str = "json_extract(contents.body, '$.source.file')";
/// Whether an answer's origin is a model, also where it was edited. Inside a text the quotes would stand behind backslashes.
const BY_MODEL: &str =
    r#"(instr(contents.body, '"origin":{"model":') > 0 OR instr(contents.body, '{"edited":{"from":{"model":') > 0)"#;

impl Project {
    /// Where the pairs came from, with how many of them each. Reads all texts.
    pub fn sources(&self) -> Result<Vec<(PairSource, usize)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {FILE} AS file, CASE WHEN {FILE} IS NULL THEN {BY_MODEL} ELSE 0 END AS by_model, count(*)
                 FROM versions JOIN contents ON contents.id = versions.content WHERE revision_to IS NULL
                 GROUP BY file, by_model"
            ))?;
            let of = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(PairSource, usize)> {
                let source = match (row.get::<_, Option<String>>(0)?, row.get(1)?) {
                    (Some(file), _) => PairSource::File(file),
                    (None, true) => PairSource::Model,
                    (None, false) => PairSource::Hand,
                };
                Ok((source, row.get::<_, i64>(2)? as usize))
            };
            let mut sources: Vec<_> = statement.query_map([], of)?.collect::<rusqlite::Result<_>>()?;
            sources.sort();
            Ok(sources)
        })
    }
}

/// Pairs that fit all filters of the query that need more than the index, sorted; absent where it has none of them.
pub(super) fn narrowed(connection: &Connection, query: &PairQuery) -> Result<Option<Vec<i64>>> {
    let mut conditions: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut with = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(tag) = &query.tag {
        let has = "tags <> '[]' AND EXISTS (SELECT 1 FROM json_each(versions.tags) WHERE value = ?)";
        with(has, tag.clone().into());
    }
    if let Some(strength) = query.strength {
        let is = "state = 1 AND json_extract(verdict, '$.choice.better.strength') = ?";
        with(is, strength_word(strength).to_owned().into());
    }
    if let Some(revision) = query.changed_since {
        with("revision_from > ?", (revision.0 as i64).into());
    }
    match &query.source {
        None => {}
        Some(PairSource::File(file)) => with(&format!("{FILE} = ?"), file.clone().into()),
        Some(PairSource::Model) => with(&format!("{FILE} IS NULL AND {BY_MODEL} = ?"), true.into()),
        Some(PairSource::Hand) => with(&format!("{FILE} IS NULL AND {BY_MODEL} = ?"), false.into()),
    }
    if conditions.is_empty() {
        return Ok(None);
    }
    let texts = if query.source.is_some() { "JOIN contents ON contents.id = versions.content" } else { "" };
    let sql = format!("SELECT pair FROM versions {texts} WHERE revision_to IS NULL AND {}", conditions.join(" AND "));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut pairs: Vec<i64> =
        statement.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    pairs.sort_unstable();
    Ok(Some(pairs))
}

/// The side of the hold-out that pairs pinned by hand put their prompts on: `true` for held out, which wins.
pub(super) fn pins(connection: &Connection) -> Result<HashMap<PromptKey, bool>> {
    let mut statement = connection.prepare_cached(
        "SELECT prompt_key, max(split) = 2 FROM versions WHERE revision_to IS NULL AND split > 0 GROUP BY prompt_key",
    )?;
    let pins = statement
        .query_map([], |row| Ok((PromptKey(row.get::<_, i64>(0)? as u64), row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(pins)
}

/// The same of one prompt; absent where nobody has pinned it.
pub(super) fn pin(connection: &Connection, prompt: PromptKey) -> Result<Option<bool>> {
    let pin = connection
        .prepare_cached(
            "SELECT max(split) = 2 FROM versions WHERE revision_to IS NULL AND split > 0 AND prompt_key = ?1",
        )?
        .query_row([prompt.0 as i64], |row| row.get(0))?;
    Ok(pin)
}
