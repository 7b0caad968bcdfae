//! The differentiable operations of a training step, each with its own backward.
//!
//! # Bird's-eye view
//!
//! [`Kernels`] is one trait: a forward, and a backward that is written by hand. candle's own autograd is not used: it
//! keeps gradients of frozen weights and frees no activation before the end. What crosses the trait is a [`Tensor`], a
//! handle of numbers on some [`Place`], or a plain value, so an implementation is free to live on any device. [`cpu()`]
//! is the hand-written one for the processor, [`composed()`] is made of candle's operations and runs on all that candle
//! serves.
//!
//! One operation a file: its types, its forward, its backward, and in its tests a *plain twin* (straight loops in
//! f64) that it must equal and whose finite differences its backward must equal.
//!
//! # Conventions
//!
//! - `T` tokens of one packed row (no batch axis, no padding: [`Layout`] says who sees whom), `d` model width,
//!   `A` answer tokens, `V` vocabulary. Every matrix is row-major and contiguous.
//! - Gradients of parameters are *added* to ranges ([`Slot`]) of one flat buffer ([`Gradients`]); gradients of
//!   activations are returned. A parameter without a slot is frozen and costs nothing in the backward.
//! - Trainable parameters are views into one flat f32 buffer, so that [`Kernels::adamw`] is one pass.
//! - A tensor taken *by value* may be changed in place and handed back: its storage is reused, so no one else may
//!   still need its old content. A tensor taken by reference is never changed.
//! - The same input gives the same bits with any number of threads: work is cut into fixed pieces and every float
//!   is summed in a fixed order. An exact resume rests on this.
//! - All work runs in the current rayon pool (`ThreadPool::install` chooses it); small work stays on the caller's
//!   thread. Call [`flush_denormals`] in the pool's start handler.

mod access;
mod adamw;
#[cfg(test)]
mod agreement;
mod attention;
mod buffer;
mod columns;
mod composed;
mod cpu;
pub mod device;
mod dropout;
mod embed;
mod error;
mod gated;
mod gemm;
pub mod gpu;
mod gradients;
mod head;
mod keep;
mod layout;
mod linear;
mod norm;
mod parallel;
mod place;
mod quantized;
mod rope;
mod rowwise;
mod simd;
mod tensor;
#[cfg(test)]
mod testing;
mod weight;

use std::sync::Arc;

pub use adamw::{AdamWBuffers, AdamWStep};
pub use attention::{AttentionShape, CachedKeys, Outcome, Qkv};
pub use candle_core::DType;
pub use cpu::flush_denormals;
pub use dropout::Mask;
pub use error::{KernelError, Result};
pub use gated::Activation;
pub use gemm::{Compute, Multiplier};
pub use gradients::{Gradients, Slot};
pub use head::{Head, HeadOptions, HeadOut, HeadPass, HeadWant};
pub use layout::{Layout, Segment};
pub use linear::{Linear, LinearSaved, Lora};
pub use norm::{NormOptions, RmsNorm};
pub use place::Place;
pub use quantized::{BlockFormat, Bytes, Quantized};
pub use rope::RopeTable;
pub use simd::processor;
pub use tensor::Tensor;
pub use weight::Weight;

/// What becomes of the gradient of an operation's input.
#[derive(Debug)]
pub enum InputGradient {
    /// Nobody needs it (the first block over frozen embeddings): it is not computed.
    Skip,
    /// A new tensor.
    Fresh,
    /// Added to this one, in place: residual branches and the three readers of one input need no extra pass.
    AddTo(Tensor),
}

/// The two halves of generation. A row's bits may differ between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generating {
    /// All tokens of the prompts at once: many rows.
    Prefill,
    /// The next token of each answer: few rows.
    Decode,
}

/// The operations of a training step on one device.
pub trait Kernels: Send + Sync {
    /// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`: `x[T,in] -> y[T,out]`, and what the backward wants back.
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)>;

    /// The same `y` for generation: each row's bits are independent of the other rows, so that an answer does not depend
    /// on what else is answered.
    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor>;

    /// Adds the gradients of every parameter with a slot to `grads` and returns `dx[T,in]` unless skipped.
    fn linear_backward(
        &self,
        x: &Tensor,
        saved: &LinearSaved,
        dy: &Tensor,
        linear: &Linear,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>>;

    /// `y = x / sqrt(mean(x²) + eps) · w` over the last axis: `x[.., n] -> (y[.., n], inv_rms[rows])`. The weight `w[n]`
    /// is f32; with `plus_one` the factor is `1 + w` (Gemma). A per-head norm takes `x` reshaped to `[T·heads, head_dim]`.
    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)>;

    /// Adds the gradient of `w` when it has a slot and returns `dx` unless skipped.
    fn rms_norm_backward(
        &self,
        x: &Tensor,
        norm: &RmsNorm<'_>,
        inv_rms: &Tensor,
        dy: &Tensor,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>>;

    /// Rotates `x[T, heads·head_dim]` in place by each token's position, in the half-split convention of Hugging Face
    /// checkpoints: the pair of component `i` is `i + rotary/2`. Components past `rotary = 2·cos.dim(1)` stay as they
    /// are. `inverse` turns the other way, which is also the backward.
    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor>;

    /// Causal attention inside the segments of `layout`: `q[T, heads·hd]`, `k, v[T, kv_heads·hd]` give
    /// `(o[T, heads·hd], lse[T, heads])`; `lse` is the log-sum-exp of each query's scores. Memory is O(T).
    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)>;

    /// `(dq, dk, dv)` from the forward's operands, its results and the gradient of `o`.
    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: Outcome<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)>;

    /// One new token for each of several sequences, for generation: row `i` of `q[N, heads·hd]` sees the first
    /// `caches[i].len` rows of its own cache, the last of which is the token itself. Gives `o[N, heads·hd]`.
    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor>;

    /// `h = activation(gate) · up`, all `[T, ff]`.
    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor>;

    /// `(d_gate, d_up)` from the gradient of `h`.
    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)>;

    /// Rows `ids` of `table[V,d]`, times `scale` (Gemma: `sqrt(d)`, others 1): `x[T,d]`.
    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor>;

    /// Adds `scale·dy[T,d]` to the rows `ids` of the table's gradient in `slot`.
    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()>;

    /// Log-probs of `targets[A]` under `softmax(logits(h Wᵀ))` for the answer rows `h[A,d]` and the output matrix
    /// `w[V,d]`; on request also `u[A,d]`, the gradient of each log-prob with respect to its row of `h`, so that the
    /// backward of an untrained head is `dh = coef·u`. `[A,V]` logits never exist.
    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut>;

    /// `dh[A,d] = coef[A] · u[A,d]`, row by row; takes `u` over.
    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor>;

    /// Adds the gradient of the output matrix, `Σ_t coef_t · (onehot − p_t) h_tᵀ`, to `slot`: a second pass over the
    /// vocabulary, only for a head that is trained.
    fn head_weight_backward(&self, head: Head<'_>, pass: HeadPass<'_>, slot: Slot, grads: &mut Gradients)
    -> Result<()>;

    /// Logits of the rows `h[N,d]`, softcap and scale applied: `[N,V]`. For generation only, row by row as
    /// [`Kernels::linear_rowwise`]; training uses [`Kernels::head`].
    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor>;

    /// `x` as it waits for the backward: in bf16 where products are, which halves what a step holds; else `x` itself.
    fn keep(&self, x: &Tensor) -> Result<Tensor>;

    /// What [`Kernels::keep`] gave, as the operations read it; anything else as it is.
    fn recall(&self, kept: &Tensor) -> Result<Tensor>;

    /// `y + x`, computed in the storage of `y`.
    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor>;

    /// `x · factor`.
    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor>;

    /// `x` under a mask of dropout; its own backward.
    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor>;

    /// Columns `first..first + width` of a matrix.
    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor>;

    /// Matrices of as many rows side by side: the backward of [`Kernels::columns`].
    fn join(&self, parts: &[Tensor]) -> Result<Tensor>;

    /// Rows `rows` of `x[T,d]`: `[rows.len(), d]`.
    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor>;

    /// The backward of [`Kernels::gather_rows`]: `[tokens, d]` with `dy[i]` added to row `rows[i]`; a row may occur twice
    /// (the last prompt token predicts the first token of both answers).
    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor>;

    /// One AdamW step over the range `slot` of the flat buffers.
    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()>;
}

/// The implementation made of candle's operations, for any device; `activations` is f32 or bf16.
pub fn composed(activations: DType) -> Result<Arc<dyn Kernels>> {
    Ok(Arc::new(composed::Composed::new(activations)?))
}

/// The hand-written implementation for the processor, in f32.
pub fn cpu() -> Arc<dyn Kernels> {
    cpu_in(Compute::F32)
}

/// The same as `compute` says.
pub fn cpu_in(compute: Compute) -> Arc<dyn Kernels> {
    Arc::new(cpu::Cpu { compute })
}
