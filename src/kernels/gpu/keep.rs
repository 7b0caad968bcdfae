//! Activations that wait for the backward in half of their bytes.

use candle_core::DType;

use super::{
    super::{Result, Tensor},
    commands::{Run, groups},
    elementwise::per_run,
    memory::Piece,
    shader::Shader,
    weight,
};

static NARROW: Shader = Shader::new("narrow", include_str!("keep.wgsl"), 2);

/// `x` rounded to bf16.
pub(super) fn narrow(x: &Tensor) -> Result<Tensor> {
    let x = x.gpu("keep", "x")?;
    let kept = Piece::new(x.card(), x.dims(), DType::BF16)?;
    for first in (0..x.len()).step_by(per_run(x)) {
        let range = first..x.len().min(first + per_run(x));
        x.card().run(&Run {
            program: NARROW.plain(),
            operands: &[kept.span(range.clone()), x.span(range.clone())],
            parameters: &[range.len() as u32],
            groups: groups(range.len().div_ceil(2), 64),
            work: range.len() as u64,
        })?;
    }
    Ok(kept.into())
}

/// What [`narrow`] gave, in f32; anything else as it is.
pub(super) fn widen(kept: &Tensor) -> Result<Tensor> {
    if kept.dtype() != DType::BF16 {
        return Ok(kept.clone());
    }
    let kept = kept.gpu("recall", "what was kept")?;
    let x = Piece::new(kept.card(), kept.dims(), DType::F32)?;
    weight::widen(kept, &x)?;
    Ok(x.into())
}
