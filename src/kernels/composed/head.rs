//! The output matrix, for answer tokens only, a slice of the vocabulary at a time.

use std::ops::Range;

use candle_core::{D, DType, Tensor};

use super::numbers::{column, indices, precise};
use crate::{
    Gradients, Head, HeadOptions, HeadOut, HeadPass, HeadWant, Result, Slot, access,
    head::{BACKWARD, FORWARD, MATRIX, check},
};

/// Numbers that a slice may have, as logits or as rows of the matrix: 64 MiB.
pub(super) const SLICE: usize = 1 << 24;

/// Answer rows worked on at once.
const ROWS: usize = 1024;

/// Log-probs, and their gradients with respect to `h` in the same pass: `u` is kept relative to the running maximum, as
/// flash attention does with its output.
pub(super) fn forward(h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant, slice: usize) -> Result<HeadOut> {
    let (answers, width, _) = check(FORWARD, h.dims(), head.weight.matrix(FORWARD, MATRIX)?, targets)?;
    let w = head.weight.widened()?;
    let (mut log_probs, mut lse, mut u) = (Vec::new(), Vec::new(), Vec::new());
    for rows in ranges(answers, ROWS) {
        let targets = &targets[rows.clone()];
        let of_rows = of_rows(&part(h, rows)?, w.candle()?, targets, &head.options, want, slice)?;
        log_probs.push(of_rows.log_probs);
        lse.push(of_rows.lse);
        u.extend(of_rows.u);
    }
    if answers == 0 {
        return Ok(HeadOut {
            log_probs: Vec::new(),
            lse: Vec::new(),
            u: match want {
                HeadWant::WithU => Some(Tensor::zeros((0, width), DType::F32, h.device())?.into()),
                HeadWant::LogProbs => None,
            },
        });
    }
    // Both at once: the device is waited for a single time.
    let host = Tensor::cat(&[Tensor::cat(&log_probs, 0)?, Tensor::cat(&lse, 0)?], 1)?;
    let (log_probs, lse) = host.to_vec2::<f32>()?.iter().map(|row| (row[0], row[1])).unzip();
    Ok(HeadOut {
        log_probs,
        lse,
        u: match want {
            HeadWant::WithU => Some(Tensor::cat(&u, 0)?.into()),
            HeadWant::LogProbs => None,
        },
    })
}

/// Results of some rows, still on the device: `[rows, 1]` twice, and `[rows, d]`.
struct OfRows {
    log_probs: Tensor,
    lse: Tensor,
    u: Option<Tensor>,
}

fn of_rows(
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    options: &HeadOptions,
    want: HeadWant,
    slice: usize,
) -> Result<OfRows> {
    let target = Target::new(h, w, targets, options)?;
    // The target's own logit is as good a start of the running maximum as any.
    let mut maximum = target.logit.clone();
    let mut total = maximum.zeros_like()?;
    let mut u: Option<Tensor> = None;
    for columns in slices(h, w, slice)? {
        let w = part(w, columns)?;
        let (logits, slope) = logits_of(h, &w, options)?;
        // A logit of minus infinity has no weight, and would not be seen without this.
        let none = (logits.min_keepdim(D::Minus1)? * 0.0)?;
        let larger = (maximum.maximum(&logits.max_keepdim(D::Minus1)?)? + none)?;
        let factor = (maximum - &larger)?.exp()?;
        let weights = logits.broadcast_sub(&larger)?.exp()?;
        drop(logits);
        total = ((total * &factor)? + weights.sum_keepdim(D::Minus1)?)?;
        maximum = larger;
        if want == HeadWant::WithU {
            let weights = match slope {
                Some(slope) => (weights * slope)?,
                None => weights,
            };
            let more = weights.matmul(&w)?;
            u = Some(match u {
                Some(u) => (u.broadcast_mul(&factor)? + more)?,
                None => more,
            });
        }
    }
    let scale = f64::from(options.scale);
    let u = match u {
        None => None,
        Some(others) => {
            let own = target.row.broadcast_mul(&(target.slope * scale)?)?;
            Some((own - others.broadcast_mul(&(total.recip()? * scale)?)?)?)
        }
    };
    let lse = (maximum + total.log()?)?;
    Ok(OfRows { log_probs: (target.logit - &lse)?, lse, u })
}

/// `dW += Σ coef_t · scale · slope ∘ (onehot − p_t) h_tᵀ`, slice by slice.
pub(super) fn weight_backward(
    head: Head<'_>,
    pass: HeadPass<'_>,
    slot: Slot,
    grads: &mut Gradients,
    slice: usize,
) -> Result<()> {
    let (answers, width, vocabulary) = pass.check(head.weight.matrix(BACKWARD, MATRIX)?)?;
    let (w, options) = (head.weight.widened()?, &head.options);
    let (w, h) = (w.candle()?, pass.h.candle()?);
    access::slot_range(BACKWARD, slot, vocabulary * width, grads.len())?;
    for rows in ranges(answers, ROWS) {
        let targets = &pass.targets[rows.clone()];
        let lse = column(&pass.lse[rows.clone()], h.device())?;
        let coefficients = column(&pass.coefficients[rows.clone()], h.device())?;
        let coefficients = (coefficients * f64::from(options.scale))?;
        let h = part(h, rows)?;
        for columns in slices(&h, w, slice)? {
            let w = part(w, columns.clone())?;
            let (logits, slope) = logits_of(&h, &w, options)?;
            let mut gradient = logits.broadcast_sub(&lse)?.exp()?.broadcast_mul(&coefficients.neg()?)?;
            if let Some(slope) = slope {
                gradient = (gradient * slope)?;
            }
            let place = Slot { offset: slot.offset + columns.start * width, len: columns.len() * width };
            grads.add(BACKWARD, place, &gradient.t()?.matmul(&h)?)?;
        }
        let slope = Target::new(&h, w, targets, options)?.slope;
        let onto_target = h.broadcast_mul(&(slope * coefficients)?)?;
        grads.add_rows(BACKWARD, slot, targets, &onto_target)?;
    }
    Ok(())
}

/// `u[t] · coef[t]`.
pub(super) fn scale_rows(u: &Tensor, coefficients: &[f32]) -> Result<Tensor> {
    const OPERATION: &str = "head backward";
    let (_, width) = access::matrix(OPERATION, "u", u.dims())?;
    access::expect_dims(OPERATION, "u", u.dims(), &[coefficients.len(), width])?;
    Ok(u.broadcast_mul(&column(coefficients, u.device())?)?)
}

/// All logits of a few rows, for generation.
pub(super) fn logits(h: &Tensor, head: Head<'_>) -> Result<Tensor> {
    const OPERATION: &str = "logits";
    let (vocabulary, width) = head.weight.matrix(OPERATION, MATRIX)?;
    let (rows, _) = access::matrix(OPERATION, "h", h.dims())?;
    access::expect_dims(OPERATION, "h", h.dims(), &[rows, width])?;
    let (h, w) = (precise(h)?, head.weight.widened()?);
    let w = w.candle()?;
    let parts = slices(&h, w, SLICE)?
        .map(|columns| Ok(logits_of(&h, &part(w, columns)?, &head.options)?.0))
        .collect::<Result<Vec<_>>>()?;
    debug_assert!(vocabulary == 0 || !parts.is_empty());
    Ok(Tensor::cat(&parts, 1)?)
}

/// Logits of `h` under a slice of the matrix and, with a softcap, its slope at each.
fn logits_of(h: &Tensor, w: &Tensor, options: &HeadOptions) -> Result<(Tensor, Option<Tensor>)> {
    let raw = h.matmul(&w.t()?)?;
    cap(raw, options)
}

fn cap(raw: Tensor, options: &HeadOptions) -> Result<(Tensor, Option<Tensor>)> {
    let raw = if options.scale == 1.0 { raw } else { (raw * f64::from(options.scale))? };
    let Some(cap) = options.softcap.map(f64::from) else {
        return Ok((raw, None));
    };
    let t = (&raw / cap)?.tanh()?;
    let slope = t.sqr()?.affine(-1.0, 1.0)?;
    // What is no number becomes NaN: the tangent of infinity would be 1.
    Ok((((t * cap)? + (raw * 0.0)?)?, Some(slope)))
}

/// What a row has to do with its target: `[rows, 1]`, and the target's row of the matrix.
struct Target {
    logit: Tensor,
    slope: Tensor,
    row: Tensor,
}

impl Target {
    fn new(h: &Tensor, w: &Tensor, targets: &[u32], options: &HeadOptions) -> Result<Self> {
        let row = precise(&w.index_select(&indices(targets, w.device())?, 0)?)?;
        let raw = (h * &row)?.sum_keepdim(D::Minus1)?;
        let (logit, slope) = cap(raw, options)?;
        let slope = match slope {
            Some(slope) => slope,
            None => logit.ones_like()?,
        };
        Ok(Self { logit, slope, row })
    }
}

/// Some rows, in f32.
fn part(x: &Tensor, rows: Range<usize>) -> Result<Tensor> {
    precise(&x.narrow(0, rows.start, rows.len())?)
}

fn ranges(all: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..all).step_by(step).map(move |start| start..all.min(start + step))
}

/// The vocabulary in slices of at most `slice` numbers.
fn slices(h: &Tensor, w: &Tensor, slice: usize) -> Result<impl Iterator<Item = Range<usize>>> {
    let (vocabulary, width) = w.dims2()?;
    let columns = slice / h.dim(0)?.max(width).max(1);
    Ok(ranges(vocabulary, columns.max(1)))
}
