//! MPO, DPO and IPO as pure functions of log-probs.
//!
//! Source: arXiv 2312.16430 (MPO), 2305.18290 (DPO), 2310.12036 (IPO).
//! Everything is f64: the sums are short, and the gradients of sleeping pairs are tiny.

use serde::{Deserialize, Serialize};

/// Which margin m_θ a pair is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// s(y_w) − s(y_l), reference-free.
    Sum,
    /// s(y_w)/|y_w| − s(y_l)/|y_l|, reference-free.
    Mean,
    /// `Sum` minus its value at step 0.
    AnchoredSum,
    /// `Mean` minus its value at step 0.
    AnchoredMean,
}

/// The preference objective, with its own constants. Exhaustive on purpose: no default arm anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Objective {
    /// −(c·σ(h) + (1−c)·σ(−h))·r/μ, h = β·m.
    Mpo { beta: f64, margin: Margin },
    /// −log σ(h); `margin` is one of the anchored kinds.
    Dpo {
        beta: f64,
        margin: Margin,
        smoothing: Smoothing,
    },
    /// (m − 1/(2τ))²; `AnchoredSum` is the paper's, `AnchoredMean` the per-token form.
    Ipo { tau: f64, margin: Margin },
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

/// What the objective needs to know about one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLogProbs {
    /// Σ log π_θ over the answer's tokens.
    pub policy_chosen: f64,
    pub policy_rejected: f64,
    /// The same sums at step 0.
    pub reference_chosen: f64,
    pub reference_rejected: f64,
    /// Answer lengths in tokens, at least 1.
    pub chosen_tokens: usize,
    pub rejected_tokens: usize,
    /// c: 1 certain, 0.5 a tie.
    pub certainty: f64,
    /// r.
    pub reward: f64,
    /// μ in (0, 1].
    pub behaviour: f64,
}

/// What one pair contributes to a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairTerm {
    pub loss: f64,
    /// ∂loss/∂(Σ log-probs of chosen), already divided by length for mean margins.
    pub grad_chosen: f64,
    /// ∂loss/∂(Σ log-probs of rejected).
    pub grad_rejected: f64,
    /// m_θ of the objective's own margin kind.
    pub margin: f64,
    /// Rewards with an anchor, β·(s_θ − s_θ0), for every method (TRL's `rewards/*`).
    pub chosen_reward: f64,
    pub rejected_reward: f64,
    /// ρ = σ(h)/μ.
    pub importance_weight: f64,
    /// |∂loss/∂m|, what this pair pulls with.
    pub push: f64,
}
