//! RMS norm.

use candle_core::{D, Tensor};

use super::{deliver, precise};
use crate::{Gradients, InputGradient, NormOptions, Result, Slot, access};

const FORWARD: &str = "rms norm";
const BACKWARD: &str = "rms norm backward";

/// `y = x · inv_rms · w`, and `inv_rms = 1/sqrt(mean(x²) + eps)` of every row.
pub(super) fn forward(x: &Tensor, w: &Tensor, options: NormOptions) -> Result<(Tensor, Tensor)> {
    let rows = as_rows(FORWARD, x, w)?;
    let mean = (rows.sqr()?.sum_keepdim(D::Minus1)? / w.elem_count() as f64)?;
    let inv = (mean + f64::from(options.eps))?.sqrt()?.recip()?;
    let y = rows.broadcast_mul(&inv)?.broadcast_mul(&factors(w, options)?)?;
    let y = y.to_dtype(x.dtype())?.reshape(x.shape())?;
    Ok((y, inv.flatten_all()?))
}

/// `dx = inv·(w·dy − x·inv²·mean(w·dy·x))` and `dw += Σ dy·x·inv`.
#[expect(clippy::too_many_arguments, reason = "the trait's signature")]
pub(super) fn backward(
    x: &Tensor,
    w: &Tensor,
    inv_rms: &Tensor,
    dy: &Tensor,
    options: NormOptions,
    w_slot: Option<Slot>,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Tensor>> {
    access::expect_dims(BACKWARD, "dy", dy, x.dims())?;
    let rows = as_rows(BACKWARD, x, w)?;
    let count = rows.dim(0)?;
    access::expect_dims(BACKWARD, "inv_rms", inv_rms, &[count])?;
    let dy = precise(dy)?.reshape(rows.shape())?;
    let inv = inv_rms.reshape((count, 1))?;
    let normed = rows.broadcast_mul(&inv)?;
    if let Some(slot) = w_slot {
        grads.add(BACKWARD, slot, &(&dy * &normed)?.sum(0)?)?;
    }
    deliver(BACKWARD, input, || {
        let weighted = dy.broadcast_mul(&factors(w, options)?)?;
        let along = ((&weighted * &normed)?.sum_keepdim(D::Minus1)? / w.elem_count() as f64)?;
        let dx = (weighted - normed.broadcast_mul(&along)?)?.broadcast_mul(&inv)?;
        Ok(dx.to_dtype(x.dtype())?.reshape(x.shape())?)
    })
}

/// `x` in f32 as a matrix with the weight's width.
fn as_rows(operation: &'static str, x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let width = w.elem_count();
    if x.dims().last() != Some(&width) || width == 0 {
        let dims = [x.elem_count() / width.max(1), width];
        access::expect_dims(operation, "x", x, &dims)?;
    }
    Ok(precise(x)?.reshape((x.elem_count() / width, width))?)
}

/// `w`, or `1 + w`.
fn factors(w: &Tensor, options: NormOptions) -> Result<Tensor> {
    let w = precise(w)?;
    Ok(if options.plus_one { (w + 1.0)? } else { w })
}
