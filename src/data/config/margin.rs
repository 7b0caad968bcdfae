//! The four margins by name.

use serde::{Deserialize, Serialize};

choice! {
    /// Which margin m_θ a pair is judged by.
    Margin = MARGINS;

    /// `Sum` minus its value at step 0.
    #[default]
    AnchoredSum = "anchored-sum", "Anchored sum", "Starts at 0 for every pair: a typical data set starts awake";
    /// `Mean` minus its value at step 0.
    AnchoredMean = "anchored-mean", "Anchored mean",
        "Per token, and starts at 0: long answers count no more than short ones";
    /// s(y_w) − s(y_l), reference-free.
    Sum = "sum", "Sum", "Reference-free: pairs of unlike length may sleep from the start";
    /// s(y_w)/|y_w| − s(y_l)/|y_l|, reference-free.
    Mean = "mean", "Mean", "Reference-free, per token";
}

impl Margin {
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
