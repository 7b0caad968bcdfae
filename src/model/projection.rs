//! A linear layer of a block with whatever adapters it carries, forward and backward.
//!
//! Without dropout the trained adapter is one more low-rank term of the fused kernel. With dropout its input differs
//! from the layer's, so its two products are computed apart. The mask is never stored: it is a function of a seed and
//! the element's place, made again in the backward.

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::{
    Result,
    block::{Frame, PassWeights},
};
use ::kernels::{Gradients, InputGradient, Linear, LinearSaved, Lora};

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

/// Dropout of one forward pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dropout {
    pub(super) probability: f64,
    /// A new one for each pass.
    pub(super) seed: u64,
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
        Some((self.trained.as_ref()?, Mask::new(dropout, &self.path)))
    }

    fn without_trained(&self) -> Linear {
        let mut linear = self.linear.clone();
        linear.loras.pop();
        linear
    }

    /// `x[T,in] -> y[T,out]`.
    pub(super) fn forward(&self, frame: &Frame<'_>, x: &Tensor) -> Result<(Tensor, ProjectionSaved)> {
        let kernels = frame.kernels;
        let layer = match frame.weights {
            PassWeights::Policy => &self.linear,
            PassWeights::Reference => &self.at_start,
        };
        if let Some(stage) = frame.generating {
            let y = kernels.linear_rowwise(x, layer, stage)?;
            return Ok((y, ProjectionSaved::default()));
        }
        let Some((lora, mask)) = self.apart(frame.dropout.as_ref()) else {
            let (y, linear) = kernels.linear(x, layer)?;
            return Ok((y, ProjectionSaved { linear, apart: None }));
        };
        let (y, linear) = kernels.linear(x, &self.without_trained())?;
        let (low, _) = kernels.linear(&mask.apply(x)?, &inner(lora))?;
        let low = (low * f64::from(lora.scale))?;
        let (delta, _) = kernels.linear(&low, &outer(lora))?;
        let y = kernels.add(&delta, y)?;
        Ok((y, ProjectionSaved { linear, apart: Some(low) }))
    }

    /// Adds the gradients of what is trained and returns `dx`, unless it is skipped.
    pub(super) fn backward(
        &self,
        frame: &Frame<'_>,
        x: &Tensor,
        saved: &ProjectionSaved,
        dy: &Tensor,
        input: InputGradient,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let kernels = frame.kernels;
        let (Some((lora, mask)), Some(low)) = (self.apart(frame.dropout.as_ref()), &saved.apart) else {
            return Ok(kernels.linear_backward(x, &saved.linear, dy, &self.linear, input, gradients)?);
        };
        let none = LinearSaved::default();
        let needs_dx = !matches!(input, InputGradient::Skip);
        let dx = kernels.linear_backward(x, &saved.linear, dy, &self.without_trained(), input, gradients)?;
        let d_low = kernels.linear_backward(low, &none, dy, &outer(lora), InputGradient::Fresh, gradients)?;
        let Some(d_low) = d_low else { return Ok(dx) };
        let d_low = (d_low * f64::from(lora.scale))?;
        let through = if needs_dx { InputGradient::Fresh } else { InputGradient::Skip };
        let d_masked = kernels.linear_backward(&mask.apply(x)?, &none, &d_low, &inner(lora), through, gradients)?;
        match (dx, d_masked) {
            (Some(dx), Some(d_masked)) => Ok(Some(kernels.add(&mask.apply(&d_masked)?, dx)?)),
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

/// Inverted dropout: an element is zero with the given probability, else divided by what is left of it.
struct Mask {
    seed: u64,
    /// Elements whose 32 random bits are below this are dropped.
    threshold: u32,
    keep: f32,
}

impl Mask {
    fn new(dropout: &Dropout, path: &str) -> Self {
        let hash = super::lora::stream_seed(dropout.seed, path);
        let mut seed = [0; 8];
        seed.copy_from_slice(&hash.as_bytes()[..8]);
        Self {
            seed: u64::from_le_bytes(seed),
            threshold: (dropout.probability * f64::from(u32::MAX)) as u32,
            keep: (1.0 / (1.0 - dropout.probability)) as f32,
        }
    }

    /// The elements that fall are chosen on the processor, so that every device drops the same ones.
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() || x.dtype() != DType::F32 {
            // The mask goes to the device; nothing is waited for.
            let mut factors = vec![1.0; x.elem_count()];
            self.scale(&mut factors);
            let factors = Tensor::from_vec(factors, x.shape(), x.device())?;
            return Ok((x * factors.to_dtype(x.dtype())?)?);
        }
        let mut values = x.flatten_all()?.to_vec1::<f32>()?;
        self.scale(&mut values);
        Ok(Tensor::from_vec(values, x.shape(), x.device())?)
    }

    fn scale(&self, values: &mut [f32]) {
        const PIECE: usize = 1 << 14;
        values.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
            for (i, value) in values.iter_mut().enumerate() {
                let place = (piece * PIECE + i) as u64;
                *value = if self.drops(place) { 0.0 } else { *value * self.keep };
            }
        });
    }

    /// SplitMix64 at a counter: any element's bits without those before it.
    fn drops(&self, place: u64) -> bool {
        let mut z = self.seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) as u32) < self.threshold
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_repeats_from_its_seed() {
        let dropout = Dropout { probability: 0.25, seed: 3 };
        let mask = Mask::new(&dropout, "model.layers.0.mlp.up_proj");
        let ones = Tensor::ones((100, 1000), candle_core::DType::F32, &Device::Cpu).unwrap();
        let dropped = mask.apply(&ones).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let zeros = dropped.iter().filter(|&&x| x == 0.0).count() as f64 / dropped.len() as f64;
        assert!((zeros - 0.25).abs() < 0.01, "{zeros}");
        assert!(dropped.iter().all(|&x| x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        let same = mask.apply(&ones).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(dropped, same);
        let other = Mask::new(&Dropout { seed: 4, ..dropout }, "model.layers.0.mlp.up_proj");
        let other = other.apply(&ones).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_ne!(dropped, other);
    }
}
