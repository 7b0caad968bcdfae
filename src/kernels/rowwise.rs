//! The linear layer for generation: few rows, and each row's bits independent of the others.
//!
//! A general product shares out and orders its work by the number of rows, so that an answer would depend, in its last
//! bits and sometimes in its tokens, on what else is answered at the same time. Here each element of the result is a dot
//! product of its own in a fixed order. For a handful of rows this is also faster: the weight is read once, in order, and
//! nothing is packed.

use candle_core::{Device, Tensor};

use super::{
    Linear, Result, access, parallel,
    simd::{fused, multiversion},
    weight::Rows,
};

const OPERATION: &str = "linear, row by row";

/// One AVX-512 register of partial sums an element.
const LANES: usize = 16;

/// Elements of the weight in one piece of work.
const PIECE: usize = 64 * 1024;

/// Multiplications below which all stays on the caller's thread.
const SMALL: usize = 1 << 20;

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear) -> Result<Tensor> {
    let (rows, d_in) = access::matrix(OPERATION, "x", x)?;
    let d_out = linear.weight.expect_columns(OPERATION, "weight", d_in)?;
    let x = access::read(OPERATION, "x", x)?;
    let weight = linear.weight.read(OPERATION, "weight")?;
    let mut y = product(&x, weight.rows());
    if let Some(bias) = &linear.bias {
        access::expect_dims(OPERATION, "bias", bias, &[d_out])?;
        let bias = access::read(OPERATION, "bias", bias)?;
        for row in y.chunks_mut(d_out) {
            row.iter_mut().zip(bias.iter()).for_each(|(y, b)| *y += b);
        }
    }
    for lora in &linear.loras {
        let (rank, _) = access::matrix(OPERATION, "LoRA A", &lora.a)?;
        access::expect_dims(OPERATION, "LoRA A", &lora.a, &[rank, d_in])?;
        access::expect_dims(OPERATION, "LoRA B", &lora.b, &[d_out, rank])?;
        let a = access::read(OPERATION, "LoRA A", &lora.a)?;
        let b = access::read(OPERATION, "LoRA B", &lora.b)?;
        let low = product(&x, Rows::Dense(&a, d_in));
        let delta = product(&low, Rows::Dense(&b, rank));
        y.iter_mut()
            .zip(&delta)
            .for_each(|(y, delta)| *y += lora.scale * delta);
    }
    Ok(Tensor::from_vec(y, (rows, d_out), &Device::Cpu)?)
}

/// `x[n,k] · w[m,k]ᵀ`, `[n,m]`. The bits are the same whether `w` is dense or has to be widened.
pub(super) fn product(x: &[f32], w: Rows<'_>) -> Vec<f32> {
    let k = w.columns();
    if k == 0 {
        return Vec::new();
    }
    let (n, m) = (x.len() / k, w.len());
    let small = n * m * k < SMALL;
    // Columns first: a piece of weight rows makes a run of them.
    let columns = (PIECE / k).next_multiple_of(TILE).max(TILE);
    let pieces: Vec<Vec<f32>> = parallel::map(m.div_ceil(columns), small, |piece| {
        let first = piece * columns;
        let last = (first + columns).min(m);
        let mut out = vec![0.0; (last - first) * n];
        let mut workspace = Vec::new();
        // What has to be widened stays in the first-level cache while few rows pass, in the second-level one while many do.
        let step = match w {
            Rows::Bf16(..) | Rows::Quantized(_) if n <= BLOCK => TILE,
            _ => last - first,
        };
        for start in (first..last).step_by(step) {
            let rows = start..last.min(start + step);
            let at = (start - first) * n..(rows.end - first) * n;
            let panel = w.panel_alone(rows, &mut workspace);
            columns_of(x, panel, k, n, &mut out[at]);
        }
        out
    });
    if n == 1 {
        return pieces.concat();
    }
    let mut y = vec![0.0; n * m];
    parallel::chunks(&mut y, m, |row, y| {
        let values = pieces
            .iter()
            .flat_map(|piece| piece.chunks(n))
            .map(|column| column[row]);
        y.iter_mut().zip(values).for_each(|(y, value)| *y = value);
    });
    y
}

/// Rows of `x` and rows of `w` that are multiplied with each other in registers.
const TILE: usize = 4;

/// Rows of `x` that stay in the first-level cache while a piece of the weight passes.
const BLOCK: usize = 4 * TILE;

multiversion! {
    /// `out[j, i] = x[i] · w[j]`.
    fn columns_of(x: &[f32], w: &[f32], k: usize, n: usize, out: &mut [f32]) {
        for (block, x) in x.chunks(BLOCK * k).enumerate() {
            for (w, out) in w.chunks(TILE * k).zip(out.chunks_mut(TILE * n)) {
                for (index, x) in x.chunks(TILE * k).enumerate() {
                    let out = &mut out[block * BLOCK + index * TILE..];
                    match w.len() / k {
                        1 => tiles::<FMA, 1>(x, w, k, n, out),
                        2 => tiles::<FMA, 2>(x, w, k, n, out),
                        3 => tiles::<FMA, 3>(x, w, k, n, out),
                        _ => tiles::<FMA, 4>(x, w, k, n, out),
                    }
                }
            }
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "must be compiled with the loop's instruction set"
)]
#[inline(always)]
fn tiles<const FMA: bool, const C: usize>(
    x: &[f32],
    w: &[f32],
    k: usize,
    n: usize,
    out: &mut [f32],
) {
    match x.len() / k {
        1 => tile::<FMA, 1, C>(x, w, k, n, out),
        2 => tile::<FMA, 2, C>(x, w, k, n, out),
        3 => tile::<FMA, 3, C>(x, w, k, n, out),
        _ => tile::<FMA, 4, C>(x, w, k, n, out),
    }
}

/// R rows of `x` against C rows of `w`. The order of each element's sum is the same in every tile.
#[expect(
    clippy::inline_always,
    reason = "must be compiled with the loop's instruction set"
)]
#[inline(always)]
fn tile<const FMA: bool, const R: usize, const C: usize>(
    x: &[f32],
    w: &[f32],
    k: usize,
    n: usize,
    out: &mut [f32],
) {
    let mut sums = [[[0.0_f32; LANES]; C]; R];
    let whole = k / LANES * LANES;
    let xs: [&[[f32; LANES]]; R] = std::array::from_fn(|i| x[i * k..][..k].as_chunks().0);
    let ws: [&[[f32; LANES]]; C] = std::array::from_fn(|j| w[j * k..][..k].as_chunks().0);
    for at in 0..k / LANES {
        for i in 0..R {
            let x = xs[i][at];
            for j in 0..C {
                sums[i][j] = add_product::<FMA>(x, ws[j][at], sums[i][j]);
            }
        }
    }
    for i in 0..R {
        for j in 0..C {
            let (x, w) = (&x[i * k..][..k], &w[j * k..][..k]);
            let mut lanes = sums[i][j];
            for (lane, (x, w)) in lanes.iter_mut().zip(x[whole..].iter().zip(&w[whole..])) {
                *lane = fused::<FMA>(*x, *w, *lane);
            }
            let mut half = LANES / 2;
            while half > 0 {
                for lane in 0..half {
                    lanes[lane] += lanes[lane + half];
                }
                half /= 2;
            }
            out[j * n + i] = lanes[0];
        }
    }
}

/// By value: so the compiler keeps the sums in registers.
#[expect(
    clippy::inline_always,
    reason = "must be compiled with the loop's instruction set"
)]
#[inline(always)]
fn add_product<const FMA: bool>(
    a: [f32; LANES],
    b: [f32; LANES],
    mut sum: [f32; LANES],
) -> [f32; LANES] {
    for lane in 0..LANES {
        sum[lane] = fused::<FMA>(a[lane], b[lane], sum[lane]);
    }
    sum
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::kernels::Lora;

    fn random(seed: u64, rows: usize, columns: usize) -> Tensor {
        let mut stream = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..rows * columns)
            .map(|_| stream.random_range(-1.0..1.0))
            .collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn layer(d_in: usize, d_out: usize) -> Linear {
        let lora = Lora {
            a: random(2, 3, d_in),
            b: random(3, d_out, 3),
            a_slot: None,
            b_slot: None,
            scale: 0.5,
        };
        Linear {
            bias: Some(random(4, 1, d_out).flatten_all().unwrap()),
            loras: vec![lora.clone(), lora],
            ..Linear::frozen(random(1, d_out, d_in))
        }
    }

    #[test]
    fn it_is_the_linear_layer() {
        for (rows, d_in, d_out) in [(1, 5, 3), (2, 16, 4), (3, 33, 7), (6, 70, 1), (9, 200, 700)] {
            let (x, linear) = (random(5, rows, d_in), layer(d_in, d_out));
            let got = forward(&x, &linear).unwrap().to_vec2::<f32>().unwrap();
            let (want, _) = crate::kernels::cpu().linear(&x, &linear).unwrap();
            for (got, want) in got
                .iter()
                .flatten()
                .zip(want.to_vec2::<f32>().unwrap().iter().flatten())
            {
                assert!((got - want).abs() < 1e-4, "{got} instead of {want}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        for (d_in, d_out) in [(72, 192), (192, 70), (100, 2000)] {
            let (x, linear) = (random(6, 40, d_in), layer(d_in, d_out));
            let all = forward(&x, &linear).unwrap().to_vec2::<f32>().unwrap();
            for (first, rows) in [(0, 1), (39, 1), (3, 2), (11, 3), (20, 7), (1, 38)] {
                let some = forward(&x.narrow(0, first, rows).unwrap(), &linear).unwrap();
                assert!(some.to_vec2::<f32>().unwrap() == all[first..first + rows]);
            }
        }
    }
}
