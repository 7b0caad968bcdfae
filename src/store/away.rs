//! Runs that were handed over to another machine: what they are known by there, and how far they were heard.

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    Project, RunId, RunStatus,
    project::{Keep, Result, now_ms},
    runs::existing,
};

/// A run that trains where no process of ours has it in hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Away {
    /// Made with the folder: whatever comes back has to know it.
    pub nonce: String,
    /// When the folder was made, Unix time in milliseconds.
    pub since_ms: i64,
    /// When something was last heard, by this machine's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<i64>,
    /// The newest attempt that was heard of, counted from 1, and the last of what it told.
    pub attempt: u64,
    pub seq: u64,
    /// Training time of the attempts before this one, up to where it began, in milliseconds.
    pub before_ms: u64,
}

impl Project {
    /// The run is handed over from now on: nobody here has it in hand any more.
    pub fn set_away(&self, run: RunId, nonce: &str) -> Result<()> {
        let away = Away { nonce: nonce.to_owned(), since_ms: now_ms(), ..Away::default() };
        self.write(Keep::PowerLoss, |tx| {
            self.write_status(tx, run, RunStatus::Away, None, None)?;
            write(tx, run, &away)
        })
    }

    /// So much was heard of it by now. What comes twice is taken once, so this need not survive a loss of power.
    pub fn set_heard(&self, run: RunId, away: &Away) -> Result<()> {
        let away = Away { heard_ms: Some(now_ms()), ..away.clone() };
        self.write(Keep::Kill, |tx| write(tx, run, &away))
    }
}

fn write(tx: &Transaction<'_>, run: RunId, away: &Away) -> Result<()> {
    let json = serde_json::to_string(away)?;
    existing(run, tx.execute("UPDATE runs SET away = ?2 WHERE id = ?1", params![run.0, json])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings};

    #[test]
    fn a_run_is_away_until_somebody_here_has_it_in_hand() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let run = project.create_run(&NewRun { name: "a".to_owned(), ..NewRun::default() }).unwrap();
        assert_eq!(project.run(run).unwrap().away, None);
        project.set_away(run, "c0ffee").unwrap();
        let away = project.run(run).unwrap().away.unwrap();
        assert_eq!((away.nonce.as_str(), away.heard_ms, away.attempt), ("c0ffee", None, 0));
        project.set_heard(run, &Away { attempt: 2, seq: 9, ..away }).unwrap();
        // A program that starts finds no dead process behind it.
        let record = Project::open(dir.path()).unwrap().run(run).unwrap();
        assert_eq!((record.status, record.message), (RunStatus::Away, None));
        let away = record.away.unwrap();
        assert!(away.heard_ms.is_some_and(|ms| ms >= away.since_ms) && (away.attempt, away.seq) == (2, 9));
        // What was taken back can be taken back once more, until the run goes on here.
        project.set_run_status(run, RunStatus::Stopped, None).unwrap();
        assert!(project.run(run).unwrap().away.is_some());
        project.set_run_status(run, RunStatus::Running, None).unwrap();
        assert_eq!(project.run(run).unwrap().away, None);
    }
}
