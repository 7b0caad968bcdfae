//! Matrix products on slices: checked shapes around the `gemm` crate.
#![expect(unsafe_code, reason = "the crate takes raw pointers; the shapes are checked against the slices here")]

pub(super) mod bf16;
mod matrix;
mod multiplier;

use gemm::Parallelism;

use self::matrix::SMALL;
pub(super) use self::matrix::{Matrix, Target};
pub use self::multiplier::Multiplier;
use super::{
    buffer::{Fresh, Shared},
    parallel,
    simd::{VECTOR, add_lanes, fused, fused_vectors, multiversion},
};

/// In what the processor computes a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compute {
    /// Products and activations in f32.
    #[default]
    F32,
    /// Activations wait for the backward in bf16, and this takes the large products (weights, and gradients of
    /// weights).
    Bf16(Multiplier),
}

impl Compute {
    /// What takes the large products.
    pub fn multiplier(self) -> Multiplier {
        match self {
            Self::F32 => Multiplier::F32,
            Self::Bf16(by) => by,
        }
    }
}

/// Some rows of a weight, as a factor of a product.
#[derive(Debug, Clone, Copy)]
pub(super) enum Panel<'a> {
    F32(Matrix<'a>),
    /// f32 to be rounded to bf16 for this multiplier.
    Rounded(Matrix<'a>, Multiplier),
    Bf16(Matrix<'a, half::bf16>, Multiplier),
}

impl<'a> Panel<'a> {
    /// f32 values as a factor.
    pub(super) fn of(values: Matrix<'a>, by: Multiplier) -> Self {
        if by.rounds() { Self::Rounded(values, by) } else { Self::F32(values) }
    }

    /// The transpose.
    pub(super) fn t(self) -> Self {
        match self {
            Self::F32(matrix) => Self::F32(matrix.t()),
            Self::Rounded(matrix, by) => Self::Rounded(matrix.t(), by),
            Self::Bf16(matrix, by) => Self::Bf16(matrix.t(), by),
        }
    }

    /// `factor · x · self`, set or added.
    pub(super) fn multiply(self, x: Matrix<'_>, factor: f32, target: Target<'_>, add: bool) {
        match self {
            Self::F32(matrix) if add => x.times(matrix).scaled(factor).add_to(target),
            Self::F32(matrix) => x.times(matrix).scaled(factor).set(target),
            Self::Rounded(matrix, by) => bf16::product(x, matrix, factor, target, add, by),
            Self::Bf16(matrix, by) => bf16::product(x, matrix, factor, target, add, by),
        }
    }
}

/// Rows of `a` up to which a product with a transposed matrix (the weights of a layer, in generation) is a walk over
/// that matrix: it is read once and never packed.
const FEW: usize = 12;

/// The same as [`SMALL`] for such a walk.
const SMALL_WALK: usize = SMALL / 4;

/// Rows of the transposed matrix in one piece of such a walk.
const PIECE: usize = 64;

/// `factor · a · b`, still to be written somewhere. The bits do not depend on the number of threads: they share out
/// tiles of the target, and every element is summed by one of them in a fixed order.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Product<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    factor: f32,
    alone: bool,
}

impl<'a> Matrix<'a> {
    /// `self · b`, on the current pool when it is worth it.
    pub(super) fn times(self, b: Matrix<'a>) -> Product<'a> {
        Product { a: self, b, factor: 1.0, alone: false }
    }
}

impl Product<'_> {
    pub(super) fn scaled(self, factor: f32) -> Self {
        Self { factor, ..self }
    }

    /// On the caller's thread: it is one of many already.
    pub(super) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Writes it over whatever the target holds.
    pub(super) fn set(self, target: Target<'_>) {
        self.write(target, false);
    }

    /// Adds it to the target.
    pub(super) fn add_to(self, target: Target<'_>) {
        self.write(target, true);
    }

    /// A new row-major matrix.
    pub(super) fn fresh(self) -> Vec<f32> {
        let (rows, cols) = (self.a.rows, self.b.cols);
        let mut buffer = Fresh::new(rows * cols);
        self.set(Target::uninit(buffer.uninit(), rows, cols));
        // SAFETY: the product has set every element.
        unsafe { buffer.vec(rows * cols) }
    }

    /// Whether it stays on the caller's thread.
    fn is_small(&self, limit: usize) -> bool {
        self.alone || self.a.rows * self.a.cols * self.b.cols < limit
    }

    /// A product of few rows with a transposed matrix, by inner products.
    fn write_few(self, c: Target<'_>, add: bool) {
        assert!(c.initialised || !add, "adding to nothing");
        let Self { a, b, factor, .. } = self;
        let (places, stride) = (Shared::new(c.places), c.stride);
        let small = self.is_small(SMALL_WALK);
        parallel::for_each(b.cols.div_ceil(PIECE), small, |piece| {
            let first = piece * PIECE;
            let cols = PIECE.min(b.cols - first);
            let mut products = [0.0; FEW * PIECE];
            let rows_of_b = &b.data[first * b.col_stride..];
            inner_products(&mut products, a.data, a.row_stride, a.rows, rows_of_b, b.col_stride, cols, a.cols);
            for (row, products) in products.chunks(PIECE).take(a.rows).enumerate() {
                // SAFETY: every column belongs to one piece.
                let places = unsafe { places.part(row * stride + first..row * stride + first + cols) };
                for (place, product) in places.iter_mut().zip(products) {
                    let product = factor * product;
                    // SAFETY: a target that is added to is initialised.
                    let old = if add { unsafe { place.assume_init() } } else { 0.0 };
                    place.write(old + product);
                }
            }
        });
    }

    fn write(self, c: Target<'_>, add: bool) {
        let Self { a, b, factor, .. } = self;
        assert!(a.cols == b.rows && a.rows == c.rows && b.cols == c.cols, "shapes of a product");
        assert!(c.initialised || !add, "adding to nothing");
        // One short row is better off with the crate's own walk, which has no threads.
        let few = (2..=FEW).contains(&a.rows) || (a.rows == 1 && !self.is_small(SMALL_WALK));
        if few && a.col_stride == 1 && b.row_stride == 1 {
            return self.write_few(c, add);
        }
        let threads = if self.is_small(SMALL) { 1 } else { rayon::current_num_threads() };
        let worth_cutting = a.rows > UNCUT_ROWS && b.cols >= 2 * CUT && a.cols >= CUT;
        if threads > 1 && a.col_stride == 1 && worth_cutting {
            return self.write_in_pieces(c, add, threads);
        }
        let parallelism = if threads == 1 { Parallelism::None } else { Parallelism::Rayon(threads) };
        // SAFETY: all three shapes were checked against their slices when made; `c` is borrowed for writing alone, and
        // only read when it holds something.
        unsafe { call(a, b, factor, c.places.as_mut_ptr().cast(), c.stride, add, parallelism) };
    }

    /// A product whose columns are shared out to the threads, and its rows where the columns alone are too few pieces:
    /// no thread waits for another to have packed a factor, as it does in the crate's own way. Each packs what it takes
    /// of `b`; rows of `a` need no packing. How an element is summed depends on the depth alone, not on where is cut,
    /// as long as a piece has more than [`UNCUT_ROWS`].
    fn write_in_pieces(self, c: Target<'_>, add: bool, threads: usize) {
        let Self { a, b, factor, .. } = self;
        let width = b.cols.div_ceil(CUT).div_ceil(PIECES_PER_THREAD * threads).max(1) * CUT;
        let across = b.cols.div_ceil(width);
        let down = (2 * threads).div_ceil(across).min(a.rows / (2 * UNCUT_ROWS)).max(1);
        let height = a.rows.div_ceil(down);
        let (places, stride) = (Shared::new(c.places), c.stride);
        parallel::for_each(across * down, false, |piece| {
            let (row, col) = (piece / across * height, piece % across * width);
            let (rows, cols) = (height.min(a.rows - row), width.min(b.cols - col));
            let a = Matrix { data: &a.data[row * a.row_stride..], rows, ..a };
            let b = Matrix { data: &b.data[col * b.col_stride..], cols, ..b };
            // SAFETY: the pieces are parts of matrices that were checked, and no two share an element of `c`.
            unsafe { call(a, b, factor, places.at(row * stride + col).cast(), stride, add, Parallelism::None) };
        });
    }
}

/// Columns are cut at multiples of this, what the crate's widest kernel takes at once; in a product of less depth
/// packing is nothing.
const CUT: usize = 64;

/// Pieces for each thread, so that none waits long for another's last one.
const PIECES_PER_THREAD: usize = 5;

/// Products of no more rows than this (and no more columns than [`CUT`]) are summed in other parts of the depth.
const UNCUT_ROWS: usize = 64;

/// `c = factor · a · b`, or added to it, by the crate; `c`'s rows are `stride` elements apart.
///
/// # Safety
/// `a` and `b` lie in their slices and `c` has the product's shape, is no one else's, and holds numbers where it is
/// added to.
unsafe fn call(
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    c: *mut f32,
    stride: usize,
    add: bool,
    parallelism: Parallelism,
) {
    // SAFETY: the caller's promise.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            c,
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

multiversion! {
    /// `out[i·PIECE + j] = a_i · b_j` for `a_rows` rows of `a` and `b_rows` rows of `b`, all `k` long.
    fn inner_products(
        out: &mut [f32],
        a: &[f32],
        a_stride: usize,
        a_rows: usize,
        b: &[f32],
        b_stride: usize,
        b_rows: usize,
        k: usize,
    ) {
        for j in 0..b_rows {
            let b = &b[j * b_stride..j * b_stride + k];
            for i in (0..a_rows).step_by(TOGETHER) {
                let rows = TOGETHER.min(a_rows - i);
                dots::<FMA>(&mut out[i * PIECE + j..], &a[i * a_stride..], a_stride, rows, b);
            }
        }
    }
}

/// Rows that share each load of `b`.
const TOGETHER: usize = 4;

/// `out[n·PIECE] = a_n · b` for up to [`TOGETHER`] rows; fewer cost the same, as the last one is taken again.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of a loop that is compiled for several instruction sets")]
fn dots<const FMA: bool>(out: &mut [f32], a: &[f32], a_stride: usize, a_rows: usize, b: &[f32]) {
    let rows: [_; TOGETHER] = std::array::from_fn(|n| {
        let row = n.min(a_rows - 1);
        a[row * a_stride..][..b.len()].as_chunks::<VECTOR>()
    });
    let (b, b_rest) = b.as_chunks::<VECTOR>();
    let mut sums = [[0.0_f32; VECTOR]; TOGETHER];
    for (at, b) in b.iter().enumerate() {
        for n in 0..TOGETHER {
            fused_vectors::<FMA>(&mut sums[n], &rows[n].0[at], b);
        }
    }
    // The rest goes to the sums' sum: an index into `sums` that varies would push them out of their registers.
    let sums = sums.map(add_lanes);
    for n in 0..a_rows {
        let rest = rows[n].1.iter().zip(b_rest);
        out[n * PIECE] = rest.fold(sums[n], |sum, (a, b)| fused::<FMA>(*a, *b, sum));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{assert_close, assert_same_bits, inner, random};

    fn floats(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&x| x as f32).collect()
    }

    proptest! {
        /// All orientations, padded rows, set and add.
        #[test]
        fn equals_straight_loops(
            (m, n, k) in (1_usize..40, 1_usize..40, 1_usize..40),
            (turn_a, turn_b, add) in (any::<bool>(), any::<bool>(), any::<bool>()),
            pad in 0_usize..3,
        ) {
            let (a_rows, a_cols) = if turn_a { (k, m) } else { (m, k) };
            let (b_rows, b_cols) = if turn_b { (n, k) } else { (k, n) };
            let (a, b, c) = (random(1, a_rows * (a_cols + pad)), random(2, b_rows * b_cols), random(3, m * n));
            let (a_floats, b_floats, mut out) = (floats(&a), floats(&b), floats(&c));
            let mut expected = if add { c } else { vec![0.0; m * n] };
            for i in 0..m {
                for j in 0..n {
                    for l in 0..k {
                        let left = if turn_a { a[l * (m + pad) + i] } else { a[i * (k + pad) + l] };
                        let right = if turn_b { b[j * k + l] } else { b[l * n + j] };
                        expected[i * n + j] += 0.5 * left * right;
                    }
                }
            }
            let left = Matrix::strided(&a_floats, a_rows, a_cols, a_cols + pad);
            let right = Matrix::new(&b_floats, b_rows, b_cols);
            let (left, right) = (if turn_a { left.t() } else { left }, if turn_b { right.t() } else { right });
            let product = left.times(right).scaled(0.5);
            let target = Target::new(&mut out, m, n);
            if add { product.add_to(target) } else { product.set(target) }
            assert_close("c", &out, &expected, 2e-6);
        }
    }

    /// Walks large enough to be shared out: generation with one sequence and with a few.
    #[test]
    fn few_rows_over_a_large_matrix() {
        let (n, k) = (1601, 403);
        for m in [1, 2, 7, FEW, FEW + 1] {
            let (a, b) = (random(1, m * k), random(2, n * k));
            let (a_floats, b_floats) = (floats(&a), floats(&b));
            let row = |i: usize| &a[i * k..(i + 1) * k];
            let expected: Vec<f64> = (0..m * n).map(|at| inner(row(at / n), &b[at % n * k..][..k])).collect();
            let run = || vec![Matrix::new(&a_floats, m, k).times(Matrix::new(&b_floats, n, k).t()).fresh()];
            assert_close("c", &run()[0], &expected, 2e-6);
            assert_same_bits(run);
        }
    }

    /// Cut in columns, and in rows too where there are few columns; deep enough to be summed in several parts.
    #[test]
    fn a3_where_a_product_is_cut_changes_no_bit() {
        for (m, n, k) in [(150, 600, 700), (700, 130, 600), (65, 1000, 520)] {
            let (a, b) = (random(1, m * k), random(2, n * k));
            let (a_floats, b_floats) = (floats(&a), floats(&b));
            let expected: Vec<f64> =
                (0..m * n).map(|at| 1.0 + inner(&a[at / n * k..][..k], &b[at % n * k..][..k])).collect();
            let run = || {
                let mut c = vec![1.0; m * n];
                let (a, b) = (Matrix::new(&a_floats, m, k), Matrix::new(&b_floats, n, k).t());
                a.times(b).add_to(Target::new(&mut c, m, n));
                vec![c, a.times(b).fresh()]
            };
            assert_close("c", &run()[0], &expected, 2e-6);
            assert_same_bits(run);
        }
    }

    #[test]
    #[should_panic(expected = "reaches past")]
    fn a_matrix_larger_than_its_slice_is_refused() {
        _ = Matrix::new(&[0.0; 5], 2, 3);
    }
}
