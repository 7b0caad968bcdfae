//! A request to stop a run, from another process than the one that trains it.

use rusqlite::Transaction;

use super::{
    Project, RunId,
    project::{Keep, Result, put_setting},
    runs::live_owner,
};

/// Under this the project has the request among its settings.
fn key(run: RunId) -> String {
    format!("stop {}", run.0)
}

impl Project {
    /// Whoever has the run in hand is to end it with a checkpoint; one that waits ends before it begins. `false`: nobody
    /// has it in hand, so nothing was asked.
    pub fn ask_to_stop(&self, run: RunId) -> Result<bool> {
        // One whose process died is in nobody's hands.
        self.mark_interrupted()?;
        self.write(Keep::PowerLoss, |tx| {
            let is_live = live_owner(tx, run)?.is_some();
            if is_live {
                put_setting(tx, &key(run), "asked")?;
            }
            Ok(is_live)
        })
    }

    /// Looked at by the run itself.
    pub fn is_asked_to_stop(&self, run: RunId) -> Result<bool> {
        Ok(self.setting(&key(run))?.is_some())
    }
}

/// What was asked of the run before does not concern whoever takes it up next.
pub(super) fn forget(tx: &Transaction<'_>, run: RunId) -> Result<()> {
    tx.execute("DELETE FROM settings WHERE key = ?1", [key(run)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, Revision, RunStatus};

    #[test]
    fn a_request_holds_for_as_long_as_the_run_is_in_the_same_hands() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun {
            name: "a".to_owned(),
            config_toml: String::new(),
            method: String::new(),
            revision: Revision(0),
            parent: None,
        };
        let [run, other] = [(); 2].map(|()| project.create_run(&new).unwrap());
        let elsewhere = Project::open(dir.path()).unwrap();
        let set = |status| project.set_run_status(run, status, None).unwrap();
        set(RunStatus::Queued);
        assert!(elsewhere.ask_to_stop(run).unwrap());
        // Its turn comes.
        set(RunStatus::Running);
        set(RunStatus::Paused);
        assert!(project.is_asked_to_stop(run).unwrap());
        assert!(!project.is_asked_to_stop(other).unwrap());
        set(RunStatus::Stopped);
        assert!(!project.is_asked_to_stop(run).unwrap());
        assert!(!elsewhere.ask_to_stop(run).unwrap(), "nobody has it in hand");
        set(RunStatus::Running);
        assert!(!project.is_asked_to_stop(run).unwrap(), "it is resumed");
    }
}
