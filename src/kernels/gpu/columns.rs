//! Rows and columns of matrices: a row added to all, sums of columns, matrices cut and joined.

use candle_core::DType;

use super::{
    super::{Result, Tensor, access},
    commands::{Run, groups},
    memory::Piece,
    shader::Shader,
};

static ADD_ROW: Shader = Shader::new("add_row", include_str!("add_row.wgsl"), 2);
static COLUMN_SUMS: Shader =
    Shader::new("column_sums", concat!(include_str!("sum.wgsl"), include_str!("column_sums.wgsl")), 2);
static BLOCK: Shader = Shader::new("block", include_str!("block.wgsl"), 2);
static SCALE_ROWS: Shader = Shader::new("scale_rows", include_str!("scale_rows.wgsl"), 2);

/// Rows of `width` numbers that one run works on at most.
pub(super) fn rows_per_run(card: &super::Card, width: usize) -> usize {
    ((card.binding_limit() as usize).saturating_sub(512) / 4 / width.max(1)).max(1)
}

/// Adds `row[n]` to every row of `y[T,n]`.
pub(super) fn add_row(y: &Piece, row: &Piece) -> Result<()> {
    let (rows, width) = access::matrix("add a row", "y", y.dims())?;
    for first in (0..rows).step_by(rows_per_run(y.card(), width)) {
        let count = rows_per_run(y.card(), width).min(rows - first);
        y.card().run(&Run {
            program: ADD_ROW.plain(),
            operands: &[y.span(first * width..(first + count) * width), row.all()],
            parameters: &[(count * width) as u32, width as u32],
            groups: groups(count * width, 64),
            work: (count * width) as u64,
        })?;
    }
    Ok(())
}

/// Adds the sum of every column of `x[T,n]` to `sums[first..first + n]`: rows in their order.
pub(super) fn add_sums(x: &Piece, sums: &Piece, first: usize) -> Result<()> {
    let (rows, width) = access::matrix("sums of columns", "x", x.dims())?;
    for row in (0..rows).step_by(rows_per_run(x.card(), width)) {
        let count = rows_per_run(x.card(), width).min(rows - row);
        x.card().run(&Run {
            program: COLUMN_SUMS.plain(),
            operands: &[sums.span(first..first + width), x.span(row * width..(row + count) * width)],
            parameters: &[count as u32, width as u32],
            groups: [width as u32, 1, 1],
            work: (count * width) as u64,
        })?;
    }
    Ok(())
}

/// Copies a block of `rows × width` numbers between matrices of other widths.
pub(super) fn block(to: &Piece, to_column: usize, from: &Piece, from_column: usize, width: usize) -> Result<()> {
    let (rows, to_width) = access::matrix("block", "target", to.dims())?;
    let (_, from_width) = access::matrix("block", "source", from.dims())?;
    let step = rows_per_run(to.card(), to_width.max(from_width));
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        to.card().run(&Run {
            program: BLOCK.plain(),
            operands: &[
                to.span(first * to_width..(first + count) * to_width),
                from.span(first * from_width..(first + count) * from_width),
            ],
            parameters: &[
                count as u32,
                width as u32,
                to_width as u32,
                to_column as u32,
                from_width as u32,
                from_column as u32,
            ],
            groups: groups(count * width, 64),
            work: (count * width) as u64,
        })?;
    }
    Ok(())
}

/// Columns `first..first + width` of a matrix.
pub(super) fn cut(x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
    const OPERATION: &str = "columns";
    let (rows, whole) = access::matrix(OPERATION, "x", x.dims())?;
    if first + width > whole {
        return access::fault(OPERATION, format!("columns {first}..{} of {whole}", first + width));
    }
    let x = x.gpu(OPERATION, "x")?;
    let part = Piece::new(x.card(), &[rows, width], DType::F32)?;
    block(&part, 0, x, first, width)?;
    Ok(part.into())
}

/// Matrices of as many rows side by side.
pub(super) fn join(parts: &[Tensor]) -> Result<Tensor> {
    const OPERATION: &str = "join";
    let Some(first) = parts.first() else { return access::fault(OPERATION, "no parts".into()) };
    let (rows, _) = access::matrix(OPERATION, "part", first.dims())?;
    let mut width = 0;
    for part in parts {
        let (found, columns) = access::matrix(OPERATION, "part", part.dims())?;
        access::expect_dims(OPERATION, "part", &[found], &[rows])?;
        width += columns;
    }
    let whole = Piece::new(first.gpu(OPERATION, "part")?.card(), &[rows, width], DType::F32)?;
    let mut at = 0;
    for part in parts {
        let columns = part.dims()[1];
        block(&whole, at, part.gpu(OPERATION, "part")?, 0, columns)?;
        at += columns;
    }
    Ok(whole.into())
}

/// `x[i] *= factors[i]`, row by row.
pub(super) fn scale_rows(x: &Piece, factors: &[f32]) -> Result<()> {
    let (rows, width) = access::matrix("scale rows", "x", x.dims())?;
    access::expect_dims("scale rows", "factors", &[factors.len()], &[rows])?;
    let factors = Piece::numbers(x.card(), factors)?;
    for first in (0..rows).step_by(rows_per_run(x.card(), width)) {
        let count = rows_per_run(x.card(), width).min(rows - first);
        x.card().run(&Run {
            program: SCALE_ROWS.plain(),
            operands: &[x.span(first * width..(first + count) * width), factors.span(first..first + count)],
            parameters: &[(count * width) as u32, width as u32],
            groups: groups(count * width, 64),
            work: (count * width) as u64,
        })?;
    }
    Ok(())
}
