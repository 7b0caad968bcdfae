//! RMS norm.
#![expect(unsafe_code, reason = "rows are written into buffers that hold nothing yet")]

use std::mem::MaybeUninit;

use super::{
    Gradients, InputGradient, Result, Slot, Tensor, access,
    buffer::Fresh,
    parallel,
    simd::{fused, multiversion, sum_by},
};

/// How a model's RMS norm is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormOptions {
    /// Added to the mean square.
    pub eps: f32,
    /// The factor is `1 + w` instead of `w` (Gemma).
    pub plus_one: bool,
}

/// An RMS norm as the kernels take it.
#[derive(Debug, Clone, Copy)]
pub struct RmsNorm<'a> {
    /// `[n]`, f32.
    pub weight: &'a Tensor,
    /// Where its gradient goes; `None` when it is frozen.
    pub slot: Option<Slot>,
    pub options: NormOptions,
}

const FORWARD: &str = "rms norm";
const BACKWARD: &str = "rms norm backward";

/// `y = x · inv_rms · w`, row by row; also `inv_rms = 1/sqrt(mean(x²) + eps)` of every row.
pub(super) fn forward(x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
    let width = norm.weight.elem_count();
    let rows = rows_of(FORWARD, x.dims(), width)?;
    let factors = factors(FORWARD, norm)?;
    let dims = x.dims().to_vec();
    let x = access::read(FORWARD, "x", x)?;
    let (mut y, mut inv_rms) = (Fresh::new(rows * width), Fresh::new(rows));

    let per_piece = parallel::rows_per_piece(width);
    let pieces = rows.div_ceil(per_piece);
    {
        let mut inv_pieces = inv_rms.uninit()[..rows].chunks_mut(per_piece);
        let mut work: Vec<_> = y.uninit()[..rows * width]
            .chunks_mut(per_piece * width)
            .map(|y| (y, inv_pieces.next().unwrap_or_default()))
            .collect();
        let small = rows * width < parallel::LIGHT;
        parallel::each_mut(&mut work, small, |piece, (y, inv)| {
            let first = piece * per_piece * width;
            for (row, (y, inv)) in y.chunks_mut(width).zip(inv.iter_mut()).enumerate() {
                let x = &x[first + row * width..first + (row + 1) * width];
                inv.write(normalise(y, x, &factors, norm.options.eps));
            }
        });
        debug_assert_eq!(work.len(), pieces);
    }
    // SAFETY: every row of both has been written.
    unsafe { Ok((y.tensor(dims)?, inv_rms.tensor(rows)?)) }
}

/// `dx = inv·(w·dy − x·inv²·mean(w·dy·x))` and `dw += Σ dy·x·inv`.
pub(super) fn backward(
    x: &Tensor,
    norm: &RmsNorm<'_>,
    inv_rms: &Tensor,
    dy: &Tensor,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Tensor>> {
    let width = norm.weight.elem_count();
    let rows = rows_of(BACKWARD, x.dims(), width)?;
    let dims = x.dims().to_vec();
    access::expect_dims(BACKWARD, "dy", dy.dims(), &dims)?;
    access::expect_dims(BACKWARD, "inv_rms", inv_rms.dims(), &[rows])?;
    let factors = factors(BACKWARD, norm)?;
    let (x, dy) = (access::read(BACKWARD, "x", x)?, access::read(BACKWARD, "dy", dy)?);
    let inv_rms = access::read(BACKWARD, "inv_rms", inv_rms)?;
    let per_piece = parallel::rows_per_piece(width);
    let small = rows * width < parallel::LIGHT;
    let range = |row: usize| row * width..(row + 1) * width;

    if let Some(slot) = norm.slot {
        let partial = parallel::map(rows.div_ceil(per_piece), small, |piece| {
            let mut sum = vec![0.0; width];
            for row in piece * per_piece..rows.min((piece + 1) * per_piece) {
                add_weight_gradient(&mut sum, &x[range(row)], &dy[range(row)], inv_rms[row]);
            }
            sum
        });
        grads.change(BACKWARD, slot, width, |dw| {
            for partial in &partial {
                dw.iter_mut().zip(partial).for_each(|(dw, partial)| *dw += partial);
            }
        })?;
    }
    match input {
        InputGradient::Skip => Ok(None),
        InputGradient::Fresh => {
            let mut dx = Fresh::new(rows * width);
            parallel::chunks(&mut dx.uninit()[..rows * width], per_piece * width, |piece, dx| {
                for (row, dx) in (piece * per_piece..).zip(dx.chunks_mut(width)) {
                    set_input_gradient(dx, &x[range(row)], &dy[range(row)], &factors, inv_rms[row]);
                }
            });
            // SAFETY: every row has been written.
            unsafe { Ok(Some(dx.tensor(dims)?)) }
        }
        InputGradient::AddTo(sum) => {
            access::expect_dims(BACKWARD, "sum of input gradients", sum.dims(), &dims)?;
            let readers = [&x, &dy, &inv_rms];
            access::rewrite(BACKWARD, "sum of input gradients", &sum, &readers, |dx| {
                parallel::chunks(dx, per_piece * width, |piece, dx| {
                    for (row, dx) in (piece * per_piece..).zip(dx.chunks_mut(width)) {
                        add_input_gradient(dx, &x[range(row)], &dy[range(row)], &factors, inv_rms[row]);
                    }
                });
            })?;
            Ok(Some(sum))
        }
    }
}

/// Number of rows of a tensor whose last axis has `width` elements.
pub(super) fn rows_of(operation: &'static str, x: &[usize], width: usize) -> Result<usize> {
    let count = x.iter().product::<usize>();
    if x.last() != Some(&width) || width == 0 {
        access::expect_dims(operation, "x", x, &[count / width.max(1), width])?;
    }
    Ok(count / width)
}

/// `w`, or `1 + w`.
fn factors(operation: &'static str, norm: &RmsNorm<'_>) -> Result<Vec<f32>> {
    let offset = if norm.options.plus_one { 1.0 } else { 0.0 };
    Ok(access::read(operation, "weight", norm.weight)?.iter().map(|w| w + offset).collect())
}

multiversion! {
    /// One row; gives its inverse root mean square.
    fn normalise(y: &mut [MaybeUninit<f32>], x: &[f32], w: &[f32], eps: f32) -> f32 {
        let n = x.len();
        let squares = sum_by(n, |i, sum| fused::<FMA>(x[i], x[i], sum));
        let inv = 1.0 / (squares / n as f32 + eps).sqrt();
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            y.write(x * inv * w);
        }
        inv
    }
}

/// What each element of a row's input gradient is.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of loops that are compiled for several instruction sets")]
fn input_gradient<const FMA: bool>(x: &[f32], dy: &[f32], w: &[f32], inv: f32) -> impl Fn(usize) -> f32 {
    let along = sum_by(x.len(), |i, sum| fused::<FMA>(w[i] * dy[i], x[i], sum));
    let pull = -along * inv * inv * inv / x.len() as f32;
    move |i| fused::<FMA>(inv * w[i], dy[i], pull * x[i])
}

multiversion! {
    /// One row.
    fn set_input_gradient(dx: &mut [MaybeUninit<f32>], x: &[f32], dy: &[f32], w: &[f32], inv: f32) {
        let n = x.len();
        let (dx, dy, w) = (&mut dx[..n], &dy[..n], &w[..n]);
        let gradient = input_gradient::<FMA>(x, dy, w, inv);
        for (i, dx) in dx.iter_mut().enumerate() {
            dx.write(gradient(i));
        }
    }
}

multiversion! {
    /// One row, added to what `dx` holds.
    fn add_input_gradient(dx: &mut [f32], x: &[f32], dy: &[f32], w: &[f32], inv: f32) {
        let n = x.len();
        let (dx, dy, w) = (&mut dx[..n], &dy[..n], &w[..n]);
        let gradient = input_gradient::<FMA>(x, dy, w, inv);
        for (i, dx) in dx.iter_mut().enumerate() {
            *dx += gradient(i);
        }
    }
}

multiversion! {
    /// `sum += dy·x·inv`.
    fn add_weight_gradient(sum: &mut [f32], x: &[f32], dy: &[f32], inv: f32) {
        for ((sum, x), dy) in sum.iter_mut().zip(x).zip(dy) {
            *sum = fused::<FMA>(dy * inv, *x, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use crate::testing::{assert_close, assert_gradient, assert_same_bits, inner, random, slot, tensor, values};

    const EPS: f32 = 1e-3;

    /// Straight loops.
    fn twin(x: &[f64], w: &[f64], plus_one: bool) -> Vec<f64> {
        let row = |x: &[f64]| -> Vec<f64> {
            let inv = 1.0 / (inner(x, x) / x.len() as f64 + f64::from(EPS)).sqrt();
            x.iter().zip(w).map(|(x, w)| x * inv * if plus_one { 1.0 + w } else { *w }).collect()
        };
        x.chunks(w.len()).flat_map(row).collect()
    }

    fn run(x: &Tensor, weight: &Tensor, dy: &Tensor, options: NormOptions) -> [Vec<f32>; 3] {
        let width = weight.elem_count();
        let norm = RmsNorm { weight, slot: Some(slot(3, width)), options };
        let (y, inv_rms) = forward(x, &norm).unwrap();
        let mut grads = Gradients::new(width + 3, &Place::CPU).unwrap();
        let dx = backward(x, &norm, &inv_rms, dy, InputGradient::Fresh, &mut grads).unwrap().unwrap();
        [values(&y), values(&dx), grads.to_vec().unwrap()[3..].to_vec()]
    }

    #[test]
    fn equals_its_twin_and_its_finite_differences() {
        for (rows, width) in [(1, 1), (1, 7), (5, 64), (3, 130), (200, 100)] {
            for plus_one in [false, true] {
                let options = NormOptions { eps: EPS, plus_one };
                let (x, w, dy) = (random(1, rows * width), random(2, width), random(3, rows * width));
                let [y, dx, dw] =
                    run(&tensor(&x, (rows, width)), &tensor(&w, width), &tensor(&dy, (rows, width)), options);
                assert_close("y", &y, &twin(&x, &w, plus_one), 1e-6);
                assert_gradient("dx", &x, &dx, |x| inner(&twin(x, &w, plus_one), &dy));
                assert_gradient("dw", &w, &dw, |w| inner(&twin(&x, w, plus_one), &dy));
            }
        }
    }

    #[test]
    fn the_input_gradient_can_be_added_to_a_residual() {
        let options = NormOptions { eps: EPS, plus_one: false };
        let (x, w, dy) = (random(1, 60), random(2, 20), random(3, 60));
        let (x, w, dy) = (tensor(&x, (3, 20)), tensor(&w, 20), tensor(&dy, (3, 20)));
        let [_, dx, _] = run(&x, &w, &dy, options);
        let norm = RmsNorm { weight: &w, slot: None, options };
        let (_, inv_rms) = forward(&x, &norm).unwrap();
        let mut grads = Gradients::new(0, &Place::CPU).unwrap();
        let residual = InputGradient::AddTo(tensor(&[2.0; 60], (3, 20)));
        let sum = backward(&x, &norm, &inv_rms, &dy, residual, &mut grads).unwrap().unwrap();
        let expected: Vec<f64> = dx.iter().map(|&x| f64::from(x) + 2.0).collect();
        assert_close("sum", &values(&sum), &expected, 1e-6);
    }

    #[test]
    fn heads_are_rows_of_their_own() {
        let (x, w) = (random(1, 2 * 3 * 4), random(2, 4));
        let weight = tensor(&w, 4);
        let norm = RmsNorm { weight: &weight, slot: None, options: NormOptions { eps: EPS, plus_one: false } };
        let (y, inv_rms) = forward(&tensor(&x, (2, 3, 4)), &norm).unwrap();
        assert_eq!((y.dims(), inv_rms.dims()), (&[2, 3, 4][..], &[6][..]));
        assert_close("y", &values(&y), &twin(&x, &w, false), 1e-6);
        assert!(forward(&tensor(&x, (4, 6)), &norm).is_err());
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let (x, w, dy) = (random(1, 500 * 130), random(2, 130), random(3, 500 * 130));
        let (x, w, dy) = (tensor(&x, (500, 130)), tensor(&w, 130), tensor(&dy, (500, 130)));
        assert_same_bits(|| run(&x, &w, &dy, NormOptions { eps: EPS, plus_one: true }).to_vec());
    }
}
