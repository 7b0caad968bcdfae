//! The flat gradient buffer.

use candle_core::{DType, Device, Tensor};

use super::Result;

/// A range of a flat f32 buffer: one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// First element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

/// The gradients of all trainable parameters in one f32 buffer on the device.
#[derive(Debug)]
pub struct Gradients {
    flat: Tensor,
}

impl Gradients {
    /// `len` zeros.
    pub fn new(len: usize, device: &Device) -> Result<Self> {
        Ok(Self {
            flat: Tensor::zeros(len, DType::F32, device)?,
        })
    }

    /// The buffer.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.flat.elem_count()
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets every element to zero.
    pub fn zero(&mut self) -> Result<()> {
        unimplemented!()
    }

    /// Σ g², summed in f64.
    pub fn norm_squared(&self) -> Result<f64> {
        unimplemented!()
    }

    /// Multiplies every element.
    pub fn scale(&mut self, _factor: f32) -> Result<()> {
        unimplemented!()
    }

    /// Whether there is neither NaN nor infinity.
    pub fn is_finite(&self) -> Result<bool> {
        unimplemented!()
    }

    /// A copy, for checkpoints and tests.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        Ok(self.flat.to_vec1()?)
    }
}
