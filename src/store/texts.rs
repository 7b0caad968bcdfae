//! Reference answers, retention text and probes: the data that is not labelled.
//!
//! Each is one set that is replaced as a whole. A run remembers the sets it was created with, and a set is kept as long
//! as a run remembers it, so that what a run saw can be rebuilt.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Project, RunId, StoreError,
    project::{Keep, Result, now_ms},
    rows::rows,
};
use ::data::{Prompt, ReferenceAnswer};

/// A fixed prompt that is answered again and again while a run goes on, to read how answers change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub prompt: Prompt,
    /// What it is there for, e.g. "asked for" or "elsewhere"; shown beside the answers.
    #[serde(default)]
    pub note: String,
    /// No pair asks for another answer: where it changes, something was forgotten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

impl Probe {
    /// What a prompt is there for; nothing of one that was replaced.
    pub fn note_of<'p>(probes: &'p [Self], prompt: &Prompt) -> &'p str {
        probes.iter().find(|probe| probe.prompt == *prompt).map_or("", |probe| &probe.note)
    }

    /// Whether the answer to a prompt is to stay as it was.
    pub fn is_to_stay(probes: &[Self], prompt: &Prompt) -> bool {
        probes.iter().any(|probe| probe.stays && probe.prompt == *prompt)
    }
}

impl Project {
    pub fn references(&self) -> Result<Vec<ReferenceAnswer>> {
        self.snapshot(|connection| texts(connection, newest(connection, "references")?))
    }

    pub fn set_references(&mut self, answers: &[ReferenceAnswer]) -> Result<()> {
        self.replace("references", answers)
    }

    /// As they were when the run was created.
    pub fn references_of(&self, run: RunId) -> Result<Vec<ReferenceAnswer>> {
        self.snapshot(|connection| texts(connection, seen_by(connection, run, "reference_set")?))
    }

    /// Texts the model shall not forget, one document each.
    pub fn retention(&self) -> Result<Vec<String>> {
        self.snapshot(|connection| texts(connection, newest(connection, "retention")?))
    }

    pub fn set_retention(&mut self, documents: &[String]) -> Result<()> {
        self.replace("retention", documents)
    }

    /// As it was when the run was created.
    pub fn retention_of(&self, run: RunId) -> Result<Vec<String>> {
        self.snapshot(|connection| texts(connection, seen_by(connection, run, "retention_set")?))
    }

    pub fn probes(&self) -> Result<Vec<Probe>> {
        self.snapshot(|connection| texts(connection, newest(connection, "probes")?))
    }

    pub fn set_probes(&mut self, probes: &[Probe]) -> Result<()> {
        self.replace("probes", probes)
    }

    fn replace<T: Serialize>(&self, kind: &'static str, items: &[T]) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| {
            tx.execute("INSERT INTO text_sets (kind, at_ms) VALUES (?1, ?2)", params![kind, now_ms()])?;
            let set = tx.last_insert_rowid();
            let mut insert = tx.prepare("INSERT INTO texts (text_set, position, body) VALUES (?1, ?2, ?3)")?;
            for (position, item) in items.iter().enumerate() {
                insert.execute(params![set, position as i64, serde_json::to_string(item)?])?;
            }
            tx.execute(
                "DELETE FROM text_sets WHERE kind = ?1 AND id < ?2
                     AND id NOT IN (SELECT reference_set FROM runs WHERE reference_set IS NOT NULL)
                     AND id NOT IN (SELECT retention_set FROM runs WHERE retention_set IS NOT NULL)",
                params![kind, set],
            )?;
            Ok(())
        })
    }
}

fn newest(connection: &Connection, kind: &'static str) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached("SELECT max(id) FROM text_sets WHERE kind = ?1")?
        .query_row([kind], |row| row.get(0))?)
}

fn seen_by(connection: &Connection, run: RunId, column: &'static str) -> Result<Option<i64>> {
    connection
        .query_row(&format!("SELECT {column} FROM runs WHERE id = ?1"), [run.0], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::NoSuchRun(run))
}

/// The items of a set in their order; none without a set.
fn texts<T: DeserializeOwned>(connection: &Connection, set: Option<i64>) -> Result<Vec<T>> {
    rows(connection, "SELECT body FROM texts WHERE text_set = ?1 ORDER BY position", [set], |row| {
        Ok(serde_json::from_str(&row.get::<_, String>(0)?)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};

    fn answers(texts: &[&str]) -> Vec<ReferenceAnswer> {
        texts.iter().map(|text| ReferenceAnswer::new(Prompt::Text("p".to_owned()), *text)).collect()
    }

    #[test]
    fn a_run_keeps_the_set_it_saw_and_no_other_old_set_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        assert!(project.references().unwrap().is_empty());
        project.set_references(&answers(&["one", "two"])).unwrap();
        project.set_retention(&["keep\nme".to_owned()]).unwrap();
        let run = project.create_run(&NewRun::default()).unwrap();
        for text in ["three", "four"] {
            project.set_references(&answers(&[text])).unwrap();
        }
        project.set_retention(&[]).unwrap();
        assert_eq!(project.references().unwrap(), answers(&["four"]));
        assert_eq!(project.references_of(run).unwrap(), answers(&["one", "two"]));
        assert_eq!(project.retention_of(run).unwrap(), ["keep\nme"]);
        assert!(project.retention().unwrap().is_empty());
        let sets: i64 = project
            .connection
            .query_row("SELECT count(*) FROM text_sets WHERE kind = 'references'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sets, 2);
    }
}
