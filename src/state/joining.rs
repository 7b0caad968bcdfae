//! Labels made while a run goes, as far as they are known.

use store::{Revision, RunId, RunLabels};

/// What of the labels a run has not seen, read again whenever pairs or the run's marks say that it may be otherwise.
#[derive(Debug, Default)]
pub struct Joining {
    known: Option<(RunId, RunLabels)>,
    asked: Option<JoiningKey>,
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoiningKey {
    pub run: RunId,
    /// The newest of the pairs.
    pub revision: Revision,
    /// How often something joined, as far as the charts know.
    pub marks: usize,
}

impl Joining {
    pub fn of(&self, run: RunId) -> Option<&RunLabels> {
        self.known.as_ref().filter(|(known, _)| *known == run).map(|(_, labels)| labels)
    }

    /// Whether this is to be read; noted as asked from then on.
    pub fn ask(&mut self, key: JoiningKey) -> bool {
        let is_new = !self.is_asked(key);
        self.asked = Some(key);
        is_new
    }

    pub fn is_asked(&self, key: JoiningKey) -> bool {
        self.asked == Some(key)
    }

    pub fn put(&mut self, run: RunId, labels: RunLabels) {
        self.known = Some((run, labels));
    }
}
