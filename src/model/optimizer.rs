//! AdamW's state: two moments a trained number, in flat buffers beside the parameters.
//!
//! Source: Loshchilov & Hutter, arXiv 1711.05101; update rule and defaults as in PyTorch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    LoadError, Parameters, PolicyError, Result,
    flat_file::{self, Part},
};
use ::kernels::{AdamWBuffers, AdamWStep, DType, Gradients, Kernels, Slot, Tensor};

/// The constants of AdamW. The learning rate is given with every step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamWOptions {
    pub betas: [f64; 2],
    pub eps: f64,
    /// Decoupled; norms and biases do not decay.
    pub weight_decay: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

/// AdamW over the flat buffer of one policy.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    step: u64,
    m: Tensor,
    v: Tensor,
}

/// Everything that [`AdamW`] remembers, exactly.
#[derive(Debug, Clone)]
pub struct AdamWState {
    /// Updates done.
    pub step: u64,
    /// First moments, `[len]`.
    pub m: Tensor,
    /// Second moments, `[len]`.
    pub v: Tensor,
}

impl AdamW {
    /// Zero moments for these parameters.
    pub fn new(parameters: &Parameters, options: AdamWOptions) -> Result<Self> {
        let values = parameters.values();
        let zeros = || Tensor::zeros(values.dims(), DType::F32, &values.place());
        Ok(Self { options, step: 0, m: zeros()?, v: zeros()? })
    }

    /// Updates done so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// A copy of the moments.
    pub fn state(&self) -> Result<AdamWState> {
        Ok(AdamWState { step: self.step, m: self.m.copy()?, v: self.v.copy()? })
    }

    /// Continues from a saved state, bit for bit.
    pub fn restore(&mut self, state: &AdamWState) -> Result<()> {
        for (name, saved, own) in [("m", &state.m, &self.m), ("v", &state.v, &self.v)] {
            if saved.dims() != own.dims() {
                return Err(PolicyError::Usage(format!(
                    "The optimizer's `{name}` has {} numbers in the checkpoint, expected {}; it belongs to other settings",
                    saved.elem_count(),
                    own.elem_count()
                )));
            }
            own.set_rows(0, &saved.to_place(&own.place())?)?;
        }
        self.step = state.step;
        Ok(())
    }

    /// Writes the moments into a safetensors file, a run at a time: no copy of them is made in memory. Gives the blake3
    /// hash of the file.
    pub fn save(&self, path: &Path) -> Result<blake3::Hash, LoadError> {
        flat_file::save(path, &self.parts())
    }

    /// Reads back what [`Self::save`] wrote after `step` updates, bit for bit and a run at a time.
    pub fn load(&mut self, path: &Path, step: u64) -> Result<(), LoadError> {
        flat_file::load(path, &self.parts())?;
        self.step = step;
        Ok(())
    }

    fn parts(&self) -> [Part<'_>; 2] {
        [("m", &self.m), ("v", &self.v)].map(|(name, buffer)| Part {
            name,
            shape: buffer.dims(),
            buffer,
            slot: Slot { offset: 0, len: buffer.elem_count() },
        })
    }

    /// One fused pass. `gradient_scale` is what clipping leaves of the gradient, 1 without clipping.
    pub(super) fn apply(
        &mut self,
        kernels: &dyn Kernels,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
        gradient_scale: f64,
    ) -> Result<()> {
        self.step += 1;
        let (decaying, rest) = parameters.halves();
        for (slot, weight_decay) in [(decaying, self.options.weight_decay), (rest, 0.0)] {
            if slot.len == 0 {
                continue;
            }
            let step = AdamWStep {
                learning_rate: learning_rate as f32,
                beta1: self.options.betas[0] as f32,
                beta2: self.options.betas[1] as f32,
                eps: self.options.eps as f32,
                weight_decay: weight_decay as f32,
                step: self.step,
                gradient_scale: gradient_scale as f32,
            };
            let buffers = AdamWBuffers { values: parameters.values(), gradients, m: &self.m, v: &self.v };
            kernels.adamw(buffers, slot, &step)?;
        }
        Ok(())
    }
}
