//! Rows of a table in, and their gradients back.

use std::sync::Arc;

use candle_core::DType;

use super::{
    super::{Gradients, KernelError, Result, Slot, Tensor, Weight, access, embed::check_ids},
    Card,
    columns::rows_per_run,
    commands::{Run, groups, number},
    memory::{Piece, Span},
    shader::Shader,
};

static GATHER: Shader = Shader::new("gather", include_str!("gather.wgsl"), 3);
static SCATTER: Shader = Shader::new("scatter", include_str!("scatter.wgsl"), 5);

/// `scale · table[ids]`: `[ids.len(), width]`.
pub(super) fn gather(card: &Arc<Card>, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
    const OPERATION: &str = "embedding";
    let (known, width) = table.matrix(OPERATION, "table")?;
    check_ids(OPERATION, ids, known)?;
    let tensor = match table {
        Weight::Dense(tensor) => tensor,
        Weight::OnCard(blocks) => return Ok(blocks.gather(ids, scale)?.into()),
        Weight::Quantized(_) => return Err(KernelError::Device { operation: OPERATION, operand: "table" }),
    };
    let table = tensor.gpu(OPERATION, "table")?;
    let x = Piece::new(card, &[ids.len(), width], DType::F32)?;
    let numbers = Piece::indices(card, ids)?;
    let is_bf16 = u32::from(table.dtype() == DType::BF16);
    // Few tokens at once: the table is what is large, and each stretch of it looks at all ids.
    let step = rows_per_run(card, width);
    for first in (0..ids.len()).step_by(step) {
        let count = step.min(ids.len() - first);
        for from in (0..known).step_by(step) {
            let rows = step.min(known - from);
            card.run(&Run {
                program: GATHER.with(&[("BF16", is_bf16)]),
                operands: &[
                    x.span(first * width..(first + count) * width),
                    table.span(from * width..(from + rows) * width),
                    numbers.span(first..first + count),
                ],
                parameters: &[count as u32, width as u32, from as u32, rows as u32, number(scale)],
                groups: groups(count * width, 64),
                work: (count * width) as u64,
            })?;
        }
    }
    Ok(x.into())
}

/// Which rows are added to which target, in their order.
struct Groups {
    targets: Vec<u32>,
    starts: Vec<u32>,
    sources: Vec<u32>,
}

impl Groups {
    fn of(ids: &[u32]) -> Self {
        let mut sources: Vec<u32> = (0..ids.len() as u32).collect();
        sources.sort_by_key(|&source| ids[source as usize]);
        let (mut targets, mut starts) = (Vec::new(), Vec::new());
        for (at, &source) in sources.iter().enumerate() {
            let target = ids[source as usize];
            if targets.last() != Some(&target) {
                targets.push(target);
                starts.push(at as u32);
            }
        }
        starts.push(sources.len() as u32);
        Self { targets, starts, sources }
    }
}

/// `sum[ids[i]] += scale · dy[i]`; `sum` begins at element `at` and has `known` rows.
fn scatter(sum: &Piece, at: usize, known: usize, ids: &[u32], dy: &Piece, scale: f32) -> Result<()> {
    let (_, width) = access::matrix("scatter", "dy", dy.dims())?;
    let card = sum.card();
    let step = rows_per_run(card, width);
    // Stretch after stretch, so that what is added to a row comes in its order.
    for first in (0..ids.len()).step_by(step) {
        let part = first..ids.len().min(first + step);
        let of = Groups::of(&ids[part.clone()]);
        let [targets, starts, sources] = [&of.targets, &of.starts, &of.sources].map(|list| Piece::indices(card, list));
        let (targets, starts, sources) = (targets?, starts?, sources?);
        let from_dy = dy.span(part.start * width..part.end * width);
        for from in (0..known).step_by(step) {
            let rows = step.min(known - from);
            let to: Span<'_> = sum.span(at + from * width..at + (from + rows) * width);
            card.run(&Run {
                program: SCATTER.plain(),
                operands: &[to, from_dy, targets.all(), starts.all(), sources.all()],
                parameters: &[of.targets.len() as u32, width as u32, from as u32, rows as u32, number(scale)],
                groups: groups(of.targets.len() * width, 64),
                work: from_dy.bytes / 4,
            })?;
        }
    }
    Ok(())
}

/// Adds `scale·dy[T,d]` to the rows `ids` of the table's gradient.
pub(super) fn embed_backward(ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
    const OPERATION: &str = "embedding backward";
    let (_, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[ids.len(), width])?;
    let known = slot.len / width.max(1);
    check_ids(OPERATION, ids, known)?;
    let flat = grads.flat().gpu(OPERATION, "gradients")?;
    let range = access::slot_range(OPERATION, slot, known * width, flat.len())?;
    scatter(flat, range.start, known, ids, dy.gpu(OPERATION, "dy")?, scale)
}

/// `[tokens, d]` of zeros with `dy[i]` added to row `rows[i]`.
pub(super) fn scatter_rows(dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
    const OPERATION: &str = "scatter rows";
    let (_, width) = access::matrix(OPERATION, "dy", dy.dims())?;
    access::expect_dims(OPERATION, "dy", dy.dims(), &[rows.len(), width])?;
    check_ids(OPERATION, rows, tokens)?;
    let dy = dy.gpu(OPERATION, "dy")?;
    let sum = Piece::zeros(dy.card(), &[tokens, width], DType::F32)?;
    scatter(&sum, 0, tokens, rows, dy, 1.0)?;
    Ok(sum.into())
}
