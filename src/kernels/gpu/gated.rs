//! The gated activation of the feed-forward block.

use candle_core::DType;

use super::{
    super::{Activation, Result, Tensor, access},
    commands::{Run, groups},
    elementwise::per_run,
    memory::{Piece, Span},
    shader::Shader,
};

static GATED: Shader = Shader::new("gated", include_str!("gated.wgsl"), 5);

const FORWARD: &str = "gated activation";
const BACKWARD: &str = "gated activation backward";

fn code(activation: Activation) -> u32 {
    match activation {
        Activation::Silu => 0,
        Activation::GeluTanh => 1,
        Activation::Gelu => 2,
    }
}

/// Pieces of the same length: what is written (once or twice), `gate`, `up` and `dh`.
fn run(pieces: [&Piece; 5], activation: Activation, is_backward: bool) -> Result<()> {
    let len = pieces[0].len();
    let step = per_run(pieces[0]);
    for first in (0..len).step_by(step) {
        let range = first..len.min(first + step);
        let operands: [Span<'_>; 5] = pieces.map(|piece| piece.span(range.clone()));
        pieces[0].card().run(&Run {
            program: GATED.with(&[("ACTIVATION", code(activation)), ("BACKWARD", u32::from(is_backward))]),
            operands: &operands,
            parameters: &[range.len() as u32],
            groups: groups(range.len(), 64),
            work: range.len() as u64 * 16,
        })?;
    }
    Ok(())
}

/// `h = activation(gate) · up`.
pub(super) fn forward(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    access::expect_dims(FORWARD, "up", up.dims(), gate.dims())?;
    let (gate, up) = (gate.gpu(FORWARD, "gate")?, up.gpu(FORWARD, "up")?);
    let h = Piece::new(gate.card(), gate.dims(), DType::F32)?;
    run([&h, &h, gate, up, up], activation, false)?;
    Ok(h.into())
}

/// `d_gate = dh · up · activation'(gate)`, `d_up = dh · activation(gate)`.
pub(super) fn backward(gate: &Tensor, up: &Tensor, dh: &Tensor, activation: Activation) -> Result<(Tensor, Tensor)> {
    access::expect_dims(BACKWARD, "up", up.dims(), gate.dims())?;
    access::expect_dims(BACKWARD, "dh", dh.dims(), gate.dims())?;
    let (gate, up, dh) = (gate.gpu(BACKWARD, "gate")?, up.gpu(BACKWARD, "up")?, dh.gpu(BACKWARD, "dh")?);
    let d_gate = Piece::new(gate.card(), gate.dims(), DType::F32)?;
    let d_up = Piece::new(gate.card(), gate.dims(), DType::F32)?;
    run([&d_gate, &d_up, gate, up, dh], activation, true)?;
    Ok((d_gate.into(), d_up.into()))
}
