//! Identity Preference Optimization: a finite target for the margin.
//!
//! Source: arXiv 2310.12036, equation 17. The paper's margin is of sums; the per-token form is what TRL trains.

use data::config::{Margin, ObjectiveConfig};
use serde::{Deserialize, Serialize};

use super::pair_loss::{PairLoss, anchored};

/// (m − 1/(2τ))²; `AnchoredSum` is the paper's, `AnchoredMean` the per-token form.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ipo {
    pub tau: f64,
    pub margin: Margin,
    /// Scale of the reported rewards only; the loss has no β.
    pub beta: f64,
}

impl Ipo {
    /// 1/(2τ): where the margin is pulled to.
    fn target(&self) -> f64 {
        1.0 / (2.0 * self.tau)
    }
}

impl PairLoss for Ipo {
    fn margin(&self) -> Margin {
        self.margin
    }

    fn beta(&self) -> f64 {
        self.beta
    }

    fn loss_at(&self, margin: f64) -> f64 {
        (margin - self.target()).powi(2)
    }

    fn slope_at(&self, margin: f64) -> f64 {
        2.0 * (margin - self.target())
    }

    /// The push at margin 0, 1/τ: the scale that "asleep" is measured on, since the push itself has no bound.
    fn largest_push(&self) -> f64 {
        1.0 / self.tau
    }

    fn target_margin(&self) -> Option<f64> {
        Some(self.target())
    }

    fn validate(&self) -> Result<(), String> {
        let tau = self.tau;
        anchored("IPO", self.margin)?;
        if tau.is_finite() && tau > 0.0 {
            Ok(())
        } else {
            Err(format!("tau must be a number above 0, found {tau}: the target margin is 1/(2·tau)."))
        }
    }

    /// Its β only scales the rewards that it shows, and stays.
    fn rescale(&self, config: &mut ObjectiveConfig, now: f64, push: f64) {
        config.tau *= now / push;
    }

    fn constant(&self) -> (&'static str, &'static str, f64) {
        ("τ", ObjectiveConfig::TAU.key, self.tau)
    }

    fn name(&self) -> String {
        match self.margin {
            Margin::AnchoredSum => "IPO sum (paper)".to_owned(),
            Margin::AnchoredMean => "IPO mean (per token)".to_owned(),
            Margin::Sum | Margin::Mean => format!("IPO {}", self.margin.name()),
        }
    }

    fn loss_formula(&self) -> &'static str {
        "L = (m − 1/(2τ))²"
    }

    fn push_formula(&self) -> &'static str {
        "push = 2·|m − 1/(2τ)|"
    }

    fn in_words(&self) -> &'static str {
        "Pulls every margin to one target and back again when it overshoots"
    }
}
