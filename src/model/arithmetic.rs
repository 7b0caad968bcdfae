//! In what a policy's matrices are multiplied, as it came to be.

use candle_core::{DType, Tensor};

use super::{Policy, Precision};
use ::kernels::Compute;

/// In what, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Products {
    F32,
    /// bf16 would have been chosen on a processor that has instructions for it.
    F32ForLack,
    /// By the processor's own instructions.
    Bf16,
    /// By plain loops: slower than f32, but with the same rounding as elsewhere.
    Bf16InLoops,
    /// On an accelerator, whose libraries choose.
    Device(DType),
}

impl Products {
    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 | Self::F32ForLack => "f32",
            Self::Bf16 | Self::Bf16InLoops => "bf16",
            Self::Device(dtype) => dtype.as_str(),
        }
    }

    /// What goes behind the name in a sentence, if anything does.
    pub fn remark(self) -> Option<&'static str> {
        match self {
            Self::F32 => None,
            Self::F32ForLack => Some("because this processor has no bf16 instruction"),
            Self::Bf16 => Some("by the processor's own instruction"),
            Self::Bf16InLoops => Some("in plain loops, which are slow: this processor has no bf16 instruction"),
            Self::Device(_) => Some("on the device"),
        }
    }
}

impl Policy {
    pub fn products(&self) -> Products {
        if !self.device().is_cpu() {
            return Products::Device(self.weight_dtype());
        }
        let is_native = Compute::Bf16.is_native();
        match self.compute {
            Compute::Bf16 if is_native => Products::Bf16,
            Compute::Bf16 => Products::Bf16InLoops,
            Compute::F32 => {
                let stored = self.embedding.dense().map(Tensor::dtype);
                let would = self.precision == Precision::Auto && self.adapter.is_some();
                if would && stored == Some(DType::BF16) && !is_native { Products::F32ForLack } else { Products::F32 }
            }
        }
    }
}
