//! Products of a few rows with a weight as it is stored, for generation: each of the weight's numbers is read once for
//! eight rows and widened where it is used, so that a token costs little more than reading the model.

#[cfg(test)]
mod tests;

use super::{
    super::{KernelError, Result, Weight},
    commands::{Run, groups, number},
    memory::Piece,
    shader::Shader,
    stored::Stored,
};

static MATVEC: Shader = Shader::new(
    "matvec",
    concat!(include_str!("stored.wgsl"), include_str!("sum.wgsl"), include_str!("matvec.wgsl")),
    3,
);

/// Rows that a run takes.
const ROWS: usize = 8;

/// Threads of a workgroup, and outputs that each team of them has.
const THREADS: usize = 64;
const OUTPUTS: usize = 2;

/// A weight's numbers are widened and multiplied with [`ROWS`] rows whether these are there or not.
const WORK: u64 = 2 * ROWS as u64;

impl<'a> Stored<'a> {
    /// A weight of a model.
    pub(super) fn weight(operation: &'static str, weight: &'a Weight) -> Result<Self> {
        match weight {
            Weight::Dense(tensor) => Self::dense(operation, tensor.gpu(operation, "weight")?),
            Weight::OnCard(blocks) => Ok(blocks.stored()),
            Weight::Quantized(_) => Err(KernelError::Device { operation, operand: "weight" }),
        }
    }

    /// `factor · x Wᵀ` to `y`, or added to it: `x[N,columns]`, `y[N,rows]`.
    pub(super) fn product(&self, x: &Piece, y: &Piece, factor: f32, add: bool) -> Result<()> {
        let Self { piece, format, rows: outputs, columns: width } = *self;
        let card = piece.card();
        let row_bytes = format.row_bytes(width);
        let count = x.len() / width.max(1);
        let room = (card.binding_limit() as usize).saturating_sub(512);
        let at_once = ROWS.min(room / 4 / width.max(1)).min(room / 4 / outputs.max(1)).max(1);
        let step = (room / row_bytes.max(1)).min(if at_once == 1 { room / 4 } else { outputs }).max(1);
        // By the length of a row alone: how a sum is cut must not depend on how many rows there are.
        let lanes = (width / 16).next_power_of_two().clamp(4, THREADS);
        let [code, block, bytes] = format.constants();
        for row in (0..count).step_by(at_once) {
            let rows = at_once.min(count - row);
            for first in (0..outputs).step_by(step) {
                let part = first..outputs.min(first + step);
                let (words, start) = piece.words(part.start * row_bytes..part.end * row_bytes);
                let written = row * outputs + part.start;
                card.run(&Run {
                    program: MATVEC.with(&[code, block, bytes, ("LANES", lanes as u32)]),
                    operands: &[
                        y.span(written..written + (rows - 1) * outputs + part.len()),
                        x.span(row * width..(row + rows) * width),
                        words.all(),
                    ],
                    parameters: &[
                        rows as u32,
                        part.len() as u32,
                        width as u32,
                        outputs as u32,
                        number(factor),
                        u32::from(add),
                        start,
                        row_bytes as u32,
                    ],
                    groups: groups(part.len(), (THREADS / lanes * OUTPUTS) as u32),
                    work: (part.len() * width) as u64 * WORK,
                })?;
            }
        }
        Ok(())
    }
}
