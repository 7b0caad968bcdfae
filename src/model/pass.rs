//! What a forward keeps for its backward.

use ::kernels::Tensor;

use super::{Row, block::Saved, context::Dropout};
use ::kernels::LinearSaved;

/// A forward that can be gone back through, once.
pub struct Pass {
    pub(super) row: Row,
    pub(super) blocks: Vec<Kept>,
    /// Final hidden states of the row's `needed` rows, before the last norm.
    pub(super) hidden: Tensor,
    pub(super) inv_rms: Tensor,
    pub(super) head: HeadPass,
    pub(super) log_probs: Vec<Vec<f32>>,
    pub(super) dropout: Option<Dropout>,
}

/// What of a forward the way back from the final norm needs.
pub(super) struct Ascent {
    pub(super) blocks: Vec<Kept>,
    /// Final hidden states of the row's `needed` rows, before the last norm.
    pub(super) hidden: Tensor,
    pub(super) inv_rms: Tensor,
}

/// What the head of a forward keeps for its backward.
pub(super) enum HeadPass {
    /// Of the vocabulary.
    Tokens {
        /// Normed hidden states of the predictors, `[A, d]`: kept only when the head is trained.
        normed: Option<Tensor>,
        /// ∂log-prob/∂normed, `[A, d]`.
        u: Tensor,
        lse: Vec<f32>,
    },
    /// Of the scalar head.
    Scalar {
        /// Normed hidden states of the rows that are read, `[A, d]`.
        normed: Tensor,
        saved: LinearSaved,
    },
}

pub(super) enum Kept {
    Whole(Box<Saved>),
    /// The block's input only.
    Input(Tensor),
}

impl Pass {
    /// What the row reads, by answer: the natural log-prob of each of its tokens, or numbers of the scalar head.
    pub fn log_probs(&self) -> &[Vec<f32>] {
        &self.log_probs
    }

    /// How many blocks' forward the backward will run again.
    pub fn recomputed_blocks(&self) -> usize {
        let again = |kept: &&Kept| matches!(kept, Kept::Input(_));
        self.blocks.iter().filter(again).count()
    }
}
