//! Whether a card computes what the processor does: every operation at small odd shapes, before anything is trusted to
//! it. Drivers have compiled right programs wrongly before, and a model that is trained on wrong sums shows it late.

use std::sync::Arc;

use candle_core::DType;
use rand::{RngExt, SeedableRng};

use super::{
    super::{
        Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, BlockFormat, CachedKeys, Generating,
        Gradients, Head, HeadOptions, HeadPass, HeadWant, InputGradient, KernelError, Layout, Linear, Lora, Mask,
        NormOptions, Place, Qkv, Quantized, Result, RmsNorm, RopeTable, Segment, Slot, Tensor, Weight,
        implementation::Implementation,
    },
    Card,
};

/// How far a number may be from the processor's, measured by the largest of its list: what sums in another order and
/// exponentials of a few last digits less come to.
const TOLERANCE: f32 = 1e-4;

/// One operation, and what it gives.
type Case = (&'static str, fn(&Implementation) -> Result<Vec<Vec<f32>>>);

const CASES: &[Case] = &[
    ("linear", linear),
    ("weights in bf16 and in blocks", stored),
    ("norm", norm),
    ("rope", rope),
    ("attention", attention),
    ("attention over a cache", cached),
    ("gated activation", gated),
    ("embedding", embedding),
    ("head", head),
    ("copies", copies),
    ("numbers kept in bf16", kept),
    ("sums of squares", squares),
    ("AdamW", adamw),
];

/// Runs every operation on the card and on the processor.
///
/// # Errors
/// A sentence that names the first operation whose numbers differ, or what the driver said.
pub fn self_test(card: &Arc<Card>) -> Result<()> {
    let (by_card, own) = (Implementation::card(card), Implementation::cpu());
    for (name, case) in CASES {
        let (found, expected) = (case(&by_card)?, case(&own)?);
        for (found, expected) in found.iter().zip(&expected) {
            let size = expected.iter().fold(0.1_f32, |size, x| size.max(x.abs()));
            let differs = |(a, b): (&f32, &f32)| a.is_nan() || (a - b).abs() > TOLERANCE * size;
            if found.len() != expected.len() || found.iter().zip(expected).any(differs) {
                let card = &card.info().name;
                return Err(KernelError::Gpu(format!("{card} computes \"{name}\" otherwise than the processor")));
            }
        }
    }
    Ok(())
}

pub(super) fn random(seed: u64, dims: &[usize]) -> Result<Tensor> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, dims, &Place::CPU)
}

impl Implementation {
    fn random(&self, seed: u64, dims: &[usize]) -> Result<Tensor> {
        random(seed, dims)?.to_place(&self.place)
    }

    fn zeros(&self, len: usize) -> Result<Tensor> {
        Tensor::zeros(len, DType::F32, &self.place)
    }
}

fn numbers<const N: usize>(tensors: [Tensor; N]) -> Result<Vec<Vec<f32>>> {
    tensors.iter().map(Tensor::to_vec).collect()
}

const fn slot(offset: usize, len: usize) -> Slot {
    Slot { offset, len }
}

fn linear(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    const TOKENS: usize = 71;
    const IN: usize = 130;
    const OUT: usize = 67;
    const RANK: usize = 5;
    let [a, b] = [(RANK, IN), (OUT, RANK)].map(|(rows, columns)| by.random(rows as u64, &[rows, columns]));
    let lora = Lora {
        a: a?,
        b: b?,
        a_slot: Some(slot(3, RANK * IN)),
        b_slot: Some(slot(3 + RANK * IN, OUT * RANK)),
        scale: 1.5,
    };
    let layer = Linear {
        weight: by.random(3, &[OUT, IN])?.into(),
        weight_slot: Some(slot(3 + RANK * (IN + OUT), OUT * IN)),
        bias: Some(by.random(4, &[OUT])?),
        bias_slot: Some(slot(3 + RANK * (IN + OUT) + OUT * IN, OUT)),
        loras: vec![lora],
    };
    let (x, dy) = (by.random(5, &[TOKENS, IN])?, by.random(6, &[TOKENS, OUT])?);
    let mut grads = Gradients::new(3 + RANK * (IN + OUT) + OUT * IN + OUT, &by.place)?;
    let (y, saved) = by.kernels.linear(&x, &layer)?;
    let dx = by.kernels.linear_backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads)?;
    let alone = by.kernels.linear_rowwise(&x, &layer, Generating::Decode)?;
    let mut found = numbers([y, alone])?;
    found.extend(dx.map(|dx| dx.to_vec()).transpose()?);
    found.push(grads.to_vec()?);
    Ok(found)
}

/// Blocks that shaders read as they are.
pub(super) const STORED: [BlockFormat; 8] = [
    BlockFormat::Q8_0,
    BlockFormat::Q4_0,
    BlockFormat::Q4_1,
    BlockFormat::Q5_0,
    BlockFormat::Q5_1,
    BlockFormat::Q4K,
    BlockFormat::Q5K,
    BlockFormat::Q6K,
];

fn stored(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let x = by.random(1, &[3, 256])?;
    let values: Vec<f32> = random(2, &[5, 256])?.to_vec()?;
    let mut found = Vec::new();
    let bf16 = Tensor::from_vec(values.clone(), (5, 256), &Place::CPU)?.to_dtype(DType::BF16)?;
    let mut weights: Vec<Weight> = vec![bf16.into()];
    for format in STORED {
        weights.push(Quantized::quantize(format, &values, 5, 256)?.into());
    }
    for weight in weights {
        let weight = weight.placed(&by.place, DType::F32)?;
        found.push(by.kernels.embed(&[4, 0, 3], &weight, 1.5)?.to_vec()?);
        let layer = Linear::frozen(weight);
        found.push(by.kernels.linear(&x, &layer)?.0.to_vec()?);
        found.push(by.kernels.linear_rowwise(&x, &layer, Generating::Decode)?.to_vec()?);
    }
    Ok(found)
}

fn norm(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let (x, w, dy) = (by.random(1, &[5, 130])?, by.random(2, &[130])?, by.random(3, &[5, 130])?);
    let options = NormOptions { eps: 1e-5, plus_one: true };
    let norm = RmsNorm { weight: &w, slot: Some(slot(1, 130)), options };
    let mut grads = Gradients::new(131, &by.place)?;
    let (y, inv_rms) = by.kernels.rms_norm(&x, &norm)?;
    let sum = InputGradient::AddTo(by.random(4, &[5, 130])?);
    let dx = by.kernels.rms_norm_backward(&x, &norm, &inv_rms, &dy, sum, &mut grads)?;
    let mut found = numbers([y, inv_rms])?;
    found.extend(dx.map(|dx| dx.to_vec()).transpose()?);
    found.push(grads.to_vec()?);
    Ok(found)
}

fn rope(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let table = RopeTable { cos: by.random(1, &[11, 3])?, sin: by.random(2, &[11, 3])? };
    numbers([by.kernels.rope(by.random(3, &[4, 16])?, 2, &[10, 0, 3, 3], &table, true)?])
}

const SHAPE: AttentionShape =
    AttentionShape { heads: 6, kv_heads: 2, head_dim: 20, scale: 0.3, softcap: Some(2.0), window: Some(40) };

fn attention(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let segment = |start, len, prefix| Segment { start, len, prefix };
    let layout = Layout::new(vec![
        segment(0, 37, 0..0),
        segment(37, 9, 0..37),
        segment(46, 31, 0..37),
        segment(77, 1, 0..0),
        segment(78, 5, 77..78),
    ])?;
    let of = |seed, heads: usize| by.random(seed, &[layout.tokens(), heads * SHAPE.head_dim]);
    let (q, k, v, d_o) = (of(1, SHAPE.heads)?, of(2, SHAPE.kv_heads)?, of(3, SHAPE.kv_heads)?, of(4, SHAPE.heads)?);
    let mut found = Vec::new();
    let plain = AttentionShape { softcap: None, window: None, ..SHAPE };
    for shape in [SHAPE, plain] {
        let qkv = Qkv { q: &q, k: &k, v: &v };
        let (o, lse) = by.kernels.attention(qkv, &layout, &shape)?;
        let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
        let (dq, dk, dv) = by.kernels.attention_backward(qkv, outcome, &layout, &shape)?;
        found.extend(numbers([o, lse, dq, dk, dv])?);
    }
    Ok(found)
}

fn cached(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let of = |seed| by.random(seed, &[70, SHAPE.kv_heads * SHAPE.head_dim]);
    let (keys, values, other_keys, other_values) = (of(1)?, of(2)?, of(3)?, of(4)?);
    let caches = [
        CachedKeys { keys: &keys, values: &values, len: 67 },
        CachedKeys { keys: &other_keys, values: &other_values, len: 1 },
    ];
    let q = by.random(5, &[2, SHAPE.heads * SHAPE.head_dim])?;
    numbers([by.kernels.attention_cached(&q, &caches, &SHAPE)?])
}

fn gated(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let (gate, up, dh) = (by.random(1, &[3, 67])?, by.random(2, &[3, 67])?, by.random(3, &[3, 67])?);
    let gate = by.kernels.scale(&gate, 6.0)?;
    let mut found = Vec::new();
    for activation in [Activation::Silu, Activation::GeluTanh, Activation::Gelu] {
        let (d_gate, d_up) = by.kernels.gated_backward(&gate, &up, &dh, activation)?;
        found.extend(numbers([by.kernels.gated(&gate, &up, activation)?, d_gate, d_up])?);
    }
    Ok(found)
}

fn embedding(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let (table, dy) = (by.random(1, &[5, 67])?, by.random(2, &[4, 67])?);
    let ids = [4, 1, 4, 0];
    let mut grads = Gradients::new(5 * 67 + 1, &by.place)?;
    by.kernels.embed_backward(&ids, &dy, 0.5, slot(1, 5 * 67), &mut grads)?;
    let rows = by.kernels.gather_rows(&table, &ids)?;
    let mut found =
        numbers([rows, by.kernels.scatter_rows(&dy, &ids, 5)?, by.kernels.embed(&ids, &table.into(), 2.0)?])?;
    found.push(grads.to_vec()?);
    Ok(found)
}

fn head(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    const ROWS: usize = 9;
    const WIDTH: usize = 37;
    const VOCABULARY: usize = 131;
    let (h, w) = (by.random(1, &[ROWS, WIDTH])?, by.random(2, &[VOCABULARY, WIDTH])?.into());
    let targets: Vec<u32> = (0..ROWS as u32).map(|row| (row * 29) % VOCABULARY as u32).collect();
    let coefficients: Vec<f32> = by.random(3, &[ROWS])?.to_vec()?;
    let mut found = Vec::new();
    for softcap in [None, Some(1.5)] {
        let head = Head { weight: &w, options: HeadOptions { scale: 1.3, softcap } };
        let out = by.kernels.head(&h, head, &targets, HeadWant::WithU)?;
        let mut grads = Gradients::new(VOCABULARY * WIDTH, &by.place)?;
        let pass = HeadPass { h: &h, targets: &targets, lse: &out.lse, coefficients: &coefficients };
        by.kernels.head_weight_backward(head, pass, slot(0, VOCABULARY * WIDTH), &mut grads)?;
        found.push(by.kernels.logits(&h, head)?.to_vec()?);
        found.extend(out.u.map(|u| by.kernels.head_backward(u, &coefficients)?.to_vec()).transpose()?);
        found.extend([out.log_probs, out.lse, grads.to_vec()?]);
    }
    Ok(found)
}

fn copies(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let (x, y) = (by.random(1, &[7, 13])?, by.random(2, &[7, 5])?);
    let joined = by.kernels.join(&[x.clone(), y.clone()])?;
    let cut = by.kernels.columns(&joined, 13, 5)?;
    let sum = by.kernels.add(&y, cut.copy()?)?;
    let dropped = by.kernels.dropout(&x, &Mask::new(0.4, 0x9E37_79B9_7F4A_7C15))?;
    numbers([joined, cut, sum, dropped, by.kernels.scale(&x, -2.5)?])
}

fn kept(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    let x = by.random(1, &[3, 67])?;
    let kept = if by.place.is_cpu() { x.to_dtype(DType::BF16)?.to_dtype(DType::F32)? } else { by.kernels.keep(&x)? };
    numbers([by.kernels.recall(&kept)?])
}

fn squares(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    const LEN: usize = 4099;
    let mut grads = Gradients::new(LEN, &by.place)?;
    by.kernels.embed_backward(&[0], &by.random(1, &[1, LEN])?, 1.0, slot(0, LEN), &mut grads)?;
    let is_finite = grads.is_finite()?;
    let sum = grads.norm_squared()? as f32;
    grads.scale(f32::NAN)?;
    Ok(vec![vec![sum, f32::from(u8::from(is_finite)), f32::from(u8::from(grads.is_finite()?))]])
}

fn adamw(by: &Implementation) -> Result<Vec<Vec<f32>>> {
    const LEN: usize = 131;
    let (values, m, v) = (by.random(1, &[LEN])?, by.zeros(LEN)?, by.zeros(LEN)?);
    let mut gradients = Gradients::new(LEN, &by.place)?;
    by.kernels.embed_backward(&[0], &by.random(2, &[1, LEN])?, 1.0, slot(0, LEN), &mut gradients)?;
    for step in 1..=3 {
        let step = AdamWStep {
            learning_rate: 1e-2,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            step,
            gradient_scale: 0.5,
        };
        let buffers = AdamWBuffers { values: &values, gradients: &gradients, m: &m, v: &v };
        by.kernels.adamw(buffers, slot(3, LEN - 3), &step)?;
    }
    numbers([values, m, v])
}
