//! The flat f32 buffers: zeroed, scaled, summed and checked.

use candle_core::DType;

use super::{
    super::{Result, Tensor},
    commands::{Run, groups},
    elementwise,
    memory::Piece,
    shader::Shader,
};

static SQUARES: Shader = Shader::new("squares", concat!(include_str!("sum.wgsl"), include_str!("squares.wgsl")), 2);

/// Numbers that one workgroup sums in f32, before the sums are added in f64 on the processor.
const STRETCH: usize = 4096;

/// Sets every element to zero.
pub(crate) fn zero(flat: &Tensor) -> Result<()> {
    flat.gpu("zero", "buffer")?.clear()
}

/// Multiplies every element.
pub(crate) fn scale(flat: &Tensor, factor: f32) -> Result<()> {
    let flat = flat.gpu("scale", "buffer")?;
    elementwise::scale_in_place(flat, factor)
}

/// Σ x².
pub(crate) fn norm_squared(flat: &Tensor) -> Result<f64> {
    Ok(sums(flat.gpu("norm", "buffer")?, 0)?.iter().map(|&sum| f64::from(sum)).sum())
}

/// Whether there is neither NaN nor infinity, by the bits: a shader may take both for impossible.
pub(crate) fn is_finite(flat: &Tensor) -> Result<bool> {
    Ok(sums(flat.gpu("finite", "buffer")?, 1)?.iter().all(|&bad| bad == 0.0))
}

/// What each stretch comes to. Waits for the card.
fn sums(flat: &Piece, what: u32) -> Result<Vec<f32>> {
    let card = flat.card();
    let sums = Piece::new(card, &[flat.len().div_ceil(STRETCH)], DType::F32)?;
    let step = (card.binding_limit() as usize / 4 / STRETCH).saturating_sub(1).max(1) * STRETCH;
    for first in (0..flat.len()).step_by(step) {
        let range = first..flat.len().min(first + step);
        let stretches = range.len().div_ceil(STRETCH);
        card.run(&Run {
            program: SQUARES.with(&[("WHAT", what)]),
            operands: &[sums.span(first / STRETCH..first / STRETCH + stretches), flat.span(range.clone())],
            parameters: &[range.len() as u32],
            groups: groups(stretches, 1),
            work: range.len() as u64,
        })?;
    }
    Tensor::from(sums).to_vec()
}
