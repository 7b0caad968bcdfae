//! The operations of a training step, as one trait that each kind of device implements.

use super::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, Generating, Gradients, Head,
    HeadOut, HeadPass, HeadWant, InputGradient, Layout, Linear, LinearSaved, Mask, Qkv, Result, RmsNorm, RopeTable,
    Slot, Tensor, Weight,
};

/// The operations of a training step on one device.
pub trait Kernels: Send + Sync {
    /// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`: `x[T,in] -> y[T,out]`, and what the backward wants back.
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)>;

    /// The same `y` for generation: each row's bits are independent of the other rows, so that an answer does not
    /// depend on what else is answered.
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

    /// `y = x / sqrt(mean(x²) + eps) · w` over the last axis: `x[.., n] -> (y[.., n], inv_rms[rows])`. The weight
    /// `w[n]` is f32; with `plus_one` the factor is `1 + w` (Gemma). A per-head norm takes `x` reshaped to
    /// `[T·heads, head_dim]`.
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
        outcome: AttentionOut<'_>,
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

    /// The backward of [`Kernels::gather_rows`]: `[tokens, d]` with `dy[i]` added to row `rows[i]`; a row may occur
    /// twice (the last prompt token predicts the first token of both answers).
    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor>;

    /// One AdamW step over the range `slot` of the flat buffers.
    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()>;
}
