//! The product of many rows with a weight: tiles of the result that stay in registers.
//!
//! Every element is summed over the columns one after the other, whatever tile it is in and however many rows there
//! are, so that a row's bits do not depend on the others. The weight is laid out anew, a panel at a time, which pays
//! from about a dozen rows on.

use std::ops::Range;

use super::super::{
    parallel,
    simd::{VECTOR, fused, is_wide, multiversion},
    weight::Rows,
};

/// Columns of the result in one tile.
const STRIP: usize = VECTOR;

/// Rows of the result in one tile: as many sums as there are registers for, on processors with 32 wide ones and on
/// others.
const TALL: usize = 12;
const LOW: usize = 6;

/// Columns of the factors that pass before a tile is put down: a strip of the weight stays in the first-level cache.
const DEPTH: usize = 384;

/// Elements of the weight that are laid out at once.
const PANEL: usize = 256 * 1024;

/// Multiplications below which all stays on the caller's thread.
const SMALL: usize = 1 << 20;

/// Columns of the weight that are laid out before the next row: their places stay in the first-level cache.
const TURN: usize = 32;

/// Tiles, one below the other, that share a strip of the weight while it is in the cache.
const TILES: usize = 16;

/// `x[n,k] · w[m,k]ᵀ`, `[n,m]`.
pub(super) fn product(x: &[f32], w: Rows<'_>) -> Vec<f32> {
    let k = w.columns();
    if k == 0 || w.len() == 0 {
        return Vec::new();
    }
    let (n, m) = (x.len() / k, w.len());
    let small = n * m * k < SMALL;
    let tile = if is_wide() { TALL } else { LOW };
    let x = in_groups(x, k, tile);
    // The bits do not depend on how the tiles are shared out.
    let tiles = n.div_ceil(tile).div_ceil(rayon::current_num_threads());
    let rows = tiles.clamp(1, TILES) * tile;
    let mut y = vec![0.0; n * m];
    let mut parts: Vec<&mut [f32]> = y.chunks_mut(rows * m).collect();
    let columns = (PANEL / k).next_multiple_of(STRIP).max(STRIP).min(m.next_multiple_of(STRIP));
    let mut panel = vec![[0.0; STRIP]; columns / STRIP * k];
    for first in (0..m).step_by(columns) {
        let panel = lay_out(&mut panel, w, first..m.min(first + columns), small);
        parallel::each_mut(&mut parts, small, |part, y| {
            let x = &x[part * rows * k..];
            multiply(&x[..x.len().min(rows * k)], panel, k, tile, y, m, first);
        });
    }
    y
}

/// Some rows of the weight in strips, each column by column.
fn lay_out<'a>(panel: &'a mut [[f32; STRIP]], w: Rows<'_>, rows: Range<usize>, small: bool) -> &'a [[f32; STRIP]] {
    let k = w.columns();
    let panel = &mut panel[..rows.len().div_ceil(STRIP) * k];
    let mut strips: Vec<&mut [[f32; STRIP]]> = panel.chunks_mut(k).collect();
    parallel::each_mut(&mut strips, small, |strip, out| {
        let first = rows.start + strip * STRIP;
        let mut workspace = Vec::new();
        let w = w.panel_alone(first..rows.end.min(first + STRIP), &mut workspace);
        turn(w, k, out);
    });
    panel
}

/// Groups of `tile` rows, each column by column; the last one is filled up with zeros.
fn in_groups(x: &[f32], k: usize, tile: usize) -> Vec<f32> {
    let mut out = vec![0.0; (x.len() / k).next_multiple_of(tile) * k];
    parallel::chunks(&mut out, tile * k, |group, out| {
        let rows = x[group * tile * k..].chunks(k).take(tile);
        for (row, x) in rows.enumerate() {
            for (place, x) in out[row..].iter_mut().step_by(tile).zip(x) {
                *place = *x;
            }
        }
    });
    out
}

/// Up to [`STRIP`] rows of the weight, column by column.
fn turn(w: &[f32], k: usize, out: &mut [[f32; STRIP]]) {
    if w.len() < STRIP * k {
        out.fill([0.0; STRIP]);
    }
    for (at, out) in out.chunks_mut(TURN).enumerate() {
        for (row, w) in w.chunks(k).enumerate() {
            for (out, w) in out.iter_mut().zip(&w[at * TURN..]) {
                out[row] = *w;
            }
        }
    }
}

multiversion! {
    /// Sets the columns of `y` (rows of `m` elements) from `first` on: those of the panel.
    fn multiply(
        x: &[f32],
        panel: &[[f32; STRIP]],
        k: usize,
        tile: usize,
        y: &mut [f32],
        m: usize,
        first: usize,
    ) {
        if tile == TALL {
            tiles::<FMA, TALL>(x, panel, k, y, m, first);
        } else {
            tiles::<FMA, LOW>(x, panel, k, y, m, first);
        }
    }
}

#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn tiles<const FMA: bool, const R: usize>(
    x: &[f32],
    panel: &[[f32; STRIP]],
    k: usize,
    y: &mut [f32],
    m: usize,
    first: usize,
) {
    let (x, _) = x.as_chunks::<R>();
    for (strip, w) in panel.chunks(k).enumerate() {
        let first = first + strip * STRIP;
        let columns = first..m.min(first + STRIP);
        for (depth, w) in w.chunks(DEPTH).enumerate() {
            for (x, y) in x.chunks(k).zip(y.chunks_mut(R * m)) {
                let mut sums = [[0.0; STRIP]; R];
                if depth > 0 {
                    for (sums, y) in sums.iter_mut().zip(y.chunks(m)) {
                        sums[..columns.len()].copy_from_slice(&y[columns.clone()]);
                    }
                }
                let sums = summed::<FMA, R>(sums, &x[depth * DEPTH..], w);
                for (sums, y) in sums.iter().zip(y.chunks_mut(m)) {
                    y[columns.clone()].copy_from_slice(&sums[..columns.len()]);
                }
            }
        }
    }
}

/// By value: so the compiler keeps the sums in registers. In parts of [`LOW`] rows: a loop over twelve it would turn
/// round, and gather the elements of a column, forty times slower.
#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn summed<const FMA: bool, const R: usize>(
    mut sums: [[f32; STRIP]; R],
    x: &[[f32; R]],
    w: &[[f32; STRIP]],
) -> [[f32; STRIP]; R] {
    const { assert!(R.is_multiple_of(LOW)) };
    let (parts, _) = sums.as_chunks_mut::<LOW>();
    for (x, w) in x.iter().zip(w) {
        let (x, _) = x.as_chunks::<LOW>();
        for (sums, x) in parts.iter_mut().zip(x) {
            for i in 0..LOW {
                for lane in 0..STRIP {
                    sums[i][lane] = fused::<FMA>(x[i], w[lane], sums[i][lane]);
                }
            }
        }
    }
    sums
}
