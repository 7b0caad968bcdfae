//! The card's kernels, tied to the trait.

use std::sync::Arc;

use super::{
    super::{
        Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, Generating, Gradients, Head,
        HeadOut, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, LinearSaved, Mask, Qkv, Result, RmsNorm,
        RopeTable, Slot, Tensor, Weight,
    },
    Card, adamw, attention, cached, columns, dropout, elementwise, embed, gated, head, keep,
    linear::{self, Rows},
    memory::Piece,
    norm, rope,
};

/// The hand-written implementation for a graphics card. Every operand lives on it.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub card: Arc<Card>,
    /// Whether activations wait for the backward in bf16, which halves what a step holds.
    pub keeps_bf16: bool,
}

/// The kernels of a card; `keeps_bf16` has activations wait for the backward in half of their bytes.
pub(crate) fn kernels(card: &Arc<Card>, keeps_bf16: bool) -> Arc<dyn Kernels> {
    Arc::new(Gpu { card: Arc::clone(card), keeps_bf16 })
}

impl Kernels for Gpu {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        linear::forward(x, linear, Rows::Together)
    }

    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor> {
        match stage {
            Generating::Prefill => Ok(linear::forward(x, linear, Rows::Alone)?.0),
            Generating::Decode => linear::few(x, linear),
        }
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

    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
        norm::forward(x, norm)
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
        norm::backward(x, norm, inv_rms, dy, input, grads)
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        rope::rotate(x, heads, positions, table, inverse)
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        attention::forward(qkv, layout, shape)
    }

    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        attention::backward(qkv, outcome, layout, shape)
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        cached::forward(q, caches, shape)
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
        embed::gather(&self.card, ids, table, scale)
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        embed::embed_backward(ids, dy, scale, slot, grads)
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        head::forward(h, head, targets, want)
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        columns::scale_rows(u.gpu("head backward", "u")?, coefficients)?;
        Ok(u)
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        head::weight_backward(head, pass, slot, grads)
    }

    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor> {
        head::logits(h, head)
    }

    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        if self.keeps_bf16 { keep::narrow(x) } else { Ok(x.clone()) }
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        keep::widen(kept)
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        linear::add(x, y)
    }

    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor> {
        let x = x.gpu("scale", "x")?;
        let y = Piece::new(&self.card, x.dims(), x.dtype())?;
        elementwise::scale(x, factor, &y)?;
        Ok(y.into())
    }

    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        dropout::apply(x, mask)
    }

    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
        columns::cut(x, first, width)
    }

    fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        columns::join(parts)
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        embed::gather(&self.card, rows, &x.clone().into(), 1.0)
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        embed::scatter_rows(dy, rows, tokens)
    }

    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
        adamw::update(buffers, slot, step)
    }
}
