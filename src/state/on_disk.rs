//! What of a run is on the disk, and what going on from it would do.

use store::{RunId, RunRecord};

use super::runs::Runs;

impl Runs {
    /// Steps whose weights are on the disk, ascending.
    pub fn checkpoints(&self, run: RunId) -> &[u64] {
        self.saved.get(&run).map_or(&[], |saved| &saved.steps)
    }

    /// "checkpoints of steps 320 (kept, as asked), 400 and 500": the newest few.
    pub fn checkpoints_in_words(&self, run: RunId) -> Option<String> {
        self.saved.get(&run)?.in_words()
    }

    /// Why its weights cannot be had, as a sentence.
    pub fn no_weights(&self, run: RunId) -> Option<&'static str> {
        self.checkpoints(run).is_empty().then_some(
            "It has no checkpoint, so none of its weights are on the disk; one is written when it is due, on Checkpoint, and when the run is stopped",
        )
    }

    /// What Resume would do, as a sentence.
    pub fn continuation(&self, record: &RunRecord) -> String {
        let reached = record.step;
        match self.checkpoints(record.id).last() {
            None if reached == 0 => "It has not begun; Resume starts it".to_owned(),
            None => format!(
                "It has no checkpoint: Resume starts it again at step 0, and what it measured up to step {reached} is replaced"
            ),
            Some(&saved) if saved < reached => format!(
                "Its newest checkpoint is of step {saved}: Resume goes on from there and trains and measures {} again",
                if saved + 1 == reached {
                    format!("step {reached}")
                } else {
                    format!("steps {} to {reached}", saved + 1)
                }
            ),
            Some(saved) => format!("Resume goes on from its checkpoint of step {saved}"),
        }
    }

    /// Whether Resume would replace everything that the run measured.
    pub fn would_start_again(&self, record: &RunRecord) -> bool {
        record.step > 0 && self.checkpoints(record.id).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoints::Checkpoints;
    use store::{Revision, RunStatus};

    #[test]
    fn g15_what_continue_does_is_said_before() {
        let mut runs = Runs::default();
        let mut record = record(RunId(7), 32);
        assert!(runs.would_start_again(&record));
        assert!(runs.continuation(&record).contains("starts it again at step 0, and what it measured up to step 32"));
        assert!(runs.no_weights(RunId(7)).is_some());
        let saved = |steps: &[u64]| Checkpoints { steps: steps.to_vec(), asked_for: vec![20] };
        runs.saved.insert(RunId(7), saved(&[10, 20]));
        assert!(!runs.would_start_again(&record));
        assert!(runs.continuation(&record).ends_with("trains and measures steps 21 to 32 again"));
        runs.saved.insert(RunId(7), saved(&[31]));
        assert!(runs.continuation(&record).ends_with("measures step 32 again"));
        runs.saved.insert(RunId(7), saved(&[32]));
        assert_eq!(runs.continuation(&record), "Resume goes on from its checkpoint of step 32");
        assert!(runs.no_weights(RunId(7)).is_none());
        runs.saved.clear();
        record.step = 0;
        assert!(!runs.would_start_again(&record));
        assert_eq!(runs.continuation(&record), "It has not begun; Resume starts it");
    }

    fn record(id: RunId, step: u64) -> RunRecord {
        RunRecord {
            id,
            name: "A run".to_owned(),
            method: "MPO anchored-sum".to_owned(),
            status: RunStatus::Interrupted,
            revision: Revision(1),
            step,
            total_steps: 80,
            ..RunRecord::default()
        }
    }
}
