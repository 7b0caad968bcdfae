//! Factors in the order in which tiles read them.

use std::ops::Range;

use half::bf16;

use super::panel::{PAIRS, Pair, SIDE, STEP, Step};
use crate::{
    gemm::Matrix,
    simd::{bf16_bits, multiversion},
};

/// What a factor may be stored as. f32 is rounded to nearest, ties to even.
pub(crate) trait Element: Copy + Send + Sync {
    /// Lines that run along the depth, `stride` elements apart, to `[line][pair]`.
    fn along(from: &[Self], stride: usize, lines: usize, len: usize, out: &mut [Step]);

    /// Lines that lie side by side, each number of the depth `stride` elements further, to `[pair][line]`.
    fn across(from: &[Self], stride: usize, lines: usize, len: usize, out: &mut [Step]);
}

/// Rows `first..` of a matrix, as many as a panel holds, from a run of columns: `[line][pair]`. What is past the end is
/// zero.
pub(super) fn pack_left<T: Element>(from: Matrix<'_, T>, first: usize, depth: Range<usize>, out: &mut [Step]) {
    let lines = SIDE.min(from.rows - first);
    let from_first = &from.data[first * from.row_stride + depth.start * from.col_stride..];
    if from.col_stride == 1 {
        T::along(from_first, from.row_stride, lines, depth.len(), out);
    } else {
        T::across(from_first, from.col_stride, lines, depth.len(), out);
        out.iter_mut().for_each(to_lines);
    }
}

/// The same as `[pair][line]`.
pub(super) fn pack_right<T: Element>(from: Matrix<'_, T>, first: usize, depth: Range<usize>, out: &mut [Step]) {
    let lines = SIDE.min(from.rows - first);
    let from_first = &from.data[first * from.row_stride + depth.start * from.col_stride..];
    if from.col_stride == 1 {
        T::along(from_first, from.row_stride, lines, depth.len(), out);
        out.iter_mut().for_each(to_pairs);
    } else {
        T::across(from_first, from.col_stride, lines, depth.len(), out);
    }
}

/// Neighbours along the depth as one number.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of loops that are compiled for several instruction sets")]
fn pair(low: u16, high: u16) -> Pair {
    Pair::from(low) | Pair::from(high) << 16
}

macro_rules! element {
    ($type:ty, $bits:expr, $along:ident, $across:ident) => {
        multiversion! {
            fn $along(from: &[$type], stride: usize, lines: usize, len: usize, out: &mut [Step]) {
                let _ = FMA;
                for (index, step) in out.iter_mut().enumerate() {
                    let (rows, _) = step.0.as_chunks_mut::<PAIRS>();
                    let width = STEP.min(len - index * STEP);
                    for (line, row) in rows.iter_mut().enumerate() {
                        if line >= lines {
                            row.fill(0);
                            continue;
                        }
                        let from = &from[line * stride + index * STEP..][..width];
                        if let Ok(from) = <&[$type; STEP]>::try_from(from) {
                            for i in 0..PAIRS {
                                row[i] = pair($bits(from[2 * i]), $bits(from[2 * i + 1]));
                            }
                        } else {
                            row.fill(0);
                            for (i, from) in from.iter().enumerate() {
                                row[i / 2] |= Pair::from($bits(*from)) << (i % 2 * 16);
                            }
                        }
                    }
                }
            }
        }

        multiversion! {
            fn $across(from: &[$type], stride: usize, lines: usize, len: usize, out: &mut [Step]) {
                let _ = FMA;
                for (index, step) in out.iter_mut().enumerate() {
                    let (rows, _) = step.0.as_chunks_mut::<SIDE>();
                    for (i, row) in rows.iter_mut().enumerate() {
                        let at = index * STEP + 2 * i;
                        if at >= len {
                            row.fill(0);
                            continue;
                        }
                        let low = &from[at * stride..][..lines];
                        let high = if at + 1 < len { &from[(at + 1) * stride..][..lines] } else { &[] };
                        let whole = (<&[$type; SIDE]>::try_from(low), <&[$type; SIDE]>::try_from(high));
                        if let (Ok(low), Ok(high)) = whole {
                            for j in 0..SIDE {
                                row[j] = pair($bits(low[j]), $bits(high[j]));
                            }
                        } else {
                            row.fill(0);
                            for (row, low) in row.iter_mut().zip(low) {
                                *row = Pair::from($bits(*low));
                            }
                            for (row, high) in row.iter_mut().zip(high) {
                                *row |= Pair::from($bits(*high)) << 16;
                            }
                        }
                    }
                }
            }
        }

        impl Element for $type {
            fn along(from: &[Self], stride: usize, lines: usize, len: usize, out: &mut [Step]) {
                $along(from, stride, lines, len, out);
            }

            fn across(from: &[Self], stride: usize, lines: usize, len: usize, out: &mut [Step]) {
                $across(from, stride, lines, len, out);
            }
        }
    };
}

element!(f32, bf16_bits, floats_along, floats_across);
element!(bf16, bf16::to_bits, halves_along, halves_across);

multiversion! {
    /// `[line][pair]` to `[pair][line]`.
    fn to_pairs(step: &mut Step) {
        let _ = FMA;
        let from = step.0;
        for i in 0..PAIRS {
            for j in 0..SIDE {
                step.0[i * SIDE + j] = from[j * PAIRS + i];
            }
        }
    }
}

multiversion! {
    /// `[pair][line]` to `[line][pair]`.
    fn to_lines(step: &mut Step) {
        let _ = FMA;
        let from = step.0;
        for j in 0..SIDE {
            for i in 0..PAIRS {
                step.0[j * PAIRS + i] = from[i * SIDE + j];
            }
        }
    }
}
