//! Which labels a run's checkpoints have seen, as far as it was asked.

use std::sync::Arc;

use data::{PairId, counted};
use store::{LabelsOf, Revision, RunId};

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKey {
    pub run: RunId,
    /// The newest of the pairs.
    pub revision: Revision,
    /// Steps of the checkpoints.
    pub steps: Vec<u64>,
}

/// A checkpoint and the labels that it has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLabels {
    pub step: u64,
    /// The pairs of this revision are what it was trained on last.
    pub revision: Revision,
    /// "4; 9 from step 41 on": all of them.
    pub revisions: String,
    pub of: LabelsOf,
}

impl SeenLabels {
    pub fn count(&self) -> String {
        counted(self.of.labels, "label", "labels")
    }
}

/// Pairs of a checkpoint that are to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPairs {
    pub run: RunId,
    pub step: u64,
    pub revision: Revision,
    pub which: SeenOrLater,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenOrLater {
    /// Those with a label that it has seen.
    Seen,
    /// Those with a label that is another one since.
    Later,
}

impl SeenPairs {
    /// "3 pairs with labels that came after checkpoint 40 of Run 1".
    pub fn title(&self, pairs: &Arc<Vec<PairId>>, run: &str) -> String {
        let pairs = counted(pairs.len(), "pair", "pairs");
        let Self { step, .. } = self;
        match self.which {
            SeenOrLater::Seen => format!("{pairs} whose labels the checkpoint of step {step} of {run} has seen"),
            SeenOrLater::Later => {
                format!("{pairs} whose labels came later than what the checkpoint of step {step} of {run} has seen")
            }
        }
    }
}

/// Of the run whose list is open; read again when pairs or checkpoints are others.
#[derive(Debug, Default)]
pub struct SeenData {
    asked: Option<SeenKey>,
    known: Option<(SeenKey, Vec<SeenLabels>)>,
}

impl SeenData {
    /// Newest checkpoint first. What was known before an edit stays until it is known anew.
    pub fn of(&self, run: RunId) -> Option<&[SeenLabels]> {
        self.known.as_ref().filter(|(key, _)| key.run == run).map(|(_, all)| &all[..])
    }

    pub fn is_asked(&self, key: &SeenKey) -> bool {
        self.asked.as_ref() == Some(key)
    }

    /// Whether this is to be read; noted as asked from then on.
    pub fn ask(&mut self, key: &SeenKey) -> bool {
        let is_new = !self.is_asked(key);
        self.asked = Some(key.clone());
        is_new
    }

    pub fn put(&mut self, key: SeenKey, all: Vec<SeenLabels>) {
        self.known = Some((key, all));
    }
}
