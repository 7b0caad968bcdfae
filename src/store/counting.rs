//! How the pairs of an import come to count: all of them in one moment.
//!
//! The states of a few are written in that moment. Those of many are written before, by short transactions, so that
//! nobody waits for them: under ids and a revision that are kept for the import ([`super::pairs::COUNTS`] passes over
//! those ids), and the moment is when the revision is entered in the journal and the ids are free to be seen. Whatever
//! ends the process before has left nothing that counts; [`super::Project::settle`] clears it away.

use std::{
    collections::{BTreeMap, HashMap},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    Account, Applied, Project, Revision,
    contents::Contents,
    duplicates::{self, Known},
    journal::{apply_edit, newest_revision, next_pair_id, next_revision, record_edit, record_edit_as},
    pairs::{VersionRow, newest_pair},
    project::{Keep, Result},
    spill::Spilled,
};
use ::data::{Edit, Pair, PairId};

/// States of one transaction: some hundredths of a second. Of no more pairs all are written in the moment itself.
pub const FEW: usize = 4000;
/// Revisions that others may make while states are written, before those have to be given another one.
const APART: u64 = 1000;
/// So long it waits for another import that does the same. A million states take less.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_mins(1) };
/// Between two transactions others get their turn, and between two looks whether another import is through.
const BREATH: Duration = Duration::from_millis(10);

/// What is about to count.
pub struct Coming {
    import: i64,
    /// Each with its content, in the order of these.
    states: Spilled,
    count: usize,
    /// By the places of pairs that others have brought meanwhile, the ones that are there.
    known_since: HashMap<usize, PairId>,
    /// Texts that no pair will have, since they are known.
    unused: Vec<i64>,
    merges: Vec<(PairId, Pair)>,
    kept: Option<Kept>,
}

/// What is kept for an import whose states are written before they count.
#[derive(Clone, Copy)]
struct Kept {
    first: i64,
    revision: Revision,
}

/// A state that is ready to be written: pair, content, the rest.
type Ready = (i64, i64, VersionRow);

impl Coming {
    pub fn new(import: i64, states: Spilled, count: usize, merges: Vec<(PairId, Pair)>) -> Self {
        Self { import, states, count, known_since: HashMap::new(), unused: Vec::new(), merges, kept: None }
    }

    /// All that can be done before anybody has to wait for it.
    pub fn prepare(&mut self, project: &Project, known: &mut Option<Known>, prints: &[u128]) -> Result<()> {
        self.learn(project, known, prints)?;
        if self.count <= FEW {
            return Ok(());
        }
        // Their revision is entered last.
        project.check_references(false)?;
        let written = self.write_states(project);
        project.check_references(true)?;
        written?;
        self.learn(project, known, prints)?;
        if let Err(error) = project.move_wal() {
            // Then the sync at the end has more to do.
            tracing::info!("before an import counts: {error}");
        }
        Ok(())
    }

    /// Hears what others have brought, as long as that is much.
    fn learn(&mut self, project: &Project, known: &mut Option<Known>, prints: &[u128]) -> Result<()> {
        let Some(known) = known else { return Ok(()) };
        loop {
            project.snapshot(|connection| known.catch_up(connection))?;
            let news = self.news(known, prints);
            let is_much = news.len() > FEW;
            for some in news.chunks(FEW) {
                project.write(Keep::Kill, |tx| self.leave_out(tx, some))?;
                thread::sleep(BREATH);
            }
            if !is_much {
                return Ok(());
            }
        }
    }

    /// The places of what is newly known.
    fn news(&self, known: &mut Known, prints: &[u128]) -> Vec<(usize, PairId)> {
        let since = known.come_since(prints).into_iter();
        let mut news: Vec<_> = since.filter(|(place, _)| !self.known_since.contains_key(place)).collect();
        news.sort_unstable();
        news
    }

    /// Those that are newly known do not count, whether or not their states are written.
    fn leave_out(&mut self, tx: &Transaction<'_>, news: &[(usize, PairId)]) -> Result<()> {
        if let Some(Kept { first, .. }) = self.kept {
            let mut drop = tx.prepare_cached("DELETE FROM versions WHERE pair = ?1 RETURNING content")?;
            for (place, _) in news {
                self.unused.extend(drop.query_row([first + *place as i64], |row| row.get::<_, i64>(0)).optional()?);
            }
        }
        self.known_since.extend(news.iter().copied());
        Ok(())
    }

    fn write_states(&mut self, project: &Project) -> Result<()> {
        let Some(kept) = keep_for(project, self.import, self.count)? else {
            return Ok(());
        };
        self.kept = Some(kept);
        let mut ready: Vec<Ready> = Vec::with_capacity(FEW);
        let write = |ready: &mut Vec<Ready>| -> Result<()> {
            project.write(Keep::Kill, |tx| insert(tx, ready.drain(..), kept.revision))?;
            thread::sleep(BREATH);
            Ok(())
        };
        let Self { states, known_since, unused, .. } = self;
        states.each(|place, (content, state): (i64, VersionRow)| {
            if known_since.contains_key(&place) {
                unused.push(content);
                return Ok(());
            }
            ready.push((kept.first + place as i64, content, state));
            if ready.len() == FEW { write(&mut ready) } else { Ok(()) }
        })?;
        write(&mut ready)
    }

    /// The moment before the moment: what others have brought in the end, and what those that are there already take of
    /// pairs that were added.
    pub fn settle_known(
        &mut self,
        tx: &Transaction<'_>,
        known: &mut Option<Known>,
        prints: &[u128],
        is_merging: bool,
        account: &mut Account,
    ) -> Result<Vec<Edit>> {
        if let Some(known) = known {
            known.catch_up(tx)?;
            let news = self.news(known, prints);
            self.leave_out(tx, &news)?;
        }
        account.added -= self.known_since.len();
        account.known += self.known_since.len();
        self.merges(tx, is_merging, account)
    }

    fn merges(&mut self, tx: &Transaction<'_>, is_merging: bool, account: &mut Account) -> Result<Vec<Edit>> {
        let Self { states, known_since, merges, .. } = self;
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

    /// The moment: the change is in the journal under this label, and its pairs count.
    pub fn count(&mut self, tx: &Transaction<'_>, label: String, edits: &[Edit]) -> Result<Applied> {
        let revision = self.record(tx, &label)?;
        let mut applied = Applied { label, pairs: Vec::with_capacity(self.count), revision };
        let first = match self.kept {
            Some(kept) => kept.first,
            None => self.insert_all(tx, revision)?,
        };
        let places = (0..self.count).filter(|place| !self.known_since.contains_key(place));
        applied.pairs.extend(places.map(|place| PairId(first + place as i64)));
        let mut next_id = next_pair_id(tx)?;
        let mut contents = Contents::of(tx);
        for edit in edits {
            applied.pairs.push(apply_edit(tx, &mut contents, edit, revision, &mut next_id)?);
        }
        Ok(applied)
    }

    /// Under the revision that is kept, or another one if others have got that far.
    fn record(&self, tx: &Transaction<'_>, label: &str) -> Result<Revision> {
        let Some(Kept { first, revision: kept }) = self.kept else { return record_edit(tx, label) };
        let revision = if newest_revision(tx)? < kept { kept } else { next_revision(tx)? };
        record_edit_as(tx, label, revision)?;
        if revision != kept {
            tx.execute(
                "UPDATE versions SET revision_from = ?1 WHERE revision_from = ?2 AND pair BETWEEN ?3 AND ?4",
                params![revision.0 as i64, kept.0 as i64, first, first + self.count as i64 - 1],
            )?;
        }
        Ok(revision)
    }

    /// Gives the id of the first.
    fn insert_all(&mut self, tx: &Transaction<'_>, revision: Revision) -> Result<i64> {
        let first = next_pair_id(tx)?;
        let mut by = VersionRow::insertion(tx)?;
        let Self { states, known_since, unused, .. } = self;
        states.each(|place, (content, state): (i64, VersionRow)| {
            if known_since.contains_key(&place) {
                unused.push(content);
                return Ok(());
            }
            state.insert(&mut by, first + place as i64, revision, content)
        })?;
        Ok(first)
    }

    /// Nothing is kept for the import any more. What it has brought is no longer its own but for the texts that no pair
    /// has; these are cleared away later, as is all of it where nothing counts.
    pub fn let_go(&mut self, tx: &Transaction<'_>, counts: bool) -> Result<()> {
        tx.execute(
            "UPDATE imports SET state = 'dropped', first_pair = NULL, last_pair = NULL, revision = NULL WHERE id = ?1",
            [self.import],
        )?;
        if counts {
            tx.execute("DELETE FROM brought WHERE import = ?1", [self.import])?;
            let mut brought = tx.prepare_cached("INSERT INTO brought (import, first, last) VALUES (?1, ?2, ?3)")?;
            self.unused.sort_unstable();
            for run in self.unused.chunk_by(|one, next| one + 1 == *next) {
                brought.execute([self.import, run[0], run[run.len() - 1]])?;
            }
        }
        tx.execute("DELETE FROM imports WHERE id NOT IN (SELECT import FROM brought) AND id = ?1", [self.import])?;
        Ok(())
    }
}

fn insert(tx: &Transaction<'_>, states: impl Iterator<Item = Ready>, revision: Revision) -> Result<()> {
    let mut by = VersionRow::insertion(tx)?;
    for (pair, content, state) in states {
        state.insert(&mut by, pair, revision, content)?;
    }
    Ok(())
}

/// For one import at a time; what a killed one has left is cleared away first. Nothing where another one takes too
/// long: it may stand still, and whoever waits for it would too.
fn keep_for(project: &Project, import: i64, count: usize) -> Result<Option<Kept>> {
    let begun = Instant::now();
    loop {
        let kept = project.write(Keep::Kill, |tx| {
            if tx.prepare_cached("SELECT 1 FROM imports WHERE first_pair IS NOT NULL")?.exists([])? {
                return Ok(None);
            }
            let kept = Kept { first: next_pair_id(tx)?, revision: Revision(newest_revision(tx)?.0 + APART) };
            tx.execute(
                "UPDATE imports SET first_pair = ?1, last_pair = ?2, revision = ?3 WHERE id = ?4",
                params![kept.first, kept.first + count as i64 - 1, kept.revision.0 as i64, import],
            )?;
            Ok(Some(kept))
        })?;
        match kept {
            Some(kept) => return Ok(Some(kept)),
            None if project.settle()? => {}
            None if begun.elapsed() > PATIENCE => return Ok(None),
            None => thread::sleep(BREATH),
        }
    }
}

/// Clears away some of the states that were written for an import that came to nothing; false when there are none.
pub fn drop_states(tx: &Transaction<'_>, import: i64) -> Result<bool> {
    let kept = tx
        .prepare_cached("SELECT first_pair, last_pair FROM imports WHERE id = ?1 AND first_pair IS NOT NULL")?
        .query_row([import], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?]))
        .optional()?;
    let Some([first, last]) = kept else { return Ok(false) };
    let dropped = tx
        .prepare_cached(
            "DELETE FROM versions WHERE id IN
                 (SELECT id FROM versions WHERE pair BETWEEN ?1 AND ?2 ORDER BY pair DESC LIMIT ?3)",
        )?
        .execute([first, last, FEW as i64])?;
    if dropped == 0 {
        tx.execute("UPDATE imports SET first_pair = NULL, last_pair = NULL, revision = NULL WHERE id = ?1", [import])?;
    }
    Ok(true)
}
