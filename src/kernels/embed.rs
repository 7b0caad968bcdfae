//! Rows of a table in, and their gradients back.
#![expect(unsafe_code, reason = "rows are copied into buffers that hold nothing yet")]

use super::{
    Gradients, Place, Result, Slot, Tensor, Weight, access,
    buffer::{Fresh, Shared},
    parallel,
    simd::{fused, multiversion},
};

/// `scale · table[ids]`.
pub(super) fn gather(operation: &'static str, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
    let (known, width) = table.matrix(operation, "table")?;
    check_ids(operation, ids, known)?;
    let table = table.read(operation, "table")?;
    let table = table.rows();
    let mut x = Fresh::new(ids.len() * width);
    let per_piece = parallel::rows_per_piece(width);
    parallel::chunks(&mut x.uninit()[..ids.len() * width], per_piece * width.max(1), |piece, rows| {
        let mut workspace = Vec::new();
        for (row, &id) in rows.chunks_mut(width).zip(&ids[piece * per_piece..]) {
            let from = table.panel_alone(id as usize..id as usize + 1, &mut workspace);
            row.iter_mut().zip(from).for_each(|(to, from)| _ = to.write(from * scale));
        }
    });
    // SAFETY: every row has been written.
    unsafe { x.tensor((ids.len(), width)) }
}

/// `sum[ids[i]] += scale · dy[i]`, in the order of `i`.
pub(super) fn embed_backward(ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
    const OPERATION: &str = "embedding backward";
    let (rows, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[ids.len(), width])?;
    let known = slot.len / width.max(1);
    check_ids(OPERATION, ids, known)?;
    let dy = access::read(OPERATION, "dy", dy)?;
    grads.change(OPERATION, slot, known * width, |sum| {
        scatter(sum, width, ids, &dy[..rows * width], scale);
    })
}

/// `[tokens, d]` of zeros with `dy[i]` added to row `rows[i]`.
pub(super) fn scatter_rows(dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
    const OPERATION: &str = "scatter rows";
    let (_, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[rows.len(), width])?;
    check_ids(OPERATION, rows, tokens)?;
    let dy = access::read(OPERATION, "dy", dy)?;
    let mut sum = vec![0.0; tokens * width];
    scatter(&mut sum, width, rows, &dy, 1.0);
    Tensor::from_vec(sum, (tokens, width), &Place::CPU)
}

/// Every piece of columns belongs to one thread, which walks all rows in order: equal ids never race.
fn scatter(sum: &mut [f32], width: usize, ids: &[u32], dy: &[f32], scale: f32) {
    const COLUMNS: usize = 64;
    let shared = Shared::new(sum);
    let small = dy.len() < parallel::LIGHT;
    let columns = if small { width } else { COLUMNS };
    parallel::for_each(width.div_ceil(columns.max(1)), small, |piece| {
        let at = piece * columns..width.min((piece + 1) * columns);
        for (i, &id) in ids.iter().enumerate() {
            let first = id as usize * width;
            // SAFETY: these columns belong to this piece alone.
            let row = unsafe { shared.part(first + at.start..first + at.end) };
            add_scaled(row, &dy[i * width + at.start..i * width + at.end], scale);
        }
    });
}

multiversion! {
    fn add_scaled(sum: &mut [f32], x: &[f32], scale: f32) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum = fused::<FMA>(*x, scale, *sum);
        }
    }
}

/// Every id is a row of the table.
pub(super) fn check_ids(operation: &'static str, ids: &[u32], known: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= known) {
        None => Ok(()),
        Some(id) => access::fault(operation, format!("row {id} of a table of {known}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_same_bits, random, slot, tensor, values};

    /// Straight loops.
    fn scatter_twin(known: usize, width: usize, ids: &[u32], dy: &[f64], scale: f64) -> Vec<f64> {
        let mut sum = vec![0.0; known * width];
        for (i, &id) in ids.iter().enumerate() {
            for j in 0..width {
                sum[id as usize * width + j] += scale * dy[i * width + j];
            }
        }
        sum
    }

    #[test]
    fn rows_in_and_gradients_back() {
        for (known, width) in [(1, 1), (5, 7), (11, 130)] {
            let ids: Vec<u32> = (0..17).map(|i| (i * i) % known as u32).collect();
            let (table, dy) = (random(1, known * width), random(2, ids.len() * width));
            let x = gather("test", &ids, &tensor(&table, (known, width)).into(), 2.5).unwrap();
            let expected: Vec<f64> =
                ids.iter().flat_map(|&id| table[id as usize * width..][..width].iter().map(|x| 2.5 * x)).collect();
            assert_close("x", &values(&x), &expected, 1e-7);

            let mut grads = Gradients::new(2 + known * width, &Place::CPU).unwrap();
            let dy_tensor = tensor(&dy, (ids.len(), width));
            embed_backward(&ids, &dy_tensor, 2.5, slot(2, known * width), &mut grads).unwrap();
            let expected = scatter_twin(known, width, &ids, &dy, 2.5);
            assert_close("gradient", &grads.to_vec().unwrap()[2..], &expected, 1e-6);
            let rows = scatter_rows(&dy_tensor, &ids, known).unwrap();
            assert_close("rows", &values(&rows), &scatter_twin(known, width, &ids, &dy, 1.0), 1e-6);
        }
    }

    #[test]
    fn a_token_outside_the_table_is_an_error() {
        assert!(gather("embedding", &[5], &tensor(&random(1, 10), (5, 2)).into(), 1.0).is_err());
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let ids: Vec<u32> = (0..400).map(|i| i % 7).collect();
        let dy = tensor(&random(2, 400 * 130), (400, 130));
        assert_same_bits(|| vec![values(&scatter_rows(&dy, &ids, 9).unwrap())]);
    }
}
