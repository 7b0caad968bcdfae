//! The margin m_θ of a pair, and how it depends on the log-prob sums.

use data::config::Margin;

use super::PairLogProbs;

impl PairLogProbs {
    /// m_θ in nats (per token for the mean kinds).
    pub fn margin(&self, kind: Margin) -> f64 {
        let (per_chosen, per_rejected) = self.slopes(kind);
        let (mut chosen, mut rejected) = (self.policy_chosen, self.policy_rejected);
        if kind.is_anchored() {
            chosen -= self.reference_chosen;
            rejected -= self.reference_rejected;
        }
        chosen * per_chosen - rejected * per_rejected
    }

    /// ∂m/∂(Σ log-probs of chosen) and −∂m/∂(Σ log-probs of rejected): 1, or 1/length.
    pub(super) fn slopes(&self, kind: Margin) -> (f64, f64) {
        if kind.is_mean() {
            let per = |length: f64| if length > 0.0 { 1.0 / length } else { 1.0 };
            (per(self.chosen_tokens), per(self.rejected_tokens))
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
            chosen_tokens: 4.0,
            rejected_tokens: 2.0,
            ..pair()
        };
        assert_eq!(pair.margin(Margin::Sum), -1.0);
        assert_eq!(pair.margin(Margin::Mean), -2.5 + 4.5);
        assert_eq!(pair.margin(Margin::AnchoredSum), 2.0 + 1.0);
        assert_eq!(pair.margin(Margin::AnchoredMean), 0.5 + 0.5);
    }
}
