//! Many pairs as one change: their texts come in by short transactions, so that nobody else waits, and all count at once.
//!
//! Until [`Import::finish`] nothing of them is seen; a killed or abandoned import leaves none of its pairs behind. The texts
//! that it has left are cleared away later, piece by piece, by [`Project::settle`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
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
    spill::{Spill, Spilled},
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
    /// Where each piece of the texts begins that is written.
    brought: Vec<i64>,
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
            brought: Vec::new(),
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

    /// Makes all pairs count, as one change that can be undone and is called as `label` says; without any there is no change.
    /// Those that others have brought in the meantime are not taken twice. On the disk when this returns.
    pub fn finish(mut self, label: impl FnOnce(Account) -> String) -> Result<Imported> {
        self.flush()?;
        if let Some(batch) = self.packed()? {
            self.write(batch)?;
        }
        let mut known = self.known.take();
        if let Some(known) = &mut known {
            // Most of it, before anybody has to wait for it.
            self.project.snapshot(|connection| known.catch_up(connection))?;
        }
        let states = std::mem::replace(&mut self.states, Spill::new(&self.project.dir)?).read()?;
        let mut coming = Coming { states, known_since: HashMap::new(), merges: std::mem::take(&mut self.merges) };
        let mut account = self.account;
        let (import, is_merging) = (self.id, self.duplicates == Duplicates::Merge);
        let (prints, brought) = (&self.prints, &self.brought);
        let applied = self.project.write(Keep::PowerLoss, |tx| {
            if let Some(known) = &mut known {
                known.catch_up(tx)?;
                coming.known_since = known.come_since(prints);
            }
            account.added -= coming.known_since.len();
            account.known += coming.known_since.len();
            let edits = coming.merges(tx, is_merging, &mut account)?;
            let label = label(account);
            let mut applied = Applied { label, pairs: Vec::new(), revision: newest_revision(tx)? };
            if account.added > 0 || !edits.is_empty() {
                applied.revision = record_edit(tx, &applied.label)?;
                coming.count(tx, import, brought, &mut applied)?;
                merge(tx, &edits, &mut applied)?;
            }
            tx.execute("UPDATE imports SET state = 'dropped' WHERE id = ?1", [import])?;
            tx.execute("DELETE FROM imports WHERE id NOT IN (SELECT import FROM brought) AND id = ?1", [import])?;
            Ok(applied)
        })?;
        self.is_finished = true;
        Ok(Imported { applied, account })
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
        let brought = self.project.write(Keep::Kill, |tx| {
            let mut brought: Option<[i64; 2]> = None;
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
            Ok(brought)
        })?;
        self.brought.extend(brought.map(|[first, _]| first));
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

/// What is about to count.
struct Coming {
    /// Each with its content, in the order of these.
    states: Spilled,
    /// By the places of pairs that others have brought meanwhile, the ones that are there.
    known_since: HashMap<usize, PairId>,
    merges: Vec<(PairId, Pair)>,
}

impl Coming {
    /// What those that are there already take of pairs that were added.
    fn merges(&mut self, tx: &Transaction<'_>, is_merging: bool, account: &mut Account) -> Result<Vec<Edit>> {
        let Self { states, known_since, merges } = self;
        let mut contents = Contents::of(tx);
        let mut edits: BTreeMap<PairId, Edit> = BTreeMap::new();
        let mut take = |id: PairId, other: &Pair, contents: &mut Contents<'_>| -> Result<bool> {
            let before = match edits.get(&id) {
                Some(edit) => edit.after.clone(),
                None => newest_pair(contents, id)?,
            };
            // A pair that was deleted meanwhile takes nothing.
            let Some(after) = before.as_ref().and_then(|known| duplicates::merged(known, other)) else {
                return Ok(false);
            };
            edits.entry(id).or_insert(Edit { before, after: None }).after = Some(after);
            Ok(true)
        };
        for (id, other) in merges {
            take(*id, other, &mut contents)?;
        }
        if is_merging && !known_since.is_empty() {
            states.each(|place, (content, state): (i64, VersionRow)| {
                if let Some(id) = known_since.get(&place) {
                    let other = state.pair(contents.read(content)?)?;
                    account.merged += usize::from(take(*id, &other, &mut contents)?);
                }
                Ok(())
            })?;
        }
        Ok(edits.into_values().collect())
    }

    /// Gives the pairs their ids and the revision from which on they count. What was brought and counts is no longer the
    /// import's; the rest is cleared away later. `brought`: where each piece of that begins.
    fn count(&mut self, tx: &Transaction<'_>, import: i64, brought: &[i64], applied: &mut Applied) -> Result<()> {
        let Self { states, known_since, .. } = self;
        let mut next = next_pair_id(tx)?;
        let mut insert = VersionRow::insertion(tx)?;
        let mut counts: Vec<i64> = Vec::new();
        states.each(|place, (content, state): (i64, VersionRow)| {
            if known_since.contains_key(&place) {
                return Ok(());
            }
            state.insert(&mut insert, next, applied.revision, content)?;
            applied.pairs.push(PairId(next));
            next += 1;
            let piece = brought.partition_point(|first| *first <= content).saturating_sub(1);
            if counts.last() != brought.get(piece) {
                counts.extend(brought.get(piece));
            }
            Ok(())
        })?;
        let mut keep = tx.prepare_cached("DELETE FROM brought WHERE import = ?1 AND first = ?2")?;
        for first in counts {
            keep.execute([import, first])?;
        }
        Ok(())
    }
}

/// What is there already takes what was added to it.
fn merge(tx: &Transaction<'_>, edits: &[Edit], applied: &mut Applied) -> Result<()> {
    let mut next_id = next_pair_id(tx)?;
    let mut contents = Contents::of(tx);
    for edit in edits {
        applied.pairs.push(apply_edit(tx, &mut contents, edit, applied.revision, &mut next_id)?);
    }
    Ok(())
}
