//! Products of matrices rounded to bf16, summed in f32: what several processors have instructions for.
//!
//! Both factors are packed first, in panels of [`SIDE`] lines and in steps of [`PAIRS`] pairs of neighbours along the
//! depth (`pack`); f32 is rounded to nearest meanwhile, and either factor may be transposed. Then squares of the target
//! are shared out to the threads, each a few panels of either side, and `tile` multiplies two panels. Every element of
//! the target is summed by one thread in the order of the depth, so the bits do not depend on how many there are.
//!
//! `tile` has a body for each [`Multiplier`]: two for the instructions, and plain loops over the same panels, right on
//! any processor. The instructions take denormals for zero and keep their own order inside a step, so the bodies agree
//! up to the rounding of their sums.

mod pack;
mod panel;
mod tile;

use std::{cell::Cell, mem::MaybeUninit};

pub(crate) use self::pack::Element;
use self::{
    pack::{pack_left, pack_right},
    panel::{SIDE, STEP, Step},
    tile::{Sums, Tile},
};
use super::{
    Multiplier,
    matrix::{Matrix, SMALL, Target},
};
use crate::{
    buffer::Shared,
    parallel,
    simd::{fused, multiversion},
};

/// Depth that is packed at once.
const DEPTH: usize = 128 * STEP;

/// Steps of a packed block of either factor at most: 8 MiB.
const BLOCK: usize = 4096;

/// Panels of rows, and of columns, in one piece of work: with a depth of 576 the columns' panels take 144 KiB.
const PIECE: [usize; 2] = [8, 4];

/// `c = factor · a · b`, or `c += factor · a · b`.
pub(crate) fn product<A: Element, B: Element>(
    a: Matrix<'_, A>,
    b: Matrix<'_, B>,
    factor: f32,
    c: Target<'_>,
    add: bool,
    by: Multiplier,
) {
    assert!(a.cols == b.rows && a.rows == c.rows && b.cols == c.cols, "shapes of a product");
    assert!(c.initialised || !add, "adding to nothing");
    let (rows, cols, depth) = (a.rows, b.cols, a.cols);
    if depth == 0 && !add {
        for row in c.places.chunks_mut(c.stride.max(1)).take(rows) {
            row[..cols].iter_mut().for_each(|place| _ = place.write(0.0));
        }
    }
    let tile = Tile::of(by);
    let small = rows * cols * depth < SMALL * tile.speed();
    let (places, stride) = (Shared::new(c.places), c.stride);
    let lines_of_b = b.t();
    let (mut left, mut right) = (LEFT.take(), RIGHT.take());
    for start in (0..depth).step_by(DEPTH) {
        let len = DEPTH.min(depth - start);
        let steps = len.div_ceil(STEP);
        let at_once = BLOCK / steps * SIDE;
        for first_row in (0..rows).step_by(at_once) {
            let block_rows = at_once.min(rows - first_row);
            let left = packed(&mut left, block_rows, steps, small, |panel, out| {
                pack_left(a, first_row + panel * SIDE, start..start + len, out);
            });
            for first_col in (0..cols).step_by(at_once) {
                let block_cols = at_once.min(cols - first_col);
                let right = packed(&mut right, block_cols, steps, small, |panel, out| {
                    pack_right(lines_of_b, first_col + panel * SIDE, start..start + len, out);
                });
                let grid = [block_rows.div_ceil(SIDE * PIECE[0]), block_cols.div_ceil(SIDE * PIECE[1])];
                parallel::for_each(grid[0] * grid[1], small, |piece| {
                    let mut sums = Sums::ZERO;
                    let (down, across) = (piece / grid[1] * PIECE[0], piece % grid[1] * PIECE[1]);
                    for (i, left) in (down..).zip(left.chunks(steps).skip(down).take(PIECE[0])) {
                        for (j, right) in (across..).zip(right.chunks(steps).skip(across).take(PIECE[1])) {
                            let (row, col) = (first_row + i * SIDE, first_col + j * SIDE);
                            let (height, width) = (SIDE.min(rows - row), SIDE.min(cols - col));
                            for row in row..row + height {
                                places.prefetch(row * stride + col);
                            }
                            tile.multiply(left, right, &mut sums);
                            for (row, sums) in (row..).zip(&sums.0[..height]) {
                                let at = row * stride + col;
                                // SAFETY: every tile belongs to one piece.
                                let places = unsafe { places.part(at..at + width) };
                                if add || start > 0 {
                                    // SAFETY: a target that is added to is initialised, and the depth before has
                                    // written all of it.
                                    add_row(unsafe { places.assume_init_mut() }, sums, factor);
                                } else {
                                    set_row(places, sums, factor);
                                }
                            }
                        }
                    }
                });
            }
        }
    }
    LEFT.set(left);
    RIGHT.set(right);
}

thread_local! {
    /// Memory for packed blocks, which would otherwise be asked for and zeroed at every product.
    static LEFT: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
    static RIGHT: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
}

/// The panels of some lines in `buffer`, each of `steps`.
fn packed(
    buffer: &mut Vec<Step>,
    lines: usize,
    steps: usize,
    small: bool,
    pack: impl Fn(usize, &mut [Step]) + Sync + Send,
) -> &[Step] {
    let panels = lines.div_ceil(SIDE);
    if buffer.len() < panels * steps {
        buffer.resize(panels * steps, Step::ZERO);
    }
    let buffer = &mut buffer[..panels * steps];
    {
        let places = Shared::new(buffer);
        parallel::for_each(panels, small, |panel| {
            // SAFETY: every panel is packed once.
            pack(panel, unsafe { places.part(panel * steps..(panel + 1) * steps) });
        });
    }
    buffer
}

multiversion! {
    /// `row = factor · sums`.
    fn set_row(row: &mut [MaybeUninit<f32>], sums: &[f32; SIDE], factor: f32) {
        let _ = FMA;
        for (place, sum) in row.iter_mut().zip(sums) {
            place.write(factor * sum);
        }
    }
}

multiversion! {
    /// `row += factor · sums`.
    fn add_row(row: &mut [f32], sums: &[f32; SIDE], factor: f32) {
        for (place, sum) in row.iter_mut().zip(sums) {
            *place = fused::<FMA>(factor, *sum, *place);
        }
    }
}

#[cfg(test)]
mod tests;
