//! Where tensors live.

use std::sync::Arc;

use candle_core::Device;

use super::{Result, gpu::Card};

/// The processor's memory, or an accelerator's.
#[derive(Debug, Clone)]
pub enum Place {
    /// The processor, or an accelerator that candle serves (CUDA, Metal).
    Candle(Device),
    /// A graphics card with our own kernels.
    Gpu(Arc<Card>),
}

impl Place {
    pub const CPU: Self = Self::Candle(Device::Cpu);

    pub fn is_cpu(&self) -> bool {
        matches!(self, Self::Candle(Device::Cpu))
    }

    /// Whether our own kernels work here, which read weights as files have them.
    pub fn has_own_kernels(&self) -> bool {
        self.is_cpu() || matches!(self, Self::Gpu(_))
    }

    /// The graphics card in words, its driver included: between two of them results differ in their last digits.
    pub fn card(&self) -> Option<String> {
        match self {
            Self::Candle(_) => None,
            Self::Gpu(card) => Some(card.info().in_words()),
        }
    }

    /// Waits until everything that was asked for is done.
    pub fn synchronize(&self) -> Result<()> {
        match self {
            Self::Candle(device) => Ok(device.synchronize()?),
            Self::Gpu(card) => card.wait(),
        }
    }
}
