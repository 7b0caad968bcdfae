//! Direct Preference Optimization with its two kinds of label smoothing.
//!
//! Source: arXiv 2305.18290 (DPO and, in its released code, the conservative form), 2403.00409 (robust form).

use data::config::{Margin, ObjectiveConfig};
use serde::{Deserialize, Serialize};

use super::{
    logistic::{log_sigmoid, sigmoid},
    pair_loss::{PairLoss, Softmax, anchored},
};

/// −log σ(h), h = β·m; `margin` is one of the anchored kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dpo {
    pub beta: f64,
    pub margin: Margin,
    pub smoothing: Smoothing,
}

/// Label smoothing of DPO with flip probability ε in [0, 0.5).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", content = "epsilon", rename_all = "lowercase")]
pub enum Smoothing {
    None,
    /// cDPO: (1−ε)·(−log σ(h)) + ε·(−log σ(−h)).
    Conservative(f64),
    /// Robust DPO: ((1−ε)·(−log σ(h)) − ε·(−log σ(−h))) / (1−2ε).
    Robust(f64),
}

impl Smoothing {
    /// What this section asks for.
    pub fn of(config: &ObjectiveConfig) -> Self {
        if config.label_smoothing == 0.0 {
            Self::None
        } else if config.robust {
            Self::Robust(config.label_smoothing)
        } else {
            Self::Conservative(config.label_smoothing)
        }
    }
}

impl PairLoss for Dpo {
    fn margin(&self) -> Margin {
        self.margin
    }

    fn beta(&self) -> f64 {
        self.beta
    }

    /// −log σ(h), smoothed.
    fn loss_at(&self, margin: f64) -> f64 {
        let h = self.beta * margin;
        let (agrees, differs) = (-log_sigmoid(h), -log_sigmoid(-h));
        match self.smoothing {
            Smoothing::None => agrees,
            Smoothing::Conservative(e) => (1.0 - e) * agrees + e * differs,
            Smoothing::Robust(e) => ((1.0 - e) * agrees - e * differs) / (1.0 - 2.0 * e),
        }
    }

    /// Without smoothing −β·σ(−h): never fades for a pair that is lost.
    fn slope_at(&self, margin: f64) -> f64 {
        let h = self.beta * margin;
        let (agrees, differs) = (-sigmoid(-h), sigmoid(h));
        self.beta
            * match self.smoothing {
                Smoothing::None => agrees,
                Smoothing::Conservative(e) => (1.0 - e) * agrees + e * differs,
                Smoothing::Robust(e) => ((1.0 - e) * agrees - e * differs) / (1.0 - 2.0 * e),
            }
    }

    /// Supremum of |∂ℓ/∂m|, reached as h → −∞.
    fn largest_push(&self) -> f64 {
        self.beta
            * match self.smoothing {
                Smoothing::None => 1.0,
                Smoothing::Conservative(e) => 1.0 - e,
                Smoothing::Robust(e) => (1.0 - e) / (1.0 - 2.0 * e),
            }
    }

    fn several(&self) -> Option<Softmax> {
        Some(Softmax::LogProbability)
    }

    fn odds(&self) -> (f64, f64) {
        match self.smoothing {
            Smoothing::None => (1.0, 0.0),
            Smoothing::Conservative(e) => (1.0 - e, e),
            Smoothing::Robust(e) => ((1.0 - e) / (1.0 - 2.0 * e), -e / (1.0 - 2.0 * e)),
        }
    }

    fn validate(&self) -> Result<(), String> {
        anchored("DPO", self.margin)?;
        match self.smoothing {
            Smoothing::Conservative(e) | Smoothing::Robust(e) if !(0.0..0.5).contains(&e) => Err(format!(
                "label_smoothing must be at least 0 and below 0.5, found {e}: it is the probability that a label is flipped."
            )),
            Smoothing::None | Smoothing::Conservative(_) | Smoothing::Robust(_) => Ok(()),
        }
    }

    fn rescale(&self, config: &mut ObjectiveConfig, now: f64, push: f64) {
        config.beta *= push / now;
    }

    fn constant(&self) -> (&'static str, &'static str, f64) {
        ("β", ObjectiveConfig::BETA.key, self.beta)
    }

    fn name(&self) -> String {
        let margin = self.margin.name();
        match self.smoothing {
            Smoothing::None => format!("DPO {margin}"),
            Smoothing::Conservative(_) => format!("DPO {margin} (conservative)"),
            Smoothing::Robust(_) => format!("DPO {margin} (robust)"),
        }
    }

    fn loss_formula(&self) -> &'static str {
        match self.smoothing {
            Smoothing::None => "L = −log σ(β·m)",
            Smoothing::Conservative(_) => "L = −(1−ε)·log σ(β·m) − ε·log σ(−β·m)",
            Smoothing::Robust(_) => "L = [−(1−ε)·log σ(β·m) + ε·log σ(−β·m)] / (1−2ε)",
        }
    }

    fn several_formula(&self) -> &'static str {
        match self.smoothing {
            Smoothing::None => "L = log(1 + Σᵢ exp(−β·mᵢ))",
            Smoothing::Conservative(_) | Smoothing::Robust(_) => "L = log(1 + Σᵢ exp(−β·mᵢ)), smoothed",
        }
    }

    fn push_formula(&self) -> &'static str {
        match self.smoothing {
            Smoothing::None => "push = β·σ(−β·m)",
            Smoothing::Conservative(_) => "push = β·|σ(−β·m) − ε|",
            Smoothing::Robust(_) => "push = β·[(1−ε)·σ(−β·m) + ε·σ(β·m)] / (1−2ε)",
        }
    }

    fn in_words(&self) -> &'static str {
        "Pulls on every pair until it is won by a wide gap; a pair that stays lost is pulled hardest"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Method;

    #[test]
    fn smoothing_is_cdpo_unless_robust_is_asked_for() {
        let mut config = ObjectiveConfig { kind: Method::Dpo, label_smoothing: 0.1, ..ObjectiveConfig::default() };
        assert_eq!(Smoothing::of(&config), Smoothing::Conservative(0.1));
        config.robust = true;
        assert_eq!(Smoothing::of(&config), Smoothing::Robust(0.1));
    }
}
