//! AdamW, one fused pass over flat buffers.

use std::ops::Range;

use super::{
    Gradients, Result, Slot, Tensor, access,
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

/// The flat f32 buffers of a step, all of one length.
#[derive(Debug, Clone, Copy)]
pub struct AdamWBuffers<'a> {
    /// What is trained; changed.
    pub values: &'a Tensor,
    pub gradients: &'a Gradients,
    /// First moments; changed.
    pub m: &'a Tensor,
    /// Second moments; changed.
    pub v: &'a Tensor,
}

impl AdamWBuffers<'_> {
    /// Checks lengths and step, and gives the range of the slot.
    pub(super) fn check(&self, slot: Slot, step: &AdamWStep) -> Result<Range<usize>> {
        let len = self.gradients.len();
        for (operand, tensor) in [("values", self.values), ("first moment", self.m), ("second moment", self.v)] {
            access::expect_dims(OPERATION, operand, tensor.dims(), &[len])?;
        }
        if step.step == 0 {
            return access::fault(OPERATION, "steps are counted from 1".into());
        }
        access::slot_range(OPERATION, slot, slot.len, len)
    }
}

pub(super) const OPERATION: &str = "AdamW";

/// The step of PyTorch's `AdamW`, over one range of the flat buffers.
pub(super) fn update(buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
    let range = buffers.check(slot, step)?;
    let constants = Constants::new(step);
    let AdamWBuffers { values, gradients, m, v } = buffers;
    let grads = access::read(OPERATION, "gradients", gradients.flat())?;
    {
        // The locks below are taken one inside the other, so the three must be three buffers.
        let views = [
            access::read(OPERATION, "values", values)?,
            access::read(OPERATION, "m", m)?,
            access::read(OPERATION, "v", v)?,
        ];
        for (i, operand) in ["values", "first moment", "second moment"].into_iter().enumerate() {
            if views[..i].iter().any(|earlier| earlier.address() == views[i].address()) {
                return Err(super::KernelError::Aliased { operation: OPERATION, operand });
            }
        }
    }
    access::rewrite(OPERATION, "values", values, &[&grads], |values| {
        access::rewrite(OPERATION, "first moment", m, &[&grads], |m| {
            access::rewrite(OPERATION, "second moment", v, &[&grads], |v| {
                let (values, m, v) = (&mut values[range.clone()], &mut m[range.clone()], &mut v[range.clone()]);
                step_all(values, &grads[range.clone()], m, v, &constants);
            })
        })
    })??
}

/// The step's numbers as the loop wants them; worked out in f64.
pub(super) struct Constants {
    pub(super) gradient_scale: f32,
    pub(super) beta1: f32,
    pub(super) rest1: f32,
    pub(super) beta2: f32,
    pub(super) rest2: f32,
    pub(super) keep: f32,
    pub(super) step_size: f32,
    pub(super) inv_root_correction: f32,
    pub(super) eps: f32,
}

impl Constants {
    pub(super) fn new(step: &AdamWStep) -> Self {
        let (beta1, beta2, rate) = (f64::from(step.beta1), f64::from(step.beta2), f64::from(step.learning_rate));
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

fn step_all(values: &mut [f32], grads: &[f32], m: &mut [f32], v: &mut [f32], constants: &Constants) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use crate::testing::{assert_close, assert_same_bits, random, slot, tensor, values};

    const STEP: AdamWStep = AdamWStep {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.1,
        step: 1,
        gradient_scale: 0.5,
    };

    fn gradients(values: &[f64]) -> Gradients {
        let mut grads = Gradients::new(values.len(), &Place::CPU).unwrap();
        let fill = |flat: &mut [f32]| {
            flat.iter_mut().zip(values).for_each(|(to, from)| *to = *from as f32);
        };
        grads.change("test", slot(0, values.len()), values.len(), fill).unwrap();
        grads
    }

    fn run(values: &Tensor, grads: &[f64], [m, v]: [&Tensor; 2], slot: Slot, step: &AdamWStep) -> Result<()> {
        update(AdamWBuffers { values, gradients: &gradients(grads), m, v }, slot, step)
    }

    /// The published algorithm, one step.
    fn twin(value: &mut f64, g: f64, m: &mut f64, v: &mut f64, n: i32) {
        let (rate, beta1, beta2) = (1e-2, 0.9, 0.99);
        let g = g * 0.5;
        *value -= rate * 0.1 * *value;
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        let (m_hat, v_hat) = (*m / (1.0 - f64::powi(beta1, n)), *v / (1.0 - f64::powi(beta2, n)));
        *value -= rate * m_hat / (v_hat.sqrt() + 1e-8);
    }

    #[test]
    fn five_steps_equal_the_twin() {
        let len = 1003;
        let mut values_twin = random(1, len);
        let (mut m_twin, mut v_twin) = (vec![0.0; len], vec![0.0; len]);
        let (value, m, v) = (tensor(&values_twin, len), tensor(&m_twin, len), tensor(&v_twin, len));
        for n in 1..=5 {
            let g = random(10 + n, len);
            let step = AdamWStep { step: n, ..STEP };
            run(&value, &g, [&m, &v], slot(0, len), &step).unwrap();
            for i in 0..len {
                twin(&mut values_twin[i], g[i], &mut m_twin[i], &mut v_twin[i], n as i32);
            }
            assert_close("values", &values(&value), &values_twin, 2e-6);
            assert_close("m", &values(&m), &m_twin, 2e-6);
            assert_close("v", &values(&v), &v_twin, 2e-6);
        }
    }

    #[test]
    fn only_the_slot_is_touched() {
        let value = tensor(&[1.0; 10], 10);
        let (m, v) = (tensor(&[0.0; 10], 10), tensor(&[0.0; 10], 10));
        run(&value, &[1.0; 10], [&m, &v], slot(3, 4), &STEP).unwrap();
        let changed: Vec<bool> = values(&value).iter().map(|&x| x != 1.0).collect();
        assert_eq!(changed, [false, false, false, true, true, true, true, false, false, false]);
    }

    #[test]
    fn buffers_must_be_three_and_steps_start_at_one() {
        let (value, m) = (tensor(&[1.0; 4], 4), tensor(&[0.0; 4], 4));
        let grads = [1.0; 4];
        assert!(run(&value, &grads, [&m, &m], slot(0, 4), &STEP).unwrap_err().to_string().contains("shares"));
        let v = tensor(&[0.0; 4], 4);
        assert!(run(&value, &grads, [&m, &v], slot(0, 4), &AdamWStep { step: 0, ..STEP }).is_err());
        assert!(run(&value, &grads, [&m, &v], slot(2, 4), &STEP).is_err());
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let (start, g) = (random(1, 70_001), random(2, 70_001));
        assert_same_bits(|| {
            let (value, m, v) = (tensor(&start, 70_001), tensor(&g, 70_001), tensor(&vec![0.5; 70_001], 70_001));
            run(&value, &g, [&m, &v], slot(0, 70_001), &STEP).unwrap();
            [value, m, v].iter().map(values).collect()
        });
    }
}
