//! Rotary position embedding.

use candle_core::Tensor;

/// Cosines and sines by position, made by the model (its theta and scaling): both f32 `[P, rotary/2]`.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// `cos(position · frequency)`, times the attention factor where the scaling has one.
    pub cos: Tensor,
    /// `sin(position · frequency)`, times the same factor.
    pub sin: Tensor,
}
