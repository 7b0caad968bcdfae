//! What a method means when the config leaves it open: margin, weights, formula.

use super::config::{Method, ObjectiveConfig};
use crate::objective::{Margin, Objective, Smoothing};

impl ObjectiveConfig {
    /// The preference objective this section asks for, with the method's defaults filled in.
    pub fn objective(&self) -> Objective {
        let margin = self.margin();
        match self.kind {
            Method::Mpo => Objective::Mpo { beta: self.beta, margin },
            Method::Dpo => Objective::Dpo { beta: self.beta, margin, smoothing: self.smoothing() },
            Method::Ipo => Objective::Ipo { tau: self.tau, margin, beta: self.beta },
        }
    }

    /// The margin asked for, or the method's own.
    pub fn margin(&self) -> Margin {
        self.margin.unwrap_or(match self.kind {
            // Anchored margins start at 0, so a typical data set starts awake.
            Method::Mpo | Method::Dpo => Margin::AnchoredSum,
            Method::Ipo => Margin::AnchoredMean,
        })
    }

    /// λ_ref asked for, or the method's own.
    pub fn reference_weight(&self) -> f64 {
        self.reference_weight.unwrap_or(match self.kind {
            Method::Mpo => 0.3,
            Method::Dpo | Method::Ipo => 0.0,
        })
    }

    /// λ_pre; 0 unless asked for.
    pub fn retention_weight(&self) -> f64 {
        self.retention_weight.unwrap_or(0.0)
    }

    /// The whole loss with the terms that are switched on, then the margin, e.g. "L = −σ(β·m) + 0.3·L_ref,  m = …".
    pub fn formula(&self) -> String {
        let objective = self.objective();
        let terms = [(self.reference_weight(), "L_ref"), (self.retention_weight(), "L_pre")];
        let loss = terms
            .into_iter()
            .filter(|(weight, _)| *weight != 0.0)
            .fold(objective.loss_formula().to_owned(), |loss, (weight, term)| format!("{loss} + {weight}·{term}"));
        format!("{loss},  {}", objective.margin().formula())
    }

    fn smoothing(&self) -> Smoothing {
        if self.label_smoothing == 0.0 {
            Smoothing::None
        } else if self.robust {
            Smoothing::Robust(self.label_smoothing)
        } else {
            Smoothing::Conservative(self.label_smoothing)
        }
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

    #[test]
    fn the_formula_names_the_terms_that_are_on() {
        let mut config = ObjectiveConfig::default();
        assert!(config.formula().starts_with("L = −σ(β·m) + 0.3·L_ref,  m = "));
        config.reference_weight = Some(0.0);
        config.retention_weight = Some(0.5);
        assert!(config.formula().starts_with("L = −σ(β·m) + 0.5·L_pre,  m = "));
    }

    #[test]
    fn smoothing_is_cdpo_unless_robust_is_asked_for() {
        let mut config = ObjectiveConfig { kind: Method::Dpo, label_smoothing: 0.1, ..ObjectiveConfig::default() };
        assert_eq!(config.smoothing(), Smoothing::Conservative(0.1));
        config.robust = true;
        assert_eq!(config.smoothing(), Smoothing::Robust(0.1));
    }
}
