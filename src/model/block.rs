//! One decoder block, `x[T,d] -> y[T,d]`, forward and backward.
//!
//! ```text
//! mid = x + after(o(attention(rope(norm(q n₁)), rope(norm(k n₁)), v n₁)))     n₁ = before(x)
//! y = mid + after(down(activation(gate n₂) · up n₂))                           n₂ = before(mid)
//! ```
//!
//! `before`, `after` and `norm` are RMS norms that a family may lack, and so is `rope`; q, k, v may be one stored
//! layer, and so may gate, up.
//!
//! Kept for the backward, in numbers a token: x, mid (2d), q, k, v ((h + 2·kv)·hd), o (h·hd), gate, up (2·ff), what
//! `after` norms (d each) and the adapters' low-rank values. All but the last are as [`Kernels::keep`] has them. What
//! norms and activations give is computed again: elementwise work is cheap, memory is not.
//!
//! The last block may be asked for some rows only: its attention needs keys of every token, but what follows is
//! computed for the rows that predict a scored token, which for prompts is none but the last.

use super::{
    Result,
    context::PassContext,
    projection::{Projection, ProjectionSaved},
    sublayer::{Entry, Exit, ExitSaved, Heads, Norm, expected},
};
use ::kernels::{AttentionOut, AttentionShape, CachedKeys, Gradients, Kernels, Qkv, Tensor};

#[derive(Debug, Clone)]
pub(super) struct Block {
    /// q, k, v.
    pub(super) attention_in: Entry<3>,
    pub(super) query: Heads,
    pub(super) key: Heads,
    pub(super) attention: AttentionShape,
    pub(super) attention_out: Exit,
    /// gate, up.
    pub(super) mlp_in: Entry<2>,
    pub(super) mlp_out: Exit,
}

/// What a block keeps for its backward.
#[derive(Debug)]
pub(super) struct Saved {
    x: Tensor,
    attended: Attended,
    output: Output,
}

/// The attention half, `[T, ..]`.
#[derive(Debug)]
struct Attended {
    /// What [`Heads`] keeps of them.
    q: Tensor,
    k: Tensor,
    v: Tensor,
    o: Tensor,
    lse: Tensor,
    saved: Vec<ProjectionSaved>,
}

impl Saved {
    /// As it waits for the backward.
    pub(super) fn keep(mut self, kernels: &dyn Kernels) -> Result<Self> {
        let attended = self.attended.activations().into_iter();
        let activations = attended.chain(self.output.activations());
        for activation in activations.chain([&mut self.x]) {
            *activation = kernels.keep(activation)?;
        }
        Ok(self)
    }
}

/// Makes what was kept readable again; what never was kept stays as it is.
fn recall<'a>(kept: impl IntoIterator<Item = &'a mut Tensor>, kernels: &dyn Kernels) -> Result<()> {
    for activation in kept {
        *activation = kernels.recall(activation)?;
    }
    Ok(())
}

impl Attended {
    fn activations(&mut self) -> [&mut Tensor; 4] {
        let Self { q, k, v, o, .. } = self;
        [q, k, v, o]
    }
}

impl Output {
    fn activations(&mut self) -> impl Iterator<Item = &mut Tensor> {
        let results = [&mut self.attention_out.raw, &mut self.mlp_out.raw];
        [&mut self.mid, &mut self.gate, &mut self.up]
            .into_iter()
            .chain(results.into_iter().chain([&mut self.o]).flatten())
    }
}

/// What follows attention, for the asked rows: R of them, or T.
#[derive(Debug)]
struct Output {
    /// `o` of the asked rows, when they are not all.
    o: Option<Tensor>,
    attention_out: ExitSaved,
    mid: Tensor,
    gate: Tensor,
    up: Tensor,
    mlp_in: Vec<ProjectionSaved>,
    mlp_out: ExitSaved,
}

impl Block {
    /// The block's result for all rows, or for `rows` only, and what the backward needs.
    pub(super) fn forward(
        &self,
        context: &PassContext<'_>,
        x: Tensor,
        rows: Option<&[u32]>,
    ) -> Result<(Tensor, Saved)> {
        let attended = self.attend(context, &x)?;
        let (y, output) = match rows {
            None => self.output(context, &x, &attended.o, None)?,
            Some(rows) => {
                let kernels = context.kernels;
                let some_x = kernels.gather_rows(&x, rows)?;
                let some_o = kernels.gather_rows(&attended.o, rows)?;
                self.output(context, &some_x, &some_o.clone(), Some(some_o))?
            }
        };
        Ok((y, Saved { x, attended, output }))
    }

    fn attend(&self, context: &PassContext<'_>, x: &Tensor) -> Result<Attended> {
        let PassContext { kernels, layout, .. } = context;
        let ([q, k, v], saved) = self.attention_in.forward(context, x)?;
        let (q, kept_q) = self.query.forward(context, q)?;
        let (k, kept_k) = self.key.forward(context, k)?;
        let (o, lse) = kernels.attention(Qkv { q: &q, k: &k, v: &v }, layout, &self.attention)?;
        Ok(Attended { q: kept_q, k: kept_k, v, o, lse, saved })
    }

    fn output(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        o: &Tensor,
        keep_o: Option<Tensor>,
    ) -> Result<(Tensor, Output)> {
        let (mid, attention_out) = self.attention_out.forward(context, o, x)?;
        let ([gate, up], mlp_in) = self.mlp_in.forward(context, &mid)?;
        let activated = context.kernels.gated(&gate, &up, context.activation)?;
        let (y, mlp_out) = self.mlp_out.forward(context, &activated, &mid)?;
        Ok((y, Output { o: keep_o, attention_out, mid, gate, up, mlp_in, mlp_out }))
    }

    /// `dx[T,d]` from `dy`, which has the rows that the forward was asked for; takes both over, so that what the
    /// forward kept is freed on the way. Without `needs_dx` (first block over frozen embeddings) nothing below q, k, v
    /// is computed.
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        saved: Saved,
        dy: Tensor,
        rows: Option<&[u32]>,
        needs_dx: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let kernels = context.kernels;
        let Saved { mut x, mut attended, mut output } = saved;
        recall(output.activations().chain([&mut attended.o]), kernels)?;
        let (d_mid, d_o) = self.output_backward(context, output, &attended.o, dy, gradients)?;
        let (d_mid, d_o) = match rows {
            None => (d_mid, d_o),
            Some(rows) => {
                let tokens = context.layout.tokens();
                (kernels.scatter_rows(&d_mid, rows, tokens)?, kernels.scatter_rows(&d_o, rows, tokens)?)
            }
        };
        recall(attended.activations().into_iter().chain([&mut x]), kernels)?;
        self.attend_backward(context, &x, attended, &d_o, d_mid, needs_dx, gradients)
    }

    /// Gradients of `mid` (through the MLP and the residual) and of the attention's result.
    fn output_backward(
        &self,
        context: &PassContext<'_>,
        output: Output,
        all_o: &Tensor,
        dy: Tensor,
        gradients: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let PassContext { kernels, activation, .. } = context;
        let Output { o, attention_out, mid, gate, up, mlp_in, mlp_out } = output;
        let activated = kernels.gated(&gate, &up, *activation)?;
        let d_activated = self.mlp_out.backward(context, &activated, mlp_out, &dy, gradients)?;
        drop(activated);
        let (d_gate, d_up) = kernels.gated_backward(&gate, &up, &d_activated, *activation)?;
        drop((gate, up, d_activated));
        let d_mid = expected(self.mlp_in.backward(context, &mid, &mlp_in, [d_gate, d_up], dy, true, gradients)?)?;
        let o = o.as_ref().unwrap_or(all_o);
        let d_o = self.attention_out.backward(context, o, attention_out, &d_mid, gradients)?;
        Ok((d_mid, d_o))
    }

    #[expect(clippy::too_many_arguments, reason = "the forward's operands and results, and where gradients go")]
    fn attend_backward(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        attended: Attended,
        d_o: &Tensor,
        d_mid: Tensor,
        needs_dx: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let PassContext { kernels, layout, .. } = context;
        let Attended { q: kept_q, k: kept_k, v, o, lse, saved } = attended;
        let q = self.query.again(context, &kept_q)?;
        let k = self.key.again(context, &kept_k)?;
        let (qkv, outcome) = (Qkv { q: &q, k: &k, v: &v }, AttentionOut { o: &o, lse: &lse, d_o });
        let (dq, dk, dv) = kernels.attention_backward(qkv, outcome, layout, &self.attention)?;
        drop((q, k, v, o, lse));
        let dq = self.query.backward(context, &kept_q, dq, gradients)?;
        let dk = self.key.backward(context, &kept_k, dk, gradients)?;
        drop((kept_q, kept_k));
        self.attention_in.backward(context, x, &saved, [dq, dk, dv], d_mid, needs_dx, gradients)
    }

    /// The keys and values of a forward as [`Self::decode`] wants them cached.
    pub(super) fn keys_and_values(&self, context: &PassContext<'_>, saved: &Saved) -> Result<(Tensor, Tensor)> {
        let Attended { k, v, .. } = &saved.attended;
        Ok((self.key.again(context, k)?, v.clone()))
    }

    /// One new token for each of N sequences: `x[N,d]`, whose places the context's rotations tell. `extend` stores the
    /// new keys and values and gives back all that attention may see.
    pub(super) fn decode<'c>(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        extend: impl FnOnce(&Tensor, &Tensor) -> Result<Vec<CachedKeys<'c>>>,
    ) -> Result<Tensor> {
        let ([q, k, v], _) = self.attention_in.forward(context, x)?;
        let (q, _) = self.query.forward(context, q)?;
        let (k, _) = self.key.forward(context, k)?;
        let caches = extend(&k, &v)?;
        let o = context.kernels.attention_cached(&q, &caches, &self.attention)?;
        let (y, _) = self.output(context, x, &o, None)?;
        Ok(y)
    }

    /// The linear layers in the order of the forward pass.
    pub(super) fn projections(&self) -> impl Iterator<Item = &Projection> {
        let Self { attention_in, attention_out, mlp_in, mlp_out, .. } = self;
        let attention = attention_in.readers.iter().chain([&attention_out.projection]);
        let mlp = mlp_in.readers.iter().chain([&mlp_out.projection]);
        attention.chain(mlp)
    }

    /// The same.
    pub(super) fn projections_mut(&mut self) -> impl Iterator<Item = &mut Projection> {
        let Self { attention_in, attention_out, mlp_in, mlp_out, .. } = self;
        let attention = attention_in.readers.iter_mut().chain([&mut attention_out.projection]);
        let mlp = mlp_in.readers.iter_mut().chain([&mut mlp_out.projection]);
        attention.chain(mlp)
    }

    pub(super) fn norms(&self) -> impl Iterator<Item = &Norm> {
        [
            &self.attention_in.norm,
            &self.query.norm,
            &self.key.norm,
            &self.attention_out.norm,
            &self.mlp_in.norm,
            &self.mlp_out.norm,
        ]
        .into_iter()
        .flatten()
    }
}
