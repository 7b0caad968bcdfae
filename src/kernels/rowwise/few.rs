//! The product of few rows with a weight: inner products, the weight read once and as it lies.
//!
//! Every element is summed in the same order, whatever tile it is in.

use super::super::{
    parallel,
    simd::{fused, is_wide, multiversion},
    weight::Rows,
};

/// Partial sums of an element: one register, on processors with wide ones and on others.
const WIDE: usize = 16;
const NARROW: usize = 8;

/// Elements of the weight in one piece of work.
const PIECE: usize = 64 * 1024;

/// Elements of the weight, or multiplications by four, below which all stays on the caller's thread: reading them takes
/// some 50 microseconds.
const SMALL: usize = 128 * 1024;

/// Rows of `x` that stay in the first-level cache while a piece of the weight passes.
const BLOCK: usize = 16;

/// Rows of the weight that are widened at once, for as many rows of `x`: whole tiles of every shape.
const WIDENED: usize = 12;

/// `x[n,k] · w[m,k]ᵀ`, `[n,m]`. The bits are the same whether `w` is dense or has to be widened.
pub(in super::super) fn product(x: &[f32], w: Rows<'_>) -> Vec<f32> {
    let k = w.columns();
    if k == 0 {
        return Vec::new();
    }
    let (n, m) = (x.len() / k, w.len());
    let small = m * k * n.div_ceil(4) < SMALL;
    // Columns first: a piece of weight rows makes a run of them.
    let columns = (PIECE / k).next_multiple_of(WIDENED).max(WIDENED);
    let pieces: Vec<Vec<f32>> = parallel::map(m.div_ceil(columns), small, |piece| {
        let first = piece * columns;
        let last = (first + columns).min(m);
        let mut out = vec![0.0; (last - first) * n];
        let mut workspace = Vec::new();
        // What has to be widened stays in the first-level cache while few rows pass, in the second-level one while many
        // do.
        let step = match w {
            Rows::Bf16(..) | Rows::Quantized(_) if n <= BLOCK => WIDENED,
            _ => last - first,
        };
        for start in (first..last).step_by(step) {
            let rows = start..last.min(start + step);
            let at = (start - first) * n..(rows.end - first) * n;
            let panel = w.panel_alone(rows, &mut workspace);
            columns_of(x, panel, k, n, &mut out[at]);
        }
        out
    });
    if n == 1 {
        return pieces.concat();
    }
    let mut y = vec![0.0; n * m];
    parallel::chunks(&mut y, m, |row, y| {
        let values = pieces.iter().flat_map(|piece| piece.chunks(n)).map(|column| column[row]);
        y.iter_mut().zip(values).for_each(|(y, value)| *y = value);
    });
    y
}

multiversion! {
    /// `out[j, i] = x[i] · w[j]`.
    fn columns_of(x: &[f32], w: &[f32], k: usize, n: usize, out: &mut [f32]) {
        if is_wide() {
            blocks::<FMA, WIDE>(x, w, k, n, out);
        } else {
            blocks::<FMA, NARROW>(x, w, k, n, out);
        }
    }
}

/// Block by block of `x`, in tiles whose sums and factors fit the registers.
#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn blocks<const FMA: bool, const L: usize>(x: &[f32], w: &[f32], k: usize, n: usize, out: &mut [f32]) {
    for (block, x) in x.chunks(BLOCK * k).enumerate() {
        let out = &mut out[block * BLOCK..];
        let rows = x.len() / k;
        let whole = rows / 4 * 4;
        let (fours, rest) = x.split_at(whole * k);
        if whole > 0 {
            tiles::<FMA, L, 4, 3>(fours, w, k, n, out);
        }
        match rows - whole {
            1 => tiles::<FMA, L, 1, 6>(rest, w, k, n, &mut out[whole..]),
            2 => tiles::<FMA, L, 2, 4>(rest, w, k, n, &mut out[whole..]),
            3 => tiles::<FMA, L, 3, 3>(rest, w, k, n, &mut out[whole..]),
            _ => {}
        }
    }
}

/// All rows of `w` with groups of R rows of `x`.
#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn tiles<const FMA: bool, const L: usize, const R: usize, const C: usize>(
    x: &[f32],
    w: &[f32],
    k: usize,
    n: usize,
    out: &mut [f32],
) {
    let whole = w.len() / k / C * C;
    let (w, w_rest) = w.split_at(whole * k);
    for (column, w) in w.chunks(C * k).enumerate() {
        for (group, x) in x.chunks(R * k).enumerate() {
            let out = &mut out[column * C * n + group * R..];
            tile::<FMA, L, R, C>(x, w, k, n, out);
        }
    }
    for (column, w) in w_rest.chunks(k).enumerate() {
        for (group, x) in x.chunks(R * k).enumerate() {
            let out = &mut out[(whole + column) * n + group * R..];
            tile::<FMA, L, R, 1>(x, w, k, n, out);
        }
    }
}

/// R rows of `x` against C rows of `w`.
#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn tile<const FMA: bool, const L: usize, const R: usize, const C: usize>(
    x: &[f32],
    w: &[f32],
    k: usize,
    n: usize,
    out: &mut [f32],
) {
    let mut sums = [[[0.0_f32; L]; C]; R];
    let whole = k / L * L;
    let xs: [&[[f32; L]]; R] = std::array::from_fn(|i| x[i * k..][..k].as_chunks().0);
    let ws: [&[[f32; L]]; C] = std::array::from_fn(|j| w[j * k..][..k].as_chunks().0);
    for at in 0..k / L {
        for i in 0..R {
            let x = xs[i][at];
            for j in 0..C {
                sums[i][j] = add_product::<FMA, L>(x, ws[j][at], sums[i][j]);
            }
        }
    }
    for i in 0..R {
        for j in 0..C {
            let (x, w) = (&x[i * k..][..k], &w[j * k..][..k]);
            let mut lanes = sums[i][j];
            for (lane, (x, w)) in lanes.iter_mut().zip(x[whole..].iter().zip(&w[whole..])) {
                *lane = fused::<FMA>(*x, *w, *lane);
            }
            let mut half = L / 2;
            while half > 0 {
                for lane in 0..half {
                    lanes[lane] += lanes[lane + half];
                }
                half /= 2;
            }
            out[j * n + i] = lanes[0];
        }
    }
}

/// By value: so the compiler keeps the sums in registers.
#[expect(clippy::inline_always, reason = "must be compiled with the loop's instruction set")]
#[inline(always)]
fn add_product<const FMA: bool, const L: usize>(a: [f32; L], b: [f32; L], mut sum: [f32; L]) -> [f32; L] {
    for lane in 0..L {
        sum[lane] = fused::<FMA>(a[lane], b[lane], sum[lane]);
    }
    sum
}
