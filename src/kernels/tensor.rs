//! The handle of a tensor, wherever it lives.

use candle_core::{CpuStorage, DType, Device, Shape, WithDType};

use super::{KernelError, Place, Result, gpu::Piece};

/// Numbers in rows, without gaps, on some [`Place`]. A clone is the same storage.
#[derive(Debug, Clone)]
pub struct Tensor(Store);

#[derive(Debug, Clone)]
enum Store {
    /// On the processor, or on an accelerator that candle serves.
    Candle(candle_core::Tensor),
    /// In the memory of a graphics card.
    Gpu(Piece),
}

impl From<candle_core::Tensor> for Tensor {
    fn from(tensor: candle_core::Tensor) -> Self {
        Self(Store::Candle(tensor))
    }
}

impl From<Piece> for Tensor {
    fn from(piece: Piece) -> Self {
        Self(Store::Gpu(piece))
    }
}

impl Tensor {
    /// These values, row after row.
    pub fn from_vec<T: WithDType>(values: Vec<T>, shape: impl Into<Shape>, place: &Place) -> Result<Self> {
        match place {
            Place::Candle(device) => Ok(candle_core::Tensor::from_vec(values, shape.into(), device)?.into()),
            Place::Gpu(_) => Self::from_vec(values, shape, &Place::CPU)?.to_place(place),
        }
    }

    pub fn zeros(shape: impl Into<Shape>, dtype: DType, place: &Place) -> Result<Self> {
        match place {
            Place::Candle(device) => Ok(candle_core::Tensor::zeros(shape, dtype, device)?.into()),
            Place::Gpu(card) => Ok(Piece::zeros(card, shape.into().dims(), dtype)?.into()),
        }
    }

    pub fn dims(&self) -> &[usize] {
        match &self.0 {
            Store::Candle(tensor) => tensor.dims(),
            Store::Gpu(piece) => piece.dims(),
        }
    }

    pub fn dtype(&self) -> DType {
        match &self.0 {
            Store::Candle(tensor) => tensor.dtype(),
            Store::Gpu(piece) => piece.dtype(),
        }
    }

    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }

    pub fn place(&self) -> Place {
        match &self.0 {
            Store::Candle(tensor) => Place::Candle(tensor.device().clone()),
            Store::Gpu(piece) => Place::Gpu(piece.card().clone()),
        }
    }

    /// The same storage under another shape of as many elements.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Self> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor.reshape(shape.into())?.into()),
            Store::Gpu(piece) => Ok(piece.reshape(shape.into().dims())?.into()),
        }
    }

    /// A view of `len` rows (entries along the first axis) from row `start` on.
    pub fn rows(&self, start: usize, len: usize) -> Result<Self> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor.narrow(0, start, len)?.into()),
            Store::Gpu(piece) => Ok(piece.rows(start, len)?.into()),
        }
    }

    /// Overwrites the rows from row `start` on, in place, with all rows of a tensor of the same place, type and width.
    pub fn set_rows(&self, start: usize, rows: &Self) -> Result<()> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor.slice_set(rows.candle()?, 0, start)?),
            Store::Gpu(piece) => {
                let rows = rows.gpu("set rows", "rows")?;
                piece.rows(start, rows.dims().first().copied().unwrap_or(1))?.set(rows)
            }
        }
    }

    /// A copy with a storage of its own.
    pub fn copy(&self) -> Result<Self> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor.copy()?.into()),
            Store::Gpu(piece) => {
                let copy = Piece::new(piece.card(), piece.dims(), piece.dtype())?;
                copy.set(piece)?;
                Ok(copy.into())
            }
        }
    }

    /// The same numbers there; the tensor itself where it is there already.
    pub fn to_place(&self, place: &Place) -> Result<Self> {
        match (&self.0, place) {
            (Store::Candle(tensor), Place::Candle(device)) => Ok(tensor.to_device(device)?.into()),
            (Store::Gpu(piece), Place::Gpu(card)) if std::sync::Arc::ptr_eq(piece.card(), card) => Ok(self.clone()),
            (Store::Candle(tensor), Place::Gpu(card)) => {
                let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
                let (storage, layout) = tensor.storage_and_layout();
                let (candle_core::Storage::Cpu(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets())
                else {
                    return Err(KernelError::NotContiguous { operation: "upload", operand: "tensor" });
                };
                let bytes: &[u8] = match storage {
                    CpuStorage::F32(values) => bytemuck::cast_slice(&values[from..to]),
                    CpuStorage::BF16(values) => bytemuck::cast_slice(&values[from..to]),
                    CpuStorage::U32(values) => bytemuck::cast_slice(&values[from..to]),
                    _ => {
                        let (operation, operand, expected) = ("upload", "tensor", "f32, bf16 or u32");
                        return Err(KernelError::ElementType { operation, operand, got: tensor.dtype(), expected });
                    }
                };
                Ok(Piece::upload(card, bytes, tensor.dims(), tensor.dtype())?.into())
            }
            (Store::Gpu(piece), _) => {
                let bytes = piece.read()?;
                let tensor = candle_core::Tensor::from_raw_buffer(&bytes, piece.dtype(), piece.dims(), &Device::Cpu)?;
                Self::from(tensor).to_place(place)
            }
        }
    }

    /// The same numbers, rounded where the type has fewer digits; the tensor itself where it has this type.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor.to_dtype(dtype)?.into()),
            Store::Gpu(piece) if piece.dtype() == dtype => Ok(self.clone()),
            Store::Gpu(piece) => {
                self.to_place(&Place::CPU)?.to_dtype(dtype)?.to_place(&Place::Gpu(piece.card().clone()))
            }
        }
    }

    /// All elements, row after row. Waits for the device.
    ///
    /// # Errors
    /// When the elements are of another type, or the device fails.
    pub fn to_vec<T: WithDType>(&self) -> Result<Vec<T>> {
        match &self.0 {
            Store::Candle(tensor) => {
                // An accelerator would hand over the whole buffer that this is a view of.
                let tensor = if tensor.device().is_cpu() { tensor.clone() } else { tensor.force_contiguous()? };
                Ok(tensor.flatten_all()?.to_vec1()?)
            }
            Store::Gpu(_) => self.to_place(&Place::CPU)?.to_vec(),
        }
    }

    /// What candle's operations and the processor's kernels work on.
    pub(super) fn candle(&self) -> Result<&candle_core::Tensor> {
        match &self.0 {
            Store::Candle(tensor) => Ok(tensor),
            Store::Gpu(_) => {
                Err(KernelError::Device { operation: "processor", operand: "a tensor of a graphics card" })
            }
        }
    }

    /// What the kernels of a graphics card work on.
    pub(super) fn gpu(&self, operation: &'static str, operand: &'static str) -> Result<&Piece> {
        match &self.0 {
            Store::Candle(_) => Err(KernelError::Device { operation, operand }),
            Store::Gpu(piece) => Ok(piece),
        }
    }
}
