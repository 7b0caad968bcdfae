//! Weights as they are stored, widened to f32 a panel at a time just before a product: a panel is written once and read
//! by every tile of the product, so the extra pass costs little beside it, and no second copy of a model is ever held.

use std::{ops::Range, sync::Arc};

use candle_core::DType;

use super::{
    super::{KernelError, Result, Weight},
    card::Card,
    commands::{Run, groups},
    gemm::Matrix,
    memory::Piece,
    shader::Shader,
};

static WIDEN: Shader = Shader::new("widen_bf16", include_str!("widen_bf16.wgsl"), 2);

/// Numbers in a panel at most: 32 MiB.
pub const PANEL: usize = 8 << 20;

/// Some rows of a weight, in f32.
pub(super) struct Panel {
    values: Piece,
    columns: usize,
    rows: Range<usize>,
}

impl Panel {
    pub(super) fn matrix(&self) -> Matrix<'_> {
        Matrix::new(&self.values, self.rows.len(), self.columns)
    }

    /// Which rows of the weight they are.
    pub(super) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }
}

/// All rows of a weight, panel by panel; one panel where nothing has to be widened.
pub(super) fn panels<'a>(
    operation: &'static str,
    weight: &'a Weight,
    card: &'a Arc<Card>,
) -> Result<impl Iterator<Item = Result<Panel>> + 'a> {
    let (rows, columns) = weight.matrix(operation, "weight")?;
    let most = PANEL.min((card.binding_limit() / 4) as usize);
    panels_of(operation, weight, card, if is_f32(weight) { rows } else { most / columns.max(1) })
}

/// The same, at most `step` rows a panel.
pub(super) fn panels_of<'a>(
    operation: &'static str,
    weight: &'a Weight,
    card: &'a Arc<Card>,
    step: usize,
) -> Result<impl Iterator<Item = Result<Panel>> + 'a> {
    let (rows, columns) = weight.matrix(operation, "weight")?;
    let step = step.max(1);
    Ok((0..rows).step_by(step).map(move |first| {
        let rows = first..rows.min(first + step);
        let values = widened(operation, weight, card, rows.clone())?;
        Ok(Panel { values, columns, rows })
    }))
}

fn is_f32(weight: &Weight) -> bool {
    weight.dense().is_some_and(|tensor| tensor.dtype() == DType::F32)
}

/// Some rows in f32: a view where they are so already.
fn widened(operation: &'static str, weight: &Weight, card: &Arc<Card>, rows: Range<usize>) -> Result<Piece> {
    let tensor = match weight {
        Weight::Dense(tensor) => tensor,
        Weight::OnCard(blocks) => return blocks.widened(rows),
        Weight::Quantized(_) => return Err(KernelError::Device { operation, operand: "weight" }),
    };
    let stored = tensor.gpu(operation, "weight")?.rows(rows.start, rows.len())?;
    if stored.dtype() == DType::F32 {
        return Ok(stored);
    }
    let values = Piece::new(card, stored.dims(), DType::F32)?;
    widen(&stored, &values)?;
    Ok(values)
}

/// bf16 to f32.
pub(super) fn widen(from: &Piece, to: &Piece) -> Result<()> {
    if from.dtype() != DType::BF16 {
        let (operation, operand, got) = ("widen", "weight", from.dtype());
        return Err(KernelError::ElementType { operation, operand, got, expected: "bf16" });
    }
    let card = from.card();
    let step = (card.binding_limit() as usize / 4 - 64).max(64);
    for first in (0..from.len()).step_by(step) {
        let range = first..from.len().min(first + step);
        card.run(&Run {
            program: WIDEN.plain(),
            operands: &[to.span(range.clone()), from.span(range.clone())],
            parameters: &[range.len() as u32],
            groups: groups(range.len(), 64),
            work: range.len() as u64,
        })?;
    }
    Ok(())
}
