//! Runs that another process has in hand, as far as the project tells of them.

use store::{RunId, RunRecord, RunStatus};

use super::runs::{History, Loaded, Runs, StoredRun};

/// What the project says about its runs now.
#[derive(Debug, Default)]
pub struct Elsewhere {
    pub records: Vec<RunRecord>,
    /// The order of those that wait.
    pub order: Vec<RunId>,
    /// What was measured of runs that others have in hand, since the last time.
    pub news: Vec<(RunId, StoredRun)>,
}

impl Runs {
    /// The run that is going in another process.
    pub fn elsewhere(&self) -> Option<&RunRecord> {
        self.theirs().find(|record| matches!(record.status, RunStatus::Running | RunStatus::Paused))
    }

    pub(super) fn theirs(&self) -> impl Iterator<Item = &RunRecord> {
        self.records.iter().filter(|record| record.status.is_live() && !self.is_mine(record.id))
    }

    /// Histories that somebody else may be adding to.
    pub fn followed(&self) -> impl Iterator<Item = (RunId, &History)> {
        let away = self.records.iter().filter(|record| record.status == RunStatus::Away);
        self.theirs().chain(away).filter_map(|record| Some((record.id, self.history(record.id)?)))
    }

    /// Takes over what others did. Of this window's own runs the engine says more, and sooner. Gives whether one of
    /// them may have new checkpoints: it has ended elsewhere, or is one that can be taken back.
    pub fn take_elsewhere(&mut self, elsewhere: Elsewhere) -> bool {
        for (run, stored) in elsewhere.news {
            if !self.is_mine(run)
                && let Some(history) = self.history.get_mut(&run)
            {
                history.extend(stored);
            }
        }
        let records = elsewhere.records.into_iter();
        let records: Vec<RunRecord> = records
            .map(|record| self.record(record.id).filter(|mine| self.is_mine(mine.id)).cloned().unwrap_or(record))
            .collect();
        for record in &records {
            let goes_on = record.status.is_live() && self.record(record.id).is_some_and(|old| !old.status.is_live());
            if goes_on
                && !self.is_mine(record.id)
                && let Some(history) = self.history.get_mut(&record.id)
            {
                // It begins again somewhere before its end.
                history.loaded = Loaded::Absent;
            }
        }
        let is_live = |run: RunId| records.iter().any(|record| record.id == run && record.status.is_live());
        let has_ended = self.theirs().any(|record| !is_live(record.id));
        // It may be taken back once more, of another step, and be what it was.
        let comes_back = records.iter().any(|record| record.away.is_some() && record.status != RunStatus::Away);
        self.asked_to_stop.retain(|run| is_live(*run));
        self.set_records(records);
        self.order = elsewhere.order;
        has_ended || comes_back
    }

    fn is_mine(&self, run: RunId) -> bool {
        self.live.iter().chain(&self.waiting).any(|live| live.run == run)
    }
}
