//! AdamW over flat buffers, a piece at a time so that what lies in between stays small.

use candle_core::Tensor;

use super::flat;
use crate::{AdamWBuffers, AdamWStep, Result, Slot, adamw::Constants};

/// The step of PyTorch's `AdamW`, over one range of the flat buffers.
pub(super) fn update(buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
    buffers.check(slot, step)?;
    let AdamWBuffers { values, gradients, m, v } = buffers;
    let (values, g, m, v) = (values.candle()?, gradients.flat().candle()?, m.candle()?, v.candle()?);
    let c = Constants::new(step);
    let of = f64::from;
    for at in flat::pieces(slot) {
        let part = |buffer: &Tensor| buffer.narrow(0, at.offset, at.len);
        let g = (part(g)? * of(c.gradient_scale))?;
        let new_m = ((part(m)? * of(c.beta1))? + (&g * of(c.rest1))?)?;
        let new_v = ((part(v)? * of(c.beta2))? + (g.sqr()? * of(c.rest2))?)?;
        let root = new_v.sqrt()?.affine(of(c.inv_root_correction), of(c.eps))?;
        let shift = ((&new_m / root)? * of(c.step_size))?;
        let new_values = ((part(values)? * of(c.keep))? - shift)?;
        for (buffer, new) in [(m, new_m), (v, new_v), (values, new_values)] {
            buffer.slice_set(&new, 0, at.offset)?;
        }
    }
    Ok(())
}
