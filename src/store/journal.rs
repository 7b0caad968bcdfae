//! Changing pairs, and taking it back: the journal.
//!
//! An edit can be undone when it is the newest one that is done, and redone when it is the oldest one that is undone.
//! Both are new revisions of their own, so what any run saw stays where it was.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{
    Project, Revision, StoreError,
    contents::Contents,
    pairs::{STATE, insert_version, newest_pair, newest_version},
    project::{Keep, Result, now_ms},
    rows::rows,
};
use ::data::{Change, Edit, Pair, PairId};

/// What an edit, an undo or a redo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub label: String,
    /// The pairs touched, new ones with the ids they were given, in the order of the edits.
    pub pairs: Vec<PairId>,
    pub revision: Revision,
}

#[derive(Clone, Copy)]
enum Direction {
    Undo,
    Redo,
}

impl Project {
    pub fn revision(&self) -> Result<Revision> {
        self.read(newest_revision)
    }

    /// One transaction, on the disk when this returns. New pairs ([`PairId::NEW`]) get their ids here. What was undone
    /// before can no longer be redone.
    ///
    /// An edit whose `before` is not what the project holds is [`StoreError::Stale`], and nothing of the change is
    /// applied. A change that changes nothing makes no revision.
    pub fn apply(&mut self, change: &Change) -> Result<Applied> {
        self.write(Keep::PowerLoss, |tx| apply_all(tx, change))
    }

    /// Goes on with the edit `of`, which is still being made (typing that is saved as it goes): one transaction, after
    /// which the journal has one step from before `of` to after `change`. What a run saw of `of` stays where it was.
    ///
    /// Where `of` is not the newest step any more this is [`Self::apply`].
    pub fn amend(&mut self, of: Revision, change: &Change) -> Result<Applied> {
        self.write(Keep::PowerLoss, |tx| {
            let newest = next_step(tx, Direction::Undo)?.map(|(revision, _)| revision);
            if newest != Some(of.0 as i64) || next_step(tx, Direction::Redo)?.is_some() {
                return apply_all(tx, change);
            }
            let mut contents = Contents::of(tx);
            for before in change.edits.iter().filter_map(|edit| edit.before.as_ref()) {
                if newest_pair(&mut contents, before.id)?.as_ref() != Some(before) {
                    return Err(StoreError::Stale(before.id));
                }
            }
            let Some(taken_back) = step(tx, Direction::Undo)? else {
                return apply_all(tx, change);
            };
            let mut whole = Change::new(change.label.clone(), Vec::with_capacity(change.edits.len()));
            for edit in &change.edits {
                let before = edit.before.as_ref();
                let before = before.map(|pair| newest_pair(&mut contents, pair.id)).transpose()?.flatten();
                whole.edits.push(Edit { before, after: edit.after.clone() });
            }
            let applied = apply_all(tx, &whole)?;
            // Typed and taken back again: nothing is left to be redone.
            tx.execute("UPDATE changes SET state = 'dropped' WHERE state = 'undone'", [])?;
            Ok(if applied.pairs.is_empty() { taken_back } else { applied })
        })
    }

    /// Takes back the newest edit that is done; absent when there is none.
    pub fn undo(&mut self) -> Result<Option<Applied>> {
        self.step(Direction::Undo)
    }

    /// Does the edit again that was undone last; absent when there is none.
    pub fn redo(&mut self) -> Result<Option<Applied>> {
        self.step(Direction::Redo)
    }

    /// What was done so far can be neither undone nor redone: it is where the project begins.
    pub(super) fn begin_here(&mut self) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| {
            tx.execute("UPDATE changes SET state = 'dropped' WHERE state IS NOT NULL", [])?;
            Ok(())
        })
    }

    /// The label of what [`Self::undo`] would take back.
    pub fn can_undo(&self) -> Result<Option<String>> {
        self.read(|connection| Ok(next_step(connection, Direction::Undo)?.map(|(_, label)| label)))
    }

    /// The label of what [`Self::redo`] would do again.
    pub fn can_redo(&self) -> Result<Option<String>> {
        self.read(|connection| Ok(next_step(connection, Direction::Redo)?.map(|(_, label)| label)))
    }

    /// How many pairs the next undo would change, counted up to `most`: enough to know whether to ask first.
    pub fn undo_touches(&self, most: usize) -> Result<usize> {
        self.read(|connection| {
            let Some((edit, _)) = next_step(connection, Direction::Undo)? else {
                return Ok(0);
            };
            let count: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT pair FROM versions WHERE revision_from = ?1
                     UNION SELECT pair FROM versions WHERE revision_to = ?1 LIMIT ?2)",
                )?
                .query_row(params![edit, most as i64], |row| row.get(0))?;
            Ok(count as usize)
        })
    }

    fn step(&mut self, direction: Direction) -> Result<Option<Applied>> {
        self.write(Keep::PowerLoss, |tx| step(tx, direction))
    }
}

fn apply_all(tx: &Transaction<'_>, change: &Change) -> Result<Applied> {
    let edits: Vec<&Edit> = change.edits.iter().filter(|edit| edit.before != edit.after).collect();
    let mut applied =
        Applied { label: change.label.clone(), pairs: Vec::with_capacity(edits.len()), revision: newest_revision(tx)? };
    if edits.is_empty() {
        return Ok(applied);
    }
    applied.revision = record_edit(tx, &change.label)?;
    let mut next_id = next_pair_id(tx)?;
    let mut contents = Contents::of(tx);
    for edit in edits {
        let id = apply_edit(tx, &mut contents, edit, applied.revision, &mut next_id)?;
        applied.pairs.push(id);
    }
    Ok(applied)
}

fn step(tx: &Transaction<'_>, direction: Direction) -> Result<Option<Applied>> {
    let Some((edit, label)) = next_step(tx, direction)? else {
        return Ok(None);
    };
    let revision = next_revision(tx)?;
    let (kind, state, restored) = match direction {
        // What the edit closed is how things were before it; what it opened, how they were after.
        Direction::Undo => ("undo", "undone", "revision_to"),
        Direction::Redo => ("redo", "done", "revision_from"),
    };
    tx.execute("UPDATE changes SET state = ?1 WHERE revision = ?2", params![state, edit])?;
    tx.execute(
        "INSERT INTO changes (revision, label, at_ms, kind, of) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![revision.0 as i64, label, now_ms(), kind, edit],
    )?;
    let pairs: Vec<i64> = rows(
        tx,
        "SELECT pair FROM versions WHERE revision_from = ?1
             UNION SELECT pair FROM versions WHERE revision_to = ?1 ORDER BY pair",
        [edit],
        |row| Ok(row.get(0)?),
    )?;
    let mut close =
        tx.prepare_cached("UPDATE versions SET revision_to = ?1 WHERE pair = ?2 AND revision_to IS NULL")?;
    for pair in &pairs {
        close.execute(params![revision.0 as i64, pair])?;
    }
    tx.prepare_cached(&format!(
        "INSERT INTO versions (pair, revision_from, {STATE})
         SELECT pair, ?1, {STATE} FROM versions WHERE {restored} = ?2"
    ))?
    .execute(params![revision.0 as i64, edit])?;
    Ok(Some(Applied { label, pairs: pairs.into_iter().map(PairId).collect(), revision }))
}

pub(super) fn newest_revision(connection: &Connection) -> Result<Revision> {
    let newest: Option<i64> =
        connection.prepare_cached("SELECT max(revision) FROM changes")?.query_row([], |row| row.get(0))?;
    Ok(Revision(newest.unwrap_or(0) as u64))
}

/// The number of the next change: none that is kept for an import.
pub(super) fn next_revision(connection: &Connection) -> Result<Revision> {
    let next = newest_revision(connection)?.0 + 1;
    let is_kept = connection.prepare_cached("SELECT 1 FROM imports WHERE revision = ?1")?.exists([next as i64])?;
    Ok(Revision(next + u64::from(is_kept)))
}

/// Begins a new edit; what was undone before can no longer be redone.
pub(super) fn record_edit(tx: &Transaction<'_>, label: &str) -> Result<Revision> {
    let revision = next_revision(tx)?;
    record_edit_as(tx, label, revision)?;
    Ok(revision)
}

/// The same under a number that is higher than all others.
pub(super) fn record_edit_as(tx: &Transaction<'_>, label: &str, revision: Revision) -> Result<()> {
    tx.execute("UPDATE changes SET state = 'dropped' WHERE state = 'undone'", [])?;
    tx.execute(
        "INSERT INTO changes (revision, label, at_ms, kind, state) VALUES (?1, ?2, ?3, 'edit', 'done')",
        params![revision.0 as i64, label, now_ms()],
    )?;
    Ok(())
}

/// The edit that would be undone or redone next.
fn next_step(connection: &Connection, direction: Direction) -> Result<Option<(i64, String)>> {
    let sql = match direction {
        Direction::Undo => "SELECT revision, label FROM changes WHERE state = 'done' ORDER BY revision DESC LIMIT 1",
        Direction::Redo => "SELECT revision, label FROM changes WHERE state = 'undone' ORDER BY revision LIMIT 1",
    };
    Ok(connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Versions that counted are never deleted, so neither are ids ever given twice; nor are those that are kept for an
/// import.
pub(super) fn next_pair_id(tx: &Transaction<'_>) -> Result<i64> {
    let newest: Option<i64> = tx.query_row(
        "SELECT max(pair) FROM (SELECT max(pair) AS pair FROM versions UNION ALL SELECT max(last_pair) FROM imports)",
        [],
        |row| row.get(0),
    )?;
    Ok(newest.unwrap_or(0) + 1)
}

pub(super) fn apply_edit(
    tx: &Transaction<'_>,
    contents: &mut Contents<'_>,
    edit: &Edit,
    revision: Revision,
    next_id: &mut i64,
) -> Result<PairId> {
    // A deleted pair may come back under its own id; any other new pair gets one nobody had.
    let known = match (&edit.before, &edit.after) {
        (Some(pair), _) => Some(pair.id),
        (None, Some(pair)) if (1..*next_id).contains(&pair.id.0) => Some(pair.id),
        (None, _) => None,
    };
    let id = match known {
        Some(id) if newest_pair(contents, id)? != edit.before => return Err(StoreError::Stale(id)),
        Some(id) => id,
        None => {
            *next_id += 1;
            PairId(*next_id - 1)
        }
    };
    if let Some(newest) = newest_version(tx, id)? {
        if newest.revision_from == revision.0 as i64 {
            // Edited twice in one change: the state in between was never anybody's.
            tx.prepare_cached("DELETE FROM versions WHERE id = ?1")?.execute([newest.version])?;
        } else {
            tx.prepare_cached("UPDATE versions SET revision_to = ?1 WHERE id = ?2")?
                .execute(params![revision.0 as i64, newest.version])?;
        }
    }
    if let Some(after) = &edit.after {
        let pair = Pair { id, ..after.clone() };
        insert_version(tx, contents, &pair, revision)?;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectSettings;
    use ::data::Prompt;

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        (dir, project)
    }

    fn new_pair(prompt: &str) -> Pair {
        Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &["a", "b"])
    }

    fn add(project: &mut Project, prompt: &str) -> PairId {
        let change = Change::new(format!("Add {prompt}"), vec![Edit::add(new_pair(prompt))]);
        project.apply(&change).unwrap().pairs[0]
    }

    fn note(project: &mut Project, id: PairId, note: &str) {
        let before = project.pair(id).unwrap().unwrap();
        let after = Pair { note: note.to_owned(), ..before.clone() };
        project.apply(&Change::new("Note", vec![Edit::replace(before, after)])).unwrap();
    }

    fn count(project: &Project, table: &str) -> i64 {
        project.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn texts_are_written_once_however_often_a_pair_changes() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        for text in ["one", "two", "three"] {
            note(&mut project, id, text);
        }
        while project.undo().unwrap().is_some() {}
        while project.redo().unwrap().is_some() {}
        assert_eq!(project.pair(id).unwrap().unwrap().note, "three");
        assert_eq!(count(&project, "packed"), 1);
        assert_eq!(count(&project, "versions"), 4 + 3 + 4);
        assert_eq!(project.revision().unwrap(), Revision(4 + 4 + 4));
    }

    #[test]
    fn a_new_edit_drops_what_could_be_redone() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        note(&mut project, id, "one");
        project.undo().unwrap().unwrap();
        assert_eq!(project.can_redo().unwrap().as_deref(), Some("Note"));
        add(&mut project, "q");
        assert_eq!(project.can_redo().unwrap(), None);
        assert_eq!(project.redo().unwrap(), None);
        // The undone note stays out of the way of the undo stack.
        assert_eq!(project.undo().unwrap().unwrap().label, "Add q");
        assert_eq!(project.undo().unwrap().unwrap().label, "Add p");
        assert_eq!(project.can_undo().unwrap(), None);
    }

    #[test]
    fn a_stale_edit_leaves_everything_as_it_was() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        let seen = project.pair(id).unwrap().unwrap();
        note(&mut project, id, "by somebody else");
        let mine = Pair { note: "mine".to_owned(), ..seen.clone() };
        let change = Change::new("Two things", vec![Edit::add(new_pair("q")), Edit::replace(seen.clone(), mine)]);
        let revision = project.revision().unwrap();
        assert!(matches!(project.apply(&change), Err(StoreError::Stale(stale)) if stale == id));
        assert_eq!(project.revision().unwrap(), revision);
        assert_eq!(project.pairs_at(revision).unwrap().len(), 1);
        // Adding what is there, and deleting what is not, are stale too.
        assert!(project.apply(&Change::new("", vec![Edit::add(seen.clone())])).is_err());
        let gone = Pair { id: PairId(99), ..seen };
        assert!(project.apply(&Change::new("", vec![Edit::delete(gone)])).is_err());
    }

    #[test]
    fn a_deleted_pair_comes_back_under_its_id_and_no_other_gets_it() {
        let (_dir, mut project) = project();
        let first = add(&mut project, "p");
        let pair = project.pair(first).unwrap().unwrap();
        let delete = Change::new("Delete", vec![Edit::delete(pair.clone())]);
        project.apply(&delete).unwrap();
        let second = add(&mut project, "q");
        assert_ne!(first, second);
        project.apply(&delete.inverse()).unwrap();
        assert_eq!(project.pair(first).unwrap(), Some(pair));
        assert_eq!(count(&project, "packed"), 2);
    }

    #[test]
    fn one_change_may_touch_a_pair_twice() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        let one = project.pair(id).unwrap().unwrap();
        let two = Pair { note: "two".to_owned(), ..one.clone() };
        let three = Pair { note: "three".to_owned(), ..one.clone() };
        let change =
            Change::new("Twice", vec![Edit::replace(one.clone(), two.clone()), Edit::replace(two, three.clone())]);
        project.apply(&change).unwrap();
        assert_eq!(project.pair(id).unwrap(), Some(three.clone()));
        project.undo().unwrap();
        assert_eq!(project.pair(id).unwrap(), Some(one));
        project.redo().unwrap();
        assert_eq!(project.pair(id).unwrap(), Some(three));
    }

    #[test]
    fn nothing_changed_is_no_revision() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        let pair = project.pair(id).unwrap().unwrap();
        let same = Change::new("Same", vec![Edit::replace(pair.clone(), pair), Edit::default()]);
        let applied = project.apply(&same).unwrap();
        assert_eq!((applied.revision, applied.pairs.len()), (Revision(1), 0));
        assert_eq!(project.can_undo().unwrap().as_deref(), Some("Add p"));
    }

    #[test]
    fn g6_typing_that_is_saved_as_it_goes_is_one_step() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        let noted = |project: &Project, note: &str| {
            let before = project.pair(id).unwrap().unwrap();
            let after = Pair { note: note.to_owned(), ..before.clone() };
            Change::new("Note", vec![Edit::replace(before, after)])
        };
        let first = noted(&project, "a");
        let mut at = project.apply(&first).unwrap().revision;
        for note in ["ab", "abc"] {
            let change = noted(&project, note);
            at = project.amend(at, &change).unwrap().revision;
        }
        assert_eq!(project.pair(id).unwrap().unwrap().note, "abc");
        assert_eq!(project.can_redo().unwrap(), None);
        project.undo().unwrap();
        assert_eq!(project.pair(id).unwrap().unwrap().note, "");
        assert_eq!(project.can_undo().unwrap().as_deref(), Some("Add p"));
        project.redo().unwrap();
        assert_eq!(project.pair(id).unwrap().unwrap().note, "abc");
        // A run that saw it half typed sees it so for ever.
        assert_eq!(project.pairs_at(Revision(2)).unwrap()[0].note, "a");

        // After somebody else's step it is a step of its own, and a stale one is refused.
        add(&mut project, "q");
        let change = noted(&project, "abcd");
        project.amend(at, &change).unwrap();
        assert!(matches!(project.amend(at, &change), Err(StoreError::Stale(_))));
        project.undo().unwrap();
        assert_eq!(project.pair(id).unwrap().unwrap().note, "abc");
    }

    #[test]
    fn g6_typed_and_taken_back_leaves_no_step() {
        let (_dir, mut project) = project();
        let id = add(&mut project, "p");
        let empty = project.pair(id).unwrap().unwrap();
        let typed = Pair { note: "a".to_owned(), ..empty.clone() };
        let at =
            project.apply(&Change::new("Note", vec![Edit::replace(empty.clone(), typed.clone())])).unwrap().revision;
        let back = project.amend(at, &Change::new("Note", vec![Edit::replace(typed, empty.clone())])).unwrap();
        assert_eq!(back.pairs, [id]);
        assert_eq!(project.pair(id).unwrap(), Some(empty));
        assert_eq!(project.can_undo().unwrap().as_deref(), Some("Add p"));
        assert_eq!(project.can_redo().unwrap(), None);
    }

    #[test]
    fn g8_the_size_of_the_next_undo_is_known_before() {
        let (_dir, mut project) = project();
        assert_eq!(project.undo_touches(10).unwrap(), 0);
        project.apply(&Change::new("Import", (0..30).map(|n| Edit::add(new_pair(&n.to_string()))).collect())).unwrap();
        assert_eq!(project.undo_touches(10).unwrap(), 10);
        assert_eq!(project.undo_touches(100).unwrap(), 30);
        note(&mut project, PairId(1), "one");
        assert_eq!(project.undo_touches(100).unwrap(), 1);
    }
}
