//! Matrix products on slices: checked shapes around the `gemm` crate.
#![expect(
    unsafe_code,
    reason = "the crate takes raw pointers; the shapes are checked against the slices here"
)]

use std::{marker::PhantomData, mem::MaybeUninit, ops::Range};

use gemm::Parallelism;

use super::buffer::Fresh;

/// A matrix that is read: any strides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows × cols`, row-major and dense.
    pub(super) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// `rows × cols`, rows `stride` elements apart.
    pub(super) fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len(),
            "matrix reaches past its slice"
        );
        Self {
            data,
            rows,
            cols,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// The transpose.
    pub(super) fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Some rows.
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        assert!(
            range.end <= self.rows && self.col_stride == 1,
            "rows of a row-major matrix"
        );
        Self::strided(
            &self.data[range.start * self.row_stride..],
            range.len(),
            self.cols,
            self.row_stride,
        )
    }
}

/// The matrix that is written: dense rows, `stride` elements apart.
pub(super) struct Target<'a> {
    start: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    initialised: bool,
    lifetime: PhantomData<&'a mut [f32]>,
}

impl<'a> Target<'a> {
    /// `rows × cols`, row-major and dense.
    pub(super) fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert!(rows * cols <= data.len(), "target reaches past its slice");
        Self {
            start: data.as_mut_ptr(),
            rows,
            cols,
            stride: cols,
            initialised: true,
            lifetime: PhantomData,
        }
    }

    /// The same over memory that holds nothing yet: it can only be set.
    pub(super) fn uninit(data: &'a mut [MaybeUninit<f32>], rows: usize, cols: usize) -> Self {
        assert!(rows * cols <= data.len(), "target reaches past its slice");
        let start = data.as_mut_ptr().cast();
        Self {
            start,
            rows,
            cols,
            stride: cols,
            initialised: false,
            lifetime: PhantomData,
        }
    }
}

/// Multiplications below which a product stays on the caller's thread (about 20 microseconds of work).
const SMALL: usize = 2 << 20;

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
        Product {
            a: self,
            b,
            factor: 1.0,
            alone: false,
        }
    }
}

impl Product<'_> {
    pub(super) fn scaled(self, factor: f32) -> Self {
        Self { factor, ..self }
    }

    /// On the caller's thread: it is one of many already.
    pub(super) fn alone(self) -> Self {
        Self {
            alone: true,
            ..self
        }
    }

    /// Writes it over whatever the target holds.
    pub(super) fn set(self, target: Target<'_>) {
        self.write(target, false);
    }

    /// Adds it to the target.
    pub(super) fn add_to(self, target: Target<'_>) {
        assert!(target.initialised, "adding to nothing");
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

    fn write(self, c: Target<'_>, add: bool) {
        let Self {
            a,
            b,
            factor,
            alone,
        } = self;
        assert!(
            a.cols == b.rows && a.rows == c.rows && b.cols == c.cols,
            "shapes of a product"
        );
        let parallelism = if alone || a.rows * a.cols * b.cols < SMALL {
            Parallelism::None
        } else {
            match rayon::current_num_threads() {
                1 => Parallelism::None,
                n => Parallelism::Rayon(n),
            }
        };
        // SAFETY: all three shapes were checked against their slices when made; `c` is borrowed for writing alone, and
        // only read when it holds something.
        unsafe {
            gemm::gemm(
                c.rows,
                c.cols,
                a.cols,
                c.start,
                1,
                c.stride as isize,
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::testing::{assert_close, random};

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

    #[test]
    #[should_panic(expected = "reaches past")]
    fn a_matrix_larger_than_its_slice_is_refused() {
        _ = Matrix::new(&[0.0; 5], 2, 3);
    }
}
