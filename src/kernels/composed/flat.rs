//! The flat f32 buffers on a device: changed in place, a piece at a time so that what lies in between stays small.

use candle_core::{DType, Tensor};

use super::numbers::indices;
use crate::{Result, Slot};

/// Elements of a piece: 64 MiB.
const PIECE: usize = 1 << 24;

/// Elements that are summed on the device, in f32, before the sums are added in f64.
const ROW: usize = 1024;

/// A range in pieces.
pub(super) fn pieces(slot: Slot) -> impl Iterator<Item = Slot> {
    let end = slot.offset + slot.len;
    (slot.offset..end).step_by(PIECE).map(move |offset| Slot { offset, len: PIECE.min(end - offset) })
}

fn whole(flat: &Tensor) -> Slot {
    Slot { offset: 0, len: flat.elem_count() }
}

fn part(flat: &Tensor, at: Slot) -> candle_core::Result<Tensor> {
    flat.narrow(0, at.offset, at.len)
}

/// Sets every element to zero.
pub(crate) fn zero(flat: &Tensor) -> Result<()> {
    for at in pieces(whole(flat)) {
        part(flat, at)?.zero_set()?;
    }
    Ok(())
}

/// Multiplies every element.
pub(crate) fn scale(flat: &Tensor, factor: f32) -> Result<()> {
    for at in pieces(whole(flat)) {
        let scaled = (part(flat, at)? * f64::from(factor))?;
        flat.slice_set(&scaled, 0, at.offset)?;
    }
    Ok(())
}

/// Adds a gradient of `slot.len` elements to its range.
pub(crate) fn add(flat: &Tensor, slot: Slot, gradient: &Tensor) -> Result<()> {
    if slot.len == 0 {
        return Ok(());
    }
    let gradient = gradient.to_dtype(DType::F32)?.flatten_all()?;
    let sum = (part(flat, slot)? + gradient)?;
    Ok(flat.slice_set(&sum, 0, slot.offset)?)
}

/// Adds the rows of `gradient[n, width]` to the rows `ids` of the matrix that lies in `slot`, in their order.
pub(crate) fn add_rows(flat: &Tensor, slot: Slot, ids: &[u32], gradient: &Tensor) -> Result<()> {
    let (rows, width) = gradient.dims2()?;
    if rows == 0 || width == 0 {
        return Ok(());
    }
    let table = part(flat, slot)?.reshape((slot.len / width, width))?;
    let ids = indices(ids, flat.device())?.reshape((rows, 1))?;
    let ids = ids.broadcast_as((rows, width))?.contiguous()?;
    Ok(table.scatter_add_set(&ids, &gradient.contiguous()?, 0)?)
}

/// Σ g².
pub(crate) fn norm_squared(flat: &Tensor) -> Result<f64> {
    sum_rows(flat, Tensor::sqr)
}

/// Whether there is neither NaN nor infinity: 0·x is 0 for every other number.
pub(crate) fn is_finite(flat: &Tensor) -> Result<bool> {
    Ok(sum_rows(flat, |piece| piece * 0.0)? == 0.0)
}

/// Σ of what `map` makes of every element: short rows on the device, the rest in f64. Waits for the device once.
fn sum_rows(flat: &Tensor, map: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<f64> {
    let mut sums = Vec::new();
    for at in pieces(whole(flat)) {
        let values = map(&part(flat, at)?)?;
        let even = at.len / ROW * ROW;
        if even > 0 {
            let rows = values.narrow(0, 0, even)?.reshape((even / ROW, ROW))?;
            sums.push(rows.sum(1)?);
        }
        if even < at.len {
            sums.push(values.narrow(0, even, at.len - even)?.sum_keepdim(0)?);
        }
    }
    if sums.is_empty() {
        return Ok(0.0);
    }
    let sums = Tensor::cat(&sums, 0)?.to_vec1::<f32>()?;
    Ok(sums.iter().map(|&sum| f64::from(sum)).sum())
}
