//! How fast this machine multiplies matrices, by the same code and in the same precision as the step.

use std::time::{Duration, Instant};

use kernels::{DType, Kernels, Linear, Place, Tensor};
use model::{PolicyError, Spec};
use serde::Serialize;

use crate::error::{Result, TrainError};

/// Side of the large square product: its operands are beyond any cache. Of the small one, for a device that would take
/// longer than [`TOO_LONG`] for a large one.
const SQUARE: usize = 2048;
const SMALL: usize = 512;
const TOO_LONG: f64 = 5.0;
/// The best of this much time counts: what a neighbour disturbs is not the machine's peak.
const LONG_ENOUGH: Duration = Duration::from_millis(600);
const MOST_TIMES: usize = 50;

/// Floating-point operations a second of matrix products.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatmulPeak {
    /// Of a square product of 2048 (512 on a slow device), in GFLOP/s: what shares are taken of.
    pub square_gflops: f64,
    /// Of the linear layers of one block, without adapters, at the step's own number of rows, in GFLOP/s.
    pub own_shapes_gflops: f64,
}

/// Measures both on the current pool. `dtype` is that of the stored weights.
pub fn measure(kernels: &dyn Kernels, spec: &Spec, tokens: usize, dtype: DType, place: &Place) -> Result<MatmulPeak> {
    let best = |rows, input, output| -> Result<f64> {
        let matrix = |rows: usize, columns: usize, dtype| {
            let numbers = (0..rows * columns).map(|i| (i * 31 % 251) as f32 / 125.0 - 1.0).collect::<Vec<_>>();
            Tensor::from_vec(numbers, (rows, columns), place)?.to_dtype(dtype)
        };
        let x = matrix(rows, input, DType::F32).map_err(PolicyError::from)?;
        let weight = matrix(output, input, dtype).map_err(PolicyError::from)?;
        let layer = Linear::frozen(weight);
        let begun = Instant::now();
        let mut best = f64::INFINITY;
        for _ in 0..MOST_TIMES {
            let started = Instant::now();
            let product = kernels.linear(&x, &layer).map_err(PolicyError::from)?;
            place.synchronize().map_err(PolicyError::from)?;
            best = best.min(started.elapsed().as_secs_f64());
            drop(product);
            if begun.elapsed() > LONG_ENOUGH {
                break;
            }
        }
        Ok(best)
    };
    let operations = |rows: usize, input: usize, output: usize| (2 * rows * input * output) as f64;
    let rate = |side| Ok::<_, TrainError>(operations(side, side, side) / best(side, side, side)?);
    let small = rate(SMALL)?;
    let square = if operations(SQUARE, SQUARE, SQUARE) / small > TOO_LONG { small } else { rate(SQUARE)? };

    let (d, ff) = (spec.hidden_size, spec.intermediate_size);
    let layers =
        [(d, spec.query_width(), 1), (d, spec.kv_width(), 2), (spec.query_width(), d, 1), (d, ff, 2), (ff, d, 1)];
    let (mut work, mut secs) = (0.0, 0.0);
    for (input, output, times) in layers {
        let times = f64::from(times);
        work += times * operations(tokens, input, output);
        secs += times * best(tokens, input, output)?;
    }
    Ok(MatmulPeak { square_gflops: square / 1e9, own_shapes_gflops: work / secs / 1e9 })
}
