//! The kernels composed of candle's tensor operations: no code of our own on the device, so they run on any.
//!
//! # Conventions
//!
//! - Activations have one element type, f32 or bf16, chosen when the implementation is made ([`Composed`]): the embedding
//!   gives it and everything downstream keeps it. Matrices that are stored otherwise are brought to it for the product.
//! - Every reduction, exponential and softmax is computed in f32, and so are `inv_rms`, `lse` and `u`. The head is
//!   computed in f32 altogether: a log-prob is a small difference of large logits.
//! - Trained values, gradients and moments are f32, in the flat buffers of the trait.
//! - Nothing waits for the device, except where the trait returns plain numbers.
//! - Nothing is as large as `T × T` or `A × V`: attention goes block by block of queries, the head slice by slice of the
//!   vocabulary.
//!
//! It is also a second opinion on the hand-written kernels: on the processor both must give the same numbers, which
//! `tests` checks operation by operation.

mod adamw;
mod attention;
mod embed;
pub(super) mod flat;
mod gated;
mod head;
mod linear;
mod norm;
mod rope;
#[cfg(test)]
mod tests;

use candle_core::{DType, Device, Tensor};

use super::{
    Activation, AdamWStep, AttentionShape, CachedKeys, Generating, Gradients, HeadOptions, HeadOut, HeadWant,
    InputGradient, Kernels, Layout, Linear, LinearSaved, NormOptions, Result, RopeTable, Slot, Weight, access,
};

/// The implementation made of candle's operations.
#[derive(Debug)]
pub struct Composed {
    activations: DType,
    attention: attention::Attention,
}

impl Composed {
    /// `activations` is f32 or bf16.
    pub fn new(activations: DType) -> Result<Self> {
        if !matches!(activations, DType::F32 | DType::BF16) {
            return access::fault(
                "composed kernels",
                format!("activations cannot be {activations:?}; choose f32 or bf16"),
            );
        }
        Ok(Self { activations, attention: attention::Attention::default() })
    }
}

/// In f32, for whatever must not lose digits.
fn precise(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(DType::F32)?)
}

/// Row numbers on the device.
fn indices(rows: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::new(rows, device)?)
}

/// A column of one number a row, `[rows, 1]`, on the device.
fn column(values: &[f32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, (values.len(), 1), device)?)
}

/// What an operation does with the gradient of its input, once it is computed.
fn deliver(
    operation: &'static str,
    input: InputGradient,
    dx: impl FnOnce() -> Result<Tensor>,
) -> Result<Option<Tensor>> {
    match input {
        InputGradient::Skip => Ok(None),
        InputGradient::Fresh => Ok(Some(dx()?)),
        InputGradient::AddTo(sum) => {
            let dx = dx()?;
            access::expect_dims(operation, "sum of input gradients", &sum, dx.dims())?;
            Ok(Some((sum + dx)?))
        }
    }
}

impl Kernels for Composed {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        linear::forward(x, linear)
    }

    /// One product for all rows: on a device, a row's last bits may depend on the number of its neighbours.
    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, _stage: Generating) -> Result<Tensor> {
        Ok(linear::forward(x, linear)?.0)
    }

    fn linear_backward(
        &self,
        x: &Tensor,
        saved: &LinearSaved,
        dy: &Tensor,
        linear: &Linear,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        linear::backward(x, saved, dy, linear, input, grads)
    }

    fn rms_norm(&self, x: &Tensor, w: &Tensor, options: NormOptions) -> Result<(Tensor, Tensor)> {
        norm::forward(x, w, options)
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        inv_rms: &Tensor,
        dy: &Tensor,
        options: NormOptions,
        w_slot: Option<Slot>,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        norm::backward(x, w, inv_rms, dy, options, w_slot, input, grads)
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        rope::rotate(&x, heads, positions, table, inverse)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor)> {
        self.attention.forward(q, k, v, layout, shape)
    }

    fn attention_backward(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        o: &Tensor,
        lse: &Tensor,
        d_o: &Tensor,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let outcome = attention::Outcome { o, lse, d_o };
        self.attention.backward(q, k, v, outcome, layout, shape)
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        attention::cached(q, caches, shape)
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        gated::forward(gate, up, activation)
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        gated::backward(gate, up, dh, activation)
    }

    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
        let table = table.widened()?;
        embed::gather("embedding", ids, &table, scale, self.activations)
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        embed::embed_backward(ids, dy, scale, slot, grads)
    }

    fn head(&self, h: &Tensor, w: &Weight, targets: &[u32], options: &HeadOptions, want: HeadWant) -> Result<HeadOut> {
        head::forward(h, &w.widened()?, targets, options, want, head::SLICE)
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        head::scale_rows(&u, coefficients)
    }

    fn head_weight_backward(
        &self,
        h: &Tensor,
        w: &Weight,
        targets: &[u32],
        lse: &[f32],
        coefficients: &[f32],
        options: &HeadOptions,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        let known = head::Known { targets, lse, coefficients };
        head::weight_backward(h, &w.widened()?, known, options, slot, grads, head::SLICE)
    }

    fn logits(&self, h: &Tensor, w: &Weight, options: &HeadOptions) -> Result<Tensor> {
        head::logits(h, &w.widened()?, options)
    }

    /// Activations are in their own precision all along.
    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        Ok(kept.clone())
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        access::expect_dims("add", "x", x, y.dims())?;
        Ok((y + x)?)
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        embed::gather("gather rows", rows, x, 1.0, x.dtype())
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        embed::scatter_rows(dy, rows, tokens)
    }

    fn adamw(
        &self,
        values: &Tensor,
        grads: &Gradients,
        m: &Tensor,
        v: &Tensor,
        slot: Slot,
        step: &AdamWStep,
    ) -> Result<()> {
        adamw::update(values, grads, m, v, slot, step)
    }
}
