//! A weight matrix as the kernels see it, however its numbers are stored, and the one way they read it: some rows at a
//! time, as f32.

use std::{ops::Range, sync::Arc};

use candle_core::DType;
use half::bf16;

use super::{
    KernelError, Place, Quantized, Result, Tensor,
    access::{self, View},
    gemm::{Matrix, Multiplier, Panel},
    gpu::Blocks,
    parallel,
    simd::{from_bf16_bits, multiversion},
};

/// A matrix `[out, in]` of a linear layer, or the table `[V, d]` of an embedding or a head.
#[derive(Debug, Clone)]
pub enum Weight {
    /// f32 (perhaps a view of the buffer of what is trained), or bf16 as the file has it.
    Dense(Tensor),
    /// In blocks of a few bits a number; always frozen.
    Quantized(Arc<Quantized>),
    /// The same in the memory of a graphics card.
    OnCard(Blocks),
}

impl From<Tensor> for Weight {
    fn from(tensor: Tensor) -> Self {
        Self::Dense(tensor)
    }
}

impl From<Quantized> for Weight {
    fn from(weight: Quantized) -> Self {
        Self::Quantized(Arc::new(weight))
    }
}

impl Weight {
    /// `[rows, columns]`; a dense tensor that is no matrix has as many as it has.
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Self::Dense(tensor) => tensor.dims().to_vec(),
            Self::Quantized(weight) => <[usize; 2]>::from(weight.dims()).to_vec(),
            Self::OnCard(weight) => <[usize; 2]>::from(weight.dims()).to_vec(),
        }
    }

    /// The tensor of a dense one.
    pub fn dense(&self) -> Option<&Tensor> {
        match self {
            Self::Dense(tensor) => Some(tensor),
            Self::Quantized(_) | Self::OnCard(_) => None,
        }
    }

    /// Numbers in it.
    pub fn elem_count(&self) -> usize {
        self.dims().iter().product()
    }

    /// How its numbers are stored: `f32`, `q8_0`, ..
    pub fn format(&self) -> String {
        let format = match self {
            Self::Dense(tensor) => return tensor.dtype().as_str().to_owned(),
            Self::Quantized(weight) => weight.format(),
            Self::OnCard(weight) => weight.format(),
        };
        format.name().to_owned()
    }

    /// Bytes it takes in memory (or in the mapped file).
    pub fn byte_len(&self) -> usize {
        match self {
            Self::Dense(tensor) => tensor.elem_count() * tensor.dtype().size_in_bytes(),
            Self::Quantized(weight) => weight.byte_len(),
            Self::OnCard(weight) => weight.byte_len(),
        }
    }

    /// All of it as a tensor: the dense one itself, or a widened copy in f32. For files, tests and kernels that have no
    /// reader of blocks.
    pub fn widened(&self) -> Result<Tensor> {
        match self {
            Self::Dense(tensor) => Ok(tensor.clone()),
            Self::Quantized(weight) => Ok(Tensor::from_vec(weight.dequantize(), weight.dims(), &Place::CPU)?),
            Self::OnCard(weight) => Self::from(weight.download()?).widened(),
        }
    }

    /// All its numbers in f32, row after row.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match self {
            Self::Dense(tensor) => tensor.to_dtype(DType::F32)?.to_vec(),
            Self::Quantized(weight) => Ok(weight.dequantize()),
            Self::OnCard(weight) => Ok(weight.download()?.dequantize()),
        }
    }

    /// The same matrix there: in blocks where its kernels read them, else widened once and kept as `kind`.
    pub fn placed(self, place: &Place, kind: DType) -> Result<Self> {
        match &self {
            Self::Quantized(_) if place.is_cpu() => Ok(self),
            Self::Quantized(weight)
                if let Place::Gpu(card) = place
                    && Blocks::can_hold(weight.format()) =>
            {
                Ok(Self::OnCard(Blocks::upload(card, weight)?))
            }
            Self::OnCard(weight) if matches!(place, Place::Gpu(card) if weight.is_on(card)) => Ok(self),
            Self::OnCard(weight) => Self::from(weight.download()?).placed(place, kind),
            Self::Quantized(_) => Ok(self.widened()?.to_dtype(kind)?.to_place(place)?.into()),
            Self::Dense(tensor) => Ok(tensor.to_place(place)?.into()),
        }
    }

    /// Rows and columns, checked to be a matrix.
    pub(super) fn matrix(&self, operation: &'static str, operand: &'static str) -> Result<(usize, usize)> {
        match self {
            Self::Dense(tensor) => access::matrix(operation, operand, tensor.dims()),
            Self::Quantized(weight) => Ok(weight.dims()),
            Self::OnCard(weight) => Ok(weight.dims()),
        }
    }

    /// Rows and columns of a matrix whose columns are known.
    pub(super) fn expect_columns(
        &self,
        operation: &'static str,
        operand: &'static str,
        columns: usize,
    ) -> Result<usize> {
        let (rows, found) = self.matrix(operation, operand)?;
        if found == columns {
            return Ok(rows);
        }
        Err(KernelError::Shape {
            operation,
            operand,
            got: vec![rows, found],
            expected: format!("{:?}", [rows, columns]),
        })
    }

    /// Opens it for reading.
    pub(super) fn read(&self, operation: &'static str, operand: &'static str) -> Result<WeightView<'_>> {
        Ok(match self {
            Self::Dense(tensor) => {
                let (_, columns) = access::matrix(operation, operand, tensor.dims())?;
                if tensor.dtype() == DType::BF16 {
                    WeightView::Bf16(access::read_as(operation, operand, tensor)?, columns)
                } else {
                    WeightView::Dense(access::read(operation, operand, tensor)?, columns)
                }
            }
            Self::Quantized(weight) => WeightView::Quantized(weight),
            Self::OnCard(_) => return Err(KernelError::Device { operation, operand }),
        })
    }
}

/// A matrix open for reading.
pub(super) enum WeightView<'a> {
    /// Values and columns.
    Dense(View<'a>, usize),
    Bf16(View<'a, bf16>, usize),
    Quantized(&'a Quantized),
}

/// Numbers in one panel of a matrix that has to be widened: 4 MiB, which the last cache holds.
const PANEL: usize = 1 << 20;

impl WeightView<'_> {
    /// The rows of a matrix as its kernels take them.
    pub(super) fn rows(&self) -> Rows<'_> {
        match self {
            Self::Dense(values, columns) => Rows::Dense(values, *columns),
            Self::Bf16(values, columns) => Rows::Bf16(values, *columns),
            Self::Quantized(weight) => Rows::Quantized(weight),
        }
    }

    /// The view of one in f32, which holds a lock.
    pub(super) fn dense(&self) -> Option<&View<'_>> {
        match self {
            Self::Dense(values, _) => Some(values),
            Self::Bf16(..) | Self::Quantized(_) => None,
        }
    }
}

/// Rows of a matrix: f32, bf16 or in blocks.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Values and columns.
    Dense(&'a [f32], usize),
    Bf16(&'a [bf16], usize),
    Quantized(&'a Quantized),
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Dense(values, columns) => values.len().checked_div(*columns).unwrap_or(0),
            Self::Bf16(values, columns) => values.len().checked_div(*columns).unwrap_or(0),
            Self::Quantized(weight) => weight.dims().0,
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Dense(_, columns) | Self::Bf16(_, columns) => *columns,
            Self::Quantized(weight) => weight.dims().1,
        }
    }

    /// Runs of rows that are worth one matrix product each: all at once when nothing has to be widened. Where they are
    /// cut does not depend on the number of threads.
    pub(super) fn panels(&self, by: Multiplier) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.len();
        let step = match self {
            Self::Dense(..) => rows,
            Self::Bf16(..) if by.rounds() => rows,
            Self::Bf16(..) | Self::Quantized(_) => PANEL / self.columns().max(1),
        };
        let step = step.max(1);
        (0..rows).step_by(step).map(move |first| first..rows.min(first + step))
    }

    /// Some rows as a factor of a product, widened into `workspace` if they have to be.
    pub(super) fn factor<'b>(&self, rows: Range<usize>, by: Multiplier, workspace: &'b mut Vec<f32>) -> Panel<'b>
    where
        'a: 'b,
    {
        let (len, columns) = (rows.len(), self.columns());
        match self {
            Self::Bf16(values, _) if by.rounds() => {
                let values = &values[rows.start * columns..rows.end * columns];
                Panel::Bf16(Matrix::new(values, len, columns), by)
            }
            _ => Panel::of(Matrix::new(self.panel(rows, workspace), len, columns), by),
        }
    }

    /// Some rows as f32, widened into `workspace` on all threads of the pool if they have to be.
    pub(super) fn panel<'b>(&self, rows: Range<usize>, workspace: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Dense(values, columns) => &values[rows.start * columns..rows.end * columns],
            Self::Bf16(..) | Self::Quantized(_) => {
                let columns = self.columns();
                let len = rows.len() * columns;
                if workspace.len() < len {
                    workspace.resize(len, 0.0);
                }
                let per_piece = parallel::rows_per_piece(columns);
                let panel = &mut workspace[..len];
                parallel::chunks(panel, per_piece * columns.max(1), |piece, out| {
                    let first = rows.start + piece * per_piece;
                    self.widen(first..first + out.len() / columns.max(1), out);
                });
                panel
            }
        }
    }

    /// The same on the caller's thread, for few rows or inside a piece of work.
    pub(super) fn panel_alone<'b>(&self, rows: Range<usize>, workspace: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Dense(values, columns) => &values[rows.start * columns..rows.end * columns],
            Self::Bf16(..) | Self::Quantized(_) => {
                let len = rows.len() * self.columns();
                if workspace.len() < len {
                    workspace.resize(len, 0.0);
                }
                self.widen(rows, &mut workspace[..len]);
                &workspace[..len]
            }
        }
    }

    /// Some rows as f32.
    fn widen(&self, rows: Range<usize>, out: &mut [f32]) {
        match self {
            Self::Dense(values, columns) => {
                out.copy_from_slice(&values[rows.start * columns..rows.end * columns]);
            }
            Self::Bf16(values, columns) => {
                widen(&values[rows.start * columns..rows.end * columns], out);
            }
            Self::Quantized(weight) => weight.read(rows, out),
        }
    }
}

multiversion! {
    fn widen(from: &[bf16], to: &mut [f32]) {
        let _ = FMA;
        for (from, to) in from.iter().zip(to) {
            *to = from_bf16_bits(from.to_bits());
        }
    }
}

#[cfg(test)]
mod tests;
