//! The optimistic and the pessimistic policy of PILAF (arXiv 2502.04270): what a policy would say if it had learnt a
//! little more, or a little less, than it has.
//!
//! `π± ∝ π·exp(±s·log(π / π_ref))`, token by token: `z± = (1 ± s)·z ∓ s·z_ref`. Logits serve as well as log-probs,
//! since the softmax forgets constants. Temperature and the other settings of sampling come after.

/// How policy and reference are put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// s in (0, 1]: how strongly the implied reward counts. At 1 the pessimistic policy is the reference.
    pub strength: f64,
    pub side: MixSide,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MixSide {
    /// π⁺, further from the reference.
    Optimistic,
    /// π⁻, nearer to it.
    Pessimistic,
}

impl Mix {
    /// What is wrong with its numbers, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.strength > 0.0 && self.strength <= 1.0 {
            return Ok(());
        }
        Err(format!("strength is {}; it must be above 0 and at most 1", self.strength))
    }

    /// Turns the policy's logits into the mixture's. A token that either of them rules out stays ruled out.
    pub(super) fn apply(&self, policy: &mut [f32], reference: &[f32]) {
        let strength = match self.side {
            MixSide::Optimistic => self.strength,
            MixSide::Pessimistic => -self.strength,
        };
        for (logit, reference) in policy.iter_mut().zip(reference) {
            let mixed = (1.0 + strength) * f64::from(*logit) - strength * f64::from(*reference);
            *logit = match (*logit, *reference) {
                (logit, reference) if logit.is_finite() && reference.is_finite() => mixed as f32,
                (logit, reference) if logit.is_nan() || reference.is_nan() => f32::NAN,
                (logit, reference) => logit.min(reference),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: [f32; 3] = [0.5, 0.3, 0.2];
    const REFERENCE: [f32; 3] = [0.4, 0.4, 0.2];

    fn mixed(strength: f64, side: MixSide) -> Vec<f64> {
        let mut logits = POLICY.map(f32::ln);
        Mix { strength, side }.apply(&mut logits, &REFERENCE.map(f32::ln));
        let weights = logits.map(|logit| f64::from(logit).exp());
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    #[test]
    fn shares_are_the_golden_ones() {
        for (strength, side, want) in [
            (0.1, MixSide::Optimistic, [0.509868, 0.290686, 0.199447]),
            (0.1, MixSide::Pessimistic, [0.490083, 0.309461, 0.200457]),
            (0.5, MixSide::Optimistic, [0.548688, 0.255007, 0.196305]),
            (0.5, MixSide::Pessimistic, [0.450083, 0.348633, 0.201283]),
            (1.0, MixSide::Optimistic, [0.595238, 0.214286, 0.190476]),
            (1.0, MixSide::Pessimistic, [0.4, 0.4, 0.2]),
        ] {
            for (got, want) in mixed(strength, side).into_iter().zip(want) {
                assert!((got - want).abs() < 1e-6, "{strength} {side:?}: {got} for {want}");
            }
        }
    }

    #[test]
    fn what_is_ruled_out_stays_so() {
        for (policy, reference) in
            [(f32::NEG_INFINITY, 0.0), (0.0, f32::NEG_INFINITY), (f32::NEG_INFINITY, f32::NEG_INFINITY)]
        {
            for side in [MixSide::Optimistic, MixSide::Pessimistic] {
                let mut logits = [policy];
                Mix { strength: 0.5, side }.apply(&mut logits, &[reference]);
                assert_eq!(logits, [f32::NEG_INFINITY], "{policy} {reference} {side:?}");
            }
        }
        let mut logits = [f32::NAN, 0.0];
        Mix { strength: 0.5, side: MixSide::Optimistic }.apply(&mut logits, &[0.0, f32::NAN]);
        assert!(logits.iter().all(|logit| logit.is_nan()), "no number is made of none");
    }

    #[test]
    fn a_strength_out_of_range_is_told() {
        for strength in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(Mix { strength, side: MixSide::Optimistic }.check().unwrap_err().contains("above 0 and at most 1"));
        }
    }
}
