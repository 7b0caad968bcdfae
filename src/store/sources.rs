//! Where pairs came from, as a number in the document.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::{PairSource, Project, project::Result, query::NEWEST};
use ::data::{Origin, Pair};

/// Of pairs that came from no file.
const HAND: i64 = 0;
const MODEL: i64 = 1;

impl Project {
    /// Where the pairs came from, with how many of them each.
    pub fn sources(&self) -> Result<Vec<(PairSource, usize)>> {
        self.snapshot(|connection| {
            let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
            let mut statement = connection
                .prepare_cached(&format!("SELECT source FROM versions INDEXED BY versions_listed WHERE {NEWEST}"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                *counts.entry(row.get(0)?).or_default() += 1;
            }
            let mut sources = Vec::with_capacity(counts.len());
            for (number, count) in counts {
                let source = match number {
                    HAND => PairSource::Hand,
                    MODEL => PairSource::Model,
                    file => PairSource::File(connection.query_row(
                        "SELECT path FROM files WHERE id = ?1",
                        [file],
                        |row| row.get(0),
                    )?),
                };
                sources.push((source, count));
            }
            sources.sort();
            Ok(sources)
        })
    }
}

/// The number of a source; a file that no pair came from has none.
pub fn number_of(connection: &Connection, source: &PairSource) -> Result<Option<i64>> {
    match source {
        PairSource::Hand => Ok(Some(HAND)),
        PairSource::Model => Ok(Some(MODEL)),
        PairSource::File(path) => {
            let mut statement = connection.prepare_cached("SELECT id FROM files WHERE path = ?1")?;
            Ok(statement.query_row([path], |row| row.get(0)).optional()?)
        }
    }
}

/// The number of a pair's source, which is noted if it is a file that was not known.
pub fn note_source(tx: &Transaction<'_>, pair: &Pair) -> Result<i64> {
    let Some(source) = &pair.source else {
        let by_model = |origin: &Origin| match origin {
            Origin::Model(_) => true,
            Origin::Edited { from, .. } => matches!(**from, Origin::Model(_)),
            Origin::Human | Origin::Imported => false,
        };
        return Ok(if pair.answers.iter().any(|answer| by_model(&answer.origin)) { MODEL } else { HAND });
    };
    let mut known = tx.prepare_cached("SELECT id FROM files WHERE path = ?1")?;
    if let Some(number) = known.query_row([&source.file], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let next = "INSERT INTO files (id, path) VALUES ((SELECT coalesce(max(id), ?2) + 1 FROM files), ?1) RETURNING id";
    Ok(tx.query_row(next, rusqlite::params![source.file, MODEL], |row| row.get(0))?)
}
