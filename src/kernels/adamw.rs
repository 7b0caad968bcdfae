//! AdamW, one fused pass over flat buffers.

use candle_core::Tensor;

use super::{
    Gradients, Result, Slot, access,
    buffer::Shared,
    parallel,
    simd::{fused, multiversion},
};

/// One step of AdamW with decoupled weight decay and bias correction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Number of this step, from 1.
    pub step: u64,
    /// Factor of the gradient: what clipping leaves of it (1 when it did not clip).
    pub gradient_scale: f32,
}

const OPERATION: &str = "AdamW";

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
    for (operand, tensor) in [
        ("values", values),
        ("first moment", m),
        ("second moment", v),
    ] {
        access::expect_dims(OPERATION, operand, tensor, &[len])?;
    }
    if step.step == 0 {
        return access::fault(OPERATION, "steps are counted from 1".into());
    }
    let range = access::slot_range(OPERATION, slot, slot.len, len)?;
    let constants = Constants::new(step);
    let grads = access::read(OPERATION, "gradients", grads.flat())?;
    {
        // The locks below are taken one inside the other, so the three must be three buffers.
        let views = [
            access::read(OPERATION, "values", values)?,
            access::read(OPERATION, "m", m)?,
            access::read(OPERATION, "v", v)?,
        ];
        for (i, operand) in ["values", "first moment", "second moment"]
            .into_iter()
            .enumerate()
        {
            if views[..i]
                .iter()
                .any(|earlier| earlier.address() == views[i].address())
            {
                return Err(super::KernelError::Aliased {
                    operation: OPERATION,
                    operand,
                });
            }
        }
    }
    access::rewrite(OPERATION, "values", values, &[&grads], |values| {
        access::rewrite(OPERATION, "first moment", m, &[&grads], |m| {
            access::rewrite(OPERATION, "second moment", v, &[&grads], |v| {
                let (values, m, v) = (
                    &mut values[range.clone()],
                    &mut m[range.clone()],
                    &mut v[range.clone()],
                );
                step_all(values, &grads[range.clone()], m, v, &constants);
            })
        })
    })??
}

/// The step's numbers as the loop wants them; worked out in f64.
struct Constants {
    gradient_scale: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    keep: f32,
    step_size: f32,
    inv_root_correction: f32,
    eps: f32,
}

impl Constants {
    fn new(step: &AdamWStep) -> Self {
        let (beta1, beta2, rate) = (
            f64::from(step.beta1),
            f64::from(step.beta2),
            f64::from(step.learning_rate),
        );
        let n = step.step as f64;
        Self {
            gradient_scale: step.gradient_scale,
            beta1: step.beta1,
            rest1: (1.0 - beta1) as f32,
            beta2: step.beta2,
            rest2: (1.0 - beta2) as f32,
            keep: (1.0 - rate * f64::from(step.weight_decay)) as f32,
            step_size: (rate / (1.0 - beta1.powf(n))) as f32,
            inv_root_correction: (1.0 / (1.0 - beta2.powf(n)).sqrt()) as f32,
            eps: step.eps,
        }
    }
}

fn step_all(
    values: &mut [f32],
    grads: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    constants: &Constants,
) {
    let (m, v) = (Shared::new(m), Shared::new(v));
    parallel::chunks(values, parallel::PIECE, |piece, values| {
        let at = piece * parallel::PIECE..piece * parallel::PIECE + values.len();
        #[expect(unsafe_code, reason = "three buffers are cut in the same pieces")]
        // SAFETY: every piece is handed out once.
        let (m, v) = unsafe { (m.part(at.clone()), v.part(at.clone())) };
        step_piece(values, &grads[at], m, v, constants);
    });
}

multiversion! {
    fn step_piece(values: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], c: &Constants) {
        let n = values.len();
        let (grads, m, v) = (&grads[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            let g = grads[i] * c.gradient_scale;
            m[i] = fused::<FMA>(m[i], c.beta1, c.rest1 * g);
            v[i] = fused::<FMA>(v[i], c.beta2, c.rest2 * g * g);
            let root = fused::<FMA>(v[i].sqrt(), c.inv_root_correction, c.eps);
            values[i] = fused::<FMA>(values[i], c.keep, -(c.step_size * (m[i] / root)));
        }
    }
}
