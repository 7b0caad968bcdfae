//! Matrices on slices: what a product reads and what it writes.
#![expect(unsafe_code, reason = "a target may be memory that holds nothing yet")]

use std::{mem::MaybeUninit, ops::Range};

use crate::buffer::as_uninit;

/// A matrix that is read: any strides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T = f32> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows × cols`, row-major and dense.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// `rows × cols`, rows `stride` elements apart.
    pub(crate) fn strided(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len(), "matrix reaches past its slice");
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// Some columns of a row-major matrix.
    pub(crate) fn columns(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.cols && self.col_stride == 1, "columns of a row-major matrix");
        if self.rows == 0 {
            return Self::new(&[], 0, range.len());
        }
        Self::strided(&self.data[range.start..], self.rows, range.len(), self.row_stride)
    }

    /// Some rows.
    pub(crate) fn rows(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.rows && self.col_stride == 1, "rows of a row-major matrix");
        Self::strided(&self.data[range.start * self.row_stride..], range.len(), self.cols, self.row_stride)
    }
}

/// The matrix that is written: dense rows, `stride` elements apart.
pub(crate) struct Target<'a> {
    pub(super) places: &'a mut [MaybeUninit<f32>],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stride: usize,
    pub(super) initialised: bool,
}

impl<'a> Target<'a> {
    /// `rows × cols`, row-major and dense.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        // SAFETY: a product only writes floats to its target.
        let places = unsafe { as_uninit(data) };
        Self { initialised: true, ..Self::uninit(places, rows, cols) }
    }

    /// `rows × cols`, rows `stride` elements apart.
    pub(crate) fn strided(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(cols <= stride, "rows of a target overlap");
        Self { cols, ..Self::new(data, rows, stride) }
    }

    /// `rows × cols` over memory that holds nothing yet: it can only be set.
    pub(crate) fn uninit(places: &'a mut [MaybeUninit<f32>], rows: usize, cols: usize) -> Self {
        Self::uninit_columns(places, rows, cols, 0..cols)
    }

    /// The columns `range` of such a matrix with rows of `stride` elements.
    pub(crate) fn uninit_columns(
        places: &'a mut [MaybeUninit<f32>],
        rows: usize,
        stride: usize,
        range: Range<usize>,
    ) -> Self {
        assert!(range.end <= stride && rows * stride <= places.len(), "target reaches past its slice");
        Self { places: &mut places[range.start..], rows, cols: range.len(), stride, initialised: false }
    }
}

/// Multiplications below which a product stays on the caller's thread (about 20 microseconds of work).
pub(super) const SMALL: usize = 2 << 20;
