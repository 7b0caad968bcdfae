//! Many pairs as one change: they come in by short transactions, so that nobody else waits, and count all at once.
//!
//! Until [`Import::finish`] they stand aside; a killed or abandoned import leaves none of its pairs behind. What can be done
//! later is done later, piece by piece, by [`Project::settle`]: the texts' search index, and clearing away what an import
//! that ended has left.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{
    Applied, Project, Revision,
    duplicates::{self, Added, Duplicates, Known},
    journal::{apply_edit, next_pair_id, record_edit},
    owner::Owner,
    pairs::{STATE, insert_content, insert_state, newest_pair, texts_of, unreadable},
    project::{Keep, Result},
    search,
};
use ::data::{Edit, Pair, PairId};

/// Pairs, or bytes of their texts, of one transaction: some milliseconds.
const PAIRS: usize = 1000;
const BYTES: usize = 4 << 20;
/// Texts indexed, or rows cleared away, in one transaction: some tenths of a second. Larger pieces make a better index.
const SETTLED: i64 = 1000;
/// Pages that an import may add before they are moved into the document.
const WAL_PAGES: i64 = 16_384;

/// An import that is under way. Dropped before it is finished, it was never there.
pub struct Import<'p> {
    project: &'p Project,
    /// Keeps the import this process's own as long as it lasts.
    _owner: Arc<Owner>,
    id: i64,
    /// Pairs written so far.
    written: i64,
    waiting: Vec<Pair>,
    waiting_bytes: usize,
    /// Ids of the texts written, from one to another.
    contents: Vec<(i64, i64)>,
    duplicates: Duplicates,
    known: Option<Known>,
    /// What those that are there already take of pairs that were added.
    merges: Vec<(PairId, Pair)>,
    is_finished: bool,
}

impl Project {
    /// Reads all pairs of the project, if it has any and duplicates are not to be kept.
    pub fn begin_import(&mut self, duplicates: Duplicates) -> Result<Import<'_>> {
        let known = if duplicates == Duplicates::Keep { None } else { Some(Known::of(self)?) };
        let owner = self.owner()?;
        let id = self.write(Keep::Kill, |tx| {
            tx.execute("INSERT INTO imports (owner, state) VALUES (?1, 'coming')", [owner.name()])?;
            Ok(tx.last_insert_rowid())
        })?;
        self.set_wal_pages(WAL_PAGES)?;
        Ok(Import {
            project: self,
            _owner: owner,
            id,
            written: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            contents: Vec::new(),
            duplicates,
            known,
            merges: Vec::new(),
            is_finished: false,
        })
    }

    /// Does a short piece of what imports left for later; false when there was nothing.
    pub fn settle(&mut self) -> Result<bool> {
        if let Some(import) = self.ended_import()? {
            self.clear_away(&import)?;
            return Ok(true);
        }
        if self.unindexed()? == 0 {
            return Ok(false);
        }
        self.write(Keep::Kill, index_some)?;
        Ok(true)
    }

    /// Texts that are not in the search index yet; a search finds them all the same, by reading them.
    pub fn unindexed(&self) -> Result<u64> {
        self.read(|connection| {
            let texts: i64 = connection
                .prepare_cached("SELECT coalesce(sum(last - first + 1), 0) FROM unindexed")?
                .query_row([], |row| row.get(0))?;
            Ok(texts as u64)
        })
    }

    fn ended_import(&self) -> Result<Option<Ended>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, owner, state FROM imports")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (owner, state): (String, String) = (row.get(1)?, row.get(2)?);
                if state != "coming" || !Owner::is_alive(&self.dir, &owner) {
                    return Ok(Some(Ended { id: row.get(0)?, counts: state == "done" }));
                }
            }
            Ok(None)
        })
    }

    /// Removes some rows of an import that has ended, and their texts if its pairs do not count.
    fn clear_away(&self, import: &Ended) -> Result<()> {
        // Which texts nobody refers to is known here; SQLite would look through all versions for each.
        let foreign_keys = |on: bool| self.read(|connection| Ok(connection.pragma_update(None, "foreign_keys", on)?));
        foreign_keys(false)?;
        let cleared = self.write(Keep::Kill, |tx| {
            let first: Option<i64> =
                tx.query_row("SELECT min(position) FROM incoming WHERE import = ?1", [import.id], |row| row.get(0))?;
            let Some(first) = first else {
                tx.execute("DELETE FROM imports WHERE id = ?1", [import.id])?;
                return Ok(());
            };
            let rows = "incoming WHERE import = ?1 AND position < ?2";
            let until = params![import.id, first + SETTLED];
            if !import.counts {
                tx.execute(&format!("DELETE FROM contents WHERE id IN (SELECT content FROM {rows})"), until)?;
            }
            tx.execute(&format!("DELETE FROM {rows}"), until)?;
            Ok(())
        });
        foreign_keys(true)?;
        cleared
    }

    /// How long the write-ahead log may grow before its pages are moved into the document.
    fn set_wal_pages(&self, pages: i64) -> Result<()> {
        self.read(|connection| {
            connection.pragma_update_and_check(None, "wal_autocheckpoint", pages, |_| Ok(()))?;
            Ok(())
        })
    }
}

/// An import that nobody is at any more.
struct Ended {
    id: i64,
    /// Its pairs are in the project.
    counts: bool,
}

impl Import<'_> {
    /// One more pair, at the end, unless the project had it when the import began. Its id is given when the import is
    /// finished.
    pub fn add(&mut self, pair: Pair) -> Result<Added> {
        if let Some(id) = self.known.as_ref().and_then(|known| known.find(&pair)) {
            if self.duplicates == Duplicates::Merge
                && let Some(known) = self.project.pair(id)?
                && duplicates::merged(&known, &pair).is_some()
            {
                self.merges.push((id, pair));
                return Ok(Added::Merged);
            }
            return Ok(Added::Known);
        }
        self.waiting_bytes += pair.len_bytes();
        self.waiting.push(pair);
        if self.waiting.len() >= PAIRS || self.waiting_bytes >= BYTES {
            self.flush()?;
        }
        Ok(Added::New)
    }

    /// Makes all pairs count, as one change that can be undone; without any there is no change. On the disk when this returns.
    pub fn finish(mut self, label: &str) -> Result<Applied> {
        self.flush()?;
        let (id, pairs, contents, merges) = (self.id, self.written, &self.contents, &self.merges);
        let applied = self.project.write(Keep::PowerLoss, |tx| {
            let mut applied =
                Applied { label: label.to_owned(), pairs: Vec::new(), revision: super::journal::newest_revision(tx)? };
            if pairs > 0 || !merges.is_empty() {
                applied.revision = record_edit(tx, label)?;
                applied.pairs = count_in(tx, id, applied.revision, pairs)?;
                merge(tx, merges, &mut applied)?;
                let mut later = tx.prepare("INSERT INTO unindexed (first, last) VALUES (?1, ?2)")?;
                for (first, last) in contents {
                    later.execute([first, last])?;
                }
            }
            tx.execute("UPDATE imports SET state = 'done' WHERE id = ?1", [id])?;
            Ok(applied)
        })?;
        self.is_finished = true;
        Ok(applied)
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let (id, start) = (self.id, self.written);
        let ids = self.project.write(Keep::Kill, |tx| {
            let mut ids = None;
            for (position, pair) in (start..).zip(&waiting) {
                let content = insert_content(tx, pair)?;
                insert_state(tx, "incoming (import, position", [id, position], content, pair)?;
                ids = Some((ids.map_or(content, |(first, _)| first), content));
            }
            Ok(ids)
        })?;
        self.written += waiting.len() as i64;
        if let Some((first, last)) = ids {
            match self.contents.last_mut() {
                // Nobody else wrote a text meanwhile.
                Some((_, end)) if *end + 1 == first => *end = last,
                _ => self.contents.push((first, last)),
            }
        }
        Ok(())
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        self.project.set_wal_pages(1000).ok();
        if !self.is_finished {
            let dropped = self.project.write(Keep::Kill, |tx| {
                tx.execute("UPDATE imports SET state = 'dropped' WHERE id = ?1", [self.id])?;
                Ok(())
            });
            if let Err(error) = dropped {
                // It does not count either way; what is left of it goes when this process has ended.
                tracing::warn!("an import that was given up: {error}");
            }
        }
    }
}

/// What is there already takes what was added to it. A pair that was deleted meanwhile takes nothing.
fn merge(tx: &Transaction<'_>, merges: &[(PairId, Pair)], applied: &mut Applied) -> Result<()> {
    let mut next_id = next_pair_id(tx)?;
    for (id, other) in merges {
        let Some(before) = newest_pair(tx, *id)? else {
            continue;
        };
        if let Some(after) = duplicates::merged(&before, other) {
            apply_edit(tx, &Edit::replace(before, after), applied.revision, &mut next_id)?;
            applied.pairs.push(*id);
        }
    }
    Ok(())
}

/// Gives the pairs of an import their ids and the revision from which on they count.
fn count_in(tx: &Transaction<'_>, import: i64, revision: Revision, pairs: i64) -> Result<Vec<PairId>> {
    let first = next_pair_id(tx)?;
    tx.execute(
        &format!(
            "INSERT INTO versions (pair, revision_from, {STATE})
             SELECT ?1 + position, ?2, {STATE} FROM incoming WHERE import = ?3 ORDER BY position"
        ),
        params![first, revision.0 as i64, import],
    )?;
    Ok((first..first + pairs).map(PairId).collect())
}

/// Indexes the next texts that wait for it.
fn index_some(tx: &Transaction<'_>) -> Result<()> {
    let waiting: Option<(i64, i64)> = tx
        .query_row("SELECT first, last FROM unindexed ORDER BY first LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, last)) = waiting else {
        return Ok(());
    };
    // Up to the end of a block, so that none is torn.
    let until = last.min((first + SETTLED) / search::BLOCK * search::BLOCK - 1);
    index_between(tx, first, until)?;
    if until == last {
        tx.execute("DELETE FROM unindexed WHERE first = ?1", [first])?;
    } else {
        tx.execute("UPDATE unindexed SET first = ?2 WHERE first = ?1", [first, until + 1])?;
    }
    Ok(())
}

/// Whole blocks as such, what is left at either end content by content.
fn index_between(connection: &Connection, first: i64, last: i64) -> Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT id, body FROM contents WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
    let mut rows = statement.query([first, last])?;
    // The words of the block that is being read, and the block's first content.
    let mut block: Option<(i64, search::Words)> = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (prompt, answers) = texts_of(row.get_ref(1)?.as_str().map_err(unreadable)?)?;
        let start = id - id.rem_euclid(search::BLOCK);
        if start < first || start + search::BLOCK - 1 > last {
            search::index(connection, id, &prompt, &answers)?;
            continue;
        }
        if block.as_ref().is_some_and(|(of, _)| *of != start)
            && let Some((of, words)) = block.take()
        {
            words.insert_block(connection, of)?;
        }
        block.get_or_insert_with(|| (start, search::Words::default())).1.add(&prompt, &answers);
    }
    if let Some((of, words)) = block {
        words.insert_block(connection, of)?;
    }
    Ok(())
}
