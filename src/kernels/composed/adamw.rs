//! AdamW over flat buffers, a piece at a time so that what lies in between stays small.

use candle_core::Tensor;

use super::flat;
use crate::{
    AdamWStep, Gradients, Result, Slot, access,
    adamw::{Constants, OPERATION},
};

/// The step of PyTorch's `AdamW`, over one range of the flat buffers.
pub(super) fn update(
    values: &Tensor,
    grads: &Gradients,
    m: &Tensor,
    v: &Tensor,
    slot: Slot,
    step: &AdamWStep,
) -> Result<()> {
    let len = grads.len();
    for (operand, tensor) in [("values", values), ("first moment", m), ("second moment", v)] {
        access::expect_dims(OPERATION, operand, tensor, &[len])?;
    }
    if step.step == 0 {
        return access::fault(OPERATION, "steps are counted from 1".into());
    }
    access::slot_range(OPERATION, slot, slot.len, len)?;
    let c = Constants::new(step);
    let of = f64::from;
    for at in flat::pieces(slot) {
        let part = |buffer: &Tensor| buffer.narrow(0, at.offset, at.len);
        let g = (part(grads.flat())? * of(c.gradient_scale))?;
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
