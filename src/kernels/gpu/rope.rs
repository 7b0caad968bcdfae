//! Rotary position embedding, in place.

use super::{
    super::{Result, RopeTable, Tensor, access, rope},
    columns::rows_per_run,
    commands::{Run, groups, number},
    memory::Piece,
    shader::Shader,
};

static ROPE: Shader = Shader::new("rope", include_str!("rope.wgsl"), 4);

/// Rotates every head of every token; `inverse` by the negative angle.
pub(super) fn rotate(x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
    let (tokens, width) = access::matrix(rope::OPERATION, "x", x.dims())?;
    let half = rope::check(x.dims(), heads, positions, table)?;
    {
        let piece = x.gpu(rope::OPERATION, "x")?;
        let card = piece.card();
        let (cos, sin) = (table.cos.gpu(rope::OPERATION, "cosines")?, table.sin.gpu(rope::OPERATION, "sines")?);
        let list = Piece::indices(card, positions)?;
        let (known, step, of_table) = (table.cos.dims()[0], rows_per_run(card, width), rows_per_run(card, half));
        for first in (0..tokens).step_by(step) {
            let rows = first..tokens.min(first + step);
            let pairs = rows.len() * heads * half;
            for from in (0..known).step_by(of_table) {
                let angles = from..known.min(from + of_table);
                if !positions[rows.clone()].iter().any(|&position| angles.contains(&(position as usize))) {
                    continue;
                }
                card.run(&Run {
                    program: ROPE.plain(),
                    operands: &[
                        piece.span(rows.start * width..rows.end * width),
                        cos.span(angles.start * half..angles.end * half),
                        sin.span(angles.start * half..angles.end * half),
                        list.span(rows.clone()),
                    ],
                    parameters: &[
                        rows.len() as u32,
                        heads as u32,
                        (width / heads) as u32,
                        half as u32,
                        number(if inverse { -1.0 } else { 1.0 }),
                        angles.start as u32,
                        angles.len() as u32,
                    ],
                    groups: groups(pairs, 64),
                    work: pairs as u64 * 4,
                })?;
            }
        }
    }
    Ok(x)
}
