//! The linear layer with its LoRA adapters, fused: adapters accumulate straight into the layer's result.
#![expect(unsafe_code, reason = "products are written into buffers that hold nothing yet")]

use std::ops::Range;

use candle_core::DType;

use super::{
    Gradients, InputGradient, Place, Result, Slot, Tensor, Weight, access,
    buffer::Fresh,
    gemm::{Matrix, Multiplier, Panel, Target},
    parallel,
    simd::multiversion,
    weight::Rows,
};

#[cfg(test)]
mod tests;

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
    pub weight: Weight,
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

impl Lora {
    /// What it adds to the weight, `scale·B A`, row after row.
    pub fn delta(&self) -> Result<Vec<f32>> {
        let [a, b] = [&self.a, &self.b].map(|factor| factor.to_place(&Place::CPU)?.to_dtype(DType::F32));
        let product = b?.candle()?.matmul(a?.candle()?)?;
        Tensor::from((product * f64::from(self.scale))?).to_vec()
    }
}

impl Linear {
    /// A frozen layer without bias or adapter.
    pub fn frozen(weight: impl Into<Weight>) -> Self {
        Self { weight: weight.into(), weight_slot: None, bias: None, bias_slot: None, loras: Vec::new() }
    }
}

const FORWARD: &str = "linear";
const BACKWARD: &str = "linear backward";

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear, by: Multiplier) -> Result<(Tensor, LinearSaved)> {
    let (tokens, d_in) = access::matrix(FORWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(FORWARD, "weight", d_in)?;
    let x = access::read(FORWARD, "x", x)?;
    let x = Matrix::new(&x, tokens, d_in);
    let weight = linear.weight.read(FORWARD, "weight")?;
    let mut y = times_weight(x, tokens, weight.rows(), by);

    if let Some(bias) = &linear.bias {
        access::expect_dims(FORWARD, "bias", bias.dims(), &[d_out])?;
        let bias = access::read(FORWARD, "bias", bias)?;
        let rows = parallel::rows_per_piece(d_out);
        parallel::chunks(&mut y, rows * d_out, |_, rows| {
            for row in rows.chunks_mut(d_out) {
                add_to(row, &bias);
            }
        });
    }
    let mut low = Vec::with_capacity(linear.loras.len());
    for lora in &linear.loras {
        let rank = lora_rank(FORWARD, lora, d_in, d_out)?;
        let a = access::read(FORWARD, "LoRA A", &lora.a)?;
        let b = access::read(FORWARD, "LoRA B", &lora.b)?;
        let u = x.times(Matrix::new(&a, rank, d_in).t()).fresh();
        Matrix::new(&u, tokens, rank)
            .times(Matrix::new(&b, d_out, rank).t())
            .scaled(lora.scale)
            .add_to(Target::new(&mut y, tokens, d_out));
        low.push(Tensor::from_vec(u, (tokens, rank), &Place::CPU)?);
    }
    let y = Tensor::from_vec(y, (tokens, d_out), &Place::CPU)?;
    Ok((y, LinearSaved { low }))
}

/// `dx = dy W + Σ scale·(dy B) A`; `dW += dyᵀ x`, `db += Σ dy`, `dB += scale·dyᵀ u`, `dA += scale·(dy B)ᵀ x`.
pub(super) fn backward(
    x: &Tensor,
    saved: &LinearSaved,
    dy: &Tensor,
    linear: &Linear,
    input: InputGradient,
    grads: &mut Gradients,
    by: Multiplier,
) -> Result<Option<Tensor>> {
    let (tokens, d_in) = access::matrix(BACKWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(BACKWARD, "weight", d_in)?;
    access::expect_dims(BACKWARD, "dy", dy.dims(), &[tokens, d_out])?;
    if saved.low.len() != linear.loras.len() {
        let (adapters, products) = (linear.loras.len(), saved.low.len());
        let message = format!("{adapters} adapters, but {products} saved products");
        return access::fault(BACKWARD, message);
    }
    let x_view = access::read(BACKWARD, "x", x)?;
    let dy_view = access::read(BACKWARD, "dy", dy)?;
    let x = Matrix::new(&x_view, tokens, d_in);
    let dy = Matrix::new(&dy_view, tokens, d_out);
    let wants_input = !matches!(input, InputGradient::Skip);

    if let Some(slot) = linear.weight_slot {
        grads.change(BACKWARD, slot, d_out * d_in, |dw| {
            Panel::of(x, by).multiply(dy.t(), 1.0, Target::new(dw, d_out, d_in), true);
        })?;
    }
    if let Some(slot) = linear.bias_slot {
        grads.change(BACKWARD, slot, d_out, |db| add_columns(db, &dy_view))?;
    }
    let mut d_low = Vec::with_capacity(linear.loras.len());
    for (lora, low) in linear.loras.iter().zip(&saved.low) {
        let du = lora_backward(x, low, dy, lora, (d_in, d_out), wants_input, grads)?;
        if let Some(du) = du {
            d_low.push((lora, du));
        }
    }
    let weight = linear.weight.read(BACKWARD, "weight")?;
    let add_adapters = |dx: &mut [f32]| -> Result<()> {
        for (lora, du) in &d_low {
            let rank = lora.a.dims()[0];
            let a = access::read(BACKWARD, "LoRA A", &lora.a)?;
            Matrix::new(du, tokens, rank).times(Matrix::new(&a, rank, d_in)).add_to(Target::new(dx, tokens, d_in));
        }
        Ok(())
    };
    match input {
        InputGradient::Skip => Ok(None),
        InputGradient::Fresh => {
            let mut dx = back_through_weight(dy, tokens, weight.rows(), by);
            add_adapters(&mut dx)?;
            let dx = Tensor::from_vec(dx, (tokens, d_in), &Place::CPU)?;
            Ok(Some(dx))
        }
        InputGradient::AddTo(sum) => {
            const SUM: &str = "sum of input gradients";
            access::expect_dims(BACKWARD, SUM, sum.dims(), &[tokens, d_in])?;
            let mut readers = vec![&x_view, &dy_view];
            readers.extend(weight.dense());
            access::rewrite(BACKWARD, SUM, &sum, &readers, |dx| {
                add_back_through_weight(dy, tokens, weight.rows(), dx, by);
                add_adapters(dx)
            })??;
            Ok(Some(sum))
        }
    }
}

/// `x Wᵀ`. A matrix that has to be widened is so panel by panel, each just before its product.
fn times_weight(x: Matrix<'_>, tokens: usize, weight: Rows<'_>, by: Multiplier) -> Vec<f32> {
    let (d_out, d_in) = (weight.len(), weight.columns());
    if let (Rows::Dense(values, _), Multiplier::F32) = (weight, by) {
        return x.times(Matrix::new(values, d_out, d_in).t()).fresh();
    }
    let mut y = Fresh::new(tokens * d_out);
    let mut workspace = Vec::new();
    for rows in weight.panels(by) {
        let panel = weight.factor(rows.clone(), by, &mut workspace);
        let target = Target::uninit_columns(y.uninit(), tokens, d_out, rows);
        panel.t().multiply(x, 1.0, target, false);
    }
    // SAFETY: the panels cover all columns of every row.
    unsafe { y.vec(tokens * d_out) }
}

/// `dy W`.
fn back_through_weight(dy: Matrix<'_>, tokens: usize, weight: Rows<'_>, by: Multiplier) -> Vec<f32> {
    let (d_out, d_in) = (weight.len(), weight.columns());
    if let (Rows::Dense(values, _), Multiplier::F32) = (weight, by) {
        return dy.times(Matrix::new(values, d_out, d_in)).fresh();
    }
    let mut panels = weight.panels(by);
    let Some(first) = panels.next() else {
        return vec![0.0; tokens * d_in];
    };
    let mut dx = Fresh::new(tokens * d_in);
    let mut workspace = Vec::new();
    let panel = weight.factor(first.clone(), by, &mut workspace);
    panel.multiply(dy.columns(first), 1.0, Target::uninit(dx.uninit(), tokens, d_in), false);
    // SAFETY: the product has set every element.
    let mut dx = unsafe { dx.vec(tokens * d_in) };
    add_panels(dy, tokens, weight, panels, &mut dx, by);
    dx
}

/// `dx += dy W`.
fn add_back_through_weight(dy: Matrix<'_>, tokens: usize, weight: Rows<'_>, dx: &mut [f32], by: Multiplier) {
    add_panels(dy, tokens, weight, weight.panels(by), dx, by);
}

/// What some panels of the weight have to do with `dx`, in order.
fn add_panels(
    dy: Matrix<'_>,
    tokens: usize,
    weight: Rows<'_>,
    panels: impl Iterator<Item = Range<usize>>,
    dx: &mut [f32],
    by: Multiplier,
) {
    let d_in = weight.columns();
    let mut workspace = Vec::new();
    for rows in panels {
        let panel = weight.factor(rows.clone(), by, &mut workspace);
        panel.multiply(dy.columns(rows), 1.0, Target::new(dx, tokens, d_in), true);
    }
}

/// Adds `dA` and `dB` of one adapter and gives `scale·dy B`, what its low-rank product has to do with `dx`, if anyone
/// needs it.
fn lora_backward(
    x: Matrix<'_>,
    low: &Tensor,
    dy: Matrix<'_>,
    lora: &Lora,
    (d_in, d_out): (usize, usize),
    wants_input: bool,
    grads: &mut Gradients,
) -> Result<Option<Vec<f32>>> {
    let rank = lora_rank(BACKWARD, lora, d_in, d_out)?;
    let (tokens, _) = access::matrix(BACKWARD, "saved product", low.dims())?;
    access::expect_dims(BACKWARD, "saved product", low.dims(), &[tokens, rank])?;
    if let Some(slot) = lora.b_slot {
        let low = access::read(BACKWARD, "saved product", low)?;
        grads.change(BACKWARD, slot, d_out * rank, |db| {
            dy.t().times(Matrix::new(&low, tokens, rank)).scaled(lora.scale).add_to(Target::new(db, d_out, rank));
        })?;
    }
    if !wants_input && lora.a_slot.is_none() {
        return Ok(None);
    }
    let b = access::read(BACKWARD, "LoRA B", &lora.b)?;
    let du = dy.times(Matrix::new(&b, d_out, rank)).scaled(lora.scale).fresh();
    if let Some(slot) = lora.a_slot {
        grads.change(BACKWARD, slot, rank * d_in, |da| {
            Matrix::new(&du, tokens, rank).t().times(x).add_to(Target::new(da, rank, d_in));
        })?;
    }
    Ok(Some(du))
}

/// `y + x` in the storage of `y`.
pub(super) fn add(x: &Tensor, y: Tensor) -> Result<Tensor> {
    const OPERATION: &str = "add";
    access::expect_dims(OPERATION, "x", x.dims(), y.dims())?;
    let x = access::read(OPERATION, "x", x)?;
    access::rewrite(OPERATION, "y", &y, &[&x], |y| {
        parallel::chunks(y, parallel::PIECE, |piece, y| {
            add_to(y, &x[piece * parallel::PIECE..]);
        });
    })?;
    Ok(y)
}

/// The rank of an adapter, its shapes checked.
pub(super) fn lora_rank(operation: &'static str, lora: &Lora, d_in: usize, d_out: usize) -> Result<usize> {
    let (rank, _) = access::matrix(operation, "LoRA A", lora.a.dims())?;
    access::expect_dims(operation, "LoRA A", lora.a.dims(), &[rank, d_in])?;
    access::expect_dims(operation, "LoRA B", lora.b.dims(), &[d_out, rank])?;
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
    let partial = parallel::map(x.len().div_ceil(group), x.len() < parallel::LIGHT, |piece| {
        let mut sum = vec![0.0; width];
        let rows = &x[piece * group..x.len().min((piece + 1) * group)];
        rows.chunks(width).for_each(|row| add_to(&mut sum, row));
        sum
    });
    for partial in &partial {
        add_to(sums, partial);
    }
}
