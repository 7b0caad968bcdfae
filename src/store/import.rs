//! Many pairs as one change: their texts come in by short transactions, so that nobody else waits, and all count at
//! once.
//!
//! Until [`Import::finish`] nothing of them is seen; a killed or abandoned import leaves none of its pairs behind. The
//! texts that it has left are cleared away later, piece by piece, by [`Project::settle`].

use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};

use rusqlite::OptionalExtension as _;

use super::{
    Applied, Project, StoreError,
    contents::{self, Packed, Packer},
    counting::{self, Coming},
    duplicates::{self, Added, Duplicates, Known},
    journal::newest_revision,
    owner::Owner,
    pairs::VersionRow,
    project::{Keep, Result},
    sources::note_source,
    spill::Spill,
};
use ::data::{Pair, PairId};

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
    duplicates: Duplicates,
    known: Option<Known>,
    /// What the pairs say whose texts are written, unless nobody asks.
    prints: Vec<u128>,
    /// What those that are there already take of pairs that were added.
    merges: Vec<(PairId, Pair)>,
    account: Account,
    is_finished: bool,
}

/// What becomes of the pairs of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    pub added: usize,
    /// In the project already, and of those the ones that gave it a label or tags.
    pub known: usize,
    pub merged: usize,
}

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    pub applied: Applied,
    pub account: Account,
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
            duplicates,
            known,
            prints: Vec::new(),
            merges: Vec::new(),
            account: Account::default(),
            is_finished: false,
            project: self,
        })
    }

    /// Clears away some of what imports have left that came to nothing; false when there was nothing.
    pub fn settle(&self) -> Result<bool> {
        let Some(import) = self.ended_import()? else {
            return Ok(false);
        };
        self.write(Keep::Kill, |tx| {
            if counting::drop_states(tx, import)? {
                return Ok(());
            }
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

    /// Whether what is written must refer to what is there.
    pub(super) fn check_references(&self, is_checked: bool) -> Result<()> {
        self.read(|connection| Ok(connection.pragma_update(None, "foreign_keys", is_checked)?))
    }

    /// Moves what the write-ahead log holds into the document, as far as nobody is in the way.
    pub(super) fn move_wal(&self) -> Result<()> {
        self.read(|connection| Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?))
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
            self.account.known += 1;
            if self.duplicates == Duplicates::Merge
                && let Some(known) = self.project.pair(id)?
                && duplicates::merged(&known, &pair).is_some()
            {
                self.account.merged += 1;
                self.merges.push((id, pair));
            }
            return Ok(Added::Known);
        }
        self.account.added += 1;
        self.waiting_bytes += pair.len_bytes();
        self.waiting.push(pair);
        if self.waiting.len() >= PAIRS || self.waiting_bytes >= BYTES {
            self.flush()?;
        }
        Ok(Added::New)
    }

    /// Makes all pairs count, as one change that can be undone and is called as `label` says; without any there is no
    /// change. Those that others have brought in the meantime are not taken twice. On the disk when this returns.
    pub fn finish(mut self, label: impl FnOnce(Account) -> String) -> Result<Imported> {
        let mut coming = self.coming()?;
        let mut account = self.account;
        let mut known = self.known.take();
        coming.prepare(self.project, &mut known, &self.prints)?;
        let is_merging = self.duplicates == Duplicates::Merge;
        let applied = self.project.write(Keep::PowerLoss, |tx| {
            let edits = coming.settle_known(tx, &mut known, &self.prints, is_merging, &mut account)?;
            let label = label(account);
            let counts = account.added > 0 || !edits.is_empty();
            let applied = if counts {
                coming.count(tx, label, &edits)?
            } else {
                Applied { label, pairs: Vec::new(), revision: newest_revision(tx)? }
            };
            coming.let_go(tx, counts)?;
            Ok(applied)
        })?;
        self.is_finished = true;
        Ok(Imported { applied, account })
    }

    /// All pairs, their texts written, ready to count.
    fn coming(&mut self) -> Result<Coming> {
        self.flush()?;
        if let Some(batch) = self.packed()? {
            self.write(batch)?;
        }
        let states = std::mem::replace(&mut self.states, Spill::new(&self.project.dir)?).read()?;
        Ok(Coming::new(self.id, states, self.account.added, std::mem::take(&mut self.merges)))
    }

    /// Has what waits packed, and writes meanwhile what was packed before it.
    fn flush(&mut self) -> Result<()> {
        let before = self.packed()?;
        let packer = self.packer.take().map_or_else(Packer::new, Ok)?;
        let (done, packing) = sync_channel(1);
        let pairs = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let is_asked = self.known.is_some();
        rayon::spawn(move || {
            // The import may have been given up meanwhile.
            done.send(Batch::of(pairs, packer, is_asked)).ok();
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
        let Batch { pairs, prints, states, blocks, packer } = batch;
        self.packer = Some(packer);
        let (import, spill) = (self.id, &mut self.states);
        self.project.write(Keep::Kill, |tx| {
            let mut brought: Option<[i64; 2]> = None;
            let mut rest = pairs.iter().zip(states);
            for block in &blocks {
                let first = block.insert(tx)?;
                for (content, (pair, mut state)) in (first..first + block.count()).zip(&mut rest) {
                    state.source = note_source(tx, pair)?;
                    spill.push(&(content, state))?;
                }
                brought.get_or_insert([first; 2])[1] = first + block.count() - 1;
            }
            if let Some([first, last]) = brought {
                tx.prepare_cached("INSERT INTO brought (import, first, last) VALUES (?1, ?2, ?3)")?
                    .execute([import, first, last])?;
            }
            Ok(())
        })?;
        self.prints.extend(prints);
        Ok(())
    }
}

/// Pairs that are ready to be written.
struct Batch {
    pairs: Vec<Pair>,
    prints: Vec<u128>,
    states: Vec<VersionRow>,
    blocks: Vec<Packed>,
    packer: Packer,
}

impl Batch {
    fn of(pairs: Vec<Pair>, mut packer: Packer, is_asked: bool) -> Result<Self> {
        let asked = pairs.iter().filter(|_| is_asked);
        let prints = asked.map(|pair| duplicates::fingerprint(&pair.prompt, &pair.answers)).collect();
        let states = pairs.iter().map(VersionRow::of).collect::<Result<_>>()?;
        let blocks = contents::in_blocks(&pairs).map(|block| packer.pack(block)).collect::<Result<_>>()?;
        Ok(Self { pairs, prints, states, blocks, packer })
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

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
