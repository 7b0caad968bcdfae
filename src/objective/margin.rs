//! The four margins m_θ of a pair, and how they depend on the log-prob sums.

use super::{Margin, PairLogProbs};

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

    /// m_θ in nats (per token for the mean kinds).
    pub fn of(self, pair: &PairLogProbs) -> f64 {
        let (per_chosen, per_rejected) = self.slopes(pair);
        let (mut chosen, mut rejected) = (pair.policy_chosen, pair.policy_rejected);
        if self.is_anchored() {
            chosen -= pair.reference_chosen;
            rejected -= pair.reference_rejected;
        }
        chosen * per_chosen - rejected * per_rejected
    }

    /// ∂m/∂(Σ log-probs of chosen) and −∂m/∂(Σ log-probs of rejected): 1, or 1/length.
    pub(super) fn slopes(self, pair: &PairLogProbs) -> (f64, f64) {
        if self.is_mean() {
            (1.0 / pair.chosen_tokens.max(1) as f64, 1.0 / pair.rejected_tokens.max(1) as f64)
        } else {
            (1.0, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::evaluate::tests::pair, *};

    #[test]
    fn each_kind_by_hand() {
        // chosen −10 over 4 tokens (was −12), rejected −9 over 2 tokens (was −8)
        let pair = PairLogProbs {
            policy_chosen: -10.0,
            policy_rejected: -9.0,
            reference_chosen: -12.0,
            reference_rejected: -8.0,
            chosen_tokens: 4,
            rejected_tokens: 2,
            ..pair()
        };
        assert_eq!(Margin::Sum.of(&pair), -1.0);
        assert_eq!(Margin::Mean.of(&pair), -2.5 + 4.5);
        assert_eq!(Margin::AnchoredSum.of(&pair), 2.0 + 1.0);
        assert_eq!(Margin::AnchoredMean.of(&pair), 0.5 + 0.5);
    }

    #[test]
    fn names_are_the_ones_of_run_toml() {
        for margin in Margin::ALL {
            assert_eq!(serde_json::to_string(&margin).unwrap(), format!("{:?}", margin.name()));
        }
    }
}
