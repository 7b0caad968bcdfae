//! The linear layer for generation: each row's bits independent of the others.
//!
//! A general product shares out and orders its work by the number of rows, so that an answer would depend, in its last
//! bits and sometimes in its tokens, on what else is answered at the same time. Here each element of the result is
//! summed in an order that nothing but the number of columns decides. For the few rows of a decoding step that is a dot
//! product: the weight is read once, as it lies ([`few`]). For the many rows of prompts it is a sum in tiles
//! ([`many`]).

pub(super) mod few;
mod many;

use super::{Linear, Place, Result, Tensor, access, weight::Rows};

const OPERATION: &str = "linear, row by row";

/// The two halves of generation. A row's bits may differ between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generating {
    /// All tokens of the prompts at once: many rows.
    Prefill,
    /// The next token of each answer: few rows.
    Decode,
}

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor> {
    let product = match stage {
        Generating::Prefill => many::product,
        Generating::Decode => few::product,
    };
    let (rows, d_in) = access::matrix(OPERATION, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(OPERATION, "weight", d_in)?;
    let x = access::read(OPERATION, "x", x)?;
    let weight = linear.weight.read(OPERATION, "weight")?;
    let mut y = product(&x, weight.rows());
    if let Some(bias) = &linear.bias {
        access::expect_dims(OPERATION, "bias", bias.dims(), &[d_out])?;
        let bias = access::read(OPERATION, "bias", bias)?;
        for row in y.chunks_mut(d_out) {
            row.iter_mut().zip(bias.iter()).for_each(|(y, b)| *y += b);
        }
    }
    for lora in &linear.loras {
        let (rank, _) = access::matrix(OPERATION, "LoRA A", lora.a.dims())?;
        access::expect_dims(OPERATION, "LoRA A", lora.a.dims(), &[rank, d_in])?;
        access::expect_dims(OPERATION, "LoRA B", lora.b.dims(), &[d_out, rank])?;
        let a = access::read(OPERATION, "LoRA A", &lora.a)?;
        let b = access::read(OPERATION, "LoRA B", &lora.b)?;
        let low = product(&x, Rows::Dense(&a, d_in));
        let delta = product(&low, Rows::Dense(&b, rank));
        y.iter_mut().zip(&delta).for_each(|(y, delta)| *y += lora.scale * delta);
    }
    Tensor::from_vec(y, (rows, d_out), &Place::CPU)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::Lora;

    fn random(seed: u64, rows: usize, columns: usize) -> Tensor {
        let mut stream = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..rows * columns).map(|_| stream.random_range(-1.0..1.0)).collect();
        Tensor::from_vec(values, (rows, columns), &Place::CPU).unwrap()
    }

    fn layer(d_in: usize, d_out: usize) -> Linear {
        let lora = Lora { a: random(2, 3, d_in), b: random(3, d_out, 3), a_slot: None, b_slot: None, scale: 0.5 };
        Linear {
            bias: Some(random(4, 1, d_out).reshape(d_out).unwrap()),
            loras: vec![lora.clone(), lora],
            ..Linear::frozen(random(1, d_out, d_in))
        }
    }

    const STAGES: [Generating; 2] = [Generating::Prefill, Generating::Decode];

    #[test]
    fn it_is_the_linear_layer() {
        let shapes = [(1, 5, 3), (2, 16, 4), (3, 33, 7), (6, 70, 1), (9, 900, 700), (250, 40, 17)];
        for (rows, d_in, d_out) in shapes {
            let (x, linear) = (random(5, rows, d_in), layer(d_in, d_out));
            let (want, _) = crate::cpu().linear(&x, &linear).unwrap();
            let want = want.to_vec::<f32>().unwrap();
            for stage in STAGES {
                let got = forward(&x, &linear, stage).unwrap();
                let got = got.to_vec::<f32>().unwrap();
                for (got, want) in got.iter().zip(&want) {
                    assert!((got - want).abs() < 1e-4, "{stage:?}: {got} instead of {want}");
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        for (d_in, d_out) in [(72, 192), (900, 70), (300, 2000)] {
            let (x, linear) = (random(6, 40, d_in), layer(d_in, d_out));
            for stage in STAGES {
                let of = |x: &Tensor| forward(x, &linear, stage).unwrap().to_vec::<f32>().unwrap();
                let all = of(&x);
                for (first, rows) in [(0, 1), (39, 1), (3, 2), (11, 3), (20, 7), (1, 38)] {
                    let some = of(&x.rows(first, rows).unwrap());
                    assert!(some == all[first * d_out..(first + rows) * d_out], "{stage:?}");
                }
            }
        }
    }
}
