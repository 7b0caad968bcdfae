//! The linear layer with its LoRA adapters: a product for the layer and two thin ones for each adapter.

use candle_core::{DType, Tensor};

use super::numbers::{deliver, precise};
use crate::{Gradients, InputGradient, Linear, LinearSaved, Lora, Result, Tensor as Handle, access};

const FORWARD: &str = "linear";
const BACKWARD: &str = "linear backward";

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear) -> Result<(Handle, LinearSaved)> {
    let (_, d_in) = access::matrix(FORWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(FORWARD, "weight", d_in)?;
    let kind = x.dtype();
    let mut y = x.matmul(&linear.weight.widened()?.candle()?.to_dtype(kind)?.t()?)?;
    if let Some(bias) = &linear.bias {
        access::expect_dims(FORWARD, "bias", bias.dims(), &[d_out])?;
        y = y.broadcast_add(&bias.candle()?.to_dtype(kind)?)?;
    }
    let mut low = Vec::with_capacity(linear.loras.len());
    for lora in &linear.loras {
        let (a, b) = factors(FORWARD, lora, (d_in, d_out), kind)?;
        let u = x.matmul(&a.t()?)?;
        y = (y + (&u * f64::from(lora.scale))?.matmul(&b.t()?)?)?;
        low.push(u.into());
    }
    Ok((y.into(), LinearSaved { low }))
}

/// `dx = dy W + Σ scale·(dy B) A`; `dW += dyᵀ x`, `db += Σ dy`, `dB += scale·dyᵀ u`, `dA += scale·(dy B)ᵀ x`.
pub(super) fn backward(
    x: &Tensor,
    saved: &LinearSaved,
    dy: &Tensor,
    linear: &Linear,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Handle>> {
    let (tokens, d_in) = access::matrix(BACKWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(BACKWARD, "weight", d_in)?;
    access::expect_dims(BACKWARD, "dy", dy.dims(), &[tokens, d_out])?;
    if saved.low.len() != linear.loras.len() {
        let (adapters, products) = (linear.loras.len(), saved.low.len());
        let message = format!("{adapters} adapters, but {products} saved products");
        return access::fault(BACKWARD, message);
    }
    let kind = x.dtype();
    let wants_input = !matches!(input, InputGradient::Skip);
    if let Some(slot) = linear.weight_slot {
        grads.add(BACKWARD, slot, &dy.t()?.matmul(x)?)?;
    }
    if let Some(slot) = linear.bias_slot {
        grads.add(BACKWARD, slot, &precise(dy)?.sum(0)?)?;
    }
    let mut from_adapters = Vec::new();
    for (lora, low) in linear.loras.iter().zip(&saved.low) {
        let (a, b) = factors(BACKWARD, lora, (d_in, d_out), kind)?;
        access::expect_dims(BACKWARD, "saved product", low.dims(), &[tokens, b.dim(1)?])?;
        if let Some(slot) = lora.b_slot {
            let scaled = (low.candle()? * f64::from(lora.scale))?;
            grads.add(BACKWARD, slot, &dy.t()?.matmul(&scaled)?)?;
        }
        if !wants_input && lora.a_slot.is_none() {
            continue;
        }
        let du = (dy.matmul(&b)? * f64::from(lora.scale))?;
        if let Some(slot) = lora.a_slot {
            grads.add(BACKWARD, slot, &du.t()?.matmul(x)?)?;
        }
        from_adapters.push((du, a));
    }
    deliver(BACKWARD, input, || {
        let mut dx = dy.matmul(&linear.weight.widened()?.candle()?.to_dtype(kind)?)?;
        for (du, a) in from_adapters {
            dx = (dx + du.matmul(&a)?)?;
        }
        Ok(dx)
    })
}

/// A and B of an adapter as the activations' element type, their shapes checked.
fn factors(
    operation: &'static str,
    lora: &Lora,
    (d_in, d_out): (usize, usize),
    kind: DType,
) -> Result<(Tensor, Tensor)> {
    let (rank, _) = access::matrix(operation, "LoRA A", lora.a.dims())?;
    access::expect_dims(operation, "LoRA A", lora.a.dims(), &[rank, d_in])?;
    access::expect_dims(operation, "LoRA B", lora.b.dims(), &[d_out, rank])?;
    Ok((lora.a.candle()?.to_dtype(kind)?, lora.b.candle()?.to_dtype(kind)?))
}
