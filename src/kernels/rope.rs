//! Rotary position embedding, in place.

use candle_core::Tensor;

use super::{
    Result, access, parallel,
    simd::{fused, multiversion},
};

/// Cosines and sines by position, made by the model (its theta and scaling): both f32 `[P, rotary/2]`.
#[derive(Debug, Clone)]
pub struct RopeTable {
    /// `cos(position · frequency)`, times the attention factor where the scaling has one.
    pub cos: Tensor,
    /// `sin(position · frequency)`, times the same factor.
    pub sin: Tensor,
}

const OPERATION: &str = "rope";

/// Rotates every head of every token; `inverse` by the negative angle. With a table that carries an attention factor
/// the inverse is the transpose, which is what a backward needs.
pub(super) fn rotate(
    x: Tensor,
    heads: usize,
    positions: &[u32],
    table: &RopeTable,
    inverse: bool,
) -> Result<Tensor> {
    let (tokens, width) = access::matrix(OPERATION, "x", &x)?;
    let (known, half) = access::matrix(OPERATION, "cosines", &table.cos)?;
    access::expect_dims(OPERATION, "sines", &table.sin, &[known, half])?;
    if positions.len() != tokens || heads == 0 || width % heads != 0 || 2 * half > width / heads {
        let message = format!(
            "{} positions and {heads} heads of rotary width {} for x {:?}",
            positions.len(),
            2 * half,
            x.dims()
        );
        return access::fault(OPERATION, message);
    }
    if let Some(far) = positions
        .iter()
        .find(|&&position| position as usize >= known)
    {
        let message = format!(
            "position {far} is past the {known} positions that the table (and the model) has"
        );
        return access::fault(OPERATION, message);
    }
    let (cos, sin) = (
        access::read(OPERATION, "cosines", &table.cos)?,
        access::read(OPERATION, "sines", &table.sin)?,
    );
    let per_piece = parallel::rows_per_piece(width);
    access::rewrite(OPERATION, "x", &x, &[&cos, &sin], |x| {
        parallel::chunks(x, per_piece * width, |piece, rows| {
            for (row, &position) in rows.chunks_mut(width).zip(&positions[piece * per_piece..]) {
                let at = position as usize * half..(position as usize + 1) * half;
                rotate_row(
                    row,
                    width / heads,
                    &cos[at.clone()],
                    &sin[at],
                    if inverse { -1.0 } else { 1.0 },
                );
            }
        });
    })?;
    Ok(x)
}

multiversion! {
    /// All heads of one token.
    fn rotate_row(row: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], sign: f32) {
        let half = cos.len();
        let sin = &sin[..half];
        for head in row.chunks_mut(head_dim) {
            let (first, second) = head[..2 * half].split_at_mut(half);
            for i in 0..half {
                let (a, b, s) = (first[i], second[i], sin[i] * sign);
                first[i] = fused::<FMA>(a, cos[i], -(b * s));
                second[i] = fused::<FMA>(b, cos[i], a * s);
            }
        }
    }
}
