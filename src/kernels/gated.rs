//! The gated activation of the feed-forward block.
#![expect(unsafe_code, reason = "results are written into buffers that hold nothing yet")]

use std::mem::MaybeUninit;

use super::{
    Result, Tensor, access,
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
    access::expect_dims(FORWARD, "up", up.dims(), &dims)?;
    let (gate, up) = (access::read(FORWARD, "gate", gate)?, access::read(FORWARD, "up", up)?);
    let mut h = Fresh::new(gate.len());
    parallel::chunks(&mut h.uninit()[..gate.len()], parallel::PIECE, |piece, h| {
        let at = piece * parallel::PIECE..piece * parallel::PIECE + h.len();
        let (gate, up) = (&gate[at.clone()], &up[at]);
        match activation {
            Activation::Silu => silu(h, gate, up),
            Activation::GeluTanh => gelu_tanh(h, gate, up),
            Activation::Gelu => gelu(h, gate, up),
        }
    });
    // SAFETY: every element has been written.
    unsafe { h.tensor(dims) }
}

/// `d_gate = dh · up · activation'(gate)`, `d_up = dh · activation(gate)`.
pub(super) fn backward(gate: &Tensor, up: &Tensor, dh: &Tensor, activation: Activation) -> Result<(Tensor, Tensor)> {
    let dims = gate.dims().to_vec();
    access::expect_dims(BACKWARD, "up", up.dims(), &dims)?;
    access::expect_dims(BACKWARD, "dh", dh.dims(), &dims)?;
    let (gate, up) = (access::read(BACKWARD, "gate", gate)?, access::read(BACKWARD, "up", up)?);
    let dh = access::read(BACKWARD, "dh", dh)?;
    let n = gate.len();
    let (mut d_gate, mut d_up) = (Fresh::new(n), Fresh::new(n));
    parallel::chunks2(&mut d_gate.uninit()[..n], &mut d_up.uninit()[..n], parallel::PIECE, |piece, d_gate, d_up| {
        let at = piece * parallel::PIECE..piece * parallel::PIECE + d_gate.len();
        let (gate, up, dh) = (&gate[at.clone()], &up[at.clone()], &dh[at]);
        match activation {
            Activation::Silu => silu_backward(d_gate, d_up, gate, up, dh),
            Activation::GeluTanh => gelu_tanh_backward(d_gate, d_up, gate, up, dh),
            Activation::Gelu => gelu_backward(d_gate, d_up, gate, up, dh),
        }
    });
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

fn gelu_backward(d_gate: &mut [MaybeUninit<f32>], d_up: &mut [MaybeUninit<f32>], gate: &[f32], up: &[f32], dh: &[f32]) {
    /// 1/sqrt(2π).
    const DENSITY: f32 = 0.398_942_3;
    for i in 0..gate.len() {
        let g = gate[i];
        let slope = normal(g) + g * DENSITY * (-0.5 * g * g).exp();
        d_up[i].write(dh[i] * g * normal(g));
        d_gate[i].write(dh[i] * up[i] * slope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradient, assert_same_bits, inner, random, tensor, values};

    const ALL: [Activation; 3] = [Activation::Silu, Activation::GeluTanh, Activation::Gelu];

    /// Straight loops.
    fn twin(gate: &[f64], up: &[f64], activation: Activation) -> Vec<f64> {
        let of = |g: f64| match activation {
            Activation::Silu => g / (1.0 + (-g).exp()),
            Activation::GeluTanh => {
                0.5 * g * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (g + 0.044715 * g * g * g)).tanh())
            }
            Activation::Gelu => 0.5 * g * (1.0 + candle_core::cpu::erf::erf_f64(g / 2_f64.sqrt())),
        };
        gate.iter().zip(up).map(|(&g, u)| of(g) * u).collect()
    }

    #[test]
    fn equals_its_twin_and_its_finite_differences() {
        for activation in ALL {
            for len in [1, 63, 200] {
                let gate: Vec<f64> = random(1, len).iter().map(|x| f64::from((x * 6.0) as f32)).collect();
                let (up, dh) = (random(2, len), random(3, len));
                let (g, u, d) = (tensor(&gate, (1, len)), tensor(&up, (1, len)), tensor(&dh, (1, len)));
                let h = forward(&g, &u, activation).unwrap();
                assert_close("h", &values(&h), &twin(&gate, &up, activation), 1e-6);
                let (d_gate, d_up) = backward(&g, &u, &d, activation).unwrap();
                assert_gradient("d_gate", &gate, &values(&d_gate), |g| inner(&twin(g, &up, activation), &dh));
                assert_gradient("d_up", &up, &values(&d_up), |u| inner(&twin(&gate, u, activation), &dh));
            }
        }
    }

    #[test]
    fn extreme_gates_stay_finite() {
        let gate = tensor(&[-1e4, -100.0, -88.5, 88.5, 100.0, 1e4], (1, 6));
        let ones = tensor(&[1.0; 6], (1, 6));
        for activation in ALL {
            let h = values(&forward(&gate, &ones, activation).unwrap());
            assert_close("h", &h, &[0.0, 0.0, 0.0, 88.5, 100.0, 1e4], 1e-7);
            let (d_gate, _) = backward(&gate, &ones, &ones, activation).unwrap();
            assert_close("slope", &values(&d_gate), &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 1e-6);
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let (gate, up, dh) = (random(1, 70_001), random(2, 70_001), random(3, 70_001));
        let [gate, up, dh] = [gate, up, dh].map(|x| tensor(&x, (1, 70_001)));
        assert_same_bits(|| {
            let (d_gate, d_up) = backward(&gate, &up, &dh, Activation::Silu).unwrap();
            vec![values(&forward(&gate, &up, Activation::Silu).unwrap()), values(&d_gate), values(&d_up)]
        });
    }
}
