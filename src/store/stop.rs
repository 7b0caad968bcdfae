//! Requests to stop a run, or to let it rest, from another process than the one that trains it.

use rusqlite::Transaction;

use super::{
    Project, RunId,
    owner::live_owner,
    project::{Keep, Result, put_setting},
};

/// Under this the project has the request to stop among its settings.
fn key(run: RunId) -> String {
    format!("stop {}", run.0)
}

/// The request, where all of the queue is to end.
const LEAVES: &str = "with the queue";

/// And under this the one to rest.
fn pause_key(run: RunId) -> String {
    format!("pause {}", run.0)
}

impl Project {
    /// Whoever has the run in hand is to end it with a checkpoint; one that waits ends before it begins. `false`:
    /// nobody has it in hand, so nothing was asked.
    pub fn ask_to_stop(&self, run: RunId) -> Result<bool> {
        self.ask_to_end(run, "asked")
    }

    /// The same of all of a queue: one that waits stays in the queue for whoever takes that up again.
    pub fn ask_to_leave_queue(&self, run: RunId) -> Result<bool> {
        self.ask_to_end(run, LEAVES)
    }

    fn ask_to_end(&self, run: RunId, how: &str) -> Result<bool> {
        // One whose process died is in nobody's hands.
        self.mark_interrupted()?;
        self.write(Keep::PowerLoss, |tx| {
            let is_live = live_owner(tx, run)?.is_some();
            if is_live {
                put_setting(tx, &key(run), how)?;
            }
            Ok(is_live)
        })
    }

    /// Whoever has the run in hand is to let it rest, or to go on with it. `false`: nobody has it in hand, so nothing
    /// was asked.
    pub fn ask_to_pause(&self, run: RunId, on: bool) -> Result<bool> {
        self.mark_interrupted()?;
        self.write(Keep::PowerLoss, |tx| {
            let is_live = live_owner(tx, run)?.is_some();
            if is_live && on {
                put_setting(tx, &pause_key(run), "asked")?;
            } else {
                tx.execute("DELETE FROM settings WHERE key = ?1", [pause_key(run)])?;
            }
            Ok(is_live)
        })
    }

    /// Looked at by the run itself.
    pub fn is_asked_to_pause(&self, run: RunId) -> Result<bool> {
        Ok(self.setting(&pause_key(run))?.is_some())
    }

    /// Looked at by whoever has the queue in hand, before the run's turn.
    pub fn is_asked_to_leave_queue(&self, run: RunId) -> Result<bool> {
        Ok(self.setting(&key(run))?.as_deref() == Some(LEAVES))
    }

    /// Looked at by the run itself.
    pub fn is_asked_to_stop(&self, run: RunId) -> Result<bool> {
        Ok(self.setting(&key(run))?.is_some())
    }
}

/// What was asked of the run before does not concern whoever takes it up next.
pub(super) fn forget(tx: &Transaction<'_>, run: RunId) -> Result<()> {
    tx.execute("DELETE FROM settings WHERE key IN (?1, ?2)", [key(run), pause_key(run)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, RunStatus};

    #[test]
    fn a_request_holds_for_as_long_as_the_run_is_in_the_same_hands() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun { name: "a".to_owned(), ..NewRun::default() };
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
        assert!(elsewhere.ask_to_pause(run, true).unwrap() && project.is_asked_to_pause(run).unwrap());
        assert!(elsewhere.ask_to_pause(run, false).unwrap() && !project.is_asked_to_pause(run).unwrap());
        assert!(elsewhere.ask_to_pause(run, true).unwrap());
        set(RunStatus::Stopped);
        assert!(!project.is_asked_to_stop(run).unwrap());
        assert!(!project.is_asked_to_pause(run).unwrap());
        assert!(!elsewhere.ask_to_stop(run).unwrap(), "nobody has it in hand");
        assert!(!elsewhere.ask_to_pause(run, true).unwrap());
        set(RunStatus::Running);
        assert!(!project.is_asked_to_stop(run).unwrap(), "it is resumed");
    }
}
