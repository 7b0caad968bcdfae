//! The linear layer against straight loops and their finite differences.

use super::*;
use crate::testing::{assert_close, assert_gradient, assert_same_bits, inner, random, slot, tensor, values};

fn forward(x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
    super::forward(x, linear, Multiplier::F32)
}

fn backward(
    x: &Tensor,
    saved: &LinearSaved,
    dy: &Tensor,
    linear: &Linear,
    input: InputGradient,
    grads: &mut Gradients,
) -> Result<Option<Tensor>> {
    super::backward(x, saved, dy, linear, input, grads, Multiplier::F32)
}

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
        let lora = |(i, r): (usize, &usize)| (random(10 + i as u64, r * d_in), random(20 + i as u64, d_out * r));
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
                let mut sum = self.bias[o] + inner(x, &self.weight[o * self.d_in..(o + 1) * self.d_in]);
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
            layer.loras.push(Lora { a, b, a_slot, b_slot, scale: SCALE });
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
    for (tokens, d_in, d_out, ranks) in
        [(1, 3, 5, vec![2]), (7, 9, 4, vec![]), (33, 17, 65, vec![3, 1]), (130, 48, 31, vec![8])]
    {
        let case = Case::new(tokens, d_in, d_out, &ranks);
        let (layer, parameters) = case.layer();
        let x = tensor(&case.x, (tokens, d_in));
        let dy = tensor(&case.dy, (tokens, d_out));
        let (y, saved) = forward(&x, &layer).unwrap();
        assert_close("y", &values(&y), &case.twin(), 2e-6);

        let mut grads = Gradients::new(parameters, &Place::CPU).unwrap();
        let dx = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads).unwrap().unwrap();
        let flat = grads.to_vec().unwrap();
        let of = |slot: Option<Slot>| slot.map(|s| flat[s.offset..s.offset + s.len].to_vec()).unwrap();
        assert_gradient("dx", &case.x, &values(&dx), |x| case.loss(|c| c.x = x.to_vec()));
        assert_gradient("dW", &case.weight, &of(layer.weight_slot), |w| case.loss(|c| c.weight = w.to_vec()));
        assert_gradient("db", &case.bias, &of(layer.bias_slot), |b| case.loss(|c| c.bias = b.to_vec()));
        for (i, lora) in layer.loras.iter().enumerate() {
            let (a, b) = &case.loras[i];
            assert_gradient("dA", a, &of(lora.a_slot), |a| case.loss(|c| c.loras[i].0 = a.to_vec()));
            assert_gradient("dB", b, &of(lora.b_slot), |b| case.loss(|c| c.loras[i].1 = b.to_vec()));
        }
    }
}

#[test]
fn gradients_are_added_and_skipped_as_asked() {
    let case = Case::new(5, 6, 7, &[2]);
    let (layer, parameters) = case.layer();
    let (x, dy) = (tensor(&case.x, (5, 6)), tensor(&case.dy, (5, 7)));
    let (_, saved) = forward(&x, &layer).unwrap();
    let mut once = Gradients::new(parameters, &Place::CPU).unwrap();
    let mut twice = Gradients::new(parameters, &Place::CPU).unwrap();
    let fresh = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut once).unwrap().unwrap();
    assert!(backward(&x, &saved, &dy, &layer, InputGradient::Skip, &mut twice).unwrap().is_none());
    let sum = tensor(&[1.0; 30], (5, 6));
    let sum = backward(&x, &saved, &dy, &layer, InputGradient::AddTo(sum), &mut twice).unwrap().unwrap();
    let expected: Vec<f64> = values(&fresh).iter().map(|&x| f64::from(x) + 1.0).collect();
    assert_close("sum", &values(&sum), &expected, 1e-6);
    let expected: Vec<f64> = once.to_vec().unwrap().iter().map(|&g| 2.0 * f64::from(g)).collect();
    assert_close("gradients", &twice.to_vec().unwrap(), &expected, 1e-6);
}

#[test]
fn trainable_parameters_may_be_views_of_one_buffer() {
    let case = Case::new(4, 6, 3, &[2]);
    let (mut layer, _) = case.layer();
    let flat: Vec<f64> = case.loras[0].0.iter().chain(&case.loras[0].1).copied().collect();
    let flat = tensor(&flat, flat.len());
    layer.loras[0].a = flat.rows(0, 12).unwrap().reshape((2, 6)).unwrap();
    layer.loras[0].b = flat.rows(12, 6).unwrap().reshape((3, 2)).unwrap();
    let (y, _) = forward(&tensor(&case.x, (4, 6)), &layer).unwrap();
    assert_close("y", &values(&y), &case.twin(), 2e-6);
}

#[test]
fn wrong_operands_are_errors_that_say_which() {
    let case = Case::new(4, 6, 3, &[2]);
    let (layer, _) = case.layer();
    let message = |x: &Tensor| forward(x, &layer).unwrap_err().to_string();
    assert!(message(&tensor(&random(1, 20), (4, 5))).contains("weight"));
    assert!(message(&tensor(&case.x, (6, 4)).candle().unwrap().t().unwrap().into()).contains("contiguous"));
    assert!(message(&tensor(&case.x, (4, 6)).to_dtype(DType::F64).unwrap()).contains("F64"));
    let x = tensor(&case.x, (4, 6));
    let (_, saved) = forward(&x, &layer).unwrap();
    let mut grads = Gradients::new(1000, &Place::CPU).unwrap();
    let sum = InputGradient::AddTo(x.clone());
    let error = backward(&x, &saved, &tensor(&case.dy, (4, 3)), &layer, sum, &mut grads).unwrap_err();
    assert!(error.to_string().contains("shares its storage"));
}

#[test]
fn same_bits_with_any_number_of_threads() {
    let case = Case::new(300, 96, 200, &[8]);
    let (layer, parameters) = case.layer();
    let (x, dy) = (tensor(&case.x, (300, 96)), tensor(&case.dy, (300, 200)));
    assert_same_bits(|| {
        let (y, saved) = forward(&x, &layer).unwrap();
        let mut grads = Gradients::new(parameters, &Place::CPU).unwrap();
        let dx = backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads).unwrap().unwrap();
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

/// Weights kept in bf16 give f32 arithmetic what the same weights in f32 give it; products in bf16 stay within what
/// rounding their other factor costs: half a unit in the eighth bit of each term.
#[test]
fn weights_in_bf16_are_exact_and_products_in_bf16_within_their_rounding() {
    use candle_core::DType;
    let (tokens, d_in, d_out) = (70, 96, 130);
    let x = tensor(&random(1, tokens * d_in), (tokens, d_in));
    let dy = tensor(&random(2, tokens * d_out), (tokens, d_out));
    let narrow = tensor(&random(3, d_out * d_in), (d_out, d_in));
    let narrow = narrow.to_dtype(DType::BF16).unwrap();
    let wide = narrow.to_dtype(DType::F32).unwrap();
    let run = |weight: &Tensor, by| {
        let layer = Linear::frozen(weight.clone());
        let mut grads = Gradients::new(0, &Place::CPU).unwrap();
        let (y, saved) = super::forward(&x, &layer, by).unwrap();
        let fresh = InputGradient::Fresh;
        let dx = super::backward(&x, &saved, &dy, &layer, fresh, &mut grads, by);
        [values(&y), values(&dx.unwrap().unwrap())]
    };
    let exact = run(&wide, Multiplier::F32);
    let twin = exact.clone().map(|values| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    for (values, twin) in run(&narrow, Multiplier::F32).iter().zip(&twin) {
        assert_close("f32 over bf16", values, twin, 1e-6);
    }
    for by in Multiplier::present().filter(|by| by.rounds()) {
        let rounded = run(&narrow, by);
        assert_eq!(rounded, run(&wide, by), "rounding what is bf16 changes nothing");
        for (values, twin) in rounded.iter().zip(&twin) {
            assert_close(by.name(), values, twin, 1.0 / 256.0);
        }
    }
}

#[test]
fn the_gradient_of_a_trained_weight_in_bf16() {
    let (tokens, d_in, d_out) = (70, 40, 50);
    let x = random(1, tokens * d_in);
    let dy = random(2, tokens * d_out);
    let mut layer = Linear::frozen(tensor(&random(3, d_out * d_in), (d_out, d_in)));
    layer.weight_slot = Some(slot(0, d_out * d_in));
    let (x_tensor, dy_tensor) = (tensor(&x, (tokens, d_in)), tensor(&dy, (tokens, d_out)));
    let expected: Vec<f64> = (0..d_out * d_in)
        .map(|i| (0..tokens).map(|t| dy[t * d_out + i / d_in] * x[t * d_in + i % d_in]).sum())
        .collect();
    for by in Multiplier::present().filter(|by| by.rounds()) {
        let mut grads = Gradients::new(d_out * d_in, &Place::CPU).unwrap();
        let (_, saved) = super::forward(&x_tensor, &layer, by).unwrap();
        let skip = InputGradient::Skip;
        let none = super::backward(&x_tensor, &saved, &dy_tensor, &layer, skip, &mut grads, by);
        assert!(none.unwrap().is_none());
        assert_close(by.name(), &grads.to_vec().unwrap(), &expected, 1.0 / 128.0);
    }
}
