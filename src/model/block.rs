//! One decoder block, `x[T,d] -> y[T,d]`, forward and backward.
//!
//! ```text
//! mid = x + o(attention(rope(q n₁), rope(k n₁), v n₁))     n₁ = norm(x)
//! y = mid + down(silu(gate n₂) · up n₂)                     n₂ = norm(mid)
//! ```
//!
//! Kept for the backward, in floats a token: x, mid (2d), q, k, v ((h + 2·kv)·hd), o (h·hd), gate, up (2·ff) and the
//! adapters' low-rank values. Normed inputs and the activated gate are computed again: elementwise work is cheap, memory
//! is not.
//!
//! The last block may be asked for some rows only: its attention needs keys of every token, but what follows is
//! computed for the rows that predict a scored token, which for prompts is none but the last.

use candle_core::Tensor;

use super::{
    Result,
    projection::{Dropout, Projection, ProjectionSaved},
};
use crate::kernels::{
    Activation, AttentionShape, CachedKeys, Gradients, InputGradient, Kernels, Layout, NormOptions,
    RopeTable, Slot,
};

#[derive(Debug)]
pub(super) struct Norm {
    /// `[d]`.
    pub(super) weight: Tensor,
    pub(super) slot: Option<Slot>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) attention_norm: Norm,
    pub(super) q: Projection,
    pub(super) k: Projection,
    pub(super) v: Projection,
    pub(super) o: Projection,
    pub(super) mlp_norm: Norm,
    pub(super) gate: Projection,
    pub(super) up: Projection,
    pub(super) down: Projection,
}

/// What all blocks of a pass share.
pub(super) struct Frame<'a> {
    pub(super) kernels: &'a dyn Kernels,
    pub(super) layout: &'a Layout,
    pub(super) rope: &'a RopeTable,
    pub(super) attention: &'a AttentionShape,
    pub(super) norm: NormOptions,
    pub(super) activation: Activation,
    pub(super) dropout: Option<Dropout>,
    /// Linear layers row by row, for generation: a row's bits are independent of the others, and nothing can be gone
    /// back through.
    pub(super) rowwise: bool,
}

/// What a block keeps for its backward.
#[derive(Debug)]
pub(super) struct Saved {
    x: Tensor,
    pub(super) attended: Attended,
    output: Output,
}

/// The attention half: q and k rotated, `[T, ..]`.
#[derive(Debug)]
pub(super) struct Attended {
    q: Tensor,
    pub(super) k: Tensor,
    pub(super) v: Tensor,
    o: Tensor,
    lse: Tensor,
    saved: [ProjectionSaved; 3],
}

/// What follows attention, for the asked rows: R of them, or T.
#[derive(Debug)]
struct Output {
    /// `o` of the asked rows, when they are not all.
    o: Option<Tensor>,
    mid: Tensor,
    gate: Tensor,
    up: Tensor,
    saved: [ProjectionSaved; 4],
}

impl Block {
    /// The block's result for all rows, or for `rows` only, and what the backward needs.
    pub(super) fn forward(
        &self,
        frame: &Frame<'_>,
        x: Tensor,
        rows: Option<&[u32]>,
    ) -> Result<(Tensor, Saved)> {
        let attended = self.attend(frame, &x)?;
        let (y, output) = match rows {
            None => self.output(frame, &x, &attended.o, None)?,
            Some(rows) => {
                let kernels = frame.kernels;
                let some_x = kernels.gather_rows(&x, rows)?;
                let some_o = kernels.gather_rows(&attended.o, rows)?;
                self.output(frame, &some_x, &some_o.clone(), Some(some_o))?
            }
        };
        Ok((
            y,
            Saved {
                x,
                attended,
                output,
            },
        ))
    }

    fn attend(&self, frame: &Frame<'_>, x: &Tensor) -> Result<Attended> {
        let Frame {
            kernels,
            layout,
            rope,
            attention,
            ..
        } = frame;
        let (normed, _) = kernels.rms_norm(x, &self.attention_norm.weight, frame.norm)?;
        let (q, q_saved) = self.q.forward(frame, &normed)?;
        let (k, k_saved) = self.k.forward(frame, &normed)?;
        let (v, v_saved) = self.v.forward(frame, &normed)?;
        let q = kernels.rope(q, attention.heads, layout.positions(), rope, false)?;
        let k = kernels.rope(k, attention.kv_heads, layout.positions(), rope, false)?;
        let (o, lse) = kernels.attention(&q, &k, &v, layout, attention)?;
        Ok(Attended {
            q,
            k,
            v,
            o,
            lse,
            saved: [q_saved, k_saved, v_saved],
        })
    }

    fn output(
        &self,
        frame: &Frame<'_>,
        x: &Tensor,
        o: &Tensor,
        keep_o: Option<Tensor>,
    ) -> Result<(Tensor, Output)> {
        let kernels = frame.kernels;
        let (y, o_saved) = self.o.forward(frame, o)?;
        let mid = kernels.add(x, y)?;
        let (normed, _) = kernels.rms_norm(&mid, &self.mlp_norm.weight, frame.norm)?;
        let (gate, gate_saved) = self.gate.forward(frame, &normed)?;
        let (up, up_saved) = self.up.forward(frame, &normed)?;
        let activated = kernels.gated(&gate, &up, frame.activation)?;
        let (y, down_saved) = self.down.forward(frame, &activated)?;
        let y = kernels.add(&mid, y)?;
        let saved = [o_saved, gate_saved, up_saved, down_saved];
        Ok((
            y,
            Output {
                o: keep_o,
                mid,
                gate,
                up,
                saved,
            },
        ))
    }

    /// `dx[T,d]` from `dy`, which has the rows that the forward was asked for; takes both over, so that what the forward kept
    /// is freed on the way. Without `needs_dx` (first block over frozen embeddings) nothing below q, k, v is computed.
    pub(super) fn backward(
        &self,
        frame: &Frame<'_>,
        saved: Saved,
        dy: Tensor,
        rows: Option<&[u32]>,
        needs_dx: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let kernels = frame.kernels;
        let Saved {
            x,
            attended,
            output,
        } = saved;
        let (d_mid, d_o) = self.output_backward(frame, output, &attended.o, dy, gradients)?;
        let (d_mid, d_o) = match rows {
            None => (d_mid, d_o),
            Some(rows) => {
                let tokens = frame.layout.tokens();
                (
                    kernels.scatter_rows(&d_mid, rows, tokens)?,
                    kernels.scatter_rows(&d_o, rows, tokens)?,
                )
            }
        };
        self.attend_backward(frame, &x, attended, &d_o, d_mid, needs_dx, gradients)
    }

    /// Gradients of `mid` (through the MLP and the residual) and of the attention's result.
    fn output_backward(
        &self,
        frame: &Frame<'_>,
        output: Output,
        all_o: &Tensor,
        dy: Tensor,
        gradients: &mut Gradients,
    ) -> Result<(Tensor, Tensor)> {
        let Frame {
            kernels,

            norm,
            activation,
            ..
        } = frame;
        let Output {
            o,
            mid,
            gate,
            up,
            saved,
        } = output;
        let [o_saved, gate_saved, up_saved, down_saved] = saved;
        let fresh = InputGradient::Fresh;

        let activated = kernels.gated(&gate, &up, *activation)?;
        let d_activated =
            self.down
                .backward(frame, &activated, &down_saved, &dy, fresh, gradients)?;
        drop(activated);
        let d_activated = expected(d_activated)?;
        let (d_gate, d_up) = kernels.gated_backward(&gate, &up, &d_activated, *activation)?;
        drop((gate, up, d_activated));

        let (normed, inv_rms) = kernels.rms_norm(&mid, &self.mlp_norm.weight, *norm)?;
        let fresh = InputGradient::Fresh;
        let d_normed =
            self.gate
                .backward(frame, &normed, &gate_saved, &d_gate, fresh, gradients)?;
        let onto = InputGradient::AddTo(expected(d_normed)?);
        let d_normed = self
            .up
            .backward(frame, &normed, &up_saved, &d_up, onto, gradients)?;
        drop((normed, d_gate, d_up));
        let d_normed = expected(d_normed)?;
        let d_mid = expected(kernels.rms_norm_backward(
            &mid,
            &self.mlp_norm.weight,
            &inv_rms,
            &d_normed,
            *norm,
            self.mlp_norm.slot,
            InputGradient::AddTo(dy), // the residual
            gradients,
        )?)?;

        let o = o.as_ref().unwrap_or(all_o);
        let d_o = self
            .o
            .backward(frame, o, &o_saved, &d_mid, InputGradient::Fresh, gradients)?;
        Ok((d_mid, expected(d_o)?))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the forward's operands and results, and where gradients go"
    )]
    fn attend_backward(
        &self,
        frame: &Frame<'_>,
        x: &Tensor,
        attended: Attended,
        d_o: &Tensor,
        d_mid: Tensor,
        needs_dx: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let Frame {
            kernels,
            layout,
            rope,
            attention,
            norm,
            ..
        } = frame;
        let positions = layout.positions();
        let Attended {
            q,
            k,
            v,
            o,
            lse,
            saved,
        } = attended;
        let [q_saved, k_saved, v_saved] = saved;

        let (dq, dk, dv) =
            kernels.attention_backward(&q, &k, &v, &o, &lse, d_o, layout, attention)?;
        drop((q, k, v, o, lse));
        let dq = kernels.rope(dq, attention.heads, positions, rope, true)?;
        let dk = kernels.rope(dk, attention.kv_heads, positions, rope, true)?;

        let (normed, inv_rms) = kernels.rms_norm(x, &self.attention_norm.weight, *norm)?;
        let mut d_normed = None;
        for (projection, saved, dy) in [
            (&self.q, q_saved, dq),
            (&self.k, k_saved, dk),
            (&self.v, v_saved, dv),
        ] {
            let input = match d_normed.take() {
                _ if !needs_dx => InputGradient::Skip,
                None => InputGradient::Fresh,
                Some(sum) => InputGradient::AddTo(sum),
            };
            d_normed = projection.backward(frame, &normed, &saved, &dy, input, gradients)?;
        }
        let Some(d_normed) = d_normed else {
            return Ok(None);
        };
        Ok(kernels.rms_norm_backward(
            x,
            &self.attention_norm.weight,
            &inv_rms,
            &d_normed,
            *norm,
            self.attention_norm.slot,
            InputGradient::AddTo(d_mid), // the residual
            gradients,
        )?)
    }

    /// One new token for each of N sequences: `x[N,d]` at `positions`. `extend` stores the new keys and values and
    /// gives back all that attention may see.
    pub(super) fn decode<'c>(
        &self,
        frame: &Frame<'_>,
        x: &Tensor,
        positions: &[u32],
        extend: impl FnOnce(&Tensor, &Tensor) -> Result<Vec<CachedKeys<'c>>>,
    ) -> Result<Tensor> {
        let Frame {
            kernels,
            rope,
            attention,
            ..
        } = frame;
        let (normed, _) = kernels.rms_norm(x, &self.attention_norm.weight, frame.norm)?;
        let (q, _) = self.q.forward(frame, &normed)?;
        let (k, _) = self.k.forward(frame, &normed)?;
        let (v, _) = self.v.forward(frame, &normed)?;
        let q = kernels.rope(q, attention.heads, positions, rope, false)?;
        let k = kernels.rope(k, attention.kv_heads, positions, rope, false)?;
        let caches = extend(&k, &v)?;
        let o = kernels.attention_cached(&q, &caches, attention)?;
        let (y, _) = self.output(frame, x, &o, None)?;
        Ok(y)
    }

    /// The linear layers in the order of the forward pass.
    pub(super) fn projections(&self) -> [&Projection; 7] {
        [
            &self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down,
        ]
    }

    pub(super) fn projections_mut(&mut self) -> [&mut Projection; 7] {
        let Self {
            q,
            k,
            v,
            o,
            gate,
            up,
            down,
            ..
        } = self;
        [q, k, v, o, gate, up, down]
    }
}

/// A gradient that was asked for.
fn expected(gradient: Option<Tensor>) -> Result<Tensor> {
    gradient.ok_or_else(|| {
        super::PolicyError::Usage("A kernel left out a gradient that was asked for".to_owned())
    })
}
