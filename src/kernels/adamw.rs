//! AdamW, one fused pass over flat buffers.

/// One step of AdamW with decoupled weight decay and bias correction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Number of this step, from 1.
    pub step: u64,
    /// Factor of the gradient: what clipping leaves of it (1 when it did not clip).
    pub gradient_scale: f32,
}
