//! The gated activation of the feed-forward block.
#![expect(
    unsafe_code,
    reason = "results are written into buffers that hold nothing yet"
)]

use std::mem::MaybeUninit;

use candle_core::Tensor;

use super::{
    Result, access,
    buffer::Fresh,
    parallel,
    simd::{fused, multiversion, sigmoid, tanh},
};

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

const FORWARD: &str = "gated activation";
const BACKWARD: &str = "gated activation backward";

/// `h = activation(gate) · up`.
pub(super) fn forward(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    let dims = gate.dims().to_vec();
    access::expect_dims(FORWARD, "up", up, &dims)?;
    let (gate, up) = (
        access::read(FORWARD, "gate", gate)?,
        access::read(FORWARD, "up", up)?,
    );
    let mut h = Fresh::new(gate.len());
    parallel::chunks(
        &mut h.uninit()[..gate.len()],
        parallel::PIECE,
        |piece, h| {
            let at = piece * parallel::PIECE..piece * parallel::PIECE + h.len();
            let (gate, up) = (&gate[at.clone()], &up[at]);
            match activation {
                Activation::Silu => silu(h, gate, up),
                Activation::GeluTanh => gelu_tanh(h, gate, up),
                Activation::Gelu => gelu(h, gate, up),
            }
        },
    );
    // SAFETY: every element has been written.
    unsafe { h.tensor(dims) }
}

/// `d_gate = dh · up · activation'(gate)`, `d_up = dh · activation(gate)`.
pub(super) fn backward(
    gate: &Tensor,
    up: &Tensor,
    dh: &Tensor,
    activation: Activation,
) -> Result<(Tensor, Tensor)> {
    let dims = gate.dims().to_vec();
    access::expect_dims(BACKWARD, "up", up, &dims)?;
    access::expect_dims(BACKWARD, "dh", dh, &dims)?;
    let (gate, up) = (
        access::read(BACKWARD, "gate", gate)?,
        access::read(BACKWARD, "up", up)?,
    );
    let dh = access::read(BACKWARD, "dh", dh)?;
    let n = gate.len();
    let (mut d_gate, mut d_up) = (Fresh::new(n), Fresh::new(n));
    parallel::chunks2(
        &mut d_gate.uninit()[..n],
        &mut d_up.uninit()[..n],
        parallel::PIECE,
        |piece, d_gate, d_up| {
            let at = piece * parallel::PIECE..piece * parallel::PIECE + d_gate.len();
            let (gate, up, dh) = (&gate[at.clone()], &up[at.clone()], &dh[at]);
            match activation {
                Activation::Silu => silu_backward(d_gate, d_up, gate, up, dh),
                Activation::GeluTanh => gelu_tanh_backward(d_gate, d_up, gate, up, dh),
                Activation::Gelu => gelu_backward(d_gate, d_up, gate, up, dh),
            }
        },
    );
    // SAFETY: every element of both has been written.
    unsafe { Ok((d_gate.tensor(dims.clone())?, d_up.tensor(dims)?)) }
}

multiversion! {
    fn silu(h: &mut [MaybeUninit<f32>], gate: &[f32], up: &[f32]) {
        for ((h, &g), u) in h.iter_mut().zip(gate).zip(up) {
            h.write(g * sigmoid::<FMA>(g) * u);
        }
    }
}

multiversion! {
    fn silu_backward(
        d_gate: &mut [MaybeUninit<f32>],
        d_up: &mut [MaybeUninit<f32>],
        gate: &[f32],
        up: &[f32],
        dh: &[f32],
    ) {
        let n = gate.len();
        let (d_gate, d_up, up, dh) = (&mut d_gate[..n], &mut d_up[..n], &up[..n], &dh[..n]);
        for i in 0..n {
            let s = sigmoid::<FMA>(gate[i]);
            let value = gate[i] * s;
            // (x σ)' = σ + x σ (1 − σ)
            let slope = fused::<FMA>(value, 1.0 - s, s);
            d_up[i].write(dh[i] * value);
            d_gate[i].write(dh[i] * up[i] * slope);
        }
    }
}

/// sqrt(2/π) and the cubic coefficient of the tanh approximation.
const ROOT: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

multiversion! {
    fn gelu_tanh(h: &mut [MaybeUninit<f32>], gate: &[f32], up: &[f32]) {
        for ((h, &g), u) in h.iter_mut().zip(gate).zip(up) {
            let t = tanh::<FMA>(ROOT * fused::<FMA>(CUBIC * g * g, g, g));
            h.write(0.5 * g * (1.0 + t) * u);
        }
    }
}

multiversion! {
    fn gelu_tanh_backward(
        d_gate: &mut [MaybeUninit<f32>],
        d_up: &mut [MaybeUninit<f32>],
        gate: &[f32],
        up: &[f32],
        dh: &[f32],
    ) {
        let n = gate.len();
        let (d_gate, d_up, up, dh) = (&mut d_gate[..n], &mut d_up[..n], &up[..n], &dh[..n]);
        for i in 0..n {
            let g = gate[i];
            let t = tanh::<FMA>(ROOT * fused::<FMA>(CUBIC * g * g, g, g));
            let inner_slope = ROOT * fused::<FMA>(3.0 * CUBIC * g, g, 1.0);
            let slope = 0.5 * (1.0 + t) + 0.5 * g * (1.0 - t * t) * inner_slope;
            d_up[i].write(dh[i] * 0.5 * g * (1.0 + t));
            d_gate[i].write(dh[i] * up[i] * slope);
        }
    }
}

/// The normal distribution function; a scalar call, as no trained family that we read uses this activation in bulk.
fn normal(x: f32) -> f32 {
    0.5 * (1.0 + candle_core::cpu::erf::erf_f32(x * std::f32::consts::FRAC_1_SQRT_2))
}

fn gelu(h: &mut [MaybeUninit<f32>], gate: &[f32], up: &[f32]) {
    for ((h, &g), u) in h.iter_mut().zip(gate).zip(up) {
        h.write(g * normal(g) * u);
    }
}

fn gelu_backward(
    d_gate: &mut [MaybeUninit<f32>],
    d_up: &mut [MaybeUninit<f32>],
    gate: &[f32],
    up: &[f32],
    dh: &[f32],
) {
    /// 1/sqrt(2π).
    const DENSITY: f32 = 0.398_942_3;
    for i in 0..gate.len() {
        let g = gate[i];
        let slope = normal(g) + g * DENSITY * (-0.5 * g * g).exp();
        d_up[i].write(dh[i] * g * normal(g));
        d_gate[i].write(dh[i] * up[i] * slope);
    }
}
