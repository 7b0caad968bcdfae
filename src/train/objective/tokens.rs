//! Terms that are means over tokens: L_ref, L_pre, and the KL drift read from the same log-probs.

/// −λ · mean log-prob over all tokens of a step: L_ref on reference answers, L_pre on retention text.
///
/// The mean is over tokens, not sequences, and `tokens` counts the whole step, so micro-batches add up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenMean {
    /// λ_ref or λ_pre.
    pub weight: f64,
    /// Scored tokens in the whole step.
    pub tokens: usize,
}

impl TokenMean {
    /// ∂(λ·L)/∂(each token's log-prob) = −λ/tokens, the same for every token of every segment.
    pub fn coefficient(&self) -> f32 {
        if self.tokens == 0 { 0.0 } else { (-self.weight / self.tokens as f64) as f32 }
    }

    /// L itself, without λ, from Σ log-probs over the step's tokens: what charts show. 0 without tokens.
    pub fn loss(&self, log_prob_sum: f64) -> f64 {
        if self.tokens == 0 { 0.0 } else { -log_prob_sum / self.tokens as f64 }
    }

    /// λ·L: what the step's total loss adds.
    pub fn term(&self, log_prob_sum: f64) -> f64 {
        self.weight * self.loss(log_prob_sum)
    }
}

/// `kl/policy_k3`: mean over tokens of (r − 1) − log r, r = π_ref/π_θ, on answers sampled from π_θ. Estimates
/// KL(π_θ ‖ π_ref) per token and is never negative. `None` without tokens.
pub fn kl_k3(policy: &[f32], reference: &[f32]) -> Option<f64> {
    debug_assert_eq!(policy.len(), reference.len(), "log-probs of the same tokens");
    let tokens = policy.len().min(reference.len());
    let estimate = |(&policy, &reference): (&f32, &f32)| {
        let log_ratio = f64::from(reference) - f64::from(policy);
        log_ratio.exp_m1() - log_ratio
    };
    let sum: f64 = policy.iter().zip(reference).map(estimate).sum();
    (tokens > 0).then(|| sum / tokens as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficient_is_the_slope_of_the_term() {
        let mean = TokenMean { weight: 0.3, tokens: 40 };
        let (low, high) = (mean.term(-100.0), mean.term(-99.0));
        assert!((f64::from(mean.coefficient()) - (high - low)).abs() < 1e-9);
        assert_eq!(mean.loss(-100.0), 2.5);
    }

    #[test]
    fn no_tokens_no_term() {
        let mean = TokenMean { weight: 0.3, tokens: 0 };
        assert_eq!(mean.coefficient(), 0.0);
        assert_eq!(mean.term(0.0), 0.0);
        assert_eq!(kl_k3(&[], &[]), None);
    }

    #[test]
    fn drift_is_zero_where_nothing_moved_and_k3_is_never_negative() {
        let log_probs = [-0.5, -2.0, -0.1];
        assert_eq!(kl_k3(&log_probs, &log_probs), Some(0.0));
        for shift in [-3.0_f32, -0.1, 0.1, 3.0] {
            let reference: Vec<f32> = log_probs.iter().map(|x| x + shift).collect();
            assert!(kl_k3(&log_probs, &reference).unwrap() > 0.0);
        }
    }

    #[test]
    fn k3_meets_the_exact_kl_of_two_coins() {
        // An expectation over a coin written out as samples in exact proportion: π_θ = (3/4, 1/4), π_ref = (1/2, 1/2).
        let (p, q) = ([0.75_f64, 0.25], [0.5_f64, 0.5]);
        let exact: f64 = (0..2).map(|i| p[i] * (p[i] / q[i]).ln()).sum();
        let log = |values: [f64; 2]| [0, 0, 0, 1].map(|token: usize| values[token].ln() as f32);
        assert!((kl_k3(&log(p), &log(q)).unwrap() - exact).abs() < 1e-6);
    }
}
