//! Many pairs as one change: their texts come in by short transactions, so that nobody else waits, and all count at once.
//!
//! Until [`Import::finish`] nothing of them is seen; a killed or abandoned import leaves none of its pairs behind. The texts
//! that it has left are cleared away later, piece by piece, by [`Project::settle`].

use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};

use rusqlite::{OptionalExtension as _, Transaction};

use super::{
    Applied, Project, StoreError,
    contents::{self, Contents, Packed, Packer},
    duplicates::{self, Added, Duplicates, Known},
    journal::{apply_edit, newest_revision, next_pair_id, record_edit},
    owner::Owner,
    pairs::{VersionRow, newest_pair},
    project::{Keep, Result},
    sources::note_source,
    spill::Spill,
};
use ::data::{Edit, Pair, PairId};

/// Pairs, or bytes of their texts, of one transaction: some milliseconds.
const PAIRS: usize = 1000;
const BYTES: usize = 4 << 20;
/// Pages that an import may add before they are moved into the document.
const WAL_PAGES: i64 = 16_384;

/// An import that is under way. Dropped before it is finished, it was never there.
pub struct Import<'p> {
    project: &'p Project,
    /// Keeps the import this process's own as long as it lasts.
    _owner: Arc<Owner>,
    id: i64,
    waiting: Vec<Pair>,
    waiting_bytes: usize,
    /// Pairs that are packed by another thread, while others are read and written by this one.
    packing: Option<Receiver<Result<Batch>>>,
    packer: Option<Packer>,
    /// Everything else of the pairs whose texts are written, each with its content.
    states: Spill,
    written: usize,
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
            _owner: owner,
            id,
            waiting: Vec::new(),
            waiting_bytes: 0,
            packing: None,
            packer: Some(Packer::new()?),
            states: Spill::new(&self.dir)?,
            written: 0,
            duplicates,
            known,
            merges: Vec::new(),
            is_finished: false,
            project: self,
        })
    }

    /// Clears away some of what imports have left that came to nothing; false when there was nothing.
    pub fn settle(&mut self) -> Result<bool> {
        let Some(import) = self.ended_import()? else {
            return Ok(false);
        };
        self.write(Keep::Kill, |tx| {
            let texts = tx
                .query_row("SELECT first, last FROM brought WHERE import = ?1 LIMIT 1", [import], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            match texts {
                Some((first, last)) => {
                    contents::drop_between(tx, first, last)?;
                    tx.execute("DELETE FROM brought WHERE import = ?1 AND first = ?2", [import, first])?;
                }
                None => {
                    tx.execute("DELETE FROM imports WHERE id = ?1", [import])?;
                }
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// An import that nobody is at any more.
    fn ended_import(&self) -> Result<Option<i64>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, owner, state FROM imports")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (owner, state): (String, String) = (row.get(1)?, row.get(2)?);
                if state != "coming" || !Owner::is_alive(&self.dir, &owner) {
                    return Ok(Some(row.get(0)?));
                }
            }
            Ok(None)
        })
    }

    /// How long the write-ahead log may grow before its pages are moved into the document.
    fn set_wal_pages(&self, pages: i64) -> Result<()> {
        self.read(|connection| {
            connection.pragma_update_and_check(None, "wal_autocheckpoint", pages, |_| Ok(()))?;
            Ok(())
        })
    }
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
        if let Some(batch) = self.packed()? {
            self.write(batch)?;
        }
        let (import, written, merges) = (self.id, self.written, std::mem::take(&mut self.merges));
        let states = std::mem::replace(&mut self.states, Spill::new(&self.project.dir)?);
        let applied = self.project.write(Keep::PowerLoss, |tx| {
            let mut applied = Applied { label: label.to_owned(), pairs: Vec::new(), revision: newest_revision(tx)? };
            if written > 0 || !merges.is_empty() {
                applied.revision = record_edit(tx, label)?;
                count_in(tx, states, &mut applied)?;
                merge(tx, &merges, &mut applied)?;
            }
            tx.execute("DELETE FROM brought WHERE import = ?1", [import])?;
            tx.execute("DELETE FROM imports WHERE id = ?1", [import])?;
            Ok(applied)
        })?;
        self.is_finished = true;
        Ok(applied)
    }

    /// Has what waits packed, and writes meanwhile what was packed before it.
    fn flush(&mut self) -> Result<()> {
        let before = self.packed()?;
        let packer = self.packer.take().map_or_else(Packer::new, Ok)?;
        let (done, packing) = sync_channel(1);
        let pairs = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        rayon::spawn(move || {
            // The import may have been given up meanwhile.
            done.send(Batch::of(pairs, packer)).ok();
        });
        self.packing = Some(packing);
        before.map_or(Ok(()), |batch| self.write(batch))
    }

    /// What was given to the other thread, when it is ready.
    fn packed(&mut self) -> Result<Option<Batch>> {
        let Some(packing) = self.packing.take() else {
            return Ok(None);
        };
        packing.recv().map_err(|_| StoreError::CutShort)?.map(Some)
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let Batch { pairs, states, blocks, packer } = batch;
        self.packer = Some(packer);
        let (import, spill) = (self.id, &mut self.states);
        self.project.write(Keep::Kill, |tx| {
            let mut brought = None;
            let mut rest = pairs.iter().zip(states);
            for block in &blocks {
                let first = block.insert(tx)?;
                for (content, (pair, mut state)) in (first..first + block.count()).zip(&mut rest) {
                    state.source = note_source(tx, pair)?;
                    spill.push(&(content, state))?;
                }
                brought.get_or_insert([first; 2])[1] = first;
            }
            if let Some([first, last]) = brought {
                tx.prepare_cached("INSERT INTO brought (import, first, last) VALUES (?1, ?2, ?3)")?
                    .execute([import, first, last])?;
            }
            Ok(())
        })?;
        self.written += pairs.len();
        Ok(())
    }
}

/// Pairs that are ready to be written.
struct Batch {
    pairs: Vec<Pair>,
    states: Vec<VersionRow>,
    blocks: Vec<Packed>,
    packer: Packer,
}

impl Batch {
    fn of(pairs: Vec<Pair>, mut packer: Packer) -> Result<Self> {
        let states = pairs.iter().map(VersionRow::of).collect::<Result<_>>()?;
        let blocks = contents::in_blocks(&pairs).map(|block| packer.pack(block)).collect::<Result<_>>()?;
        Ok(Self { pairs, states, blocks, packer })
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

/// Gives the pairs of an import their ids and the revision from which on they count.
fn count_in(tx: &Transaction<'_>, states: Spill, applied: &mut Applied) -> Result<()> {
    let mut next = next_pair_id(tx)?;
    let mut insert = VersionRow::insertion(tx)?;
    states.each(|(content, state): (i64, VersionRow)| {
        state.insert(&mut insert, next, applied.revision, content)?;
        applied.pairs.push(PairId(next));
        next += 1;
        Ok(())
    })
}

/// What is there already takes what was added to it. A pair that was deleted meanwhile takes nothing.
fn merge(tx: &Transaction<'_>, merges: &[(PairId, Pair)], applied: &mut Applied) -> Result<()> {
    let mut next_id = next_pair_id(tx)?;
    let mut contents = Contents::of(tx);
    for (id, other) in merges {
        let Some(before) = newest_pair(&mut contents, *id)? else {
            continue;
        };
        if let Some(after) = duplicates::merged(&before, other) {
            apply_edit(tx, &mut contents, &Edit::replace(before, after), applied.revision, &mut next_id)?;
            applied.pairs.push(*id);
        }
    }
    Ok(())
}
