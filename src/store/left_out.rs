//! What a run leaves out of its data.

use std::fmt;

use serde::{Deserialize, Serialize};

use ::data::{PairId, counted};

/// Pairs that a run does not train on, though its data has them. Held-out ones among them are measured all the same, so
/// that its curves stay comparable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which they are, after their number: "tagged “blunt”".
    pub which: String,
    /// Ascending.
    pairs: Vec<PairId>,
}

impl LeftOut {
    /// These pairs, each once.
    pub fn new(which: String, mut pairs: Vec<PairId>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self { which, pairs }
    }

    pub fn pairs(&self) -> &[PairId] {
        &self.pairs
    }

    pub fn holds(&self, pair: PairId) -> bool {
        self.pairs.binary_search(&pair).is_ok()
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let which = if self.which == other.which { self.which } else { format!("{} or {}", self.which, other.which) };
        Self::new(which, [self.pairs, other.pairs].concat())
    }
}

impl fmt::Display for LeftOut {
    /// "12 pairs tagged “blunt”".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", counted(self.pairs.len(), "pair", "pairs"), self.which)
    }
}
