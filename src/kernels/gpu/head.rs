//! The output matrix, for answer tokens only, and never more than a slice of the vocabulary at once.

use candle_core::DType;

use super::{
    super::{
        Gradients, Head, HeadOptions, HeadOut, HeadPass, HeadWant, Result, Slot, Tensor, Weight, access,
        head::{BACKWARD, FORWARD, MATRIX, check},
    },
    Card, columns,
    commands::{Run, groups, number},
    elementwise, embed,
    gemm::Matrix,
    linear::gradient,
    memory::{Piece, Span},
    shader::Shader,
    stored::Stored,
    weight,
};

static ROWS_OF: Shader = Shader::new(
    "head_rows",
    concat!(
        include_str!("finite.wgsl"),
        include_str!("sum.wgsl"),
        include_str!("largest.wgsl"),
        include_str!("head_rows.wgsl")
    ),
    4,
);
static FINISH: Shader = Shader::new("head_finish", include_str!("head_finish.wgsl"), 3);

/// Answer rows worked on at once.
pub const ROWS: usize = 1024;

/// Vocabulary entries worked on at once: with [`ROWS`] a buffer of 16 MiB.
pub const SLICE: usize = 4096;

/// Numbers of the running sums of one row: maximum, total, the target's logit, its slope.
const STATE: usize = 4;

/// Rows and vocabulary entries at once, by what the card takes.
fn block(card: &Card, width: usize) -> (usize, usize) {
    let most = (card.binding_limit() as usize / 4).saturating_sub(128);
    let rows = ROWS.min(most / width.max(STATE)).max(1);
    (rows, SLICE.min(most / width.max(1)).min(most / rows).max(1))
}

/// What a slice of logits becomes.
enum Stage {
    /// Weights, and the running sums with them. Whether it is the first slice, and how many numbers of `u` a row has.
    Weigh { is_first: bool, width: usize },
    /// Gradients of the logits; times this factor.
    Gradient(f32),
}

struct Slice<'a> {
    logits: &'a Piece,
    rows: usize,
    len: usize,
    start: usize,
}

fn each_row(
    slice: &Slice<'_>,
    [running, u, targets]: [Span<'_>; 3],
    options: HeadOptions,
    stage: &Stage,
) -> Result<()> {
    let Slice { logits, rows, len, start } = *slice;
    let (code, is_first, width, factor) = match *stage {
        Stage::Weigh { is_first, width } => (0, is_first, width, 1.0),
        Stage::Gradient(factor) => (1, false, 0, factor),
    };
    logits.card().run(&Run {
        program: ROWS_OF.with(&[("STAGE", code)]),
        operands: &[logits.span(0..rows * len), running, u, targets],
        parameters: &[
            rows as u32,
            len as u32,
            start as u32,
            width as u32,
            u32::from(is_first),
            u32::from(options.softcap.is_some()),
            number(options.softcap.unwrap_or(1.0)),
            number(factor),
        ],
        groups: groups(rows, 1),
        work: (rows * len) as u64 * 8,
    })
}

/// Log-probs, and their gradients with respect to `h` in the same pass.
pub(super) fn forward(h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
    let Head { weight: w, options } = head;
    let (answers, width, vocabulary) = check(FORWARD, h.dims(), w.matrix(FORWARD, MATRIX)?, targets)?;
    let h = h.gpu(FORWARD, "h")?;
    let card = h.card();
    let with_u = want == HeadWant::WithU;
    let running = Piece::zeros(card, &[answers, STATE], DType::F32)?;
    let u = with_u.then(|| Piece::zeros(card, &[answers, width], DType::F32)).transpose()?;
    let goals = Piece::indices(card, targets)?;
    let (rows_at_once, slice) = block(card, width);
    let logits = Piece::new(card, &[rows_at_once.min(answers) * slice.min(vocabulary)], DType::F32)?;
    // A slice of the vocabulary is widened once and used for all rows.
    for panel in weight::panels_of(FORWARD, w, card, slice)? {
        let panel = panel?;
        let (start, len) = (panel.rows().start, panel.rows().len());
        for first in (0..answers).step_by(rows_at_once) {
            let rows = first..answers.min(first + rows_at_once);
            let count = rows.len();
            let product = Matrix::at(h, first * width, count, width).times(panel.matrix().t()).scaled(options.scale);
            product.to(Matrix::new(&logits, count, len))?;
            let u_span = u.as_ref().map(|u| u.span(rows.start * width..rows.end * width));
            let state = running.span(rows.start * STATE..rows.end * STATE);
            let stage = Stage::Weigh { is_first: start == 0, width: if with_u { width } else { 0 } };
            let operands = [state, u_span.unwrap_or(state), goals.span(rows)];
            each_row(&Slice { logits: &logits, rows: count, len, start }, operands, options, &stage)?;
            if let Some(u) = &u {
                // Of Σ p·slope·w the sign and the factor are put in at the end.
                Matrix::new(&logits, count, len).times(panel.matrix()).add_to(Matrix::at(
                    u,
                    first * width,
                    count,
                    width,
                ))?;
            }
        }
    }
    if let Some(u) = &u {
        finish(u, w, targets, &running, options.scale)?;
    }
    let state: Vec<f32> = Tensor::from(running).to_vec()?;
    let rows = state.as_chunks::<STATE>().0;
    let lse: Vec<f64> = rows.iter().map(|row| f64::from(row[0]) + f64::from(row[1]).ln()).collect();
    Ok(HeadOut {
        log_probs: rows.iter().zip(&lse).map(|(row, lse)| (f64::from(row[2]) - lse) as f32).collect(),
        lse: lse.iter().map(|&lse| lse as f32).collect(),
        u: u.map(Tensor::from),
    })
}

fn finish(u: &Piece, w: &Weight, targets: &[u32], running: &Piece, scale: f32) -> Result<()> {
    let (answers, width) = access::matrix(FORWARD, "u", u.dims())?;
    let card = u.card();
    let step = columns::rows_per_run(card, width.max(STATE));
    for first in (0..answers).step_by(step) {
        let rows = first..answers.min(first + step);
        let own = embed::gather(card, &targets[rows.clone()], w, 1.0)?;
        let numbers = rows.len() * width;
        card.run(&Run {
            program: FINISH.plain(),
            operands: &[
                u.span(rows.start * width..rows.end * width),
                own.gpu(FORWARD, "rows of targets")?.all(),
                running.span(rows.start * STATE..rows.end * STATE),
            ],
            parameters: &[numbers as u32, width as u32, number(scale)],
            groups: groups(numbers, 64),
            work: numbers as u64,
        })?;
    }
    Ok(())
}

/// `dW += Σ coef_t · scale · slope ∘ (onehot − p_t) h_tᵀ`, slice by slice.
pub(super) fn weight_backward(head: Head<'_>, pass: HeadPass<'_>, slot: Slot, grads: &mut Gradients) -> Result<()> {
    let Head { weight: w, options } = head;
    let (answers, width, vocabulary) = pass.check(w.matrix(BACKWARD, MATRIX)?)?;
    let h = pass.h.gpu(BACKWARD, "h")?;
    let card = h.card();
    let flat = grads.flat().gpu(BACKWARD, "gradients")?;
    access::slot_range(BACKWARD, slot, vocabulary * width, flat.len())?;
    let state: Vec<f32> =
        pass.lse.iter().zip(pass.coefficients).flat_map(|(&lse, &coefficient)| [lse, coefficient]).collect();
    let (state, goals) = (Piece::numbers(card, &state)?, Piece::indices(card, pass.targets)?);
    let (rows_at_once, slice) = block(card, width);
    let logits = Piece::new(card, &[rows_at_once.min(answers) * slice.min(vocabulary)], DType::F32)?;
    for panel in weight::panels_of(BACKWARD, w, card, slice)? {
        let panel = panel?;
        let (start, len) = (panel.rows().start, panel.rows().len());
        for first in (0..answers).step_by(rows_at_once) {
            let rows = first..answers.min(first + rows_at_once);
            let count = rows.len();
            let h = Matrix::at(h, first * width, count, width);
            h.times(panel.matrix().t()).scaled(options.scale).to(Matrix::new(&logits, count, len))?;
            let state = state.span(2 * rows.start..2 * rows.end);
            let stage = Stage::Gradient(options.scale);
            let operands = [state, state, goals.span(rows)];
            each_row(&Slice { logits: &logits, rows: count, len, start }, operands, options, &stage)?;
            let of_slice = Slot { offset: slot.offset + start * width, len: len * width };
            Matrix::new(&logits, count, len).t().times(h).add_to(gradient(flat, of_slice, len, width)?)?;
        }
    }
    Ok(())
}

/// All logits of a few rows, for generation.
pub(super) fn logits(h: &Tensor, head: Head<'_>) -> Result<Tensor> {
    const OPERATION: &str = "logits";
    let Head { weight: w, options } = head;
    let (rows, width) = access::matrix(OPERATION, "h", h.dims())?;
    let vocabulary = w.expect_columns(OPERATION, MATRIX, width)?;
    let h = h.gpu(OPERATION, "h")?;
    let logits = Piece::new(h.card(), &[rows, vocabulary], DType::F32)?;
    Stored::weight(OPERATION, w)?.product(h, &logits, options.scale, false)?;
    if let Some(cap) = options.softcap {
        elementwise::cap(&logits, cap)?;
    }
    Ok(logits.into())
}
