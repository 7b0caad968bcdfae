//! The linear layer with its LoRA adapters, fused: adapters accumulate straight into the layer's result.
#![expect(
    unsafe_code,
    reason = "products are written into buffers that hold nothing yet"
)]

use candle_core::{Device, Tensor};

use super::{
    Gradients, InputGradient, Result, Slot, access,
    buffer::Fresh,
    gemm::{Matrix, Target, Threads, Write, multiply},
    parallel,
    simd::multiversion,
};

/// A low-rank adapter of a linear layer: `scale · B A`.
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, in]`.
    pub a: Tensor,
    /// `[out, r]`.
    pub b: Tensor,
    /// Where the gradient of `a` goes; `None` for a frozen adapter.
    pub a_slot: Option<Slot>,
    /// Where the gradient of `b` goes; `None` for a frozen adapter.
    pub b_slot: Option<Slot>,
    /// `alpha / r`, or `alpha / sqrt(r)` for rsLoRA.
    pub scale: f32,
}

/// A linear layer as stored in checkpoints, and its adapters.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// Where the gradient of the weight goes; `None` when it is frozen.
    pub weight_slot: Option<Slot>,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// Where the gradient of the bias goes; `None` when it is frozen.
    pub bias_slot: Option<Slot>,
    /// Adapters on top; their order is the order of summation.
    pub loras: Vec<Lora>,
}

/// What [`super::Kernels::linear`] keeps for its backward.
#[derive(Debug, Clone, Default)]
pub struct LinearSaved {
    /// `x Aᵀ` of each adapter: `[T, r]`.
    pub low: Vec<Tensor>,
}

impl Linear {
    /// A frozen layer without bias or adapter.
    pub fn frozen(weight: Tensor) -> Self {
        Self {
            weight,
            weight_slot: None,
            bias: None,
            bias_slot: None,
            loras: Vec::new(),
        }
    }
}

const FORWARD: &str = "linear";
const BACKWARD: &str = "linear backward";

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
    let (tokens, d_in) = access::matrix(FORWARD, "x", x)?;
    let (d_out, _) = access::matrix(FORWARD, "weight", &linear.weight)?;
    access::expect_dims(FORWARD, "weight", &linear.weight, &[d_out, d_in])?;
    let (x, weight) = (
        access::read(FORWARD, "x", x)?,
        access::read(FORWARD, "weight", &linear.weight)?,
    );
    let x = Matrix::new(&x, tokens, d_in);

    let mut buffer = Fresh::new(tokens * d_out);
    let first = Matrix::new(&weight, d_out, d_in).t();
    multiply(
        1.0,
        x,
        first,
        Write::Set,
        Target::uninit(buffer.uninit(), tokens, d_out),
        Threads::Pool,
    );
    // SAFETY: the product has set every element.
    let mut y = unsafe { buffer.vec(tokens * d_out) };

    if let Some(bias) = &linear.bias {
        access::expect_dims(FORWARD, "bias", bias, &[d_out])?;
        let bias = access::read(FORWARD, "bias", bias)?;
        let rows = parallel::rows_per_piece(d_out);
        parallel::chunks(&mut y, rows * d_out, |_, rows| {
            rows.chunks_mut(d_out).for_each(|row| add_to(row, &bias))
        });
    }
    let mut low = Vec::with_capacity(linear.loras.len());
    for lora in &linear.loras {
        let rank = lora_rank(FORWARD, lora, d_in, d_out)?;
        let (a, b) = (
            access::read(FORWARD, "LoRA A", &lora.a)?,
            access::read(FORWARD, "LoRA B", &lora.b)?,
        );
        let mut u = Fresh::new(tokens * rank);
        let target = Target::uninit(u.uninit(), tokens, rank);
        multiply(
            1.0,
            x,
            Matrix::new(&a, rank, d_in).t(),
            Write::Set,
            target,
            Threads::Pool,
        );
        // SAFETY: the product has set every element.
        let u = unsafe { u.vec(tokens * rank) };
        let target = Target::new(&mut y, tokens, d_out);
        let (up, b) = (
            Matrix::new(&u, tokens, rank),
            Matrix::new(&b, d_out, rank).t(),
        );
        multiply(lora.scale, up, b, Write::Add, target, Threads::Pool);
        low.push(Tensor::from_vec(u, (tokens, rank), &Device::Cpu)?);
    }
    Ok((
        Tensor::from_vec(y, (tokens, d_out), &Device::Cpu)?,
        LinearSaved { low },
    ))
}

/// `dx = dy W + Σ scale·(dy B) A`; `dW += dyᵀ x`, `db += Σ dy`, `dB += scale·dyᵀ u`, `dA += scale·(dy B)ᵀ x`.
pub(super) fn backward(
    x: &Tensor,
    saved: &LinearSaved,
    dy: &Tensor,
    linear: &Linear,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Tensor>> {
    let (tokens, d_in) = access::matrix(BACKWARD, "x", x)?;
    let (d_out, _) = access::matrix(BACKWARD, "weight", &linear.weight)?;
    access::expect_dims(BACKWARD, "weight", &linear.weight, &[d_out, d_in])?;
    access::expect_dims(BACKWARD, "dy", dy, &[tokens, d_out])?;
    if saved.low.len() != linear.loras.len() {
        let message = format!(
            "{} adapters, but {} saved products",
            linear.loras.len(),
            saved.low.len()
        );
        return access::fault(BACKWARD, message);
    }
    let (x_view, dy_view) = (
        access::read(BACKWARD, "x", x)?,
        access::read(BACKWARD, "dy", dy)?,
    );
    let (x, dy) = (
        Matrix::new(&x_view, tokens, d_in),
        Matrix::new(&dy_view, tokens, d_out),
    );
    let wants_input = !matches!(input, InputGradient::Skip);

    if let Some(slot) = linear.weight_slot {
        grads.change(BACKWARD, slot, d_out * d_in, |dw| {
            multiply(
                1.0,
                dy.t(),
                x,
                Write::Add,
                Target::new(dw, d_out, d_in),
                Threads::Pool,
            );
        })?;
    }
    if let Some(slot) = linear.bias_slot {
        grads.change(BACKWARD, slot, d_out, |db| add_columns(db, &dy_view))?;
    }
    // The gradient of each adapter's low-rank product: needed by dA and by dx.
    let mut d_low = Vec::with_capacity(linear.loras.len());
    for (lora, low) in linear.loras.iter().zip(&saved.low) {
        let rank = lora_rank(BACKWARD, lora, d_in, d_out)?;
        access::expect_dims(BACKWARD, "saved product", low, &[tokens, rank])?;
        if let Some(slot) = lora.b_slot {
            let low = access::read(BACKWARD, "saved product", low)?;
            grads.change(BACKWARD, slot, d_out * rank, |db| {
                let target = Target::new(db, d_out, rank);
                multiply(
                    lora.scale,
                    dy.t(),
                    Matrix::new(&low, tokens, rank),
                    Write::Add,
                    target,
                    Threads::Pool,
                );
            })?;
        }
        if !wants_input && lora.a_slot.is_none() {
            continue;
        }
        let b = access::read(BACKWARD, "LoRA B", &lora.b)?;
        let mut du = Fresh::new(tokens * rank);
        let target = Target::uninit(du.uninit(), tokens, rank);
        multiply(
            lora.scale,
            dy,
            Matrix::new(&b, d_out, rank),
            Write::Set,
            target,
            Threads::Pool,
        );
        // SAFETY: the product has set every element.
        let du = unsafe { du.vec(tokens * rank) };
        if let Some(slot) = lora.a_slot {
            grads.change(BACKWARD, slot, rank * d_in, |da| {
                let target = Target::new(da, rank, d_in);
                multiply(
                    1.0,
                    Matrix::new(&du, tokens, rank).t(),
                    x,
                    Write::Add,
                    target,
                    Threads::Pool,
                );
            })?;
        }
        d_low.push((du, rank));
    }

    let weight = access::read(BACKWARD, "weight", &linear.weight)?;
    let weight_matrix = Matrix::new(&weight, d_out, d_in);
    let add_adapters = |dx: &mut [f32]| -> Result<()> {
        for (lora, (du, rank)) in linear.loras.iter().zip(&d_low) {
            let a = access::read(BACKWARD, "LoRA A", &lora.a)?;
            let (du, a) = (Matrix::new(du, tokens, *rank), Matrix::new(&a, *rank, d_in));
            multiply(
                1.0,
                du,
                a,
                Write::Add,
                Target::new(dx, tokens, d_in),
                Threads::Pool,
            );
        }
        Ok(())
    };
    match input {
        InputGradient::Skip => Ok(None),
        InputGradient::Fresh => {
            let mut buffer = Fresh::new(tokens * d_in);
            let target = Target::uninit(buffer.uninit(), tokens, d_in);
            multiply(1.0, dy, weight_matrix, Write::Set, target, Threads::Pool);
            // SAFETY: the product has set every element.
            let mut dx = unsafe { buffer.vec(tokens * d_in) };
            add_adapters(&mut dx)?;
            Ok(Some(Tensor::from_vec(dx, (tokens, d_in), &Device::Cpu)?))
        }
        InputGradient::AddTo(sum) => {
            access::expect_dims(BACKWARD, "sum of input gradients", &sum, &[tokens, d_in])?;
            access::rewrite(
                BACKWARD,
                "sum of input gradients",
                &sum,
                &[&x_view, &dy_view, &weight],
                |dx| {
                    multiply(
                        1.0,
                        dy,
                        weight_matrix,
                        Write::Add,
                        Target::new(dx, tokens, d_in),
                        Threads::Pool,
                    );
                    add_adapters(dx)
                },
            )??;
            Ok(Some(sum))
        }
    }
}

/// `y + x` in the storage of `y`.
pub(super) fn add(x: &Tensor, y: Tensor) -> Result<Tensor> {
    const OPERATION: &str = "add";
    access::expect_dims(OPERATION, "x", x, y.dims())?;
    let x = access::read(OPERATION, "x", x)?;
    access::rewrite(OPERATION, "y", &y, &[&x], |y| {
        parallel::chunks(y, parallel::PIECE, |piece, y| {
            add_to(y, &x[piece * parallel::PIECE..])
        });
    })?;
    Ok(y)
}

/// The rank of an adapter, its shapes checked.
fn lora_rank(operation: &'static str, lora: &Lora, d_in: usize, d_out: usize) -> Result<usize> {
    let (rank, _) = access::matrix(operation, "LoRA A", &lora.a)?;
    access::expect_dims(operation, "LoRA A", &lora.a, &[rank, d_in])?;
    access::expect_dims(operation, "LoRA B", &lora.b, &[d_out, rank])?;
    Ok(rank)
}

multiversion! {
    /// `sum += x`.
    fn add_to(sum: &mut [f32], x: &[f32]) {
        let _ = FMA;
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += x;
        }
    }
}

/// Rows summed on their own before the sums are added: a fixed number.
const ROWS_PER_SUM: usize = 64;

/// Adds every row of `x` to `sums`: rows in groups, then the groups in order.
fn add_columns(sums: &mut [f32], x: &[f32]) {
    let width = sums.len();
    let group = ROWS_PER_SUM * width;
    let partial = parallel::map(
        x.len().div_ceil(group),
        x.len() < parallel::LIGHT,
        |piece| {
            let mut sum = vec![0.0; width];
            let rows = &x[piece * group..x.len().min((piece + 1) * group)];
            rows.chunks(width).for_each(|row| add_to(&mut sum, row));
            sum
        },
    );
    partial.iter().for_each(|partial| add_to(sums, partial));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{
        assert_close, assert_gradient, assert_same_bits, inner, random, slot, tensor, values,
    };

    /// The operands of a layer with bias and two adapters, as f64.
    struct Case {
        tokens: usize,
        d_in: usize,
        d_out: usize,
        ranks: Vec<usize>,
        x: Vec<f64>,
        weight: Vec<f64>,
        bias: Vec<f64>,
        /// `(A, B)` of each adapter.
        loras: Vec<(Vec<f64>, Vec<f64>)>,
        dy: Vec<f64>,
    }

    const SCALE: f32 = 0.75;

    impl Case {
        fn new(tokens: usize, d_in: usize, d_out: usize, ranks: &[usize]) -> Self {
            let lora = |(i, r): (usize, &usize)| {
                (
                    random(10 + i as u64, r * d_in),
                    random(20 + i as u64, d_out * r),
                )
            };
            Self {
                tokens,
                d_in,
                d_out,
                ranks: ranks.to_vec(),
                x: random(1, tokens * d_in),
                weight: random(2, d_out * d_in),
                bias: random(3, d_out),
                loras: ranks.iter().enumerate().map(lora).collect(),
                dy: random(4, tokens * d_out),
            }
        }

        /// Straight loops.
        fn twin(&self) -> Vec<f64> {
            let mut y = vec![0.0; self.tokens * self.d_out];
            for t in 0..self.tokens {
                let x = &self.x[t * self.d_in..(t + 1) * self.d_in];
                for o in 0..self.d_out {
                    let mut sum =
                        self.bias[o] + inner(x, &self.weight[o * self.d_in..(o + 1) * self.d_in]);
                    for ((a, b), &r) in self.loras.iter().zip(&self.ranks) {
                        for i in 0..r {
                            let low = inner(x, &a[i * self.d_in..(i + 1) * self.d_in]);
                            sum += f64::from(SCALE) * low * b[o * r + i];
                        }
                    }
                    y[t * self.d_out + o] = sum;
                }
            }
            y
        }

        /// The layer with every parameter trained, slots one after the other: weight, bias, (A, B) ..
        fn layer(&self) -> (Linear, usize) {
            let mut end = 0;
            let mut next = |len: usize| {
                end += len;
                Some(slot(end - len, len))
            };
            let mut layer = Linear::frozen(tensor(&self.weight, (self.d_out, self.d_in)));
            layer.weight_slot = next(self.weight.len());
            layer.bias = Some(tensor(&self.bias, self.d_out));
            layer.bias_slot = next(self.d_out);
            for ((a, b), &r) in self.loras.iter().zip(&self.ranks) {
                let (a_slot, b_slot) = (next(a.len()), next(b.len()));
                let (a, b) = (tensor(a, (r, self.d_in)), tensor(b, (self.d_out, r)));
                layer.loras.push(Lora {
                    a,
                    b,
                    a_slot,
                    b_slot,
                    scale: SCALE,
                });
            }
            (layer, end)
        }

        fn loss(&self, change: impl FnOnce(&mut Self)) -> f64 {
            let mut changed = Self {
                ranks: self.ranks.clone(),
                x: self.x.clone(),
                weight: self.weight.clone(),
                bias: self.bias.clone(),
                loras: self.loras.clone(),
                dy: self.dy.clone(),
                ..*self
            };
            change(&mut changed);
            inner(&changed.twin(), &self.dy)
        }
    }

    #[test]
    fn equals_its_twin_and_its_finite_differences() {
        for (tokens, d_in, d_out, ranks) in [
            (1, 3, 5, vec![2]),
            (7, 9, 4, vec![]),
            (33, 17, 65, vec![3, 1]),
            (130, 48, 31, vec![8]),
        ] {
            let case = Case::new(tokens, d_in, d_out, &ranks);
            let (layer, parameters) = case.layer();
            let x = tensor(&case.x, (tokens, d_in));
            let dy = tensor(&case.dy, (tokens, d_out));
            let (y, saved) = forward(&x, &layer).unwrap();
            assert_close("y", &values(&y), &case.twin(), 2e-6);

            let mut grads = Gradients::new(parameters, &Device::Cpu).unwrap();
            let dx = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads)
                .unwrap()
                .unwrap();
            let flat = grads.to_vec().unwrap();
            let of = |slot: Option<Slot>| {
                slot.map(|s| flat[s.offset..s.offset + s.len].to_vec())
                    .unwrap()
            };
            assert_gradient("dx", &case.x, &values(&dx), |x| {
                case.loss(|c| c.x = x.to_vec())
            });
            assert_gradient("dW", &case.weight, &of(layer.weight_slot), |w| {
                case.loss(|c| c.weight = w.to_vec())
            });
            assert_gradient("db", &case.bias, &of(layer.bias_slot), |b| {
                case.loss(|c| c.bias = b.to_vec())
            });
            for (i, lora) in layer.loras.iter().enumerate() {
                let (a, b) = &case.loras[i];
                assert_gradient("dA", a, &of(lora.a_slot), |a| {
                    case.loss(|c| c.loras[i].0 = a.to_vec())
                });
                assert_gradient("dB", b, &of(lora.b_slot), |b| {
                    case.loss(|c| c.loras[i].1 = b.to_vec())
                });
            }
        }
    }

    #[test]
    fn gradients_are_added_and_skipped_as_asked() {
        let case = Case::new(5, 6, 7, &[2]);
        let (layer, parameters) = case.layer();
        let (x, dy) = (tensor(&case.x, (5, 6)), tensor(&case.dy, (5, 7)));
        let (_, saved) = forward(&x, &layer).unwrap();
        let mut once = Gradients::new(parameters, &Device::Cpu).unwrap();
        let mut twice = Gradients::new(parameters, &Device::Cpu).unwrap();
        let fresh = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut once)
            .unwrap()
            .unwrap();
        assert!(
            backward(&x, &saved, &dy, &layer, InputGradient::Skip, &mut twice)
                .unwrap()
                .is_none()
        );
        let sum = tensor(&[1.0; 30], (5, 6));
        let sum = backward(
            &x,
            &saved,
            &dy,
            &layer,
            InputGradient::AddTo(sum),
            &mut twice,
        )
        .unwrap()
        .unwrap();
        let expected: Vec<f64> = values(&fresh).iter().map(|&x| f64::from(x) + 1.0).collect();
        assert_close("sum", &values(&sum), &expected, 1e-6);
        let expected: Vec<f64> = once
            .to_vec()
            .unwrap()
            .iter()
            .map(|&g| 2.0 * f64::from(g))
            .collect();
        assert_close("gradients", &twice.to_vec().unwrap(), &expected, 1e-6);
    }

    #[test]
    fn trainable_parameters_may_be_views_of_one_buffer() {
        let case = Case::new(4, 6, 3, &[2]);
        let (mut layer, _) = case.layer();
        let flat: Vec<f64> = case.loras[0]
            .0
            .iter()
            .chain(&case.loras[0].1)
            .copied()
            .collect();
        let flat = tensor(&flat, flat.len());
        layer.loras[0].a = flat.narrow(0, 0, 12).unwrap().reshape((2, 6)).unwrap();
        layer.loras[0].b = flat.narrow(0, 12, 6).unwrap().reshape((3, 2)).unwrap();
        let (y, _) = forward(&tensor(&case.x, (4, 6)), &layer).unwrap();
        assert_close("y", &values(&y), &case.twin(), 2e-6);
    }

    #[test]
    fn wrong_operands_are_errors_that_say_which() {
        let case = Case::new(4, 6, 3, &[2]);
        let (layer, _) = case.layer();
        let message = |x: &Tensor| forward(x, &layer).unwrap_err().to_string();
        assert!(message(&tensor(&random(1, 20), (4, 5))).contains("weight"));
        assert!(message(&tensor(&case.x, (6, 4)).t().unwrap()).contains("contiguous"));
        assert!(
            message(
                &tensor(&case.x, (4, 6))
                    .to_dtype(candle_core::DType::F64)
                    .unwrap()
            )
            .contains("F64")
        );
        let x = tensor(&case.x, (4, 6));
        let (_, saved) = forward(&x, &layer).unwrap();
        let mut grads = Gradients::new(1000, &Device::Cpu).unwrap();
        let sum = InputGradient::AddTo(x.clone());
        let error = backward(
            &x,
            &saved,
            &tensor(&case.dy, (4, 3)),
            &layer,
            sum,
            &mut grads,
        )
        .unwrap_err();
        assert!(error.to_string().contains("shares its storage"));
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let case = Case::new(300, 96, 200, &[8]);
        let (layer, parameters) = case.layer();
        let (x, dy) = (tensor(&case.x, (300, 96)), tensor(&case.dy, (300, 200)));
        assert_same_bits(|| {
            let (y, saved) = forward(&x, &layer).unwrap();
            let mut grads = Gradients::new(parameters, &Device::Cpu).unwrap();
            let dx = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads)
                .unwrap()
                .unwrap();
            vec![values(&y), values(&dx), grads.to_vec().unwrap()]
        });
    }

    #[test]
    fn add_adds() {
        let (x, y) = (random(1, 70_001), random(2, 70_001));
        let expected: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        let sum = add(&tensor(&x, 70_001), tensor(&y, 70_001)).unwrap();
        assert_close("sum", &values(&sum), &expected, 1e-7);
    }
}
