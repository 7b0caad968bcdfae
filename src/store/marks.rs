//! What people keep about a run beside its name: whether it stands first or is put away, its colour, its tags, a note.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    Project, RunId, RunRecord,
    project::{Keep, Result},
};

/// Nothing of it changes what the run is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunMarks {
    /// Before all others in a list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Out of the lists, until somebody asks for those too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Place in the table of line colours, from 0; absent: by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl RunMarks {
    /// Once, without blanks around it; where it is there already nothing happens.
    pub fn tag(&mut self, tag: &str) {
        let tag = tag.trim();
        if !tag.is_empty() && !self.tags.iter().any(|known| known == tag) {
            self.tags.push(tag.to_owned());
        }
    }

    /// Tags as they are typed, between commas.
    pub fn set_tags(&mut self, typed: &str) {
        self.tags.clear();
        typed.split(',').for_each(|tag| self.tag(tag));
    }
}

/// What people say about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAbout {
    pub name: String,
    pub marks: RunMarks,
}

impl RunAbout {
    pub fn of(record: &RunRecord) -> Self {
        Self { name: record.name.clone(), marks: record.marks.clone() }
    }
}

impl Project {
    /// Name and marks of a run from now on, of one that goes on too. The way back is kept; what was undone before can
    /// no longer be redone.
    ///
    /// # Errors
    /// [`super::StoreError::NoSuchRun`], or one of the document.
    pub fn set_about(&self, run: RunId, about: &RunAbout) -> Result<()> {
        let before = RunAbout::of(&self.run(run)?);
        if before == *about {
            return Ok(());
        }
        let (before, after) = (serde_json::to_string(&before)?, serde_json::to_string(about)?);
        self.write(Keep::PowerLoss, |tx| {
            tx.execute("DELETE FROM run_edits WHERE undone", [])?;
            tx.execute(
                "INSERT INTO run_edits (run, before, after) VALUES (?1, ?2, ?3)",
                params![run.0, before, after],
            )?;
            put_about(tx, run, about)
        })
    }

    /// Takes back what was said last about a run, or says again what was taken back last; absent when there is nothing.
    ///
    /// # Errors
    /// Of the document.
    pub fn turn_about(&self, back: bool) -> Result<Option<RunId>> {
        let (sql, undone) = if back {
            ("SELECT id, run, before FROM run_edits WHERE NOT undone ORDER BY id DESC LIMIT 1", 1)
        } else {
            ("SELECT id, run, after FROM run_edits WHERE undone ORDER BY id LIMIT 1", 0)
        };
        self.write(Keep::PowerLoss, |tx| {
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, RunId(row.get(1)?), row.get::<_, String>(2)?));
            let Some((edit, run, about)) = tx.query_row(sql, [], row).optional()? else {
                return Ok(None);
            };
            tx.execute("UPDATE run_edits SET undone = ?2 WHERE id = ?1", params![edit, undone])?;
            put_about(tx, run, &serde_json::from_str(&about)?)?;
            Ok(Some(run))
        })
    }

    /// Whether there is something to take back, and something to say again.
    ///
    /// # Errors
    /// Of the document.
    pub fn can_turn_about(&self) -> Result<[bool; 2]> {
        self.read(|connection| {
            let any = |sql| connection.query_row(sql, [], |row| row.get(0));
            Ok([
                any("SELECT EXISTS (SELECT 1 FROM run_edits WHERE NOT undone)")?,
                any("SELECT EXISTS (SELECT 1 FROM run_edits WHERE undone)")?,
            ])
        })
    }
}

fn put_about(tx: &Transaction<'_>, run: RunId, RunAbout { name, marks }: &RunAbout) -> Result<()> {
    let marks = (*marks != RunMarks::default()).then(|| serde_json::to_string(marks)).transpose()?;
    tx.execute("UPDATE runs SET name = ?2, marks = ?3 WHERE id = ?1", params![run.0, name, marks])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};

    fn project(dir: &std::path::Path) -> (Project, [RunId; 2]) {
        let mut project = Project::create(dir, &ProjectSettings::default()).unwrap();
        let runs =
            ["a", "b"].map(|name| project.create_run(&NewRun { name: name.to_owned(), ..NewRun::default() }).unwrap());
        (project, runs)
    }

    fn named(name: &str) -> RunAbout {
        RunAbout { name: name.to_owned(), marks: RunMarks::default() }
    }

    #[test]
    fn marks_are_kept_with_the_run_and_go_when_they_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (project, [run, _]) = project(dir.path());
        let mut marks =
            RunMarks { pinned: true, colour: Some(3), note: "try β 0.2".to_owned(), ..RunMarks::default() };
        marks.set_tags(" short, , sure,short ");
        assert_eq!(marks.tags, ["short", "sure"]);
        let about = RunAbout { marks, ..named("c") };
        project.set_about(run, &about).unwrap();
        assert_eq!(RunAbout::of(&Project::open(dir.path()).unwrap().run(run).unwrap()), about);
        project.set_about(run, &named("c")).unwrap();
        assert_eq!(project.run(run).unwrap().marks, RunMarks::default());
        assert!(project.set_about(RunId(99), &about).is_err());
    }

    #[test]
    fn what_was_said_is_taken_back_and_said_again_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (mut project, [one, other]) = project(dir.path());
        let name = |project: &Project, run| project.run(run).unwrap().name;
        assert_eq!((project.can_turn_about().unwrap(), project.turn_about(true).unwrap()), ([false; 2], None));
        project.set_about(one, &named("one")).unwrap();
        project.set_about(other, &named("other")).unwrap();
        project.set_about(other, &named("other")).unwrap();
        project = Project::open(dir.path()).unwrap();
        assert_eq!(project.turn_about(true).unwrap(), Some(other));
        assert_eq!(name(&project, other), "b");
        assert_eq!(project.turn_about(true).unwrap(), Some(one));
        assert_eq!((name(&project, one), project.can_turn_about().unwrap()), ("a".to_owned(), [false, true]));
        assert_eq!(project.turn_about(false).unwrap(), Some(one));
        assert_eq!((name(&project, one), project.can_turn_about().unwrap()), ("one".to_owned(), [true; 2]));
        // Something else is said: what was undone is gone.
        project.set_about(one, &named("two")).unwrap();
        assert_eq!(project.can_turn_about().unwrap(), [true, false]);
        // And with a run goes what was said about it.
        project.delete_run(one).unwrap();
        assert_eq!(project.turn_about(true).unwrap(), None);
    }
}
