//! Products of matrices rounded to bf16, summed in f32: twice the numbers an instruction takes in f32, and more where
//! the processor has AVX512-BF16.
//!
//! The left factor is packed a block at a time (it stays in the second-level cache), the right one a panel at a time (it
//! stays in the first), each in pairs along the depth: two neighbours are one operand of the instruction. f32 is rounded
//! to nearest while it is packed; either factor may be transposed. Every element of the target is summed by one thread
//! in the order of the depth, so the bits do not depend on how many there are.
//!
//! `tile` has two bodies: the instruction's, and plain loops over the same panels, right on any processor (on one without
//! the instruction, products in f32 are quicker). The instruction takes denormals for zero and keeps its own order inside
//! a pair, so the two agree up to rounding.

use std::mem::MaybeUninit;

use half::bf16;

use super::{Matrix, SMALL, Target};
use crate::{
    buffer::Shared,
    parallel,
    simd::{bf16_bits, fused, multiversion},
};

/// Rows of a tile; with [`COLS`] 24 registers of sums.
const ROWS: usize = 12;

/// Columns of a tile: two registers.
const COLS: usize = 32;

/// Depth of a block: a panel of the right factor takes 24 KiB.
const DEPTH: usize = 384;

/// Rows of a block of the left factor: 576 KiB.
const BLOCK: usize = 64 * ROWS;

/// Two neighbours along the depth, the first in the low half.
type Pair = u32;

/// What a factor may be stored as.
pub(crate) trait Element: Copy + Send + Sync {
    /// The bits in bf16, rounded to nearest, ties to even.
    fn narrow(from: &[Self], to: &mut [u16]);
}

impl Element for bf16 {
    fn narrow(from: &[Self], to: &mut [u16]) {
        for (from, to) in from.iter().zip(to) {
            *to = from.to_bits();
        }
    }
}

impl Element for f32 {
    fn narrow(from: &[Self], to: &mut [u16]) {
        narrow(from, to);
    }
}

multiversion! {
    fn narrow(from: &[f32], to: &mut [u16]) {
        let _ = FMA;
        for (from, to) in from.iter().zip(to) {
            *to = bf16_bits(*from);
        }
    }
}

/// Whether the processor multiplies bf16 itself.
pub(crate) fn is_native() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// `c = factor · a · b`, or `c += factor · a · b`.
pub(crate) fn product<A: Element, B: Element>(
    a: Matrix<'_, A>,
    b: Matrix<'_, B>,
    factor: f32,
    c: Target<'_>,
    add: bool,
) {
    product_by(a, b, factor, c, add, is_native());
}

#[expect(clippy::fn_params_excessive_bools, reason = "one for the target, one for the tests of the plain loops")]
fn product_by<A: Element, B: Element>(
    a: Matrix<'_, A>,
    b: Matrix<'_, B>,
    factor: f32,
    c: Target<'_>,
    add: bool,
    native: bool,
) {
    assert!(a.cols == b.rows && a.rows == c.rows && b.cols == c.cols, "shapes of a product");
    assert!(c.initialised || !add, "adding to nothing");
    let (rows, cols, depth) = (a.rows, b.cols, a.cols);
    if depth == 0 && !add {
        for row in c.places.chunks_mut(c.stride.max(1)).take(rows) {
            row[..cols].iter_mut().for_each(|place| _ = place.write(0.0));
        }
    }
    let small = rows * cols * depth < SMALL;
    let (places, stride) = (Shared::new(c.places), c.stride);
    let lines_of_b = b.t();
    let mut block = Vec::new();
    for first_row in (0..rows).step_by(BLOCK) {
        let block_rows = BLOCK.min(rows - first_row);
        for start in (0..depth).step_by(DEPTH) {
            let pairs = DEPTH.min(depth - start).div_ceil(2);
            block.resize(block_rows.div_ceil(ROWS) * pairs * ROWS, 0);
            {
                let panels = Shared::new(&mut block);
                parallel::for_each(block_rows.div_ceil(ROWS), small, |panel| {
                    // SAFETY: every panel is packed once.
                    let out = unsafe { panels.part(panel * pairs * ROWS..(panel + 1) * pairs * ROWS) };
                    pack::<A, ROWS>(a, first_row + panel * ROWS, start, out);
                });
            }
            let keep = add || start > 0;
            let workspace = || vec![0; pairs * COLS];
            parallel::for_each_with(cols.div_ceil(COLS), small, workspace, |right, panel| {
                let first = panel * COLS;
                let width = COLS.min(cols - first);
                pack::<B, COLS>(lines_of_b, first, start, right);
                for (index, left) in block.chunks(pairs * ROWS).enumerate() {
                    let mut sums = [[0.0; COLS]; ROWS];
                    tile(left, right, &mut sums, native);
                    let row = first_row + index * ROWS;
                    for (i, sums) in sums.iter().take(rows - row).enumerate() {
                        let at = (row + i) * stride + first;
                        // SAFETY: every column belongs to one panel.
                        let places = unsafe { places.part(at..at + width) };
                        write_row(places, sums, factor, keep);
                    }
                }
            });
        }
    }
}

/// Rows `first..first + W` of a matrix from column `start` on, as `[pair][row]`; rows and columns past its end are zero.
fn pack<T: Element, const W: usize>(from: Matrix<'_, T>, first: usize, start: usize, out: &mut [Pair]) {
    let lines = W.min(from.rows - first);
    let len = (from.cols - start).min(out.len() / W * 2);
    let base = first * from.row_stride + start * from.col_stride;
    if lines < W {
        out.fill(0);
    }
    if from.col_stride == 1 {
        let mut group = [[0; DEPTH]; GROUP];
        for start_of_group in (0..lines).step_by(GROUP) {
            for (line, narrow) in (start_of_group..).zip(&mut group) {
                if line < lines {
                    let at = base + line * from.row_stride;
                    T::narrow(&from.data[at..at + len], narrow);
                    narrow[len..].fill(0);
                } else {
                    narrow.fill(0);
                }
            }
            interleave(&group, &mut out[start_of_group..], W);
        }
        return;
    }
    let (mut low, mut high) = ([0; W], [0; W]);
    for (pair, out) in out.chunks_exact_mut(W).enumerate() {
        let at = base + 2 * pair * from.col_stride;
        T::narrow(&from.data[at..at + lines], &mut low);
        if 2 * pair + 1 < len {
            let next = at + from.col_stride;
            T::narrow(&from.data[next..next + lines], &mut high);
        } else {
            high.fill(0);
        }
        for ((out, low), high) in out.iter_mut().zip(&low[..lines]).zip(&high[..lines]) {
            *out = Pair::from(*low) | Pair::from(*high) << 16;
        }
    }
}

/// Lines that are interleaved at a time: a tile has a whole number of such groups on either side.
const GROUP: usize = 4;

multiversion! {
    /// Pairs of a group of lines to neighbours in each run of `width` pairs.
    fn interleave(lines: &[[u16; DEPTH]; GROUP], out: &mut [Pair], width: usize) {
        let _ = FMA;
        let pair = |line: &[u16; DEPTH], at: usize| {
            Pair::from(line[2 * at]) | Pair::from(line[2 * at + 1]) << 16
        };
        for (at, out) in out.chunks_mut(width).enumerate().take(DEPTH / 2) {
            let out = &mut out[..GROUP];
            for i in 0..GROUP {
                out[i] = pair(&lines[i], at);
            }
        }
    }
}

multiversion! {
    /// `row = factor · sums`, or `row += factor · sums` where it is to be kept and therefore holds something.
    fn write_row(row: &mut [MaybeUninit<f32>], sums: &[f32; COLS], factor: f32, keep: bool) {
        if keep {
            for (place, sum) in row.iter_mut().zip(sums) {
                // SAFETY: initialised by the caller of the product, or by the block of depth before.
                let old = unsafe { place.assume_init() };
                place.write(fused::<FMA>(factor, *sum, old));
            }
        } else {
            for (place, sum) in row.iter_mut().zip(sums) {
                place.write(factor * sum);
            }
        }
    }
}

/// `sums = left · right`, two packed panels of the same depth.
fn tile(left: &[Pair], right: &[Pair], sums: &mut [[f32; COLS]; ROWS], native: bool) {
    assert!(left.len() / ROWS == right.len() / COLS, "depths of two panels");
    #[cfg(target_arch = "x86_64")]
    if native {
        // SAFETY: `is_native` has asked the processor for these instructions.
        return unsafe { native_tile(left, right, sums) };
    }
    let _ = native;
    plain_tile(left, right, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn native_tile(left: &[Pair], right: &[Pair], sums: &mut [[f32; COLS]; ROWS]) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    // SAFETY: two types of the same register.
    let pairs = |register: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(register) };
    let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
    let (left, right) = (left.as_chunks::<ROWS>().0, right.as_chunks::<COLS>().0);
    for (left, right) in left.iter().zip(right) {
        // SAFETY: both loads are inside the chunk of 32 pairs.
        let (first, second) = unsafe {
            let at = right.as_ptr();
            (_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(COLS / 2).cast()))
        };
        let (first, second) = (pairs(first), pairs(second));
        for i in 0..ROWS {
            let row = pairs(_mm512_set1_epi32(left[i].cast_signed()));
            acc[i][0] = _mm512_dpbf16_ps(acc[i][0], row, first);
            acc[i][1] = _mm512_dpbf16_ps(acc[i][1], row, second);
        }
    }
    for (acc, sums) in acc.iter().zip(sums) {
        let at = sums.as_mut_ptr();
        // SAFETY: a row of sums has room for two registers.
        unsafe {
            _mm512_storeu_ps(at, acc[0]);
            _mm512_storeu_ps(at.add(COLS / 2), acc[1]);
        }
    }
}

multiversion! {
    fn plain_tile(left: &[Pair], right: &[Pair], sums: &mut [[f32; COLS]; ROWS]) {
        let low = |pair: Pair| f32::from_bits(pair << 16);
        let high = |pair: Pair| f32::from_bits(pair & 0xffff_0000);
        for (left, right) in left.as_chunks::<ROWS>().0.iter().zip(right.as_chunks::<COLS>().0) {
            for (left, sums) in left.iter().zip(sums.iter_mut()) {
                for (right, sum) in right.iter().zip(sums) {
                    *sum = fused::<FMA>(low(*left), low(*right), *sum);
                    *sum = fused::<FMA>(high(*left), high(*right), *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
