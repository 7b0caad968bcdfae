//! The handle of a tensor, wherever it lives.

use candle_core::{DType, Shape, WithDType};

use super::{Place, Result};

/// Numbers in rows, without gaps, on some [`Place`]. A clone is the same storage.
#[derive(Debug, Clone)]
pub struct Tensor(Store);

#[derive(Debug, Clone)]
enum Store {
    /// On the processor, or on an accelerator that candle serves.
    Candle(candle_core::Tensor),
}

impl From<candle_core::Tensor> for Tensor {
    fn from(tensor: candle_core::Tensor) -> Self {
        Self(Store::Candle(tensor))
    }
}

impl Tensor {
    /// These values, row after row.
    pub fn from_vec<T: WithDType>(values: Vec<T>, shape: impl Into<Shape>, place: &Place) -> Result<Self> {
        let Place::Candle(device) = place;
        Ok(candle_core::Tensor::from_vec(values, shape.into(), device)?.into())
    }

    pub fn zeros(shape: impl Into<Shape>, dtype: DType, place: &Place) -> Result<Self> {
        let Place::Candle(device) = place;
        Ok(candle_core::Tensor::zeros(shape, dtype, device)?.into())
    }

    pub fn dims(&self) -> &[usize] {
        let Store::Candle(tensor) = &self.0;
        tensor.dims()
    }

    pub fn dtype(&self) -> DType {
        let Store::Candle(tensor) = &self.0;
        tensor.dtype()
    }

    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }

    pub fn place(&self) -> Place {
        let Store::Candle(tensor) = &self.0;
        Place::Candle(tensor.device().clone())
    }

    /// The same storage under another shape of as many elements.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Self> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor.reshape(shape.into())?.into())
    }

    /// A view of `len` rows (entries along the first axis) from row `start` on.
    pub fn rows(&self, start: usize, len: usize) -> Result<Self> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor.narrow(0, start, len)?.into())
    }

    /// Overwrites the rows from row `start` on, in place, with all rows of a tensor of the same place, type and width.
    pub fn set_rows(&self, start: usize, rows: &Self) -> Result<()> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor.slice_set(rows.candle()?, 0, start)?)
    }

    /// A copy with a storage of its own.
    pub fn copy(&self) -> Result<Self> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor.copy()?.into())
    }

    /// The same numbers there; the tensor itself where it is there already.
    pub fn to_place(&self, place: &Place) -> Result<Self> {
        let (Store::Candle(tensor), Place::Candle(device)) = (&self.0, place);
        Ok(tensor.to_device(device)?.into())
    }

    /// The same numbers, rounded where the type has fewer digits; the tensor itself where it has this type.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor.to_dtype(dtype)?.into())
    }

    /// All elements, row after row. Waits for the device.
    ///
    /// # Errors
    /// When the elements are of another type, or the device fails.
    pub fn to_vec<T: WithDType>(&self) -> Result<Vec<T>> {
        let Store::Candle(tensor) = &self.0;
        // An accelerator would hand over the whole buffer that this is a view of.
        let tensor = if tensor.device().is_cpu() { tensor.clone() } else { tensor.force_contiguous()? };
        Ok(tensor.flatten_all()?.to_vec1()?)
    }

    /// What candle's operations and the processor's kernels work on.
    #[expect(clippy::unnecessary_wraps, reason = "another store would have none")]
    pub(super) fn candle(&self) -> Result<&candle_core::Tensor> {
        let Store::Candle(tensor) = &self.0;
        Ok(tensor)
    }
}
