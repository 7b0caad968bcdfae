//! Labels that join a run while it goes: what waits, who asked for it, and what joined when.

use std::fmt;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    Project, Revision, RunId, StoreError,
    journal::newest_revision,
    project::{Keep, Result},
    query::{COUNTS, NEWEST},
};
use ::data::{PairId, counted};

/// Labels to train on, by what became of them between two revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelChanges {
    /// There was no such label before.
    pub added: usize,
    /// Another verdict, other texts, another weight.
    pub changed: usize,
    /// Deleted, or without a label to train on.
    pub removed: usize,
}

impl LabelChanges {
    pub fn total(self) -> usize {
        self.added + self.changed + self.removed
    }

    pub fn is_none(self) -> bool {
        self.total() == 0
    }

    /// In words, or "none".
    pub fn or_none(self) -> String {
        if self.is_none() { "none".to_owned() } else { self.to_string() }
    }
}

impl fmt::Display for LabelChanges {
    /// "7 labels (5 new, 1 changed, 1 removed)"; one kind alone: "5 new labels".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [(self.added, "new"), (self.changed, "changed"), (self.removed, "removed")];
        let kinds: Vec<(usize, &str)> = kinds.into_iter().filter(|(count, _)| *count > 0).collect();
        if let [(count, word)] = kinds[..] {
            return f.write_str(&counted(count, &format!("{word} label"), &format!("{word} labels")));
        }
        write!(f, "{}", counted(self.total(), "label", "labels"))?;
        if !kinds.is_empty() {
            let kinds: Vec<String> = kinds.iter().map(|(count, word)| format!("{count} {word}")).collect();
            write!(f, " ({})", kinds.join(", "))?;
        }
        Ok(())
    }
}

/// After `step` the run went on with the pairs of `revision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeIn {
    pub step: u64,
    pub revision: Revision,
    #[serde(flatten)]
    pub labels: LabelChanges,
}

/// What a revision of the pairs had to train on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelsOf {
    /// Pairs with a better answer, and ties; held-out ones too.
    pub labels: usize,
    /// What became of them since.
    pub later: LabelChanges,
}

/// What a run trains on, and what could join it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunLabels {
    /// The pairs of this revision are what it trains on now, or has ended with.
    pub revision: Revision,
    /// What was labelled since.
    pub waiting: LabelChanges,
    /// Somebody asked for that to join at the next end of an epoch.
    pub asked: bool,
    /// What joined so far, oldest first.
    pub joined: Vec<TakeIn>,
}

impl Project {
    /// Labels made meanwhile are to join this run at its next end of an epoch, or not any more. Where it is going it
    /// takes notice by itself, whatever process it is in.
    pub fn ask_to_take_in(&self, run: RunId, asked: bool) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| {
            match tx.execute("UPDATE runs SET takes_in = ?2 WHERE id = ?1", params![run.0, asked])? {
                0 => Err(StoreError::NoSuchRun(run)),
                _ => Ok(()),
            }
        })
    }

    pub fn is_asked_to_take_in(&self, run: RunId) -> Result<bool> {
        self.read(|connection| asked(connection, run))
    }

    /// Labels joined, and with them what was asked for is done. A run that goes through its steps once more and takes
    /// in the same there changes nothing: neither what joined after it nor what was asked for since.
    pub fn record_take_in(&self, run: RunId, taken: &TakeIn) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            let TakeIn { step, revision, labels: LabelChanges { added, changed, removed } } = *taken;
            let is_known = tx
                .prepare_cached("SELECT 1 FROM take_ins WHERE run = ?1 AND step = ?2 AND revision = ?3")?
                .exists(params![run.0, step as i64, revision.0 as i64])?;
            if is_known {
                return Ok(());
            }
            tx.execute("DELETE FROM take_ins WHERE run = ?1 AND step >= ?2", params![run.0, step as i64])?;
            tx.execute(
                "INSERT INTO take_ins (run, step, revision, added, changed, removed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![run.0, step as i64, revision.0 as i64, added as i64, changed as i64, removed as i64],
            )?;
            tx.execute("UPDATE runs SET takes_in = 0 WHERE id = ?1", [run.0])?;
            Ok(())
        })
    }

    /// The run goes back to this step for good: what joined after it is forgotten.
    pub fn forget_take_ins(&self, run: RunId, from_step: u64) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.execute("DELETE FROM take_ins WHERE run = ?1 AND step >= ?2", params![run.0, from_step as i64])?;
            Ok(())
        })
    }

    /// What joined a run on its way, oldest first.
    pub fn take_ins(&self, run: RunId) -> Result<Vec<TakeIn>> {
        self.read(|connection| take_ins(connection, run))
    }

    /// What `revision` of the pairs had to train on, and what became of that since.
    pub fn labels_of(&self, revision: Revision) -> Result<LabelsOf> {
        self.snapshot(|connection| {
            let later = changes(connection, revision, newest_revision(connection)?, usize::MAX)?;
            let now: i64 = connection
                .prepare_cached(&format!("SELECT count(*) FROM versions WHERE {NEWEST} AND state IN (1, 2)"))?
                .query_row([], |row| row.get(0))?;
            Ok(LabelsOf { labels: (now as usize + later.removed).saturating_sub(later.added), later })
        })
    }

    /// The pairs that those labels are of, as far as they are still there, by id.
    pub fn labelled_at(&self, revision: Revision) -> Result<Vec<PairId>> {
        self.pairs_where(
            &format!(
                "SELECT versions.pair FROM versions
                 JOIN versions now ON now.pair = versions.pair AND now.revision_to IS NULL
                 WHERE versions.revision_from <= ?1 AND (versions.revision_to IS NULL OR versions.revision_to > ?1)
                     AND versions.state IN (1, 2) AND {COUNTS} ORDER BY versions.pair"
            ),
            revision,
        )
    }

    /// The pairs whose labels are others now than at that revision, as far as they are still there, by id.
    pub fn relabelled_since(&self, revision: Revision) -> Result<Vec<PairId>> {
        self.pairs_where(
            &format!(
                "WITH touched AS (
                     SELECT pair FROM versions WHERE revision_from > ?1 AND {COUNTS}
                     UNION SELECT pair FROM versions WHERE revision_to > ?1
                 )
                 SELECT now.pair FROM touched JOIN versions now ON now.pair = touched.pair AND now.revision_to IS NULL
                 LEFT JOIN versions old ON old.pair = touched.pair AND old.revision_from <= ?1
                     AND (old.revision_to IS NULL OR old.revision_to > ?1) AND old.state IN (1, 2)
                 LEFT JOIN versions new ON new.id = now.id AND new.state IN (1, 2)
                 WHERE {OTHER} ORDER BY now.pair"
            ),
            revision,
        )
    }

    fn pairs_where(&self, sql: &str, revision: Revision) -> Result<Vec<PairId>> {
        self.read_rows(sql, [revision.0 as i64], |row| Ok(PairId(row.get(0)?)))
    }

    /// The revision of the pairs that a run trained on last.
    pub fn newest_revision_of(&self, run: RunId) -> Result<Revision> {
        self.read(|connection| revision_of(connection, run))
    }

    /// What a run trains on and what waits to join it. Of what waits at most `most` pairs are looked at.
    pub fn run_labels(&self, run: RunId, most: usize) -> Result<RunLabels> {
        self.snapshot(|connection| {
            let revision = revision_of(connection, run)?;
            Ok(RunLabels {
                revision,
                waiting: changes(connection, revision, newest_revision(connection)?, most)?,
                asked: asked(connection, run)?,
                joined: take_ins(connection, run)?,
            })
        })
    }
}

fn asked(connection: &Connection, run: RunId) -> Result<bool> {
    let mut statement = connection.prepare_cached("SELECT takes_in FROM runs WHERE id = ?1")?;
    let mut rows = statement.query([run.0])?;
    Ok(rows.next()?.ok_or(StoreError::NoSuchRun(run))?.get(0)?)
}

pub(super) fn revision_of(connection: &Connection, run: RunId) -> Result<Revision> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT revision FROM take_ins WHERE run = runs.id ORDER BY step DESC LIMIT 1), revision)
         FROM runs WHERE id = ?1",
    )?;
    let mut rows = statement.query([run.0])?;
    let revision: i64 = rows.next()?.ok_or(StoreError::NoSuchRun(run))?.get(0)?;
    Ok(Revision(revision as u64))
}

fn take_ins(connection: &Connection, run: RunId) -> Result<Vec<TakeIn>> {
    let mut statement = connection
        .prepare_cached("SELECT step, revision, added, changed, removed FROM take_ins WHERE run = ?1 ORDER BY step")?;
    let count = |value: i64| value as usize;
    let taken = statement.query_map([run.0], |row| {
        Ok(TakeIn {
            step: row.get::<_, i64>(0)? as u64,
            revision: Revision(row.get::<_, i64>(1)? as u64),
            labels: LabelChanges {
                added: count(row.get(2)?),
                changed: count(row.get(3)?),
                removed: count(row.get(4)?),
            },
        })
    })?;
    Ok(taken.collect::<rusqlite::Result<_>>()?)
}

/// Two versions of a pair, of which one may be no label, are different labels: a label is its choice; who made it and
/// when says nothing to a run.
const OTHER: &str = "((old.id IS NULL) <> (new.id IS NULL)
    OR old.content <> new.content OR old.reward <> new.reward OR old.behaviour <> new.behaviour
    OR json_extract(old.verdict, '$.choice') <> json_extract(new.verdict, '$.choice'))";

/// What of the labels differs between two revisions: as much work as there were edits between them.
fn changes(connection: &Connection, from: Revision, to: Revision, most: usize) -> Result<LabelChanges> {
    // What is trained on: better (1) and tie (2).
    let mut statement = connection.prepare_cached(&format!(
        "WITH touched AS (
             SELECT pair FROM versions WHERE revision_from > ?1 AND revision_from <= ?2 AND {COUNTS}
             UNION SELECT pair FROM versions WHERE revision_to > ?1 AND revision_to <= ?2 LIMIT ?3
         )
         SELECT old.id IS NULL, new.id IS NULL, count(*) FROM touched
         LEFT JOIN versions old ON old.pair = touched.pair AND old.revision_from <= ?1
             AND (old.revision_to IS NULL OR old.revision_to > ?1) AND old.state IN (1, 2)
         LEFT JOIN versions new ON new.pair = touched.pair AND new.revision_from <= ?2
             AND (new.revision_to IS NULL OR new.revision_to > ?2) AND new.state IN (1, 2)
         WHERE {OTHER} GROUP BY 1, 2"
    ))?;
    let mut rows = statement.query(params![from.0 as i64, to.0 as i64, most.min(i64::MAX as usize) as i64])?;
    let mut labels = LabelChanges::default();
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(2)? as usize;
        match (row.get(0)?, row.get(1)?) {
            (true, false) => labels.added = count,
            (false, true) => labels.removed = count,
            (false, false) => labels.changed = count,
            (true, true) => {}
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};
    use ::data::{Change, Choice, Edit, Pair, Prompt, Strength, Verdict};

    fn labelled(prompt: &str, choice: impl Into<Option<Choice>>) -> Pair {
        let verdict = |choice| Verdict::local(choice, 1);
        Pair {
            verdict: choice.into().map(verdict),
            ..Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &["yes", "no"])
        }
    }

    fn better(chosen: usize) -> Choice {
        Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly }
    }

    fn change(project: &mut Project, id: PairId, edit: impl FnOnce(&mut Pair)) {
        let before = project.pair(id).unwrap().unwrap();
        let mut after = before.clone();
        edit(&mut after);
        project.apply(&Change::new("Edit", vec![Edit::replace(before, after)])).unwrap();
    }

    #[test]
    fn what_waits_is_what_differs_for_training() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let pairs = [Some(better(0)), Some(better(1)), Some(Choice::Tie), None, None, Some(better(0))];
        let edits = pairs.iter().enumerate().map(|(n, choice)| Edit::add(labelled(&n.to_string(), *choice)));
        let ids = project.apply(&Change::new("Add", edits.collect())).unwrap().pairs;
        let run = project
            .create_run(&NewRun {
                name: "run".to_owned(),
                method: "MPO".to_owned(),
                revision: project.revision().unwrap(),
                ..NewRun::default()
            })
            .unwrap();
        let waiting = |project: &Project| project.run_labels(run, usize::MAX).unwrap().waiting;
        assert!(waiting(&project).is_none());

        // Flipped, deleted, labelled; noted and judged the same once more; labelled and taken back.
        change(&mut project, ids[0], |pair| pair.verdict = labelled("", better(1)).verdict);
        let gone = project.pair(ids[1]).unwrap().unwrap();
        project.apply(&Change::new("Delete", vec![Edit::delete(gone)])).unwrap();
        change(&mut project, ids[3], |pair| pair.verdict = labelled("", better(0)).verdict);
        change(&mut project, ids[5], |pair| {
            pair.note = "sure".to_owned();
            pair.verdict.as_mut().unwrap().at_ms = 9;
        });
        change(&mut project, ids[4], |pair| pair.verdict = labelled("", Choice::Tie).verdict);
        project.undo().unwrap();
        change(&mut project, ids[2], |pair| pair.verdict = labelled("", Choice::Skip).verdict);
        let labels = waiting(&project);
        assert_eq!(labels, LabelChanges { added: 1, changed: 1, removed: 2 });
        assert_eq!(labels.to_string(), "4 labels (1 new, 1 changed, 2 removed)");
        let began = project.run(run).unwrap().revision;
        assert_eq!(project.labels_of(began).unwrap(), LabelsOf { labels: 4, later: labels });
        assert_eq!(project.labelled_at(began).unwrap(), [ids[0], ids[2], ids[5]], "the deleted one cannot be shown");
        assert_eq!(project.relabelled_since(began).unwrap(), [ids[0], ids[2], ids[3]]);
        let newest = project.revision().unwrap();
        assert_eq!(project.labels_of(newest).unwrap(), LabelsOf { labels: 3, later: LabelChanges::default() });
        assert_eq!(project.labelled_at(newest).unwrap(), [ids[0], ids[3], ids[5]]);
        assert!(project.relabelled_since(newest).unwrap().is_empty());

        project.ask_to_take_in(run, true).unwrap();
        assert!(project.is_asked_to_take_in(run).unwrap());
        let taken = TakeIn { step: 7, revision: project.revision().unwrap(), labels };
        project.record_take_in(run, &taken).unwrap();
        let after = project.run_labels(run, usize::MAX).unwrap();
        assert!(!after.asked && after.waiting.is_none());
        assert_eq!((after.revision, &after.joined[..]), (taken.revision, &[taken][..]));

        // The run goes through that step once more, when other labels have joined after it and more were asked for.
        change(&mut project, ids[4], |pair| pair.verdict = labelled("", better(1)).verdict);
        let later = TakeIn { step: 9, revision: project.revision().unwrap(), labels: waiting(&project) };
        project.record_take_in(run, &later).unwrap();
        project.ask_to_take_in(run, true).unwrap();
        project.record_take_in(run, &taken).unwrap();
        assert_eq!(project.take_ins(run).unwrap(), [taken, later]);
        assert!(project.is_asked_to_take_in(run).unwrap());
        // Other labels there are another life: what joined later is not of it.
        project.record_take_in(run, &TakeIn { revision: later.revision, ..taken }).unwrap();
        assert_eq!(project.take_ins(run).unwrap().len(), 1);
        assert!(!project.is_asked_to_take_in(run).unwrap());
        project.forget_take_ins(run, 7).unwrap();
        assert_eq!(waiting(&project).total(), labels.total() + 1);
        assert!(matches!(project.ask_to_take_in(RunId(9), true), Err(StoreError::NoSuchRun(_))));
    }

    #[test]
    fn one_kind_alone_needs_no_list() {
        let labels = |added, changed, removed| LabelChanges { added, changed, removed }.to_string();
        assert_eq!(labels(1, 0, 0), "1 new label");
        assert_eq!(labels(0, 3, 0), "3 changed labels");
        assert_eq!(labels(2, 0, 1), "3 labels (2 new, 1 removed)");
        assert_eq!(labels(0, 0, 0), "0 labels");
    }
}
