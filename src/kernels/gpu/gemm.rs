//! Products of matrices in f32.

use std::{ops::Range, sync::Arc};

use candle_core::DType;

use super::{
    super::{Result, access},
    card::Card,
    commands::{Run, groups, number},
    memory::{Piece, Span},
    shader::Shader,
};

static GEMM: Shader = Shader::of_products("gemm", include_str!("gemm.wgsl"), 3);
static SUM_PARTS: Shader = Shader::new("sum_parts", include_str!("sum_parts.wgsl"), 2);

/// Rows and columns of a tile, and of its narrow side where the result is no wider: the rank of an adapter, mostly.
const TILE: usize = 64;
const NARROW: usize = 16;

/// Workgroups that keep a large card busy: with fewer tiles, the summed index is cut.
const BUSY: usize = 128;

/// The summed index is cut no shorter than this.
const STRETCH: usize = 512;

/// A matrix inside a piece: `rows` runs of `columns` numbers, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    piece: &'a Piece,
    first: usize,
    rows: usize,
    columns: usize,
    stride: usize,
    is_turned: bool,
}

impl<'a> Matrix<'a> {
    /// A piece whose elements are the matrix, row after row.
    pub(super) fn new(piece: &'a Piece, rows: usize, columns: usize) -> Self {
        Self { piece, first: 0, rows, columns, stride: columns, is_turned: false }
    }

    /// A matrix that begins at some element, such as one parameter of a flat buffer.
    pub(super) fn at(piece: &'a Piece, first: usize, rows: usize, columns: usize) -> Self {
        Self { first, ..Self::new(piece, rows, columns) }
    }

    /// Some of its columns.
    pub(super) fn columns(self, columns: Range<usize>) -> Self {
        Self { first: self.first + columns.start, columns: columns.len(), ..self }
    }

    /// Some of its rows.
    fn cut(self, rows: Range<usize>) -> Self {
        Self { first: self.first + rows.start * self.stride, rows: rows.len(), ..self }
    }

    /// Its transpose, which is the same numbers.
    pub(super) fn t(self) -> Self {
        Self { is_turned: !self.is_turned, ..self }
    }

    /// Rows and columns as a factor.
    pub(super) fn dims(&self) -> (usize, usize) {
        if self.is_turned { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }

    fn span(&self) -> Span<'a> {
        let last = if self.rows == 0 { 0 } else { (self.rows - 1) * self.stride + self.columns };
        self.piece.span(self.first..self.first + last)
    }

    /// Rows of it that one operand may span.
    fn rows_within(&self, bytes: u64) -> usize {
        let per_row = self.stride as u64 * 4;
        ((bytes.saturating_sub(256)) / per_row.max(1)).max(1) as usize
    }

    /// Rows `from..to` of it as a factor.
    fn factor_rows(self, range: Range<usize>) -> Self {
        if self.is_turned { self.columns(range) } else { self.cut(range) }
    }

    /// Columns `from..to` of it as a factor.
    fn factor_columns(self, range: Range<usize>) -> Self {
        if self.is_turned { self.cut(range) } else { self.columns(range) }
    }
}

/// `A · B`, times a factor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    factor: f32,
    /// Whether the summed index may be cut by how many rows there are, which changes the last digits.
    may_split: bool,
}

impl<'a> Matrix<'a> {
    pub(super) fn times(self, b: Matrix<'a>) -> Product<'a> {
        Product { a: self, b, factor: 1.0, may_split: true }
    }
}

impl Product<'_> {
    pub(super) fn scaled(self, factor: f32) -> Self {
        Self { factor, ..self }
    }

    /// Each row's bits are independent of how many rows there are, if they are wanted `alone`.
    pub(super) fn rowwise(self, alone: bool) -> Self {
        Self { may_split: !alone, ..self }
    }

    /// Writes it to `c`.
    pub(super) fn to(self, c: Matrix<'_>) -> Result<()> {
        self.into(c, false)
    }

    /// Adds it to `c`.
    pub(super) fn add_to(self, c: Matrix<'_>) -> Result<()> {
        self.into(c, true)
    }

    /// It as a piece of its own, `[rows, columns]`.
    pub(super) fn fresh(self) -> Result<Piece> {
        let (rows, columns) = (self.a.dims().0, self.b.dims().1);
        let c = Piece::new(self.a.piece.card(), &[rows, columns], DType::F32)?;
        self.to(Matrix::new(&c, rows, columns))?;
        Ok(c)
    }

    /// Cuts what is larger than the card takes at once: rows of `A` and `C`, columns of `B`, and, where a factor's rows
    /// are the summed index, that one.
    fn into(self, c: Matrix<'_>, add: bool) -> Result<()> {
        let Self { a, b, .. } = self;
        let ((m, k), (inner, n)) = (a.dims(), b.dims());
        if k != inner || c.dims() != (m, n) || c.is_turned {
            let message = format!("[{m}, {k}] times [{inner}, {n}] into {:?}", c.dims());
            return access::fault("product on the card", message);
        }
        let card = a.piece.card();
        let limit = card.binding_limit();
        let mut rows = c.rows_within(limit);
        let (mut columns, mut depth) = (n.max(1), k.max(1));
        let cut = |whole: &mut usize, matrix: &Matrix<'_>| *whole = (*whole).min(matrix.rows_within(limit));
        if a.is_turned {
            cut(&mut depth, &a);
        } else {
            cut(&mut rows, &a);
        }
        if b.is_turned {
            cut(&mut columns, &b);
        } else {
            cut(&mut depth, &b);
        }
        if k == 0 && !add && m * n > 0 {
            return access::fault("product on the card", "nothing to sum over".into());
        }
        for depth_from in (0..k).step_by(depth) {
            let sum = depth_from..k.min(depth_from + depth);
            for row in (0..m).step_by(rows) {
                let row = row..m.min(row + rows);
                for column in (0..n).step_by(columns) {
                    let column = column..n.min(column + columns);
                    let part = Self {
                        a: a.factor_rows(row.clone()).factor_columns(sum.clone()),
                        b: b.factor_rows(sum.clone()).factor_columns(column.clone()),
                        ..self
                    };
                    part.within_memory(card, c.cut(row.clone()).columns(column.clone()), add || sum.start > 0)?;
                }
            }
        }
        Ok(())
    }

    /// Cuts what would take long into tiles that do not, which changes no sum.
    fn within_memory(self, card: &Arc<Card>, c: Matrix<'_>, add: bool) -> Result<()> {
        let Self { a, b, .. } = self;
        let ((m, k), (_, n)) = (a.dims(), b.dims());
        let cut = self.cut(m, n, k);
        let (rows, columns) = cut.tiles_in(card.pace.budget(), [m, n, k]);
        for row in (0..m).step_by(rows) {
            let row = row..m.min(row + rows);
            for column in (0..n).step_by(columns) {
                let column = column..n.min(column + columns);
                let part = Self { a: a.factor_rows(row.clone()), b: b.factor_columns(column.clone()), ..self };
                part.run(card, c.cut(row.clone()).columns(column), add, cut)?;
            }
        }
        Ok(())
    }

    /// How the work is cut: by the shape alone, so that the bits are the same every time.
    fn cut(&self, m: usize, n: usize, k: usize) -> Cut {
        // A row's bits must not depend on how many there are where they are wanted alone.
        let rows = if self.may_split && m <= NARROW { NARROW } else { TILE };
        let columns = if n <= NARROW && rows == TILE { NARROW } else { TILE };
        let tiles = m.div_ceil(rows) * n.div_ceil(columns);
        let parts = if self.may_split { parts(tiles, k) } else { 1 };
        Cut { rows, columns, parts }
    }

    fn run(self, card: &Arc<Card>, c: Matrix<'_>, add: bool, cut: Cut) -> Result<()> {
        let Self { a, b, factor, .. } = self;
        let ((m, k), (_, n)) = (a.dims(), b.dims());
        let Cut { rows, columns, parts } = cut;
        let stretch = k.div_ceil(parts).next_multiple_of(16);
        let parts = k.div_ceil(stretch).max(1);
        let constants = [
            ("A_COLUMNS", u32::from(a.is_turned)),
            ("B_COLUMNS", u32::from(!b.is_turned)),
            ("ROWS", rows as u32),
            ("COLUMNS", columns as u32),
        ];
        let run = |c: Matrix<'_>, add: bool| {
            card.run(&Run {
                program: GEMM.with(&constants),
                operands: &[c.span_of(parts, m * n), a.span(), b.span()],
                parameters: &[
                    m as u32,
                    n as u32,
                    k as u32,
                    a.stride as u32,
                    b.stride as u32,
                    c.stride as u32,
                    number(factor),
                    u32::from(add),
                    stretch as u32,
                    (m * n) as u32,
                ],
                groups: [n.div_ceil(columns) as u32, m.div_ceil(rows) as u32, parts as u32],
                work: (m * n * k) as u64,
            })
        };
        if parts == 1 {
            return run(c, add);
        }
        let sums = Piece::new(card, &[parts, m, n], DType::F32)?;
        run(Matrix::new(&sums, m, n), false)?;
        sum_parts(card, c, &sums, parts, add)
    }
}

/// Parts that a sum over `k` is cut into where there are so many tiles.
fn parts(tiles: usize, k: usize) -> usize {
    (BUSY / tiles.max(1)).min(k / STRETCH).max(1)
}

/// Bytes of the parts of a product of this many rows and columns, and so long sums, at most.
pub fn split_bytes([m, n, k]: [usize; 3]) -> u64 {
    match parts(m.div_ceil(TILE) * n.div_ceil(TILE), k) {
        1 => 0,
        parts => (parts * m * n * 4) as u64,
    }
}

/// Rows and columns of a tile, and parts that the summed index is cut into.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rows: usize,
    columns: usize,
    parts: usize,
}

impl Cut {
    /// Rows and columns of whole tiles that so many multiplications do, one tile at least.
    fn tiles_in(self, budget: u64, [m, n, k]: [usize; 3]) -> (usize, usize) {
        let of_tile = (self.rows * self.columns * k.max(1)) as u64;
        let tiles = usize::try_from(budget / of_tile).unwrap_or(usize::MAX).max(1);
        let wide = n.div_ceil(self.columns).max(1);
        if tiles >= wide {
            ((tiles / wide).saturating_mul(self.rows).min(m.max(1)), n.max(1))
        } else {
            (self.rows, tiles * self.columns)
        }
    }
}

/// Sets `c` to the sum of as many matrices of its size, one after the other, or adds that to it.
pub(super) fn sum_parts(card: &Arc<Card>, c: Matrix<'_>, sums: &Piece, parts: usize, add: bool) -> Result<()> {
    let (m, n) = c.dims();
    card.run(&Run {
        program: SUM_PARTS.plain(),
        operands: &[c.span(), sums.all()],
        parameters: &[m as u32, n as u32, c.stride as u32, parts as u32, u32::from(add)],
        groups: groups(m * n, 64),
        work: (m * n * parts) as u64,
    })
}

impl<'a> Matrix<'a> {
    /// What a run writes: the matrix, or as many matrices one after the other as there are parts.
    fn span_of(&self, parts: usize, numbers: usize) -> Span<'a> {
        if parts == 1 { self.span() } else { self.piece.span(self.first..self.first + parts * numbers) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        Place, Tensor,
        gpu::{CardOptions, tests::card},
        testing::{random, tensor, values},
    };

    /// Products as adapters have them, by tiles of either width: the same bits. How long each takes is printed.
    #[test]
    fn a_narrow_tile_gives_the_bits_of_a_wide_one() {
        const TOKENS: usize = 515;
        const WIDTH: usize = 890;
        const RANK: usize = 13;
        let Some(card) = card(CardOptions::default()) else { return };
        let place = Place::Gpu(Arc::clone(&card));
        let there = |seed, rows: usize, columns: usize| {
            let numbers = tensor(&random(seed, rows * columns), (rows, columns)).to_place(&place).unwrap();
            numbers.gpu("test", "matrix").unwrap().clone()
        };
        let (x, a, u) = (there(1, TOKENS, WIDTH), there(2, RANK, WIDTH), there(3, TOKENS, RANK));
        let down = Matrix::new(&x, TOKENS, WIDTH).times(Matrix::new(&a, RANK, WIDTH).t());
        let up = Matrix::new(&u, TOKENS, RANK).t().times(Matrix::new(&x, TOKENS, WIDTH));
        for (product, narrow) in [(down, (TILE, NARROW)), (up, (NARROW, TILE))] {
            let (m, n) = (product.a.dims().0, product.b.dims().1);
            let own = product.cut(m, n, product.a.dims().1);
            assert_eq!((own.rows, own.columns), narrow);
            let c = Piece::new(&card, &[m, n], DType::F32).unwrap();
            let by = |rows, columns| {
                let cut = Cut { rows, columns, parts: 1 };
                let run = || product.run(&card, Matrix::new(&c, m, n), false, cut).unwrap();
                run();
                let found = values(&Tensor::from(c.clone()));
                let began = Instant::now();
                (0..5).for_each(|_| run());
                card.wait().unwrap();
                eprintln!("{m}×{n} by {rows}×{columns}: {:.1} ms", began.elapsed().as_secs_f64() * 200.0);
                found
            };
            assert!(by(TILE, TILE) == by(narrow.0, narrow.1));
        }
    }
}
