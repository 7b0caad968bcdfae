//! Inverted dropout.

use candle_core::DType;

use super::{
    super::{Mask, Result, Tensor},
    commands::{Run, groups, number},
    elementwise::per_run,
    memory::Piece,
    shader::Shader,
};

static DROPOUT: Shader = Shader::new("dropout", include_str!("dropout.wgsl"), 2);

/// `x` under the mask.
pub(super) fn apply(x: &Tensor, mask: &Mask) -> Result<Tensor> {
    let x = x.gpu("dropout", "x")?;
    let y = Piece::new(x.card(), x.dims(), DType::F32)?;
    let [low, high] = halves(mask.seed);
    for first in (0..x.len()).step_by(per_run(x)) {
        let range = first..x.len().min(first + per_run(x));
        let [first_low, first_high] = halves(first as u64);
        x.card().run(&Run {
            program: DROPOUT.plain(),
            operands: &[y.span(range.clone()), x.span(range.clone())],
            parameters: &[range.len() as u32, first_low, first_high, low, high, mask.threshold, number(mask.keep)],
            groups: groups(range.len(), 64),
            work: range.len() as u64 * 16,
        })?;
    }
    Ok(y.into())
}

fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}
