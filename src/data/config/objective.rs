//! What an objective means when the config leaves it open: margin and weights.

use super::{Margin, ObjectiveConfig};

impl ObjectiveConfig {
    /// The margin asked for, or the method's own.
    pub fn margin(&self) -> Margin {
        self.margin.unwrap_or(self.kind.own_margin())
    }

    /// λ_ref asked for, or the method's own.
    pub fn reference_weight(&self) -> f64 {
        self.reference_weight.unwrap_or(self.kind.own_reference_weight())
    }

    /// λ_pre; 0 unless asked for.
    pub fn retention_weight(&self) -> f64 {
        self.retention_weight.unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Method;

    #[test]
    fn each_method_has_its_own_defaults() {
        let of = |kind| ObjectiveConfig { kind, ..ObjectiveConfig::default() };
        assert_eq!(of(Method::Mpo).margin(), Margin::AnchoredSum);
        assert_eq!(of(Method::Ipo).margin(), Margin::AnchoredMean);
        assert_eq!(of(Method::Mpo).reference_weight(), 0.3);
        assert_eq!(of(Method::Dpo).reference_weight(), 0.0);
    }
}
