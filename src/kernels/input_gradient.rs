//! What an operation does with the gradient of its input.

use super::Tensor;

/// What becomes of the gradient of an operation's input.
#[derive(Debug)]
pub enum InputGradient {
    /// Nobody needs it (the first block over frozen embeddings): it is not computed.
    Skip,
    /// A new tensor.
    Fresh,
    /// Added to this one, in place: residual branches and the three readers of one input need no extra pass.
    AddTo(Tensor),
}
