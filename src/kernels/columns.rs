//! What is copied or scaled element by element, in the same way by the processor's kernels and by the composed ones.

use super::{Result, Tensor};

/// `x · factor`.
pub(super) fn scale(x: &Tensor, factor: f32) -> Result<Tensor> {
    Ok((x.candle()? * f64::from(factor))?.into())
}

/// Columns `first..first + width` of a matrix.
pub(super) fn cut(x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
    Ok(x.candle()?.narrow(1, first, width)?.contiguous()?.into())
}

/// Matrices side by side.
pub(super) fn join(parts: &[Tensor]) -> Result<Tensor> {
    let parts = parts.iter().map(Tensor::candle).collect::<Result<Vec<_>>>()?;
    Ok(candle_core::Tensor::cat(&parts, 1)?.into())
}
