//! Attention over the segments of a packed row.

use candle_core::Tensor;

/// Heads and how scores are made of `q·k`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`. Query head `i` reads key head `i / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor of `q·k`, usually `1/sqrt(head_dim)`.
    pub scale: f32,
    /// `score = cap · tanh(scale·q·k / cap)` (Gemma 2).
    pub softcap: Option<f32>,
    /// A query at position `p` sees positions `> p − window`; `None` sees everything before it.
    pub window: Option<usize>,
}

/// The keys and values that one sequence of a generation has so far.
#[derive(Debug, Clone, Copy)]
pub struct CachedKeys<'a> {
    /// `[capacity, kv_heads·head_dim]`, rotated.
    pub keys: &'a Tensor,
    /// `[capacity, kv_heads·head_dim]`.
    pub values: &'a Tensor,
    /// Rows in use; row `i` is position `i`.
    pub len: usize,
}
