//! Maximum Preference Optimization: the preference policy σ(h) as reward, by importance sampling.
//!
//! Source: arXiv 2312.16430, equations for J_p and its gradient. ℓ(m) = −σ(β·m).

use data::config::{Margin, ObjectiveConfig};
use serde::{Deserialize, Serialize};

use super::{
    logistic::{sigmoid, sigmoid_slope},
    pair_loss::{PairLoss, Softmax},
};

/// −(c·σ(h) + (1−c)·σ(−h))·r/μ, h = β·m.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mpo {
    pub beta: f64,
    pub margin: Margin,
}

impl PairLoss for Mpo {
    fn margin(&self) -> Margin {
        self.margin
    }

    fn beta(&self) -> f64 {
        self.beta
    }

    /// In (−1, 0): minus the probability that the policy prefers what the person preferred.
    fn loss_at(&self, margin: f64) -> f64 {
        -sigmoid(self.beta * margin)
    }

    /// −β·σ(h)·σ(−h): fades when the pair is won and when it is hopelessly lost.
    fn slope_at(&self, margin: f64) -> f64 {
        -self.beta * sigmoid_slope(self.beta * margin)
    }

    /// β/4, at margin 0.
    fn largest_push(&self) -> f64 {
        self.beta / 4.0
    }

    fn weight(&self, reward: f64, behaviour: f64) -> f64 {
        reward / behaviour
    }

    fn several(&self) -> Option<Softmax> {
        Some(Softmax::Probability)
    }

    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    fn rescale(&self, config: &mut ObjectiveConfig, now: f64, push: f64) {
        config.beta *= push / now;
    }

    fn constant(&self) -> (&'static str, &'static str, f64) {
        ("β", ObjectiveConfig::BETA.key, self.beta)
    }

    fn name(&self) -> String {
        format!("MPO {}", self.margin.name())
    }

    fn loss_formula(&self) -> &'static str {
        "L = −σ(β·m)"
    }

    fn several_formula(&self) -> &'static str {
        "L = −1/(1 + Σᵢ exp(−β·mᵢ))"
    }

    fn push_formula(&self) -> &'static str {
        "push = β·σ(β·m)·σ(−β·m)"
    }

    fn in_words(&self) -> &'static str {
        "Pulls most on pairs that are undecided, and lets go of pairs that are won and of pairs that look like wrong labels"
    }
}
