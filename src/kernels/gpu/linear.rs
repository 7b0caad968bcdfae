//! The linear layer with its LoRA adapters.

use candle_core::DType;

use super::{
    super::{Gradients, InputGradient, Linear, LinearSaved, Lora, Result, Slot, Tensor, access, linear::lora_rank},
    columns, elementwise,
    gemm::Matrix,
    memory::Piece,
    stored::Stored,
    weight,
};

const FORWARD: &str = "linear";
const BACKWARD: &str = "linear backward";

/// Whether each row's bits must be independent of how many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Together,
    Alone,
}

/// The same for a few rows, for generation: each row's bits are independent of how many there are.
pub(super) fn few(x: &Tensor, linear: &Linear) -> Result<Tensor> {
    let (tokens, d_in) = access::matrix(FORWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(FORWARD, "weight", d_in)?;
    let x = x.gpu(FORWARD, "x")?;
    let y = Piece::new(x.card(), &[tokens, d_out], DType::F32)?;
    Stored::weight(FORWARD, &linear.weight)?.product(x, &y, 1.0, false)?;
    add_bias(linear, &y, d_out)?;
    for lora in &linear.loras {
        let rank = lora_rank(FORWARD, lora, d_in, d_out)?;
        let (a, b) = (lora.a.gpu(FORWARD, "LoRA A")?, lora.b.gpu(FORWARD, "LoRA B")?);
        let u = Piece::new(x.card(), &[tokens, rank], DType::F32)?;
        Stored::dense(FORWARD, a)?.product(x, &u, 1.0, false)?;
        Stored::dense(FORWARD, b)?.product(&u, &y, lora.scale, true)?;
    }
    Ok(y.into())
}

fn add_bias(linear: &Linear, y: &Piece, d_out: usize) -> Result<()> {
    let Some(bias) = &linear.bias else { return Ok(()) };
    access::expect_dims(FORWARD, "bias", bias.dims(), &[d_out])?;
    columns::add_row(y, bias.gpu(FORWARD, "bias")?)
}

/// `y = x Wᵀ + b + Σ scale·(x Aᵀ) Bᵀ`.
pub(super) fn forward(x: &Tensor, linear: &Linear, rows: Rows) -> Result<(Tensor, LinearSaved)> {
    let (tokens, d_in) = access::matrix(FORWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(FORWARD, "weight", d_in)?;
    let x = x.gpu(FORWARD, "x")?;
    let card = x.card();
    let alone = rows == Rows::Alone;
    let y = Piece::new(card, &[tokens, d_out], DType::F32)?;
    let whole = Matrix::new(&y, tokens, d_out);
    let factor = Matrix::new(x, tokens, d_in);
    for panel in weight::panels(FORWARD, &linear.weight, card)? {
        let panel = panel?;
        factor.times(panel.matrix().t()).rowwise(alone).to(whole.columns(panel.rows()))?;
    }
    add_bias(linear, &y, d_out)?;
    let mut low = Vec::with_capacity(linear.loras.len());
    for lora in &linear.loras {
        let rank = lora_rank(FORWARD, lora, d_in, d_out)?;
        let (a, b) = (lora.a.gpu(FORWARD, "LoRA A")?, lora.b.gpu(FORWARD, "LoRA B")?);
        let u = factor.times(Matrix::new(a, rank, d_in).t()).rowwise(alone).fresh()?;
        let product = Matrix::new(&u, tokens, rank).times(Matrix::new(b, d_out, rank).t());
        product.scaled(lora.scale).rowwise(alone).add_to(whole)?;
        low.push(u.into());
    }
    Ok((y.into(), LinearSaved { low }))
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
    let (tokens, d_in) = access::matrix(BACKWARD, "x", x.dims())?;
    let d_out = linear.weight.expect_columns(BACKWARD, "weight", d_in)?;
    access::expect_dims(BACKWARD, "dy", dy.dims(), &[tokens, d_out])?;
    if saved.low.len() != linear.loras.len() {
        let (adapters, products) = (linear.loras.len(), saved.low.len());
        return access::fault(BACKWARD, format!("{adapters} adapters, but {products} saved products"));
    }
    let (x, dy) = (x.gpu(BACKWARD, "x")?, dy.gpu(BACKWARD, "dy")?);
    let card = x.card();
    let flat = grads.flat().gpu(BACKWARD, "gradients")?;
    let (x_rows, dy_rows) = (Matrix::new(x, tokens, d_in), Matrix::new(dy, tokens, d_out));
    if let Some(slot) = linear.weight_slot {
        dy_rows.t().times(x_rows).add_to(gradient(flat, slot, d_out, d_in)?)?;
    }
    if let Some(slot) = linear.bias_slot {
        access::slot_range(BACKWARD, slot, d_out, flat.len())?;
        columns::add_sums(dy, flat, slot.offset)?;
    }
    let (dx, mut is_first) = match input {
        InputGradient::Skip => (None, false),
        InputGradient::Fresh => (Some(Tensor::from(Piece::new(card, &[tokens, d_in], DType::F32)?)), true),
        InputGradient::AddTo(sum) => {
            access::expect_dims(BACKWARD, "sum of input gradients", sum.dims(), &[tokens, d_in])?;
            (Some(sum), false)
        }
    };
    if let Some(dx) = &dx {
        let dx = Matrix::new(dx.gpu(BACKWARD, "sum of input gradients")?, tokens, d_in);
        for panel in weight::panels(BACKWARD, &linear.weight, card)? {
            let panel = panel?;
            let product = dy_rows.columns(panel.rows()).times(panel.matrix());
            if is_first {
                product.to(dx)?;
            } else {
                product.add_to(dx)?;
            }
            is_first = false;
        }
    }
    for (lora, low) in linear.loras.iter().zip(&saved.low) {
        let du = lora_backward(x_rows, low, dy_rows, lora, dx.is_some(), flat)?;
        if let (Some(dx), Some(du)) = (&dx, du) {
            let rank = lora_rank(BACKWARD, lora, d_in, d_out)?;
            let a = Matrix::new(lora.a.gpu(BACKWARD, "LoRA A")?, rank, d_in);
            let dx = Matrix::new(dx.gpu(BACKWARD, "sum of input gradients")?, tokens, d_in);
            Matrix::new(&du, tokens, rank).times(a).add_to(dx)?;
        }
    }
    Ok(dx)
}

/// Adds `dA` and `dB` of one adapter and gives `scale·dy B`, if anyone needs it.
fn lora_backward(
    x: Matrix<'_>,
    low: &Tensor,
    dy: Matrix<'_>,
    lora: &Lora,
    wants_input: bool,
    flat: &Piece,
) -> Result<Option<Piece>> {
    let ((tokens, d_in), (_, d_out)) = (x.dims(), dy.dims());
    let rank = lora_rank(BACKWARD, lora, d_in, d_out)?;
    access::expect_dims(BACKWARD, "saved product", low.dims(), &[tokens, rank])?;
    if let Some(slot) = lora.b_slot {
        let low = Matrix::new(low.gpu(BACKWARD, "saved product")?, tokens, rank);
        dy.t().times(low).scaled(lora.scale).add_to(gradient(flat, slot, d_out, rank)?)?;
    }
    if !wants_input && lora.a_slot.is_none() {
        return Ok(None);
    }
    let b = Matrix::new(lora.b.gpu(BACKWARD, "LoRA B")?, d_out, rank);
    let du = dy.times(b).scaled(lora.scale).fresh()?;
    if let Some(slot) = lora.a_slot {
        Matrix::new(&du, tokens, rank).t().times(x).add_to(gradient(flat, slot, rank, d_in)?)?;
    }
    Ok(Some(du))
}

/// The gradient of a matrix in the flat buffer.
pub(super) fn gradient(flat: &Piece, slot: Slot, rows: usize, columns: usize) -> Result<Matrix<'_>> {
    access::slot_range(BACKWARD, slot, rows * columns, flat.len())?;
    Ok(Matrix::at(flat, slot.offset, rows, columns))
}

/// `y + x` in the storage of `y`.
pub(super) fn add(x: &Tensor, y: Tensor) -> Result<Tensor> {
    access::expect_dims("add", "x", x.dims(), y.dims())?;
    elementwise::add(y.gpu("add", "y")?, x.gpu("add", "x")?)?;
    Ok(y)
}
