//! The output matrix, for answer tokens only, and never more than a slice of the vocabulary at once.
#![expect(unsafe_code, reason = "logits are written into a buffer that is reused, rows are shared out to threads")]

use super::{
    Gradients, Place, Result, Slot, Tensor, Weight, access,
    buffer::{Fresh, Shared},
    gemm::{Matrix, Multiplier, Panel, Target},
    parallel,
    rowwise::few,
    simd::{LANES, add_lanes, exp, fused, max, multiversion, softcapped},
};

#[cfg(test)]
mod tests;

/// How logits are made of `h Wᵀ`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadOptions {
    /// Factor of the raw logits (1 for most models).
    pub scale: f32,
    /// `logit = cap · tanh(scale·h·w / cap)` (Gemma 2).
    pub softcap: Option<f32>,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self { scale: 1.0, softcap: None }
    }
}

/// The output matrix and how logits are made with it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `[V, d]`.
    pub weight: &'a Weight,
    pub options: HeadOptions,
}

/// What the backward of the output matrix starts from.
#[derive(Debug, Clone, Copy)]
pub struct HeadPass<'a> {
    /// The answer rows, `[A, d]`.
    pub h: &'a Tensor,
    /// `[A]`.
    pub targets: &'a [u32],
    /// [`HeadOut::lse`].
    pub lse: &'a [f32],
    /// ∂L/∂log-prob of each row.
    pub coefficients: &'a [f32],
}

/// What [`super::Kernels::head`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadWant {
    /// Log-probs only: evaluation.
    LogProbs,
    /// Also the gradient of each log-prob with respect to its hidden row: training.
    WithU,
}

/// What [`super::Kernels::head`] gives.
#[derive(Debug, Clone)]
pub struct HeadOut {
    /// Natural log-prob of each target, `[A]`.
    pub log_probs: Vec<f32>,
    /// Log-sum-exp of each row's logits, `[A]`: what [`super::Kernels::head_weight_backward`] starts from.
    pub lse: Vec<f32>,
    /// `∂ log_prob_t / ∂ h_t`, `[A, d]`: without scale and softcap `Wᵀ(onehot − p_t)`.
    pub u: Option<Tensor>,
}

pub(super) const FORWARD: &str = "head";
pub(super) const BACKWARD: &str = "head weight backward";
pub(super) const MATRIX: &str = "output matrix";

/// Answer rows worked on at once.
const ROWS: usize = 512;

/// Vocabulary entries worked on at once: with [`ROWS`] a buffer of 2 MiB.
const CHUNK: usize = 1024;

/// The running log-sum-exp of one row.
#[derive(Clone, Copy)]
struct Running {
    maximum: f32,
    /// Σ exp(logit − maximum).
    total: f64,
    /// The target's logit, and the slope of its softcap, once its chunk has come.
    target: f32,
    slope: f32,
}

/// Log-probs, and their gradients with respect to `h` in the same pass: `u` is kept relative to the running maximum, as
/// flash attention does with its output.
pub(super) fn forward(h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant, by: Multiplier) -> Result<HeadOut> {
    let Head { weight: w, options } = head;
    let (answers, width, vocabulary) = check(FORWARD, h.dims(), w.matrix(FORWARD, MATRIX)?, targets)?;
    let h = access::read(FORWARD, "h", h)?;
    let w = w.read(FORWARD, MATRIX)?;
    let w = w.rows();
    let mut workspace = Vec::new();
    let with_u = want == HeadWant::WithU;
    let mut running = vec![Running { maximum: f32::NEG_INFINITY, total: 0.0, target: 0.0, slope: 1.0 }; answers];
    let mut u = if with_u { vec![0.0; answers * width] } else { Vec::new() };
    let mut logits = Fresh::new(answers.min(ROWS) * vocabulary.min(CHUNK));

    for first in (0..answers).step_by(ROWS) {
        let rows = ROWS.min(answers - first);
        let at = first..first + rows;
        let (targets, running) = (&targets[at.clone()], &mut running[at]);
        let h = Matrix::new(&h, answers, width).rows(first..first + rows);
        let u = if with_u { &mut u[first * width..(first + rows) * width] } else { &mut [][..] };
        for start in (0..vocabulary).step_by(CHUNK) {
            let len = CHUNK.min(vocabulary - start);
            let slice = w.factor(start..start + len, by, &mut workspace);
            let target = Target::uninit(logits.uninit(), rows, len);
            slice.t().multiply(h, options.scale, target, false);
            // SAFETY: the product has set these elements.
            let logits = unsafe { logits.uninit()[..rows * len].assume_init_mut() };
            weigh_rows(logits, len, start, targets, running, u, &options);
            if with_u {
                // Of Σ p·slope·w the sign and the factor are put in at the end.
                let weights = Matrix::new(logits, rows, len);
                slice.multiply(weights, 1.0, Target::new(u, rows, width), true);
            }
        }
    }
    let lse: Vec<f64> = running.iter().map(|row| f64::from(row.maximum) + row.total.ln()).collect();
    if with_u {
        let per_piece = parallel::rows_per_piece(width);
        parallel::chunks(&mut u, per_piece * width, |piece, rows| {
            let mut workspace = Vec::new();
            for (i, u) in rows.chunks_mut(width).enumerate() {
                let row = piece * per_piece + i;
                let target = targets[row] as usize;
                let (own, others) = (options.scale * running[row].slope, options.scale / running[row].total as f32);
                let target = w.panel_alone(target..target + 1, &mut workspace);
                finish_u(u, target, own, others);
            }
        });
    }
    Ok(HeadOut {
        log_probs: running.iter().zip(&lse).map(|(row, lse)| (f64::from(row.target) - lse) as f32).collect(),
        lse: lse.iter().map(|&lse| lse as f32).collect(),
        u: if with_u { Some(Tensor::from_vec(u, (answers, width), &Place::CPU)?) } else { None },
    })
}

/// `dW += Σ coef_t · scale · slope ∘ (onehot − p_t) h_tᵀ`, chunk by chunk.
pub(super) fn weight_backward(
    head: Head<'_>,
    pass: HeadPass<'_>,
    slot: Slot,
    grads: &mut Gradients,
    by: Multiplier,
) -> Result<()> {
    let Head { weight: w, options } = head;
    let (answers, width, vocabulary) = pass.check(w.matrix(BACKWARD, MATRIX)?)?;
    let HeadPass { h, targets, lse, coefficients } = pass;
    let h = access::read(BACKWARD, "h", h)?;
    let w = w.read(BACKWARD, MATRIX)?;
    let w = w.rows();
    let mut workspace = Vec::new();
    let mut logits = Fresh::new(answers.min(ROWS) * vocabulary.min(CHUNK));
    grads.change(BACKWARD, slot, vocabulary * width, |dw| {
        for first in (0..answers).step_by(ROWS) {
            let rows = ROWS.min(answers - first);
            let h = Matrix::new(&h, answers, width).rows(first..first + rows);
            for start in (0..vocabulary).step_by(CHUNK) {
                let len = CHUNK.min(vocabulary - start);
                let slice = w.factor(start..start + len, by, &mut workspace);
                let target = Target::uninit(logits.uninit(), rows, len);
                slice.t().multiply(h, options.scale, target, false);
                // SAFETY: the product has set these elements.
                let logits = unsafe { logits.uninit()[..rows * len].assume_init_mut() };
                let per_piece = parallel::rows_per_piece(len);
                parallel::chunks(logits, per_piece * len, |piece, logits| {
                    for (i, logits) in logits.chunks_mut(len).enumerate() {
                        let row = first + piece * per_piece + i;
                        let target = (targets[row] as usize).checked_sub(start).filter(|&target| target < len);
                        let coefficient = coefficients[row] * options.scale;
                        logit_gradient(logits, target, lse[row], coefficient, options.softcap);
                    }
                });
                let target = Target::new(&mut dw[start * width..(start + len) * width], len, width);
                let gradient = Matrix::new(logits, rows, len).t();
                Panel::of(h, by).multiply(gradient, 1.0, target, true);
            }
        }
    })
}

/// `u[t] · coef[t]`, in place.
pub(super) fn scale_rows(u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
    const OPERATION: &str = "head backward";
    let (_, width) = access::matrix(OPERATION, "u", u.dims())?;
    access::expect_dims(OPERATION, "u", u.dims(), &[coefficients.len(), width])?;
    let per_piece = parallel::rows_per_piece(width);
    access::rewrite(OPERATION, "u", &u, &[], |u| {
        parallel::chunks(u, per_piece * width, |piece, rows| {
            for (row, coefficient) in rows.chunks_mut(width).zip(&coefficients[piece * per_piece..]) {
                for u in row {
                    *u *= coefficient;
                }
            }
        });
    })?;
    Ok(u)
}

/// All logits of a few rows, for generation.
pub(super) fn logits(h: &Tensor, head: Head<'_>) -> Result<Tensor> {
    const OPERATION: &str = "logits";
    let Head { weight: w, options } = head;
    let (rows, width) = access::matrix(OPERATION, "h", h.dims())?;
    let vocabulary = w.expect_columns(OPERATION, MATRIX, width)?;
    let h = access::read(OPERATION, "h", h)?;
    let w = w.read(OPERATION, MATRIX)?;
    let mut logits = few::product(&h, w.rows());
    if options.scale != 1.0 {
        for logit in &mut logits {
            *logit *= options.scale;
        }
    }
    if let Some(cap) = options.softcap {
        parallel::chunks(&mut logits, parallel::PIECE, |_, piece| cap_all(piece, cap));
    }
    Tensor::from_vec(logits, (rows, vocabulary), &Place::CPU)
}

impl HeadPass<'_> {
    /// Answers, width and vocabulary.
    pub(super) fn check(&self, matrix: (usize, usize)) -> Result<(usize, usize, usize)> {
        let Self { h, targets, lse, coefficients } = self;
        let checked = check(BACKWARD, h.dims(), matrix, targets)?;
        if lse.len() != targets.len() || coefficients.len() != targets.len() {
            let (sums, coefficients, rows) = (lse.len(), coefficients.len(), targets.len());
            return access::fault(BACKWARD, format!("{sums} log-sums and {coefficients} coefficients for {rows} rows"));
        }
        Ok(checked)
    }
}

/// Answer rows, width and vocabulary of a head with an output matrix of this size.
pub(super) fn check(
    operation: &'static str,
    h: &[usize],
    (vocabulary, width): (usize, usize),
    targets: &[u32],
) -> Result<(usize, usize, usize)> {
    let (answers, _) = access::matrix(operation, "h", h)?;
    access::expect_dims(operation, "h", h, &[answers, width])?;
    if targets.len() != answers {
        return access::fault(operation, format!("{} targets for {answers} rows", targets.len()));
    }
    match targets.iter().find(|&&target| target as usize >= vocabulary) {
        None => Ok((answers, width, vocabulary)),
        Some(target) => access::fault(operation, format!("target {target} is outside the vocabulary of {vocabulary}")),
    }
}

/// Takes a chunk of logits into the running sums and leaves `exp(logit − maximum)·slope` in its place.
fn weigh_rows(
    logits: &mut [f32],
    len: usize,
    start: usize,
    targets: &[u32],
    running: &mut [Running],
    u: &mut [f32],
    options: &HeadOptions,
) {
    let width = u.len() / running.len();
    let per_piece = parallel::rows_per_piece(len);
    let (running, u) = (Shared::new(running), Shared::new(u));
    parallel::chunks(logits, per_piece * len, |piece, logits| {
        for (i, logits) in logits.chunks_mut(len).enumerate() {
            let row = piece * per_piece + i;
            let target = (targets[row] as usize).checked_sub(start).filter(|&target| target < len);
            // SAFETY: every row belongs to one piece.
            let (running, u) = unsafe { (running.part(row..row + 1), u.part(row * width..(row + 1) * width)) };
            weigh_row(logits, target, &mut running[0], u, options.softcap);
        }
    });
}

multiversion! {
    fn weigh_row(logits: &mut [f32], target: Option<usize>, running: &mut Running, u: &mut [f32], softcap: Option<f32>) {
        if let Some(cap) = softcap {
            let inverse = 1.0 / cap;
            for logit in logits.iter_mut() {
                *logit = softcapped::<FMA>(*logit, cap, inverse);
            }
        }
        if let Some(target) = target {
            running.target = logits[target];
            running.slope = softcap.map_or(1.0, |cap| 1.0 - (logits[target] / cap) * (logits[target] / cap));
        }
        let largest = max(logits);
        if largest > running.maximum {
            let factor = exp::<FMA>(running.maximum - largest);
            running.maximum = largest;
            running.total *= f64::from(factor);
            for u in u.iter_mut() {
                *u *= factor;
            }
        }
        let shift = running.maximum;
        let inverse = softcap.map_or(0.0, |cap| 1.0 / cap);
        // A logit that is no number makes none of the sum, minus infinity too, whose weight would be 0.
        let mut lanes = [0.0_f32; LANES];
        let (whole, rest) = logits.as_chunks_mut::<LANES>();
        for chunk in whole {
            for i in 0..LANES {
                let weight = exp::<FMA>(chunk[i] - shift);
                let t = chunk[i] * inverse;
                chunk[i] = weight * (1.0 - t * t);
                lanes[i] += fused::<FMA>(t, 0.0, weight);
            }
        }
        for (i, logit) in rest.iter_mut().enumerate() {
            let weight = exp::<FMA>(*logit - shift);
            let t = *logit * inverse;
            *logit = weight * (1.0 - t * t);
            lanes[i] += fused::<FMA>(t, 0.0, weight);
        }
        running.total += f64::from(add_lanes(lanes));
    }
}

multiversion! {
    /// `u = own·w_target − others·u`.
    fn finish_u(u: &mut [f32], target: &[f32], own: f32, others: f32) {
        for (u, w) in u.iter_mut().zip(target) {
            *u = fused::<FMA>(own, *w, -(others * *u));
        }
    }
}

multiversion! {
    /// Raw logits become `coefficient · slope · (onehot − p)`.
    fn logit_gradient(logits: &mut [f32], target: Option<usize>, lse: f32, coefficient: f32, softcap: Option<f32>) {
        let (cap, inverse) = softcap.map_or((1.0, 0.0), |cap| (cap, 1.0 / cap));
        if softcap.is_some() {
            for logit in logits.iter_mut() {
                *logit = softcapped::<FMA>(*logit, cap, inverse);
            }
        }
        let slope = |logit: f32| {
            let t = logit * inverse;
            1.0 - t * t
        };
        let onto_target = target.map_or(0.0, |target| coefficient * slope(logits[target]));
        for logit in logits.iter_mut() {
            *logit = -coefficient * slope(*logit) * exp::<FMA>(*logit - lse);
        }
        if let Some(target) = target {
            logits[target] += onto_target;
        }
    }
}

multiversion! {
    fn cap_all(logits: &mut [f32], cap: f32) {
        let inverse = 1.0 / cap;
        for logit in logits.iter_mut() {
            *logit = softcapped::<FMA>(*logit, cap, inverse);
        }
    }
}
