//! The kernels composed of candle's tensor operations: no code of our own on the device, so they run on any.
//!
//! # Conventions
//!
//! - Activations have one element type, f32 or bf16, chosen when the implementation is made ([`Composed`]): the
//!   embedding gives it and everything downstream keeps it. Matrices that are stored otherwise are brought to it for
//!   the product.
//! - Every reduction, exponential and softmax is computed in f32, and so are `inv_rms`, `lse` and `u`. The head is
//!   computed in f32 altogether: a log-prob is a small difference of large logits.
//! - Trained values, gradients and moments are f32, in the flat buffers of the trait.
//! - Nothing waits for the device, except where the trait returns plain numbers.
//! - Nothing is as large as `T × T` or `A × V`: attention goes block by block of queries, the head slice by slice of
//!   the vocabulary.
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
mod numbers;
mod rope;
#[cfg(test)]
mod tests;

use candle_core::{self as candle, DType};

use super::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, Generating, Gradients, Head,
    HeadOut, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, LinearSaved, Mask, Qkv, Result, RmsNorm,
    RopeTable, Slot, Tensor, Weight, access, columns,
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

impl Kernels for Composed {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        linear::forward(x.candle()?, linear)
    }

    /// One product for all rows: on a device, a row's last bits may depend on the number of its neighbours.
    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, _stage: Generating) -> Result<Tensor> {
        Ok(linear::forward(x.candle()?, linear)?.0)
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
        linear::backward(x.candle()?, saved, dy.candle()?, linear, input, grads)
    }

    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
        norm::forward(x.candle()?, norm)
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        norm: &RmsNorm<'_>,
        inv_rms: &Tensor,
        dy: &Tensor,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        norm::backward(x.candle()?, norm, inv_rms.candle()?, dy.candle()?, input, grads)
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        Ok(rope::rotate(x.candle()?, heads, positions, table, inverse)?.into())
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        self.attention.forward(qkv, layout, shape)
    }

    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        self.attention.backward(qkv, outcome, layout, shape)
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        Ok(attention::cached(q.candle()?, caches, shape)?.into())
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        Ok(gated::forward(gate.candle()?, up.candle()?, activation)?.into())
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        let (d_gate, d_up) = gated::backward(gate.candle()?, up.candle()?, dh.candle()?, activation)?;
        Ok((d_gate.into(), d_up.into()))
    }

    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
        let table = table.widened()?;
        Ok(embed::gather("embedding", ids, table.candle()?, scale, self.activations)?.into())
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        embed::embed_backward(ids, dy.candle()?, scale, slot, grads)
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        head::forward(h.candle()?, head, targets, want, head::SLICE)
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        Ok(head::scale_rows(u.candle()?, coefficients)?.into())
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        head::weight_backward(head, pass, slot, grads, head::SLICE)
    }

    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor> {
        Ok(head::logits(h.candle()?, head)?.into())
    }

    /// Activations are in their own precision all along.
    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        Ok(kept.clone())
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        access::expect_dims("add", "x", x.dims(), y.dims())?;
        Ok((y.candle()? + x.candle()?)?.into())
    }

    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor> {
        columns::scale(x, factor)
    }

    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let factors = candle::Tensor::from_vec(mask.factors(x.elem_count()), x.dims(), x.candle()?.device())?;
        Ok((x.candle()? * factors.to_dtype(x.dtype())?)?.into())
    }

    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
        columns::cut(x, first, width)
    }

    fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        columns::join(parts)
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        Ok(embed::gather("gather rows", rows, x.candle()?, 1.0, x.dtype())?.into())
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        Ok(embed::scatter_rows(dy.candle()?, rows, tokens)?.into())
    }

    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
        adamw::update(buffers, slot, step)
    }
}
