//! Rows of a table in, and their gradients back.

use candle_core::{DType, Tensor};

use super::numbers::{indices, precise};
use crate::{Gradients, Result, Slot, access, embed::check_ids};

/// `scale · table[ids]` as `kind`.
pub(super) fn gather(operation: &'static str, ids: &[u32], table: &Tensor, scale: f32, kind: DType) -> Result<Tensor> {
    let (known, _) = access::matrix(operation, "table", table.dims())?;
    // A device would read whatever lies there.
    check_ids(operation, ids, known)?;
    let rows = table.index_select(&indices(ids, table.device())?, 0)?;
    if scale == 1.0 {
        return Ok(rows.to_dtype(kind)?);
    }
    Ok((precise(&rows)? * f64::from(scale))?.to_dtype(kind)?)
}

/// `sum[ids[i]] += scale · dy[i]`, in the order of `i`.
pub(super) fn embed_backward(ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
    const OPERATION: &str = "embedding backward";
    let (_, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[ids.len(), width])?;
    let known = slot.len / width.max(1);
    check_ids(OPERATION, ids, known)?;
    grads.add_rows(OPERATION, slot, ids, &(precise(dy)? * f64::from(scale))?)
}

/// `[tokens, d]` of zeros with `dy[i]` added to row `rows[i]`.
pub(super) fn scatter_rows(dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
    const OPERATION: &str = "scatter rows";
    let (_, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[rows.len(), width])?;
    check_ids(OPERATION, rows, tokens)?;
    let zeros = Tensor::zeros((tokens, width), dy.dtype(), dy.device())?;
    Ok(zeros.index_add(&indices(rows, dy.device())?, dy, 0)?)
}
