//! How far the pairs of runs were ahead or behind, as the project has it.

use std::{collections::BTreeMap, sync::Arc};

use data::suspects::MarginScore;
use store::{Revision, RunId, RunRecord, RunStatus};

/// Where a run stood, and the pairs.
pub type Stand = (u64, Revision);

/// Of the runs that were read. Written only by `app`.
#[derive(Debug, Default)]
pub struct MarginScores {
    asked: BTreeMap<RunId, Stand>,
    known: BTreeMap<RunId, Arc<[MarginScore]>>,
    /// How often something was read.
    pub(super) reads: u64,
}

impl MarginScores {
    /// Those of these runs that are to be read, each as it stands now. A run that goes is read again when it is a
    /// quarter longer.
    pub fn wanted(&self, shown: &[&RunRecord], revision: Revision) -> Vec<(RunId, Stand)> {
        let is_due = |record: &&&RunRecord| {
            let Some((step, pairs)) = self.asked.get(&record.id) else { return record.step > 0 };
            let goes = matches!(record.status, RunStatus::Running | RunStatus::Paused);
            let next = if goes { step + (step / 4).max(20) } else { step + 1 };
            *pairs != revision || record.step >= next || record.step < *step
        };
        shown.iter().filter(is_due).map(|record| (record.id, (record.step, revision))).collect()
    }

    /// These are being read.
    pub fn ask(&mut self, wanted: &[(RunId, Stand)]) {
        self.asked.extend(wanted.iter().copied());
    }

    pub fn put(&mut self, run: RunId, standings: Vec<MarginScore>) {
        self.known.insert(run, standings.into());
        self.reads += 1;
    }

    pub(super) fn of(&self, run: RunId) -> Option<&[MarginScore]> {
        self.known.get(&run).map(AsRef::as_ref)
    }
}
