//! The linear layer with its LoRA adapters, fused: adapters accumulate straight into the layer's result.

use candle_core::Tensor;

use super::{Gradients, InputGradient, Result, Slot};

/// A low-rank adapter of a linear layer: `scale · B A`.
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, in]`.
    pub a: Tensor,
    /// `[out, r]`.
    pub b: Tensor,
    /// Where the gradient of `a` goes; `None` for a frozen adapter.
    pub a_slot: Option<Slot>,
    /// Where the gradient of `b` goes; `None` for a frozen adapter.
    pub b_slot: Option<Slot>,
    /// `alpha / r`, or `alpha / sqrt(r)` for rsLoRA.
    pub scale: f32,
}

/// A linear layer as stored in checkpoints, and its adapters.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// Where the gradient of the weight goes; `None` when it is frozen.
    pub weight_slot: Option<Slot>,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Where the gradient of the bias goes; `None` when it is frozen.
    pub bias_slot: Option<Slot>,
    /// Adapters on top; their order is the order of summation.
    pub loras: Vec<Lora>,
}

/// What [`super::Kernels::linear`] keeps for its backward.
#[derive(Debug, Clone, Default)]
pub struct LinearSaved {
    /// `x Aᵀ` of each adapter: `[T, r]`.
    pub low: Vec<Tensor>,
}
