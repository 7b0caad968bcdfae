//! Identity Preference Optimization: a finite target for the margin.
//!
//! Source: arXiv 2310.12036, equation 17. The paper's margin is of sums; the per-token form is what TRL trains.

/// 1/(2τ): where the margin is pulled to.
pub fn target(tau: f64) -> f64 {
    1.0 / (2.0 * tau)
}

/// ℓ(m) = (m − 1/(2τ))².
pub fn loss(tau: f64, margin: f64) -> f64 {
    (margin - target(tau)).powi(2)
}

/// ∂ℓ/∂m = 2·(m − 1/(2τ)).
pub fn slope(tau: f64, margin: f64) -> f64 {
    2.0 * (margin - target(tau))
}

/// The push at margin 0, 1/τ: the scale that "asleep" is measured on, since the push itself has no bound.
pub fn push_at_start(tau: f64) -> f64 {
    1.0 / tau
}
