//! RMS norm.

use candle_core::{D, Tensor};

use super::numbers::{deliver, precise};
use crate::{Gradients, InputGradient, Result, RmsNorm, Tensor as Handle, access, norm::rows_of};

const FORWARD: &str = "rms norm";
const BACKWARD: &str = "rms norm backward";

/// `y = x · inv_rms · w`, and `inv_rms = 1/sqrt(mean(x²) + eps)` of every row.
pub(super) fn forward(x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Handle, Handle)> {
    let width = norm.weight.elem_count();
    let rows = as_rows(FORWARD, x, width)?;
    let mean = (rows.sqr()?.sum_keepdim(D::Minus1)? / width as f64)?;
    let inv = (mean + f64::from(norm.options.eps))?.sqrt()?.recip()?;
    let y = rows.broadcast_mul(&inv)?.broadcast_mul(&factors(norm)?)?;
    let y = y.to_dtype(x.dtype())?.reshape(x.shape())?;
    Ok((y.into(), inv.flatten_all()?.into()))
}

/// `dx = inv·(w·dy − x·inv²·mean(w·dy·x))` and `dw += Σ dy·x·inv`.
pub(super) fn backward(
    x: &Tensor,
    norm: &RmsNorm<'_>,
    inv_rms: &Tensor,
    dy: &Tensor,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Handle>> {
    access::expect_dims(BACKWARD, "dy", dy.dims(), x.dims())?;
    let width = norm.weight.elem_count();
    let rows = as_rows(BACKWARD, x, width)?;
    let count = rows.dim(0)?;
    access::expect_dims(BACKWARD, "inv_rms", inv_rms.dims(), &[count])?;
    let dy = precise(dy)?.reshape(rows.shape())?;
    let inv = inv_rms.reshape((count, 1))?;
    let normed = rows.broadcast_mul(&inv)?;
    if let Some(slot) = norm.slot {
        grads.add(BACKWARD, slot, &(&dy * &normed)?.sum(0)?)?;
    }
    deliver(BACKWARD, input, || {
        let weighted = dy.broadcast_mul(&factors(norm)?)?;
        let along = ((&weighted * &normed)?.sum_keepdim(D::Minus1)? / width as f64)?;
        let dx = (weighted - normed.broadcast_mul(&along)?)?.broadcast_mul(&inv)?;
        Ok(dx.to_dtype(x.dtype())?.reshape(x.shape())?)
    })
}

/// `x` in f32 as a matrix with the weight's width.
fn as_rows(operation: &'static str, x: &Tensor, width: usize) -> Result<Tensor> {
    let rows = rows_of(operation, x.dims(), width)?;
    Ok(precise(x)?.reshape((rows, width))?)
}

/// `w`, or `1 + w`.
fn factors(norm: &RmsNorm<'_>) -> Result<Tensor> {
    let w = precise(norm.weight.candle()?)?;
    Ok(if norm.options.plus_one { (w + 1.0)? } else { w })
}
