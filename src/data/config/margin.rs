//! The four margins by name.

use serde::{Deserialize, Serialize};

/// Which margin m_θ a pair is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// s(y_w) − s(y_l), reference-free.
    Sum,
    /// s(y_w)/|y_w| − s(y_l)/|y_l|, reference-free.
    Mean,
    /// `Sum` minus its value at step 0.
    AnchoredSum,
    /// `Mean` minus its value at step 0.
    AnchoredMean,
}

impl Margin {
    pub const ALL: [Self; 4] = [Self::Sum, Self::Mean, Self::AnchoredSum, Self::AnchoredMean];

    /// Measured from its own value at step 0, so 0 before the first update.
    pub fn is_anchored(self) -> bool {
        match self {
            Self::AnchoredSum | Self::AnchoredMean => true,
            Self::Sum | Self::Mean => false,
        }
    }

    /// Divides each log-prob sum by the answer's length in tokens.
    pub fn is_mean(self) -> bool {
        match self {
            Self::Mean | Self::AnchoredMean => true,
            Self::Sum | Self::AnchoredSum => false,
        }
    }

    /// The word of `run.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::AnchoredSum => "anchored-sum",
            Self::AnchoredMean => "anchored-mean",
        }
    }

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|margin| margin.name() == word)
    }

    /// m in symbols: s is the sum of log-probs over the answer's tokens, s₀ its value at step 0, w chosen, l rejected.
    pub fn formula(self) -> &'static str {
        match self {
            Self::Sum => "m = s(w) − s(l)",
            Self::Mean => "m = s(w)/|w| − s(l)/|l|",
            Self::AnchoredSum => "m = [s(w) − s(l)] − [s(w) − s(l)] at step 0",
            Self::AnchoredMean => "m = [s(w)/|w| − s(l)/|l|] − [s(w)/|w| − s(l)/|l|] at step 0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_ones_of_run_toml() {
        for margin in Margin::ALL {
            assert_eq!(serde_json::to_string(&margin).unwrap(), format!("{:?}", margin.name()));
        }
    }
}
