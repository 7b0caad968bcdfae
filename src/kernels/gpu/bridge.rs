//! The card's kernels for operands that live in the processor's memory: each is brought over and its results back, so that
//! a card can be compared with the processor operation by operation.

use std::sync::Arc;

use super::{
    super::{
        Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, Generating, Gradients, Head,
        HeadOut, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, LinearSaved, Lora, Mask, Place, Qkv,
        Result, RmsNorm, RopeTable, Slot, Tensor, Weight,
    },
    Card,
    kernels::Gpu,
};

/// The card behind the processor's own tensors.
#[derive(Debug)]
pub(crate) struct Bridge {
    gpu: Gpu,
    place: Place,
}

impl Bridge {
    pub(crate) fn new(card: &Arc<Card>) -> Self {
        Self { gpu: Gpu { card: Arc::clone(card), keeps_bf16: true }, place: Place::Gpu(Arc::clone(card)) }
    }

    fn there(&self, tensor: &Tensor) -> Result<Tensor> {
        tensor.to_place(&self.place)
    }

    fn weight(&self, weight: &Weight) -> Result<Weight> {
        weight.clone().placed(&self.place, candle_core::DType::F32)
    }

    fn linear(&self, linear: &Linear) -> Result<Linear> {
        let loras = linear
            .loras
            .iter()
            .map(|lora| Ok(Lora { a: self.there(&lora.a)?, b: self.there(&lora.b)?, ..lora.clone() }));
        Ok(Linear {
            weight: self.weight(&linear.weight)?,
            bias: linear.bias.as_ref().map(|bias| self.there(bias)).transpose()?,
            loras: loras.collect::<Result<_>>()?,
            ..linear.clone()
        })
    }

    fn input(&self, input: InputGradient) -> Result<InputGradient> {
        Ok(match input {
            InputGradient::AddTo(sum) => InputGradient::AddTo(self.there(&sum)?),
            other => other,
        })
    }

    /// Lets an operation add to gradients that lie on the processor.
    fn gradients<R>(&self, grads: &mut Gradients, operation: impl FnOnce(&mut Gradients) -> Result<R>) -> Result<R> {
        let mut there = grads.to_place(&self.place)?;
        let result = operation(&mut there)?;
        *grads = there.to_place(&Place::CPU)?;
        Ok(result)
    }
}

fn back(tensor: Tensor) -> Result<Tensor> {
    tensor.to_place(&Place::CPU)
}

impl Kernels for Bridge {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        let (y, saved) = self.gpu.linear(&self.there(x)?, &self.linear(linear)?)?;
        Ok((back(y)?, LinearSaved { low: saved.low.into_iter().map(back).collect::<Result<_>>()? }))
    }

    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor> {
        back(self.gpu.linear_rowwise(&self.there(x)?, &self.linear(linear)?, stage)?)
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
        let saved = LinearSaved { low: saved.low.iter().map(|low| self.there(low)).collect::<Result<_>>()? };
        let (x, dy, linear, input) = (self.there(x)?, self.there(dy)?, self.linear(linear)?, self.input(input)?);
        let dx = self.gradients(grads, |grads| self.gpu.linear_backward(&x, &saved, &dy, &linear, input, grads))?;
        dx.map(back).transpose()
    }

    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
        let weight = self.there(norm.weight)?;
        let (y, inv_rms) = self.gpu.rms_norm(&self.there(x)?, &RmsNorm { weight: &weight, ..*norm })?;
        Ok((back(y)?, back(inv_rms)?))
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
        let weight = self.there(norm.weight)?;
        let norm = RmsNorm { weight: &weight, ..*norm };
        let (x, inv_rms, dy, input) = (self.there(x)?, self.there(inv_rms)?, self.there(dy)?, self.input(input)?);
        let dx = self.gradients(grads, |grads| self.gpu.rms_norm_backward(&x, &norm, &inv_rms, &dy, input, grads))?;
        dx.map(back).transpose()
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        let table = RopeTable { cos: self.there(&table.cos)?, sin: self.there(&table.sin)? };
        back(self.gpu.rope(self.there(&x)?, heads, positions, &table, inverse)?)
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        let (q, k, v) = (self.there(qkv.q)?, self.there(qkv.k)?, self.there(qkv.v)?);
        let (o, lse) = self.gpu.attention(Qkv { q: &q, k: &k, v: &v }, layout, shape)?;
        Ok((back(o)?, back(lse)?))
    }

    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (q, k, v) = (self.there(qkv.q)?, self.there(qkv.k)?, self.there(qkv.v)?);
        let (o, lse, d_o) = (self.there(outcome.o)?, self.there(outcome.lse)?, self.there(outcome.d_o)?);
        let qkv = Qkv { q: &q, k: &k, v: &v };
        let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
        let (dq, dk, dv) = self.gpu.attention_backward(qkv, outcome, layout, shape)?;
        Ok((back(dq)?, back(dk)?, back(dv)?))
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        let there = caches.iter().map(|cache| Ok((self.there(cache.keys)?, self.there(cache.values)?, cache.len)));
        let there = there.collect::<Result<Vec<_>>>()?;
        let caches: Vec<_> = there.iter().map(|(keys, values, len)| CachedKeys { keys, values, len: *len }).collect();
        back(self.gpu.attention_cached(&self.there(q)?, &caches, shape)?)
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        back(self.gpu.gated(&self.there(gate)?, &self.there(up)?, activation)?)
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        let (gate, up, dh) = (self.there(gate)?, self.there(up)?, self.there(dh)?);
        let (d_gate, d_up) = self.gpu.gated_backward(&gate, &up, &dh, activation)?;
        Ok((back(d_gate)?, back(d_up)?))
    }

    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
        back(self.gpu.embed(ids, &self.weight(table)?, scale)?)
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        let dy = self.there(dy)?;
        self.gradients(grads, |grads| self.gpu.embed_backward(ids, &dy, scale, slot, grads))
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        let weight = self.weight(head.weight)?;
        let out = self.gpu.head(&self.there(h)?, Head { weight: &weight, ..head }, targets, want)?;
        Ok(HeadOut { u: out.u.map(back).transpose()?, ..out })
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        back(self.gpu.head_backward(self.there(&u)?, coefficients)?)
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        let (weight, h) = (self.weight(head.weight)?, self.there(pass.h)?);
        let (head, pass) = (Head { weight: &weight, ..head }, HeadPass { h: &h, ..pass });
        self.gradients(grads, |grads| self.gpu.head_weight_backward(head, pass, slot, grads))
    }

    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor> {
        let weight = self.weight(head.weight)?;
        back(self.gpu.logits(&self.there(h)?, Head { weight: &weight, ..head })?)
    }

    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        back(self.gpu.keep(&self.there(x)?)?)
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        back(self.gpu.recall(&self.there(kept)?)?)
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        back(self.gpu.add(&self.there(x)?, self.there(&y)?)?)
    }

    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor> {
        back(self.gpu.scale(&self.there(x)?, factor)?)
    }

    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        back(self.gpu.dropout(&self.there(x)?, mask)?)
    }

    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
        back(self.gpu.columns(&self.there(x)?, first, width)?)
    }

    fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        let parts = parts.iter().map(|part| self.there(part)).collect::<Result<Vec<_>>>()?;
        back(self.gpu.join(&parts)?)
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        back(self.gpu.gather_rows(&self.there(x)?, rows)?)
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        back(self.gpu.scatter_rows(&self.there(dy)?, rows, tokens)?)
    }

    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
        let (values, m, v) = (self.there(buffers.values)?, self.there(buffers.m)?, self.there(buffers.v)?);
        let gradients = buffers.gradients.to_place(&self.place)?;
        let there = AdamWBuffers { values: &values, gradients: &gradients, m: &m, v: &v };
        self.gpu.adamw(there, slot, step)?;
        for (here, there) in [(buffers.values, values), (buffers.m, m), (buffers.v, v)] {
            here.set_rows(0, &back(there)?)?;
        }
        Ok(())
    }
}
