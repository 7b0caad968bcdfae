//! RMS norm.

use candle_core::DType;

use super::{
    super::{Gradients, InputGradient, Result, RmsNorm, Tensor, access, norm::rows_of},
    columns::rows_per_run,
    commands::{Run, groups, number},
    memory::{Piece, Span},
    shader::Shader,
};

static NORM: Shader = Shader::new("norm", concat!(include_str!("sum.wgsl"), include_str!("norm.wgsl")), 5);
static WEIGHT: Shader =
    Shader::new("norm_weight", concat!(include_str!("sum.wgsl"), include_str!("norm_weight.wgsl")), 4);

const FORWARD: &str = "rms norm";
const BACKWARD: &str = "rms norm backward";

fn offset(norm: &RmsNorm<'_>) -> u32 {
    number(if norm.options.plus_one { 1.0 } else { 0.0 })
}

/// `y = x · inv_rms · w` and `inv_rms`.
pub(super) fn forward(x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
    let width = norm.weight.elem_count();
    let rows = rows_of(FORWARD, x.dims(), width)?;
    let (x, w) = (x.gpu(FORWARD, "x")?, norm.weight.gpu(FORWARD, "weight")?);
    let y = Piece::new(x.card(), x.dims(), DType::F32)?;
    let inv = Piece::new(x.card(), &[rows], DType::F32)?;
    let step = rows_per_run(x.card(), width);
    for first in (0..rows).step_by(step) {
        let rows = first..rows.min(first + step);
        let numbers = rows.start * width..rows.end * width;
        let x_span = x.span(numbers.clone());
        x.card().run(&Run {
            program: NORM.with(&[("BACKWARD", 0)]),
            operands: &[y.span(numbers), inv.span(rows.clone()), x_span, w.all(), x_span],
            parameters: &[rows.len() as u32, width as u32, number(norm.options.eps), offset(norm), 0],
            groups: groups(rows.len(), 1),
            work: (rows.len() * width) as u64,
        })?;
    }
    Ok((y.into(), inv.into()))
}

/// `dx` and `dw`.
pub(super) fn backward(
    x: &Tensor,
    norm: &RmsNorm<'_>,
    inv_rms: &Tensor,
    dy: &Tensor,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Tensor>> {
    let width = norm.weight.elem_count();
    let rows = rows_of(BACKWARD, x.dims(), width)?;
    access::expect_dims(BACKWARD, "dy", dy.dims(), x.dims())?;
    access::expect_dims(BACKWARD, "inv_rms", inv_rms.dims(), &[rows])?;
    let (x, w) = (x.gpu(BACKWARD, "x")?, norm.weight.gpu(BACKWARD, "weight")?);
    let (inv, dy) = (inv_rms.gpu(BACKWARD, "inv_rms")?, dy.gpu(BACKWARD, "dy")?);
    let card = x.card();
    let (dx, add) = match input {
        InputGradient::Skip => (None, 0),
        InputGradient::Fresh => (Some(Tensor::from(Piece::new(card, x.dims(), DType::F32)?)), 0),
        InputGradient::AddTo(sum) => {
            access::expect_dims(BACKWARD, "sum of input gradients", sum.dims(), x.dims())?;
            (Some(sum), 1)
        }
    };
    let step = rows_per_run(card, width);
    for first in (0..rows).step_by(step) {
        let rows = first..rows.min(first + step);
        let numbers = rows.start * width..rows.end * width;
        let (x_span, dy_span): (Span<'_>, Span<'_>) = (x.span(numbers.clone()), dy.span(numbers.clone()));
        if let Some(slot) = norm.slot {
            let flat = grads.flat().gpu(BACKWARD, "gradients")?;
            let range = access::slot_range(BACKWARD, slot, width, flat.len())?;
            card.run(&Run {
                program: WEIGHT.plain(),
                operands: &[flat.span(range), x_span, dy_span, inv.span(rows.clone())],
                parameters: &[rows.len() as u32, width as u32],
                groups: [width as u32, 1, 1],
                work: (rows.len() * width) as u64,
            })?;
        }
        if let Some(dx) = &dx {
            let dx = dx.gpu(BACKWARD, "sum of input gradients")?;
            card.run(&Run {
                program: NORM.with(&[("BACKWARD", 1)]),
                operands: &[dx.span(numbers), inv.span(rows.clone()), x_span, w.all(), dy_span],
                parameters: &[rows.len() as u32, width as u32, number(norm.options.eps), offset(norm), add],
                groups: groups(rows.len(), 1),
                work: (rows.len() * width) as u64,
            })?;
        }
    }
    Ok(dx)
}
