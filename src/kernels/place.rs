//! Where tensors live.

use candle_core::Device;

use super::Result;

/// The processor's memory, or an accelerator's.
#[derive(Debug, Clone)]
pub enum Place {
    /// The processor, or an accelerator that candle serves (CUDA, Metal).
    Candle(Device),
}

impl Place {
    pub const CPU: Self = Self::Candle(Device::Cpu);

    pub fn is_cpu(&self) -> bool {
        matches!(self, Self::Candle(Device::Cpu))
    }

    /// Waits until everything that was asked for is done.
    pub fn synchronize(&self) -> Result<()> {
        let Self::Candle(device) = self;
        Ok(device.synchronize()?)
    }
}
