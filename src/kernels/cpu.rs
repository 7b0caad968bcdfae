//! The processor's kernels, tied to the trait.

use candle_core::Tensor;

use super::*;

/// The hand-written implementation for the processor.
#[derive(Debug, Clone, Copy)]
pub struct Cpu;

/// Makes the calling thread treat denormal numbers as zero, for good: sleeping pairs produce gradients so small that
/// arithmetic on them is a hundred times slower. Meant for the start handler of the rayon pool that trains.
pub fn flush_denormals() {}

impl Kernels for Cpu {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        unimplemented!()
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
        unimplemented!()
    }

    fn rms_norm(&self, x: &Tensor, w: &Tensor, options: NormOptions) -> Result<(Tensor, Tensor)> {
        unimplemented!()
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
        unimplemented!()
    }

    fn rope(
        &self,
        x: Tensor,
        heads: usize,
        positions: &[u32],
        table: &RopeTable,
        inverse: bool,
    ) -> Result<Tensor> {
        unimplemented!()
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor)> {
        unimplemented!()
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
        unimplemented!()
    }

    fn attention_cached(
        &self,
        q: &Tensor,
        caches: &[CachedKeys<'_>],
        shape: &AttentionShape,
    ) -> Result<Tensor> {
        unimplemented!()
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        unimplemented!()
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        unimplemented!()
    }

    fn embed(&self, ids: &[u32], table: &Tensor, scale: f32) -> Result<Tensor> {
        unimplemented!()
    }

    fn embed_backward(
        &self,
        ids: &[u32],
        dy: &Tensor,
        scale: f32,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        unimplemented!()
    }

    fn head(
        &self,
        h: &Tensor,
        w: &Tensor,
        targets: &[u32],
        options: &HeadOptions,
        want: HeadWant,
    ) -> Result<HeadOut> {
        unimplemented!()
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        unimplemented!()
    }

    fn head_weight_backward(
        &self,
        h: &Tensor,
        w: &Tensor,
        targets: &[u32],
        lse: &[f32],
        coefficients: &[f32],
        options: &HeadOptions,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        unimplemented!()
    }

    fn logits(&self, h: &Tensor, w: &Tensor, options: &HeadOptions) -> Result<Tensor> {
        unimplemented!()
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        unimplemented!()
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        unimplemented!()
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        unimplemented!()
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
        unimplemented!()
    }
}
