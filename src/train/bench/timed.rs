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
pub enum StepPart {
    Embedding,
    ForwardLinear,
    ForwardAttention,
    ForwardRest,
    Head,
    /// Blocks whose forward runs again inside the backward; their norms and gates count as [`StepPart::BackwardRest`],
    /// where they are computed again in any case.
    Recompute,
    BackwardHead,
    BackwardLinear,
    BackwardAttention,
    BackwardRest,
    BackwardEmbedding,
    Optimizer,
}

impl StepPart {
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
    nanos: [AtomicU64; StepPart::ALL.len()],
    operations: [AtomicU64; StepPart::ALL.len()],
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
    pub fn taken(&self, part: StepPart) -> (Duration, u64) {
        let at = part as usize;
        (Duration::from_nanos(self.nanos[at].load(Ordering::Relaxed)), self.operations[at].load(Ordering::Relaxed))
    }

    /// Adds the time that `work` takes to a part.
    pub fn time<R>(&self, part: StepPart, work: impl FnOnce() -> R) -> R {
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

    fn multiplied(&self, part: StepPart, operations: usize) {
        self.operations[part as usize].fetch_add(operations as u64, Ordering::Relaxed);
    }

    /// The part in whichever phase this is.
    fn either(&self, forward: StepPart, backward: StepPart) -> StepPart {
        if self.phase.load(Ordering::Relaxed) == Phase::Forward as u8 { forward } else { backward }
    }

    fn rest(&self) -> StepPart {
        self.either(StepPart::ForwardRest, StepPart::BackwardRest)
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

/// Hands operations on to the kernels inside: each timed as a part of the step, or only in generation and not timed.
macro_rules! hand_on {
    ($($part:ident: fn $name:ident($($operand:ident: $Type:ty),*) -> $Out:ty;)*) => { $(
        fn $name(&self, $($operand: $Type),*) -> Result<$Out> {
            hand_on!(@ self, $part, self.inner.$name($($operand),*))
        }
    )* };
    (@ $self:ident, untimed, $call:expr) => { $call };
    (@ $self:ident, rest, $call:expr) => { $self.watch.time($self.watch.rest(), || $call) };
    (@ $self:ident, $part:ident, $call:expr) => { $self.watch.time(StepPart::$part, || $call) };
}

impl Kernels for Timed {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        let part = self.watch.either(StepPart::ForwardLinear, StepPart::Recompute);
        let (own, adapters) = products(linear, rows(x));
        self.watch.multiplied(part, PRODUCT * (own + adapters));
        self.watch.time(part, || self.inner.linear(x, linear))
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
        self.watch.multiplied(StepPart::BackwardLinear, PRODUCT * products);
        self.watch.time(StepPart::BackwardLinear, || self.inner.linear_backward(x, saved, dy, linear, input, grads))
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        let part = self.watch.either(StepPart::ForwardAttention, StepPart::Recompute);
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
        self.watch.multiplied(StepPart::BackwardAttention, 5 * PRODUCT * products);
        self.watch.time(StepPart::BackwardAttention, || self.inner.attention_backward(qkv, outcome, layout, shape))
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        let passes = match want {
            HeadWant::LogProbs => 1,
            HeadWant::WithU => 2,
        };
        let products = passes * rows(h) * head.weight.elem_count();
        self.watch.multiplied(StepPart::Head, PRODUCT * products);
        self.watch.time(StepPart::Head, || self.inner.head(h, head, targets, want))
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        let products = 2 * rows(pass.h) * head.weight.elem_count();
        self.watch.multiplied(StepPart::BackwardHead, PRODUCT * products);
        self.watch.time(StepPart::BackwardHead, || self.inner.head_weight_backward(head, pass, slot, grads))
    }

    hand_on! {
        untimed: fn linear_rowwise(x: &Tensor, linear: &Linear, stage: Generating) -> Tensor;
        untimed: fn attention_cached(q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Tensor;
        untimed: fn logits(h: &Tensor, head: Head<'_>) -> Tensor;
        Embedding: fn embed(ids: &[u32], table: &Weight, scale: f32) -> Tensor;
        rest: fn rms_norm(x: &Tensor, norm: &RmsNorm<'_>) -> (Tensor, Tensor);
        rest: fn rope(x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Tensor;
        rest: fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Tensor;
        rest: fn keep(x: &Tensor) -> Tensor;
        rest: fn add(x: &Tensor, y: Tensor) -> Tensor;
        rest: fn scale(x: &Tensor, factor: f32) -> Tensor;
        rest: fn dropout(x: &Tensor, mask: &Mask) -> Tensor;
        rest: fn columns(x: &Tensor, first: usize, width: usize) -> Tensor;
        rest: fn gather_rows(x: &Tensor, rows: &[u32]) -> Tensor;
        BackwardRest: fn rms_norm_backward(
            x: &Tensor, norm: &RmsNorm<'_>, inv_rms: &Tensor, dy: &Tensor, input: InputGradient, grads: &mut Gradients
        ) -> Option<Tensor>;
        BackwardRest: fn gated_backward(gate: &Tensor, up: &Tensor, dh: &Tensor, activation: Activation) -> (Tensor, Tensor);
        BackwardRest: fn recall(kept: &Tensor) -> Tensor;
        BackwardRest: fn join(parts: &[Tensor]) -> Tensor;
        BackwardRest: fn scatter_rows(dy: &Tensor, rows: &[u32], tokens: usize) -> Tensor;
        BackwardHead: fn head_backward(u: Tensor, coefficients: &[f32]) -> Tensor;
        BackwardEmbedding: fn embed_backward(ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> ();
        Optimizer: fn adamw(buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> ();
    }
}
