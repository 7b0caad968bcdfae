//! Direct Preference Optimization with its two kinds of label smoothing.
//!
//! Source: arXiv 2305.18290 (DPO and, in its released code, the conservative form), 2403.00409 (robust form).

use super::{
    Smoothing,
    logistic::{log_sigmoid, sigmoid},
};

/// ℓ(m) for h = β·m: −log σ(h), smoothed.
pub fn loss(beta: f64, smoothing: Smoothing, margin: f64) -> f64 {
    let h = beta * margin;
    let (agrees, differs) = (-log_sigmoid(h), -log_sigmoid(-h));
    match smoothing {
        Smoothing::None => agrees,
        Smoothing::Conservative(e) => (1.0 - e) * agrees + e * differs,
        Smoothing::Robust(e) => ((1.0 - e) * agrees - e * differs) / (1.0 - 2.0 * e),
    }
}

/// ∂ℓ/∂m. Without smoothing −β·σ(−h): never fades for a pair that is lost.
pub fn slope(beta: f64, smoothing: Smoothing, margin: f64) -> f64 {
    let h = beta * margin;
    let (agrees, differs) = (-sigmoid(-h), sigmoid(h));
    beta * match smoothing {
        Smoothing::None => agrees,
        Smoothing::Conservative(e) => (1.0 - e) * agrees + e * differs,
        Smoothing::Robust(e) => ((1.0 - e) * agrees - e * differs) / (1.0 - 2.0 * e),
    }
}

/// Supremum of |∂ℓ/∂m|, reached as h → −∞.
pub fn largest_push(beta: f64, smoothing: Smoothing) -> f64 {
    beta * match smoothing {
        Smoothing::None => 1.0,
        Smoothing::Conservative(e) => 1.0 - e,
        Smoothing::Robust(e) => (1.0 - e) / (1.0 - 2.0 * e),
    }
}
