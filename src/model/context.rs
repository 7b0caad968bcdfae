//! What all blocks of a pass share.

use super::{lora::stream_seed, rope::Rotation};
use ::kernels::{Activation, Generating, Kernels, Layout, Mask, NormOptions};

/// Whose numbers a pass gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassWeights {
    Policy,
    /// Those of step 0, where an adapter is what is trained.
    Reference,
}

/// What all blocks of a pass share.
pub(super) struct PassContext<'a> {
    pub(super) kernels: &'a dyn Kernels,
    pub(super) layout: &'a Layout,
    /// One for each rope of the spec.
    pub(super) rotations: &'a [Rotation],
    pub(super) norm: NormOptions,
    pub(super) activation: Activation,
    pub(super) dropout: Option<Dropout>,
    /// No backward goes through a pass of the reference.
    pub(super) weights: PassWeights,
    /// In generation: linear layers row by row, so that a row's bits are independent of the others, and nothing can be
    /// gone back through.
    pub(super) generating: Option<Generating>,
}

/// Dropout of one forward pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dropout {
    pub(super) probability: f64,
    /// A new one for each pass.
    pub(super) seed: u64,
}

impl Dropout {
    /// The mask of one layer.
    pub(super) fn mask(&self, path: &str) -> Mask {
        let hash = stream_seed(self.seed, path);
        let mut seed = [0; 8];
        seed.copy_from_slice(&hash.as_bytes()[..8]);
        Mask::new(self.probability, u64::from_le_bytes(seed))
    }
}
