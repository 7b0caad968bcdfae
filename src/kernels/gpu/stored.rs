//! How the numbers of a matrix are stored on a card, as shaders are told.

use candle_core::DType;

use super::{
    super::{KernelError, Result, access},
    memory::Piece,
};

/// What the shader is told about how numbers are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub code: u32,
    /// Numbers and bytes of a block.
    pub numbers: usize,
    pub bytes: usize,
}

impl Format {
    const F32: Self = Self { code: 32, numbers: 1, bytes: 4 };
    const BF16: Self = Self { code: 16, numbers: 1, bytes: 2 };

    pub(super) fn constants(self) -> [(&'static str, u32); 3] {
        [("FORMAT", self.code), ("BLOCK", self.numbers as u32), ("BLOCK_BYTES", self.bytes as u32)]
    }

    pub(super) fn row_bytes(self, columns: usize) -> usize {
        columns / self.numbers * self.bytes
    }
}

/// A matrix `[rows, columns]` as it is stored.
pub(super) struct Stored<'a> {
    pub piece: &'a Piece,
    pub format: Format,
    pub rows: usize,
    pub columns: usize,
}

impl<'a> Stored<'a> {
    /// A matrix of numbers.
    pub(super) fn dense(operation: &'static str, piece: &'a Piece) -> Result<Self> {
        let (rows, columns) = access::matrix(operation, "weight", piece.dims())?;
        let format = match piece.dtype() {
            DType::F32 => Format::F32,
            DType::BF16 => Format::BF16,
            got => {
                let (operand, expected) = ("weight", "f32 or bf16");
                return Err(KernelError::ElementType { operation, operand, got, expected });
            }
        };
        Ok(Self { piece, format, rows, columns })
    }
}
