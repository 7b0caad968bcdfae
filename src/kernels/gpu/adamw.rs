//! AdamW over flat buffers.

use super::{
    super::{
        AdamWBuffers, AdamWStep, Result, Slot,
        adamw::{Constants, OPERATION},
    },
    commands::{Run, groups, number},
    elementwise::per_run,
    shader::Shader,
};

static ADAMW: Shader = Shader::new("adamw", include_str!("adamw.wgsl"), 4);

/// The step of PyTorch's `AdamW`, over one range of the flat buffers.
pub(super) fn update(buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
    let whole = buffers.check(slot, step)?;
    let c = Constants::new(step);
    let values = buffers.values.gpu(OPERATION, "values")?;
    let gradients = buffers.gradients.flat().gpu(OPERATION, "gradients")?;
    let (m, v) = (buffers.m.gpu(OPERATION, "first moment")?, buffers.v.gpu(OPERATION, "second moment")?);
    let per_run = per_run(values);
    let numbers =
        [c.gradient_scale, c.beta1, c.rest1, c.beta2, c.rest2, c.keep, c.step_size, c.inv_root_correction, c.eps];
    for first in whole.clone().step_by(per_run) {
        let range = first..whole.end.min(first + per_run);
        let mut parameters = vec![range.len() as u32];
        parameters.extend(numbers.map(number));
        values.card().run(&Run {
            program: ADAMW.plain(),
            operands: &[values, gradients, m, v].map(|buffer| buffer.span(range.clone())),
            parameters: &parameters,
            groups: groups(range.len(), 64),
            work: range.len() as u64 * 8,
        })?;
    }
    Ok(())
}
