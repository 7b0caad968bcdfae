//! The gated activation of the feed-forward block.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use candle_core::Tensor;

use super::numbers::precise;
use crate::{Activation, Result, access};

/// `h = activation(gate) · up`.
pub(super) fn forward(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    access::expect_dims("gated activation", "up", up.dims(), gate.dims())?;
    let value = value_of(&precise(gate)?, activation)?;
    Ok((value * precise(up)?)?.to_dtype(gate.dtype())?)
}

/// `d_gate = dh · up · activation'(gate)`, `d_up = dh · activation(gate)`.
pub(super) fn backward(gate: &Tensor, up: &Tensor, dh: &Tensor, activation: Activation) -> Result<(Tensor, Tensor)> {
    const BACKWARD: &str = "gated activation backward";
    access::expect_dims(BACKWARD, "up", up.dims(), gate.dims())?;
    access::expect_dims(BACKWARD, "dh", dh.dims(), gate.dims())?;
    let kind = gate.dtype();
    let (gate, up, dh) = (precise(gate)?, precise(up)?, precise(dh)?);
    let d_up = (&dh * value_of(&gate, activation)?)?.to_dtype(kind)?;
    let d_gate = ((dh * up)? * slope_of(&gate, activation)?)?.to_dtype(kind)?;
    Ok((d_gate, d_up))
}

fn value_of(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => (x * sigmoid(x)?)?,
        Activation::GeluTanh => (x * ((inner_tanh(x)? + 1.0)? * 0.5)?)?,
        Activation::Gelu => (x * normal(x)?)?,
    })
}

fn slope_of(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => {
            // (x σ)' = σ + x σ (1 − σ)
            let s = sigmoid(x)?;
            let rest = s.affine(-1.0, 1.0)?;
            ((x * &s)?.mul(&rest)? + s)?
        }
        Activation::GeluTanh => {
            let t = inner_tanh(x)?;
            let inner_slope = x.sqr()?.affine(3.0 * CUBIC * root(), root())?;
            // A tanh that has reached ±1 has no slope, however steep its argument.
            let bend = (t.sqr()?.affine(-0.5, 0.5)? * x)?.mul(&inner_slope)?;
            (t.affine(0.5, 0.5)? + bend)?
        }
        Activation::Gelu => {
            let density = (x.sqr()? * -0.5)?.exp()?.affine(1.0 / (2.0 * PI).sqrt(), 0.0)?;
            (normal(x)? + (x * density)?)?
        }
    })
}

/// Far below zero the exponential is infinite and the result 0, as it should be.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

/// The cubic coefficient of the tanh approximation, and sqrt(2/π).
const CUBIC: f64 = 0.044_715;

fn root() -> f64 {
    (2.0 / PI).sqrt()
}

/// `tanh(sqrt(2/π)·(x + 0.044715·x³))`.
fn inner_tanh(x: &Tensor) -> Result<Tensor> {
    let factor = x.sqr()?.affine(CUBIC * root(), root())?;
    Ok((x * factor)?.tanh()?)
}

/// The normal distribution function.
fn normal(x: &Tensor) -> Result<Tensor> {
    Ok((x * FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?)
}
