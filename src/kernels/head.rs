//! The output matrix, for answer tokens only, and never more than a slice of the vocabulary at once.
#![expect(
    unsafe_code,
    reason = "logits are written into a buffer that is reused, rows are shared out to threads"
)]

use candle_core::{Device, Tensor};

use super::{
    Gradients, Result, Slot, access,
    buffer::{Fresh, Shared},
    gemm::{Matrix, Target, Threads, Write, multiply},
    parallel,
    simd::{LANES, add_lanes, exp, fused, max, multiversion, tanh},
};

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
        Self {
            scale: 1.0,
            softcap: None,
        }
    }
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

const FORWARD: &str = "head";
const BACKWARD: &str = "head weight backward";

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
pub(super) fn forward(
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    options: &HeadOptions,
    want: HeadWant,
) -> Result<HeadOut> {
    let (answers, width, vocabulary) = check(FORWARD, h, w, targets)?;
    let (h, w) = (
        access::read(FORWARD, "h", h)?,
        access::read(FORWARD, "output matrix", w)?,
    );
    let with_u = want == HeadWant::WithU;
    let mut running = vec![
        Running {
            maximum: f32::NEG_INFINITY,
            total: 0.0,
            target: 0.0,
            slope: 1.0
        };
        answers
    ];
    let mut u = if with_u {
        vec![0.0; answers * width]
    } else {
        Vec::new()
    };
    let mut logits = Fresh::new(answers.min(ROWS) * vocabulary.min(CHUNK));

    for first in (0..answers).step_by(ROWS) {
        let rows = ROWS.min(answers - first);
        let at = first..first + rows;
        let (targets, running) = (&targets[at.clone()], &mut running[at]);
        let h = Matrix::new(&h, answers, width).rows(first..first + rows);
        let u = if with_u {
            &mut u[first * width..(first + rows) * width]
        } else {
            &mut [][..]
        };
        for start in (0..vocabulary).step_by(CHUNK) {
            let len = CHUNK.min(vocabulary - start);
            let slice = Matrix::new(&w, vocabulary, width).rows(start..start + len);
            let target = Target::uninit(logits.uninit(), rows, len);
            multiply(
                options.scale,
                h,
                slice.t(),
                Write::Set,
                target,
                Threads::Pool,
            );
            // SAFETY: the product has set these elements.
            let logits = unsafe { logits.uninit()[..rows * len].assume_init_mut() };
            weigh_rows(logits, len, start, targets, running, u, options);
            if with_u {
                // Of Σ p·slope·w the sign and the factor are put in at the end.
                multiply(
                    1.0,
                    Matrix::new(logits, rows, len),
                    slice,
                    Write::Add,
                    Target::new(u, rows, width),
                    Threads::Pool,
                );
            }
        }
    }
    let lse: Vec<f64> = running
        .iter()
        .map(|row| f64::from(row.maximum) + row.total.ln())
        .collect();
    if with_u {
        let per_piece = parallel::rows_per_piece(width);
        parallel::chunks(&mut u, per_piece * width, |piece, rows| {
            for (i, u) in rows.chunks_mut(width).enumerate() {
                let row = piece * per_piece + i;
                let at = targets[row] as usize * width;
                let (own, others) = (
                    options.scale * running[row].slope,
                    options.scale / running[row].total as f32,
                );
                finish_u(u, &w[at..at + width], own, others);
            }
        });
    }
    Ok(HeadOut {
        log_probs: running
            .iter()
            .zip(&lse)
            .map(|(row, lse)| (f64::from(row.target) - lse) as f32)
            .collect(),
        lse: lse.iter().map(|&lse| lse as f32).collect(),
        u: if with_u {
            Some(Tensor::from_vec(u, (answers, width), &Device::Cpu)?)
        } else {
            None
        },
    })
}

/// `dW += Σ coef_t · scale · slope ∘ (onehot − p_t) h_tᵀ`, chunk by chunk.
#[expect(clippy::too_many_arguments, reason = "the trait's signature")]
pub(super) fn weight_backward(
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
    lse: &[f32],
    coefficients: &[f32],
    options: &HeadOptions,
    slot: Slot,
    grads: &mut Gradients,
) -> Result<()> {
    let (answers, width, vocabulary) = check(BACKWARD, h, w, targets)?;
    if lse.len() != answers || coefficients.len() != answers {
        let message = format!(
            "{} log-sums and {} coefficients for {answers} rows",
            lse.len(),
            coefficients.len()
        );
        return access::fault(BACKWARD, message);
    }
    let (h, w) = (
        access::read(BACKWARD, "h", h)?,
        access::read(BACKWARD, "output matrix", w)?,
    );
    let mut logits = Fresh::new(answers.min(ROWS) * vocabulary.min(CHUNK));
    grads.change(BACKWARD, slot, vocabulary * width, |dw| {
        for first in (0..answers).step_by(ROWS) {
            let rows = ROWS.min(answers - first);
            let h = Matrix::new(&h, answers, width).rows(first..first + rows);
            for start in (0..vocabulary).step_by(CHUNK) {
                let len = CHUNK.min(vocabulary - start);
                let slice = Matrix::new(&w, vocabulary, width).rows(start..start + len);
                let target = Target::uninit(logits.uninit(), rows, len);
                multiply(
                    options.scale,
                    h,
                    slice.t(),
                    Write::Set,
                    target,
                    Threads::Pool,
                );
                // SAFETY: the product has set these elements.
                let logits = unsafe { logits.uninit()[..rows * len].assume_init_mut() };
                let per_piece = parallel::rows_per_piece(len);
                parallel::chunks(logits, per_piece * len, |piece, logits| {
                    for (i, logits) in logits.chunks_mut(len).enumerate() {
                        let row = first + piece * per_piece + i;
                        let target = (targets[row] as usize)
                            .checked_sub(start)
                            .filter(|&target| target < len);
                        let coefficient = coefficients[row] * options.scale;
                        logit_gradient(logits, target, lse[row], coefficient, options.softcap);
                    }
                });
                let target = Target::new(&mut dw[start * width..(start + len) * width], len, width);
                multiply(
                    1.0,
                    Matrix::new(logits, rows, len).t(),
                    h,
                    Write::Add,
                    target,
                    Threads::Pool,
                );
            }
        }
    })
}

/// `u[t] · coef[t]`, in place.
pub(super) fn scale_rows(u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
    const OPERATION: &str = "head backward";
    let (_, width) = access::matrix(OPERATION, "u", &u)?;
    access::expect_dims(OPERATION, "u", &u, &[coefficients.len(), width])?;
    let per_piece = parallel::rows_per_piece(width);
    access::rewrite(OPERATION, "u", &u, &[], |u| {
        parallel::chunks(u, per_piece * width, |piece, rows| {
            for (row, coefficient) in rows
                .chunks_mut(width)
                .zip(&coefficients[piece * per_piece..])
            {
                row.iter_mut().for_each(|u| *u *= coefficient);
            }
        });
    })?;
    Ok(u)
}

/// All logits of a few rows, for generation.
pub(super) fn logits(h: &Tensor, w: &Tensor, options: &HeadOptions) -> Result<Tensor> {
    const OPERATION: &str = "logits";
    let (rows, width) = access::matrix(OPERATION, "h", h)?;
    let (vocabulary, _) = access::matrix(OPERATION, "output matrix", w)?;
    access::expect_dims(OPERATION, "output matrix", w, &[vocabulary, width])?;
    let (h, w) = (
        access::read(OPERATION, "h", h)?,
        access::read(OPERATION, "output matrix", w)?,
    );
    let mut logits = Fresh::new(rows * vocabulary);
    let target = Target::uninit(logits.uninit(), rows, vocabulary);
    let w = Matrix::new(&w, vocabulary, width).t();
    multiply(
        options.scale,
        Matrix::new(&h, rows, width),
        w,
        Write::Set,
        target,
        Threads::Pool,
    );
    // SAFETY: the product has set every element.
    let mut logits = unsafe { logits.vec(rows * vocabulary) };
    if let Some(cap) = options.softcap {
        parallel::chunks(&mut logits, parallel::PIECE, |_, piece| cap_all(piece, cap));
    }
    Ok(Tensor::from_vec(logits, (rows, vocabulary), &Device::Cpu)?)
}

/// Answer rows, width and vocabulary.
fn check(
    operation: &'static str,
    h: &Tensor,
    w: &Tensor,
    targets: &[u32],
) -> Result<(usize, usize, usize)> {
    let (answers, width) = access::matrix(operation, "h", h)?;
    let (vocabulary, _) = access::matrix(operation, "output matrix", w)?;
    access::expect_dims(operation, "output matrix", w, &[vocabulary, width])?;
    if targets.len() != answers {
        return access::fault(
            operation,
            format!("{} targets for {answers} rows", targets.len()),
        );
    }
    match targets
        .iter()
        .find(|&&target| target as usize >= vocabulary)
    {
        None => Ok((answers, width, vocabulary)),
        Some(target) => access::fault(
            operation,
            format!("target {target} is outside the vocabulary of {vocabulary}"),
        ),
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
            let target = (targets[row] as usize)
                .checked_sub(start)
                .filter(|&target| target < len);
            // SAFETY: every row belongs to one piece.
            let (running, u) = unsafe {
                (
                    running.part(row..row + 1),
                    u.part(row * width..(row + 1) * width),
                )
            };
            weigh_row(logits, target, &mut running[0], u, options.softcap);
        }
    });
}

multiversion! {
    fn weigh_row(logits: &mut [f32], target: Option<usize>, running: &mut Running, u: &mut [f32], softcap: Option<f32>) {
        if let Some(cap) = softcap {
            let inverse = 1.0 / cap;
            logits.iter_mut().for_each(|logit| *logit = cap * tanh::<FMA>(*logit * inverse));
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
            u.iter_mut().for_each(|u| *u *= factor);
        }
        let shift = running.maximum;
        let inverse = softcap.map_or(0.0, |cap| 1.0 / cap);
        let mut lanes = [0.0_f32; LANES];
        let (whole, rest) = logits.as_chunks_mut::<LANES>();
        for chunk in whole {
            for i in 0..LANES {
                let weight = exp::<FMA>(chunk[i] - shift);
                let t = chunk[i] * inverse;
                chunk[i] = weight * (1.0 - t * t);
                lanes[i] += weight;
            }
        }
        for (i, logit) in rest.iter_mut().enumerate() {
            let weight = exp::<FMA>(*logit - shift);
            let t = *logit * inverse;
            *logit = weight * (1.0 - t * t);
            lanes[i] += weight;
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
            logits.iter_mut().for_each(|logit| *logit = cap * tanh::<FMA>(*logit * inverse));
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
        logits.iter_mut().for_each(|logit| *logit = cap * tanh::<FMA>(*logit * inverse));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{
        assert_close, assert_gradient, assert_same_bits, inner, random, slot, tensor, values,
    };

    fn logits_twin(h: &[f64], w: &[f64], width: usize, options: &HeadOptions) -> Vec<f64> {
        h.chunks(width)
            .flat_map(|h| {
                w.chunks(width).map(|w| {
                    let raw = f64::from(options.scale) * inner(h, w);
                    options
                        .softcap
                        .map_or(raw, |cap| f64::from(cap) * (raw / f64::from(cap)).tanh())
                })
            })
            .collect()
    }

    /// Straight loops.
    fn twin(
        h: &[f64],
        w: &[f64],
        width: usize,
        targets: &[u32],
        options: &HeadOptions,
    ) -> Vec<f64> {
        let logits = logits_twin(h, w, width, options);
        let row = |(logits, &target): (&[f64], &u32)| {
            let largest = logits.iter().fold(f64::NEG_INFINITY, |m, &l| m.max(l));
            logits[target as usize]
                - largest
                - logits.iter().map(|l| (l - largest).exp()).sum::<f64>().ln()
        };
        logits
            .chunks(w.len() / width)
            .zip(targets)
            .map(row)
            .collect()
    }

    fn check(answers: usize, width: usize, vocabulary: usize, options: &HeadOptions) {
        let (h, w, coefficients) = (
            random(1, answers * width),
            random(2, vocabulary * width),
            random(3, answers),
        );
        let targets: Vec<u32> = (0..answers)
            .map(|i| ((i * 7919 + vocabulary - 1) % vocabulary) as u32)
            .collect();
        let (h_tensor, w_tensor) = (
            tensor(&h, (answers, width)),
            tensor(&w, (vocabulary, width)),
        );
        let out = forward(&h_tensor, &w_tensor, &targets, options, HeadWant::WithU).unwrap();
        let expected = twin(&h, &w, width, &targets, options);
        assert_close("log-probs", &out.log_probs, &expected, 2e-6);
        let plain = forward(&h_tensor, &w_tensor, &targets, options, HeadWant::LogProbs).unwrap();
        assert_eq!(plain.log_probs, out.log_probs);
        assert!(plain.u.is_none());
        let all = logits(&h_tensor, &w_tensor, options).unwrap();
        assert_close(
            "logits",
            &values(&all),
            &logits_twin(&h, &w, width, options),
            2e-6,
        );

        let floats: Vec<f32> = coefficients.iter().map(|&c| c as f32).collect();
        let dh = scale_rows(out.u.unwrap(), &floats).unwrap();
        let loss =
            |h: &[f64], w: &[f64]| inner(&twin(h, w, width, &targets, options), &coefficients);
        assert_gradient("dh", &h, &values(&dh), |h| loss(h, &w));
        let mut grads = Gradients::new(4 + w.len(), &Device::Cpu).unwrap();
        let place = slot(4, w.len());
        weight_backward(
            &h_tensor, &w_tensor, &targets, &out.lse, &floats, options, place, &mut grads,
        )
        .unwrap();
        let flat = grads.to_vec().unwrap();
        assert_eq!(flat[..4], [0.0; 4]);
        assert_gradient("dW", &w, &flat[4..], |w| loss(&h, w));
    }

    #[test]
    fn equals_its_twin_and_its_finite_differences() {
        for options in [
            HeadOptions::default(),
            HeadOptions {
                scale: 0.5,
                softcap: None,
            },
            HeadOptions {
                scale: 2.0,
                softcap: Some(1.5),
            },
        ] {
            check(1, 3, 1, &options);
            check(1, 5, 2, &options);
            check(13, 9, 70, &options);
            // More than one chunk of the vocabulary, and an odd rest.
            check(5, 4, CHUNK + 37, &options);
        }
    }

    #[test]
    fn more_answers_than_a_block() {
        check(ROWS + 3, 2, 11, &HeadOptions::default());
    }

    #[test]
    fn a_late_large_logit_takes_over_without_overflow() {
        // The last word of the second chunk beats all before it by hundreds.
        let vocabulary = CHUNK + 5;
        let mut w = vec![0.0; vocabulary];
        w[0] = 100.0;
        w[vocabulary - 1] = 500.0;
        let h = tensor(&[1.0], (1, 1));
        let out = forward(
            &h,
            &tensor(&w, (vocabulary, 1)),
            &[0],
            &HeadOptions::default(),
            HeadWant::WithU,
        )
        .unwrap();
        assert_close("log-prob", &out.log_probs, &[-400.0], 1e-6);
        assert_close("u", &values(&out.u.unwrap()), &[-400.0], 1e-6);
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let (h, w) = (
            tensor(&random(1, 120 * 24), (120, 24)),
            tensor(&random(2, 2500 * 24), (2500, 24)),
        );
        let targets: Vec<u32> = (0..120).map(|i| i * 20).collect();
        assert_same_bits(|| {
            let options = HeadOptions::default();
            let out = forward(&h, &w, &targets, &options, HeadWant::WithU).unwrap();
            let mut grads = Gradients::new(2500 * 24, &Device::Cpu).unwrap();
            let place = slot(0, 2500 * 24);
            let coefficients = vec![0.5; 120];
            weight_backward(
                &h,
                &w,
                &targets,
                &out.lse,
                &coefficients,
                &options,
                place,
                &mut grads,
            )
            .unwrap();
            vec![
                out.log_probs,
                out.lse,
                values(&out.u.unwrap()),
                grads.to_vec().unwrap(),
            ]
        });
    }

    #[test]
    fn a_target_outside_the_vocabulary_is_an_error() {
        let (h, w) = (tensor(&[1.0], (1, 1)), tensor(&[1.0, 2.0], (2, 1)));
        let error = forward(&h, &w, &[2], &HeadOptions::default(), HeadWant::LogProbs).unwrap_err();
        assert!(error.to_string().contains("vocabulary of 2"));
    }
}
