//! Rotary position embedding, by each token's position.

use candle_core::Tensor;

use super::numbers::{indices, precise};
use crate::{Result, RopeTable, access, rope::check};

/// Rotates every head of every token; `inverse` by the negative angle.
pub(super) fn rotate(x: &Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
    let (tokens, width) = access::matrix(crate::rope::OPERATION, "x", x.dims())?;
    let half = check(x.dims(), heads, positions, table)?;
    let head_dim = width / heads;
    let positions = indices(positions, x.device())?;
    let of = |table: &Tensor| -> Result<Tensor> {
        let rows = precise(table)?.index_select(&positions, 0)?;
        Ok(rows.reshape((tokens, 1, half))?)
    };
    let (cos, sin) = (of(table.cos.candle()?)?, of(table.sin.candle()?)?);
    let sin = if inverse { sin.neg()? } else { sin };
    let all = precise(x)?.reshape((tokens, heads, head_dim))?;
    let first = all.narrow(2, 0, half)?;
    let second = all.narrow(2, half, half)?;
    let mut parts = vec![
        (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?,
        (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?,
    ];
    if 2 * half < head_dim {
        parts.push(all.narrow(2, 2 * half, head_dim - 2 * half)?);
    }
    let rotated = Tensor::cat(&parts, 2)?.reshape((tokens, width))?;
    Ok(rotated.to_dtype(x.dtype())?)
}
