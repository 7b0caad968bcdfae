//! The ways between the residual stream and a half of a block (attention or MLP), in and out, and that of queries and
//! keys to attention: forward and backward.

use super::{
    PolicyError, Result,
    context::PassContext,
    projection::{Projection, ProjectionSaved},
    rope::Rotation,
};
use ::kernels::{Gradients, InputGradient, Kernels, NormOptions, RmsNorm, Slot, Tensor};

/// An RMS norm over rows of its own width, which may be a part of the tensor's: one head.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    /// As in the weight files.
    pub(super) name: String,
    /// `[width]`.
    pub(super) weight: Tensor,
    pub(super) slot: Option<Slot>,
}

impl Norm {
    /// The normed rows, and what the backward wants back.
    pub(super) fn forward(&self, context: &PassContext<'_>, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (y, inv_rms) = context.kernels.rms_norm(&self.rows(x)?, &self.operands(context.norm))?;
        Ok((y.reshape(x.dims())?, inv_rms))
    }

    /// Adds the weight's gradient, if it is trained, and returns `dx` unless skipped.
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        inv_rms: &Tensor,
        dy: &Tensor,
        input: InputGradient,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let input = match input {
            InputGradient::AddTo(sum) => InputGradient::AddTo(self.rows(&sum)?),
            other => other,
        };
        let dx = context.kernels.rms_norm_backward(
            &self.rows(x)?,
            &self.operands(context.norm),
            inv_rms,
            &self.rows(dy)?,
            input,
            gradients,
        )?;
        Ok(dx.map(|dx| dx.reshape(x.dims())).transpose()?)
    }

    /// The same storage, seen as rows of the norm's width.
    fn rows(&self, x: &Tensor) -> Result<Tensor> {
        let width = self.weight.elem_count();
        Ok(x.reshape((x.elem_count() / width.max(1), width))?)
    }

    /// As the kernels take it.
    pub(super) fn operands(&self, options: NormOptions) -> RmsNorm<'_> {
        RmsNorm { weight: &self.weight, slot: self.slot, options }
    }
}

/// The way in: a norm, where there is one before, and the linear layers that read it. They give N parts, each layer
/// one, or one layer all of them side by side.
#[derive(Debug, Clone)]
pub(super) struct Entry<const N: usize> {
    pub(super) norm: Option<Norm>,
    pub(super) readers: Vec<Projection>,
    /// The parts' widths.
    pub(super) widths: [usize; N],
}

impl<const N: usize> Entry<N> {
    /// `x[T,d]` gives the parts `[T, width]`.
    pub(super) fn forward(&self, context: &PassContext<'_>, x: &Tensor) -> Result<([Tensor; N], Vec<ProjectionSaved>)> {
        let normed = match &self.norm {
            Some(norm) => norm.forward(context, x)?.0,
            None => x.clone(),
        };
        let mut results = Vec::with_capacity(N);
        let mut saved = Vec::with_capacity(self.readers.len());
        for reader in &self.readers {
            let (y, kept) = reader.forward(context, &normed)?;
            results.push(y);
            saved.push(kept);
        }
        let parts = match results.as_slice() {
            [joint] if N > 1 => self.cut(context.kernels, joint)?,
            _ => results,
        };
        let parts = <[Tensor; N]>::try_from(parts)
            .map_err(|parts| PolicyError::Usage(format!("{} linear layers for {N} results", parts.len())))?;
        Ok((parts, saved))
    }

    fn cut(&self, kernels: &dyn Kernels, joint: &Tensor) -> Result<Vec<Tensor>> {
        let mut start = 0;
        self.widths
            .iter()
            .map(|&width| {
                let part = kernels.columns(joint, start, width)?;
                start += width;
                Ok(part)
            })
            .collect()
    }

    /// Adds the gradients of what is trained and gives `dx + residual`: `residual` is the gradient of `x` that reaches
    /// it past this half. Without `needs_dx` nothing below the linear layers is computed.
    #[expect(clippy::too_many_arguments, reason = "the forward's operands and results, and where gradients go")]
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        saved: &[ProjectionSaved],
        d_parts: [Tensor; N],
        residual: Tensor,
        needs_dx: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let d_results =
            if self.readers.len() == N { Vec::from(d_parts) } else { vec![context.kernels.join(&d_parts)?] };
        let (normed, inv_rms) = match &self.norm {
            Some(norm) => {
                let (normed, inv_rms) = norm.forward(context, x)?;
                (normed, Some(inv_rms))
            }
            None => (x.clone(), None),
        };
        let mut residual = Some(residual);
        // What the layers' gradients are added to; without a norm in between they reach the residual stream itself.
        let mut sum = match self.norm {
            Some(_) => None,
            None => residual.take(),
        };
        for ((reader, saved), dy) in self.readers.iter().zip(saved).zip(d_results) {
            let input = match sum.take() {
                _ if !needs_dx => InputGradient::Skip,
                None => InputGradient::Fresh,
                Some(sum) => InputGradient::AddTo(sum),
            };
            sum = reader.backward(context, &normed, saved, &dy, input, gradients)?;
        }
        drop(normed);
        match (&self.norm, inv_rms, sum, residual) {
            (Some(norm), Some(inv_rms), Some(sum), Some(residual)) => {
                let onto = InputGradient::AddTo(residual);
                norm.backward(context, x, &inv_rms, &sum, onto, gradients)
            }
            (_, _, sum, _) => Ok(sum),
        }
    }
}

/// The way of queries or keys from projection to attention: a norm, where there is one, and a rotation, where there is
/// one.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    pub(super) norm: Option<Norm>,
    pub(super) count: usize,
    /// Which of the context's rotations.
    pub(super) rope: Option<usize>,
}

impl Heads {
    /// The heads as attention reads them, and what is to be kept of them. Without a norm the two are one tensor, and
    /// the rotation takes place in `x`.
    pub(super) fn forward(&self, context: &PassContext<'_>, x: Tensor) -> Result<(Tensor, Tensor)> {
        if let Some(norm) = &self.norm {
            let normed = norm.forward(context, &x)?.0;
            return Ok((self.rotate(context, normed, false)?, x));
        }
        let rotated = self.rotate(context, x, false)?;
        Ok((rotated.clone(), rotated))
    }

    /// The heads as attention read them, from what was kept.
    pub(super) fn again(&self, context: &PassContext<'_>, kept: &Tensor) -> Result<Tensor> {
        match &self.norm {
            Some(_) => Ok(self.forward(context, kept.clone())?.0),
            None => Ok(kept.clone()),
        }
    }

    /// The gradient of what was projected from that of what attention read.
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        kept: &Tensor,
        dy: Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let dy = self.rotate(context, dy, true)?;
        let Some(norm) = &self.norm else {
            return Ok(dy);
        };
        let (_, inv_rms) = norm.forward(context, kept)?;
        let fresh = InputGradient::Fresh;
        expected(norm.backward(context, kept, &inv_rms, &dy, fresh, gradients)?)
    }

    fn rotate(&self, context: &PassContext<'_>, x: Tensor, inverse: bool) -> Result<Tensor> {
        let rotation = self.rope.and_then(|rope| context.rotations.get(rope));
        let Some(Rotation { table, rows }) = rotation else {
            return Ok(x);
        };
        Ok(context.kernels.rope(x, self.count, rows, table, inverse)?)
    }
}

/// The way out: a linear layer, a norm, where there is one after, and the sum with the residual stream.
#[derive(Debug, Clone)]
pub(super) struct Exit {
    pub(super) projection: Projection,
    pub(super) norm: Option<Norm>,
}

/// What the way out keeps for its backward.
#[derive(Debug)]
pub(super) struct ExitSaved {
    projection: ProjectionSaved,
    /// The linear layer's result, where it is normed.
    pub(super) raw: Option<Tensor>,
}

impl Exit {
    /// `x[T,d]` plus what the half made of it.
    pub(super) fn forward(
        &self,
        context: &PassContext<'_>,
        result: &Tensor,
        x: &Tensor,
    ) -> Result<(Tensor, ExitSaved)> {
        let (raw, projection) = self.projection.forward(context, result)?;
        let (y, raw) = match &self.norm {
            Some(norm) => (norm.forward(context, &raw)?.0, Some(raw)),
            None => (raw, None),
        };
        let sum = context.kernels.add(x, y)?;
        Ok((sum, ExitSaved { projection, raw }))
    }

    /// The gradient of the half's `result` from that of the sum; the residual stream's own is `dy` itself.
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        result: &Tensor,
        saved: ExitSaved,
        dy: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let fresh = InputGradient::Fresh;
        let through_norm = match (&self.norm, &saved.raw) {
            (Some(norm), Some(raw)) => {
                let (_, inv_rms) = norm.forward(context, raw)?;
                let fresh = InputGradient::Fresh;
                Some(expected(norm.backward(context, raw, &inv_rms, dy, fresh, gradients)?)?)
            }
            _ => None,
        };
        let dy = through_norm.as_ref().unwrap_or(dy);
        let saved = &saved.projection;
        expected(self.projection.backward(context, result, saved, dy, fresh, gradients)?)
    }
}

/// A gradient that was asked for.
pub(super) fn expected(gradient: Option<Tensor>) -> Result<Tensor> {
    gradient.ok_or_else(|| PolicyError::Usage("A kernel left out a gradient that was asked for".to_owned()))
}
