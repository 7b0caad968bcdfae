//! Kernels with a stopwatch: what each part of a step takes and multiplies, with no word about it in the kernels.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kernels::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, Generating, Gradients, Head,
    HeadOut, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, LinearSaved, Mask, Place, Qkv, Result,
    RmsNorm, RopeTable, Slot, Tensor, Weight,
};

/// Where in a step the kernels are called from; set by whoever runs the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Forward,
    Backward,
}

/// The parts a step is broken down into, in the order they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Embedding,
    ForwardLinear,
    ForwardAttention,
    ForwardRest,
    Head,
    /// Blocks whose forward runs again inside the backward; their norms and gates count as [`Part::BackwardRest`], where
    /// they are computed again in any case.
    Recompute,
    BackwardHead,
    BackwardLinear,
    BackwardAttention,
    BackwardRest,
    BackwardEmbedding,
    Optimizer,
}

impl Part {
    pub const ALL: [Self; 12] = [
        Self::Embedding,
        Self::ForwardLinear,
        Self::ForwardAttention,
        Self::ForwardRest,
        Self::Head,
        Self::Recompute,
        Self::BackwardHead,
        Self::BackwardLinear,
        Self::BackwardAttention,
        Self::BackwardRest,
        Self::BackwardEmbedding,
        Self::Optimizer,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "forward/embedding",
            Self::ForwardLinear => "forward/linear",
            Self::ForwardAttention => "forward/attention",
            Self::ForwardRest => "forward/rest",
            Self::Head => "head",
            Self::Recompute => "backward/recompute",
            Self::BackwardHead => "backward/head",
            Self::BackwardLinear => "backward/linear",
            Self::BackwardAttention => "backward/attention",
            Self::BackwardRest => "backward/rest",
            Self::BackwardEmbedding => "backward/embedding",
            Self::Optimizer => "optimizer",
        }
    }
}

/// Time and floating-point operations of the matrix products, by part. A device is waited for after every call, so that
/// its work counts where it belongs; a step of it takes somewhat longer than in a run.
#[derive(Debug)]
pub struct Stopwatch {
    place: Place,
    nanos: [AtomicU64; Part::ALL.len()],
    operations: [AtomicU64; Part::ALL.len()],
    phase: AtomicU8,
}

impl Stopwatch {
    /// For kernels that work there.
    pub fn new(place: Place) -> Self {
        Self { place, nanos: Default::default(), operations: Default::default(), phase: AtomicU8::default() }
    }

    /// What is called from now on belongs to this phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Forgets everything measured so far.
    pub fn reset(&self) {
        for counter in self.nanos.iter().chain(&self.operations) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// (time, floating-point operations of matrix products) of a part since the last reset.
    pub fn taken(&self, part: Part) -> (Duration, u64) {
        let at = part as usize;
        (Duration::from_nanos(self.nanos[at].load(Ordering::Relaxed)), self.operations[at].load(Ordering::Relaxed))
    }

    /// Adds the time that `work` takes to a part.
    pub fn time<R>(&self, part: Part, work: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = work();
        if !self.place.is_cpu() {
            // What went wrong on it is told by the next call that reads.
            self.place.synchronize().ok();
        }
        let nanos = started.elapsed().as_nanos() as u64;
        self.nanos[part as usize].fetch_add(nanos, Ordering::Relaxed);
        result
    }

    fn multiplied(&self, part: Part, operations: usize) {
        self.operations[part as usize].fetch_add(operations as u64, Ordering::Relaxed);
    }

    /// The part in whichever phase this is.
    fn either(&self, forward: Part, backward: Part) -> Part {
        if self.phase.load(Ordering::Relaxed) == Phase::Forward as u8 { forward } else { backward }
    }

    fn rest(&self) -> Part {
        self.either(Part::ForwardRest, Part::BackwardRest)
    }
}

/// The kernels of a policy, each call timed.
pub struct Timed {
    inner: Arc<dyn Kernels>,
    watch: Arc<Stopwatch>,
}

impl Timed {
    pub fn new(inner: Arc<dyn Kernels>, watch: Arc<Stopwatch>) -> Self {
        Self { inner, watch }
    }
}

/// Two operations, a multiplication and an addition, for each product of two numbers.
const PRODUCT: usize = 2;

/// Products of numbers in one pass of `tokens` rows through the layer itself, then through its adapters.
fn products(linear: &Linear, tokens: usize) -> (usize, usize) {
    let adapters = linear.loras.iter().map(|lora| {
        let numbers = lora.a.elem_count() + lora.b.elem_count();
        tokens * numbers
    });
    (tokens * linear.weight.elem_count(), adapters.sum())
}

fn rows(x: &Tensor) -> usize {
    x.dims().first().copied().unwrap_or(0)
}

/// Pairs of query and key rows that see each other.
fn visible(layout: &Layout, shape: &AttentionShape) -> usize {
    let window = shape.window.unwrap_or(usize::MAX);
    let positions = layout.positions().iter();
    positions.map(|&position| (position as usize + 1).min(window)).sum()
}

impl Kernels for Timed {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        let part = self.watch.either(Part::ForwardLinear, Part::Recompute);
        let (own, adapters) = products(linear, rows(x));
        self.watch.multiplied(part, PRODUCT * (own + adapters));
        self.watch.time(part, || self.inner.linear(x, linear))
    }

    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor> {
        self.inner.linear_rowwise(x, linear, stage)
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
        let (own, adapters) = products(linear, rows(x));
        let to_input = usize::from(!matches!(input, InputGradient::Skip));
        let to_weight = usize::from(linear.weight_slot.is_some());
        let trained = linear.loras.iter().any(|lora| lora.a_slot.is_some());
        let products = own * (to_input + to_weight) + adapters * (1 + usize::from(trained));
        self.watch.multiplied(Part::BackwardLinear, PRODUCT * products);
        self.watch.time(Part::BackwardLinear, || self.inner.linear_backward(x, saved, dy, linear, input, grads))
    }

    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.rms_norm(x, norm))
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
        self.watch.time(Part::BackwardRest, || self.inner.rms_norm_backward(x, norm, inv_rms, dy, input, grads))
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.rope(x, heads, positions, table, inverse))
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        let part = self.watch.either(Part::ForwardAttention, Part::Recompute);
        let products = visible(layout, shape) * shape.heads * shape.head_dim;
        self.watch.multiplied(part, 2 * PRODUCT * products);
        self.watch.time(part, || self.inner.attention(qkv, layout, shape))
    }

    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        // The scores again, then the gradients of weights, values, queries and keys.
        let products = visible(layout, shape) * shape.heads * shape.head_dim;
        self.watch.multiplied(Part::BackwardAttention, 5 * PRODUCT * products);
        self.watch.time(Part::BackwardAttention, || self.inner.attention_backward(qkv, outcome, layout, shape))
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        self.inner.attention_cached(q, caches, shape)
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.gated(gate, up, activation))
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        self.watch.time(Part::BackwardRest, || self.inner.gated_backward(gate, up, dh, activation))
    }

    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
        self.watch.time(Part::Embedding, || self.inner.embed(ids, table, scale))
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        self.watch.time(Part::BackwardEmbedding, || self.inner.embed_backward(ids, dy, scale, slot, grads))
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        let passes = match want {
            HeadWant::LogProbs => 1,
            HeadWant::WithU => 2,
        };
        let products = passes * rows(h) * head.weight.elem_count();
        self.watch.multiplied(Part::Head, PRODUCT * products);
        self.watch.time(Part::Head, || self.inner.head(h, head, targets, want))
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        self.watch.time(Part::BackwardHead, || self.inner.head_backward(u, coefficients))
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        let products = 2 * rows(pass.h) * head.weight.elem_count();
        self.watch.multiplied(Part::BackwardHead, PRODUCT * products);
        self.watch.time(Part::BackwardHead, || self.inner.head_weight_backward(head, pass, slot, grads))
    }

    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor> {
        self.inner.logits(h, head)
    }

    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.keep(x))
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        self.watch.time(Part::BackwardRest, || self.inner.recall(kept))
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.add(x, y))
    }

    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.scale(x, factor))
    }

    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.dropout(x, mask))
    }

    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.columns(x, first, width))
    }

    fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        self.watch.time(Part::BackwardRest, || self.inner.join(parts))
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        let part = self.watch.rest();
        self.watch.time(part, || self.inner.gather_rows(x, rows))
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        self.watch.time(Part::BackwardRest, || self.inner.scatter_rows(dy, rows, tokens))
    }

    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
        self.watch.time(Part::Optimizer, || self.inner.adamw(buffers, slot, step))
    }
}
