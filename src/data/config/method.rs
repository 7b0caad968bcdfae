//! What a method means when the config leaves it open: margin and weights.

use super::{Margin, Method, ObjectiveConfig};

impl ObjectiveConfig {
    /// The margin asked for, or the method's own.
    pub fn margin(&self) -> Margin {
        self.margin.unwrap_or(match self.kind {
            // Anchored margins start at 0, so a typical data set starts awake.
            Method::Mpo | Method::Dpo | Method::Reward | Method::Ppo | Method::Rloo | Method::Grpo => {
                Margin::AnchoredSum
            }
            Method::Ipo => Margin::AnchoredMean,
        })
    }

    /// λ_ref asked for, or the method's own.
    pub fn reference_weight(&self) -> f64 {
        self.reference_weight.unwrap_or(match self.kind {
            Method::Mpo => 0.3,
            Method::Dpo | Method::Ipo | Method::Reward | Method::Ppo | Method::Rloo | Method::Grpo => 0.0,
        })
    }

    /// λ_pre; 0 unless asked for.
    pub fn retention_weight(&self) -> f64 {
        self.retention_weight.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_its_own_defaults() {
        let of = |kind| ObjectiveConfig { kind, ..ObjectiveConfig::default() };
        assert_eq!(of(Method::Mpo).margin(), Margin::AnchoredSum);
        assert_eq!(of(Method::Ipo).margin(), Margin::AnchoredMean);
        assert_eq!(of(Method::Mpo).reference_weight(), 0.3);
        assert_eq!(of(Method::Dpo).reference_weight(), 0.0);
    }
}
