//! A linear layer of a block with whatever adapters it carries, forward and backward.
//!
//! Without dropout the trained adapter is one more low-rank term of the fused kernel. With dropout its input differs
//! from the layer's, so its two products are computed apart.

use super::{
    Result,
    context::{Dropout, PassContext, PassWeights},
};
use ::kernels::{Gradients, InputGradient, Linear, LinearSaved, Lora, Mask, Tensor};

#[derive(Debug, Clone)]
pub(super) struct Projection {
    /// Module path, e.g. `model.layers.0.self_attn.q_proj`.
    path: String,
    /// The stored layer with the frozen adapters and the trained one last.
    linear: Linear,
    /// The same as at step 0: without the trained adapter, or with what it started from in its place.
    at_start: Linear,
    trained: Option<Lora>,
}

#[derive(Debug, Default)]
pub(super) struct ProjectionSaved {
    linear: LinearSaved,
    /// `scale · A dropout(x)`, `[T, r]`, and its own saved values, when the adapter was computed apart.
    apart: Option<Tensor>,
}

impl Projection {
    /// `start` is what a trained adapter that is no new one starts from.
    pub(super) fn new(path: String, stored: Linear, trained: Option<Lora>, start: Option<Lora>) -> Self {
        let with = |adapter: &Option<Lora>| {
            let mut linear = stored.clone();
            linear.loras.extend(adapter.clone());
            linear
        };
        Self { path, linear: with(&trained), at_start: with(&start), trained }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The stored layer; its adapters are the frozen ones, then the trained one.
    pub(super) fn linear(&self) -> &Linear {
        &self.linear
    }

    /// All adapters, frozen ones first.
    pub(super) fn adapters(&self) -> &[Lora] {
        &self.linear.loras
    }

    /// Takes this adapter as its trained one, on the layer as it was at step 0.
    pub(super) fn carry(&mut self, trained: Option<Lora>) {
        *self = Self::new(std::mem::take(&mut self.path), self.at_start.clone(), trained, None);
    }

    /// The trained adapter, if there is one.
    pub(super) fn trained(&self) -> &[Lora] {
        self.trained.as_slice()
    }

    /// The trained adapter, if it is computed apart under `dropout`.
    fn apart<'a>(&'a self, dropout: Option<&Dropout>) -> Option<(&'a Lora, Mask)> {
        let dropout = dropout.filter(|dropout| dropout.probability > 0.0)?;
        Some((self.trained.as_ref()?, dropout.mask(&self.path)))
    }

    fn without_trained(&self) -> Linear {
        let mut linear = self.linear.clone();
        linear.loras.pop();
        linear
    }

    /// `x[T,in] -> y[T,out]`.
    pub(super) fn forward(&self, context: &PassContext<'_>, x: &Tensor) -> Result<(Tensor, ProjectionSaved)> {
        let kernels = context.kernels;
        let layer = match context.weights {
            PassWeights::Policy => &self.linear,
            PassWeights::Reference => &self.at_start,
        };
        if let Some(stage) = context.generating {
            let y = kernels.linear_rowwise(x, layer, stage)?;
            return Ok((y, ProjectionSaved::default()));
        }
        let Some((lora, mask)) = self.apart(context.dropout.as_ref()) else {
            let (y, linear) = kernels.linear(x, layer)?;
            return Ok((y, ProjectionSaved { linear, apart: None }));
        };
        let (y, linear) = kernels.linear(x, &self.without_trained())?;
        let (low, _) = kernels.linear(&kernels.dropout(x, &mask)?, &inner(lora))?;
        let low = kernels.scale(&low, lora.scale)?;
        let (delta, _) = kernels.linear(&low, &outer(lora))?;
        let y = kernels.add(&delta, y)?;
        Ok((y, ProjectionSaved { linear, apart: Some(low) }))
    }

    /// Adds the gradients of what is trained and returns `dx`, unless it is skipped.
    pub(super) fn backward(
        &self,
        context: &PassContext<'_>,
        x: &Tensor,
        saved: &ProjectionSaved,
        dy: &Tensor,
        input: InputGradient,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let kernels = context.kernels;
        let (Some((lora, mask)), Some(low)) = (self.apart(context.dropout.as_ref()), &saved.apart) else {
            return Ok(kernels.linear_backward(x, &saved.linear, dy, &self.linear, input, gradients)?);
        };
        let none = LinearSaved::default();
        let needs_dx = !matches!(input, InputGradient::Skip);
        let dx = kernels.linear_backward(x, &saved.linear, dy, &self.without_trained(), input, gradients)?;
        let d_low = kernels.linear_backward(low, &none, dy, &outer(lora), InputGradient::Fresh, gradients)?;
        let Some(d_low) = d_low else { return Ok(dx) };
        let d_low = kernels.scale(&d_low, lora.scale)?;
        let through = if needs_dx { InputGradient::Fresh } else { InputGradient::Skip };
        let masked = kernels.dropout(x, &mask)?;
        let d_masked = kernels.linear_backward(&masked, &none, &d_low, &inner(lora), through, gradients)?;
        match (dx, d_masked) {
            (Some(dx), Some(d_masked)) => Ok(Some(kernels.add(&kernels.dropout(&d_masked, &mask)?, dx)?)),
            (dx, _) => Ok(dx),
        }
    }
}

/// `x -> x Aᵀ` as a layer of its own.
fn inner(lora: &Lora) -> Linear {
    Linear { weight: lora.a.clone().into(), weight_slot: lora.a_slot, bias: None, bias_slot: None, loras: Vec::new() }
}

/// `u -> u Bᵀ` as a layer of its own.
fn outer(lora: &Lora) -> Linear {
    Linear { weight: lora.b.clone().into(), weight_slot: lora.b_slot, bias: None, bias_slot: None, loras: Vec::new() }
}
