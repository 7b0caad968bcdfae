//! Filters that the table's index does not know: they are looked up aside, as ids.

use std::collections::HashMap;

use rusqlite::{Connection, types::Value};

use super::{PairQuery, project::Result, query::NEWEST, rows::rows};
use ::data::PromptKey;

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
    if let Some(revision) = query.changed_since {
        with("revision_from > ?", (revision.0 as i64).into());
    }
    if conditions.is_empty() {
        return Ok(None);
    }
    let sql = format!("SELECT pair FROM versions WHERE {NEWEST} AND {}", conditions.join(" AND "));
    let mut pairs: Vec<i64> = rows(connection, &sql, rusqlite::params_from_iter(values), |row| Ok(row.get(0)?))?;
    pairs.sort_unstable();
    Ok(Some(pairs))
}

/// The side of the hold-out that pairs pinned by hand put their prompts on: `true` for held out, which wins.
pub(super) fn pins(connection: &Connection) -> Result<HashMap<PromptKey, bool>> {
    rows(
        connection,
        &format!("SELECT prompt_key, max(split) = 2 FROM versions WHERE {NEWEST} AND split > 0 GROUP BY prompt_key"),
        [],
        |row| Ok((PromptKey(row.get::<_, i64>(0)? as u64), row.get(1)?)),
    )
}

/// The same of one prompt; absent where nobody has pinned it.
pub(super) fn pin(connection: &Connection, prompt: PromptKey) -> Result<Option<bool>> {
    let pin = connection
        .prepare_cached(&format!(
            "SELECT max(split) = 2 FROM versions WHERE {NEWEST} AND split > 0 AND prompt_key = ?1"
        ))?
        .query_row([prompt.0 as i64], |row| row.get(0))?;
    Ok(pin)
}
