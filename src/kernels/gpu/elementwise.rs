//! Sums, multiples and copies, one number a thread.

use super::{
    super::{KernelError, Result},
    commands::{Run, groups, number},
    memory::Piece,
    shader::Shader,
};

static ELEMENTWISE: Shader =
    Shader::new("elementwise", concat!(include_str!("finite.wgsl"), include_str!("elementwise.wgsl")), 2);

/// What becomes of two lists of as many numbers.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// `y += x`.
    Add,
    /// `y = factor·x`.
    Scale(f32),
    /// `y *= factor`.
    ScaleInPlace(f32),
    /// `y = cap·tanh(y / cap)`.
    Cap(f32),
}

/// Numbers that one run works on at most: operands stay below the card's limit.
pub(super) fn per_run(piece: &Piece) -> usize {
    (piece.card().binding_limit() / 4 / 64 * 64).saturating_sub(64).max(64) as usize
}

fn apply(y: &Piece, x: &Piece, operation: Operation) -> Result<()> {
    if x.len() != y.len() {
        let (operation, operand, got) = ("elementwise", "x", x.dims().to_vec());
        return Err(KernelError::Shape { operation, operand, got, expected: format!("{:?}", y.dims()) });
    }
    let (code, factor) = match operation {
        Operation::Add => (0, 0.0),
        Operation::Scale(factor) => (1, factor),
        Operation::ScaleInPlace(factor) => (2, factor),
        Operation::Cap(cap) => (3, cap),
    };
    for first in (0..y.len()).step_by(per_run(y)) {
        let range = first..y.len().min(first + per_run(y));
        y.card().run(&Run {
            program: ELEMENTWISE.with(&[("OPERATION", code)]),
            operands: &[y.span(range.clone()), x.span(range.clone())],
            parameters: &[range.len() as u32, number(factor)],
            groups: groups(range.len(), 64),
            work: range.len() as u64,
        })?;
    }
    Ok(())
}

/// `y += x`.
pub(super) fn add(y: &Piece, x: &Piece) -> Result<()> {
    apply(y, x, Operation::Add)
}

/// `y = factor·x`.
pub(super) fn scale(x: &Piece, factor: f32, y: &Piece) -> Result<()> {
    apply(y, x, Operation::Scale(factor))
}

/// `y *= factor`.
pub(super) fn scale_in_place(y: &Piece, factor: f32) -> Result<()> {
    apply(y, y, Operation::ScaleInPlace(factor))
}

/// `y = cap·tanh(y / cap)`.
pub(super) fn cap(y: &Piece, cap: f32) -> Result<()> {
    apply(y, y, Operation::Cap(cap))
}
