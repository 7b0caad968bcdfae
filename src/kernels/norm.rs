//! RMS norm.

use super::Result;

/// How a model's RMS norm is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormOptions {
    /// Added to the mean square.
    pub eps: f32,
    /// The factor is `1 + w` instead of `w` (Gemma).
    pub plus_one: bool,
}
