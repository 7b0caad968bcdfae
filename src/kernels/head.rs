//! The output matrix, for answer tokens only, and never more than a slice of the vocabulary at once.

use candle_core::Tensor;

/// How logits are made of `h Wᵀ`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadOptions {
    /// Factor of the raw logits (1 for most models).
    pub scale: f32,
    /// `logit = cap · tanh(scale·h·w / cap)` (Gemma 2).
    pub softcap: Option<f32>,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            scale: 1.0,
            softcap: None,
        }
    }
}

/// What [`super::Kernels::head`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadWant {
    /// Log-probs only: evaluation.
    LogProbs,
    /// Also the gradient of each log-prob with respect to its hidden row: training.
    WithU,
}

/// What [`super::Kernels::head`] gives.
#[derive(Debug, Clone)]
pub struct HeadOut {
    /// Natural log-prob of each target, `[A]`.
    pub log_probs: Vec<f32>,
    /// Log-sum-exp of each row's logits, `[A]`: what [`super::Kernels::head_weight_backward`] starts from.
    pub lse: Vec<f32>,
    /// `∂ log_prob_t / ∂ h_t`, `[A, d]`: without scale and softcap `Wᵀ(onehot − p_t)`.
    pub u: Option<Tensor>,
}
