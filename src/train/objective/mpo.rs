//! Maximum Preference Optimization: the preference policy σ(h) as reward, by importance sampling.
//!
//! Source: arXiv 2312.16430, equations for J_p and its gradient. ℓ(m) = −σ(β·m).

use super::logistic::{sigmoid, sigmoid_slope};

/// ℓ(m) = −σ(β·m) in (−1, 0): minus the probability that the policy prefers what the person preferred.
pub fn loss(beta: f64, margin: f64) -> f64 {
    -sigmoid(beta * margin)
}

/// ∂ℓ/∂m = −β·σ(h)·σ(−h): fades when the pair is won and when it is hopelessly lost.
pub fn slope(beta: f64, margin: f64) -> f64 {
    -beta * sigmoid_slope(beta * margin)
}

/// ∂/∂m of −ρ·r·log π^p for one logged action, ρ held fixed: the paper's policy-gradient form.
///
/// The action "chosen is better" has π^p = σ(h) and score ∂log σ(h)/∂m = β·σ(−h).
pub fn policy_gradient_slope(beta: f64, margin: f64) -> f64 {
    let h = beta * margin;
    let detached_ratio = sigmoid(h);
    let score = beta * sigmoid(-h);
    -detached_ratio * score
}

/// The most ℓ can push: β/4, at margin 0.
pub fn largest_push(beta: f64) -> f64 {
    beta / 4.0
}
