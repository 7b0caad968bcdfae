//! Weight matrices in blocks of a few bits a number, as llama.cpp writes them: 2.6 to 8.5 bits instead of 32.
//!
//! The bytes stay as they are in the file; rows are widened to f32 a panel at a time, just before they are multiplied.
//! A widened copy of a matrix never exists. All arithmetic is that of `ggml` (`dequantize_row_*`), to the bit.

use std::{fmt, ops::Range, sync::Arc};

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use rayon::prelude::*;

use super::{BlockFormat, KernelError, Result, access, parallel, simd::multiversion};

mod small;
#[cfg(test)]
mod tests;

/// candle's name of it; nothing for formats that candle does not have.
fn in_candle(format: BlockFormat) -> Option<GgmlDType> {
    Some(match format {
        BlockFormat::Iq4Nl | BlockFormat::Iq4Xs => return None,
        BlockFormat::Q2K => GgmlDType::Q2K,
        BlockFormat::Q3K => GgmlDType::Q3K,
        BlockFormat::Q4_0 => GgmlDType::Q4_0,
        BlockFormat::Q4_1 => GgmlDType::Q4_1,
        BlockFormat::Q5_0 => GgmlDType::Q5_0,
        BlockFormat::Q5_1 => GgmlDType::Q5_1,
        BlockFormat::Q8_0 => GgmlDType::Q8_0,
        BlockFormat::Q4K => GgmlDType::Q4K,
        BlockFormat::Q5K => GgmlDType::Q5K,
        BlockFormat::Q6K => GgmlDType::Q6K,
    })
}

/// Bytes that someone keeps: a mapped file, or a vector of one's own.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A frozen matrix `[rows, columns]` in blocks, each row whole blocks.
#[derive(Clone)]
pub struct Quantized {
    format: BlockFormat,
    rows: usize,
    columns: usize,
    bytes: Bytes,
    range: Range<usize>,
}

impl fmt::Debug for Quantized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} [{}, {}]", self.format, self.rows, self.columns)
    }
}

const OPERATION: &str = "quantised weight";

impl Quantized {
    /// The matrix stored in `range` of `bytes`.
    pub fn new(format: BlockFormat, rows: usize, columns: usize, bytes: Bytes, range: Range<usize>) -> Result<Self> {
        let whole = columns.is_multiple_of(format.numbers());
        let expected = rows * (columns / format.numbers()) * format.bytes();
        let there = (*bytes).as_ref().len();
        if !whole || range.len() != expected || range.end > there {
            return access::fault(
                OPERATION,
                format!("{rows} rows of {columns} numbers do not fit {} bytes of {format:?}", range.len()),
            );
        }
        Ok(Self { format, rows, columns, bytes, range })
    }

    /// Rounds a matrix to blocks, with candle's quantisers.
    pub fn quantize(format: BlockFormat, values: &[f32], rows: usize, columns: usize) -> Result<Self> {
        let whole = columns.is_multiple_of(format.numbers()) && values.len() == rows * columns;
        let Some(candle) = in_candle(format).filter(|_| whole) else {
            return access::fault(OPERATION, format!("rows of {columns} numbers cannot be stored as {format:?}"));
        };
        let per_piece = parallel::rows_per_piece(columns);
        let pieces = values
            .par_chunks(per_piece * columns.max(1))
            .map(|values| {
                let shape = (values.len() / columns, columns);
                let piece = Tensor::from_slice(values, shape, &Device::Cpu)?;
                Ok(QTensor::quantize(&piece, candle)?.data()?.into_owned())
            })
            .collect::<Result<Vec<_>, candle_core::Error>>()
            .map_err(KernelError::from)?;
        let bytes = pieces.concat();
        let range = 0..bytes.len();
        Self::new(format, rows, columns, Arc::new(bytes), range)
    }

    pub fn format(&self) -> BlockFormat {
        self.format
    }

    /// `(rows, columns)`.
    pub fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Bytes it takes.
    pub fn byte_len(&self) -> usize {
        self.range.len()
    }

    /// A copy with its rows in another order: row `i` is this one's row `order[i]`. Blocks never span rows, so nothing
    /// is rounded again.
    pub fn with_rows(&self, order: &[usize]) -> Result<Self> {
        let mut bytes = Vec::with_capacity(order.len() * self.row_bytes());
        for &row in order {
            if row >= self.rows {
                return access::fault(OPERATION, format!("row {row} of {}", self.rows));
            }
            bytes.extend_from_slice(self.blocks(row..row + 1));
        }
        let range = 0..bytes.len();
        Self::new(self.format, order.len(), self.columns, Arc::new(bytes), range)
    }

    /// All blocks, as they lie in a file.
    pub fn stored(&self) -> &[u8] {
        self.blocks(0..self.rows)
    }

    fn row_bytes(&self) -> usize {
        self.columns / self.format.numbers() * self.format.bytes()
    }

    fn blocks(&self, rows: Range<usize>) -> &[u8] {
        let all = &(*self.bytes).as_ref()[self.range.clone()];
        &all[rows.start * self.row_bytes()..rows.end * self.row_bytes()]
    }

    /// Widens some rows into `out`, `[rows.len(), columns]`, on the caller's thread.
    pub(super) fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let blocks = self.blocks(rows);
        match self.format {
            BlockFormat::Q2K => small::q2_k(blocks, out),
            BlockFormat::Q3K => small::q3_k(blocks, out),
            BlockFormat::Iq4Nl => small::iq4_nl(blocks, out),
            BlockFormat::Iq4Xs => small::iq4_xs(blocks, out),
            BlockFormat::Q4_0 => q4_0(blocks, out),
            BlockFormat::Q4_1 => q4_1(blocks, out),
            BlockFormat::Q5_0 => q5_0(blocks, out),
            BlockFormat::Q5_1 => q5_1(blocks, out),
            BlockFormat::Q8_0 => q8_0(blocks, out),
            BlockFormat::Q4K => q4_k(blocks, out),
            BlockFormat::Q5K => q5_k(blocks, out),
            BlockFormat::Q6K => q6_k(blocks, out),
        }
    }

    /// All rows, widened: for tests and for what is written to files.
    pub fn dequantize(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.columns];
        let per_piece = parallel::rows_per_piece(self.columns);
        parallel::chunks(&mut values, per_piece * self.columns.max(1), |piece, out| {
            let first = piece * per_piece;
            self.read(first..first + out.len() / self.columns.max(1), out);
        });
        values
    }
}

/// A half-precision number. In whole steps, so that a thread that flushes denormals reads small scales as the others
/// do.
#[inline]
fn half(bytes: &[u8], at: usize) -> f32 {
    const SMALLEST: f32 = 5.960_464_5e-8; // 2⁻²⁴
    let bits = u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let (exponent, mantissa) = (bits & 0x7C00, bits & 0x03FF);
    let size = match exponent {
        0 => mantissa as f32 * SMALLEST,
        0x7C00 => f32::from_bits(0x7F80_0000 | mantissa << 13),
        _ => f32::from_bits(((exponent | mantissa) << 13) + (112 << 23)),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// The 6-bit scale and offset of group `j` of a Q4_K or Q5_K block.
#[inline]
fn scale_and_offset(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, offset) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        ((packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4), (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4))
    };
    (f32::from(scale), f32::from(offset))
}

/// The lower four bits of each byte, then the upper ones. A function of its own: in one loop with what widens them, the
/// compiler picks bytes out one by one on processors with wide registers, two to four times slower.
#[inline(never)]
fn nibbles(bytes: &[u8; 16]) -> [u8; 32] {
    let mut nibbles = [0; 32];
    for i in 0..16 {
        nibbles[i] = bytes[i] & 15;
        nibbles[i + 16] = bytes[i] >> 4;
    }
    nibbles
}

multiversion! {
    fn q8_0(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let d = half(block, 0);
            for i in 0..32 {
                out[i] = f32::from(block[2 + i].cast_signed()) * d;
            }
        }
    }
}

multiversion! {
    fn q4_0(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<18>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let (d, [_, _, bytes @ ..]) = (half(block, 0), block);
            for (out, bits) in out.iter_mut().zip(&nibbles(bytes)) {
                *out = (i32::from(*bits) - 8) as f32 * d;
            }
        }
    }
}

multiversion! {
    fn q4_1(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<20>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let (d, m, [_, _, _, _, bytes @ ..]) = (half(block, 0), half(block, 2), block);
            for (out, bits) in out.iter_mut().zip(&nibbles(bytes)) {
                *out = f32::from(*bits) * d + m;
            }
        }
    }
}

multiversion! {
    fn q5_0(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<22>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let d = half(block, 0);
            let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
            for i in 0..16 {
                let pair = u32::from(block[6 + i]);
                let low = (pair & 15) | (high >> i & 1) << 4;
                let upper = (pair >> 4) | (high >> (i + 16) & 1) << 4;
                out[i] = (low.cast_signed() - 16) as f32 * d;
                out[i + 16] = (upper.cast_signed() - 16) as f32 * d;
            }
        }
    }
}

multiversion! {
    fn q5_1(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<24>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let (d, m) = (half(block, 0), half(block, 2));
            let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
            for i in 0..16 {
                let pair = u32::from(block[8 + i]);
                let low = (pair & 15) | (high >> i & 1) << 4;
                let upper = (pair >> 4) | (high >> (i + 16) & 1) << 4;
                out[i] = low as f32 * d + m;
                out[i + 16] = upper as f32 * d + m;
            }
        }
    }
}

multiversion! {
    fn q4_k(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<144>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let (d, m) = (half(block, 0), half(block, 2));
            let packed = &block[4..16];
            for (pair, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                let ((s1, o1), (s2, o2)) = (scale_and_offset(packed, 2 * pair), scale_and_offset(packed, 2 * pair + 1));
                let (s1, o1, s2, o2) = (d * s1, m * o1, d * s2, m * o2);
                let low = &block[16 + 32 * pair..][..32];
                for i in 0..32 {
                    out[i] = s1 * f32::from(low[i] & 15) - o1;
                    out[i + 32] = s2 * f32::from(low[i] >> 4) - o2;
                }
            }
        }
    }
}

multiversion! {
    fn q5_k(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<176>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let (d, m) = (half(block, 0), half(block, 2));
            let (packed, high) = (&block[4..16], &block[16..48]);
            for (pair, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                let ((s1, o1), (s2, o2)) = (scale_and_offset(packed, 2 * pair), scale_and_offset(packed, 2 * pair + 1));
                let (s1, o1, s2, o2) = (d * s1, m * o1, d * s2, m * o2);
                let low = &block[48 + 32 * pair..][..32];
                for i in 0..32 {
                    let bits = high[i] >> (2 * pair);
                    out[i] = s1 * f32::from((low[i] & 15) | (bits & 1) << 4) - o1;
                    out[i + 32] = s2 * f32::from((low[i] >> 4) | (bits & 2) << 3) - o2;
                }
            }
        }
    }
}

multiversion! {
    fn q6_k(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<210>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let d = half(block, 208);
            for (part, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
                let (low, high) = (&block[64 * part..][..64], &block[128 + 32 * part..][..32]);
                let scales: [f32; 8] = std::array::from_fn(|j| d * f32::from(block[192 + 8 * part + j].cast_signed()));
                for half in 0..2 {
                    let (s0, s1, s2, s3) = (scales[half], scales[half + 2], scales[half + 4], scales[half + 6]);
                    for i in 16 * half..16 * half + 16 {
                        let (a, b, bits) = (i32::from(low[i]), i32::from(low[i + 32]), i32::from(high[i]));
                        out[i] = s0 * ((a & 15 | (bits & 3) << 4) - 32) as f32;
                        out[i + 32] = s1 * ((b & 15 | (bits >> 2 & 3) << 4) - 32) as f32;
                        out[i + 64] = s2 * ((a >> 4 | (bits >> 4 & 3) << 4) - 32) as f32;
                        out[i + 96] = s3 * ((b >> 4 | (bits >> 6) << 4) - 32) as f32;
                    }
                }
            }
        }
    }
}
