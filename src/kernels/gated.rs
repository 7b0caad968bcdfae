//! The gated activation of the feed-forward block.

/// The activation of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x σ(x)` (Llama, Mistral, Qwen, Phi 3).
    Silu,
    /// The tanh approximation of GELU (Gemma).
    GeluTanh,
    /// GELU with the error function.
    Gelu,
}
