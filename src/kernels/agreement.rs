//! Every implementation against the hand-written one for the processor, which has plain twins of its own: forward,
//! backward and what is left in the gradient buffer, for random shapes.

use std::sync::{Arc, OnceLock};

use candle_core::DType;
use proptest::prelude::*;

use super::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, BlockFormat, CachedKeys, Generating, Head,
    HeadOptions, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, Lora, Mask, NormOptions, Place, Quantized,
    RmsNorm, RopeTable, Segment, Tensor, Weight, composed,
    cpu::Cpu,
    gpu,
    testing::{self, Implementation, assert_near, qkv, random, slot, tensor, values},
};

mod damaged;

/// An implementation, and how far it may be from the hand-written one.
#[derive(Clone)]
struct Other {
    name: &'static str,
    by: Implementation,
    tolerance: f32,
}

/// All that this machine can run: candle's operations, a graphics card, and the card cut into pieces of a few hundred
/// numbers, so that everything is larger than one operand may be.
fn others() -> Vec<Other> {
    static OTHERS: OnceLock<Vec<Other>> = OnceLock::new();
    let all = OTHERS.get_or_init(|| {
        let candle = composed::Composed::new(DType::F32).unwrap();
        let candle = Implementation { kernels: Arc::new(candle), place: Place::CPU };
        let mut all = vec![Other { name: "composed", by: candle, tolerance: 1e-5 }];
        let cut = gpu::CardOptions { binding_limit: Some(2048), ..Default::default() };
        for (name, options) in [("card", gpu::CardOptions::default()), ("card in pieces", cut)] {
            if let Some(card) = gpu::tests::card(options) {
                all.push(Other { name, by: Implementation::card(&card), tolerance: 4e-5 });
            }
        }
        all
    });
    all.clone()
}

impl Other {
    #[track_caller]
    fn same(&self, what: &str, other: &[f32], own: &[f32]) {
        assert_near(&format!("{what} by {}", self.name), other, own, self.tolerance);
    }

    #[track_caller]
    fn same_tensor(&self, what: &str, other: &Tensor, own: &Tensor) {
        assert_eq!(other.dims(), own.dims(), "{}: {what}", self.name);
        assert_eq!(other.dtype(), own.dtype(), "{}: {what}", self.name);
        self.same(what, &values(other), &values(own));
    }

    #[track_caller]
    fn same_input(&self, other: Option<&Tensor>, own: Option<&Tensor>) {
        assert_eq!(other.is_some(), own.is_some());
        if let (Some(other), Some(own)) = (other, own) {
            self.same_tensor("dx", other, own);
        }
    }
}

/// What becomes of an input's gradient, the three ways.
fn input(by: &Implementation, kind: usize, dims: (usize, usize)) -> InputGradient {
    match kind {
        0 => InputGradient::Skip,
        1 => InputGradient::Fresh,
        _ => InputGradient::AddTo(by.tensor(&random(98, dims.0 * dims.1), dims)),
    }
}

/// Documents of a packed row: a prompt and its answers, of these lengths.
pub(super) fn documents(length: impl Strategy<Value = usize> + Clone) -> impl Strategy<Value = Layout> {
    let document = (length.clone(), prop::collection::vec(length, 0..3));
    prop::collection::vec(document, 1..5).prop_map(|documents| {
        let mut segments = Vec::new();
        let mut start = 0;
        let mut push = |len: usize, prefix| {
            segments.push(Segment { start, len, prefix });
            start += len;
            start - len..start
        };
        for (prompt, answers) in documents {
            let prompt = push(prompt, 0..0);
            for answer in answers {
                push(answer, prompt.clone());
            }
        }
        Layout::new(segments).unwrap()
    })
}

pub(super) fn attention_shape() -> impl Strategy<Value = AttentionShape> {
    (1..3_usize, 1..4_usize, 1..6_usize, prop::option::of(0.5..3.0_f32), prop::option::of(1..9_usize)).prop_map(
        |(kv_heads, group, head_dim, softcap, window)| AttentionShape {
            heads: kv_heads * group,
            kv_heads,
            head_dim,
            scale: 0.7,
            softcap,
            window,
        },
    )
}

/// What attention and its backward give.
pub(super) const ATTENDED: [&str; 5] = ["o", "lse", "dq", "dk", "dv"];

/// The same of random operands.
pub(super) fn attended(by: &Implementation, layout: &Layout, shape: &AttentionShape) -> [Tensor; 5] {
    let tokens = layout.tokens();
    let (wide, narrow) = (shape.query_width(), shape.key_width());
    let of = |seed, width: usize| by.tensor(&random(seed, tokens * width), (tokens, width));
    let (q, k, v, d_o) = (of(1, wide), of(2, narrow), of(3, narrow), of(4, wide));
    let (o, lse) = by.kernels.attention(qkv(&q, &k, &v), layout, shape).unwrap();
    let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
    let (dq, dk, dv) = by.kernels.attention_backward(qkv(&q, &k, &v), outcome, layout, shape).unwrap();
    [o, lse, dq, dk, dv]
}

/// A token for each of some caches of `room` rows, of which so many are there.
pub(super) fn over_caches(by: &Implementation, shape: &AttentionShape, room: usize, lengths: &[usize]) -> Tensor {
    let of = |seed, rows: usize, width: usize| by.tensor(&random(seed, rows * width), (rows, width));
    let keys = |seed, len: usize| of(seed + len as u64, room, shape.key_width());
    let kept: Vec<_> = lengths.iter().map(|&len| (keys(10, len), keys(50, len), len)).collect();
    let caches: Vec<_> = kept.iter().map(|(keys, values, len)| CachedKeys { keys, values, len: *len }).collect();
    by.kernels.attention_cached(&of(1, lengths.len(), shape.query_width()), &caches, shape).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn linear(
        tokens in 1..9_usize, d_in in 1..12_usize, d_out in 1..12_usize,
        ranks in prop::collection::vec(1..4_usize, 0..3), trained: bool, kind in 0..3_usize,
    ) {
        let run = |by: &Implementation| {
            let mut offset = 0;
            let mut place = |len: usize| {
                offset += len;
                trained.then(|| slot(offset - len, len))
            };
            let loras = ranks.iter().enumerate().map(|(i, &rank)| Lora {
                a: by.tensor(&random(10 + i as u64, rank * d_in), (rank, d_in)),
                b: by.tensor(&random(20 + i as u64, rank * d_out), (d_out, rank)),
                // Adapters are trained also where the layer is frozen.
                a_slot: Some(place(rank * d_in)).flatten(),
                b_slot: Some(place(rank * d_out)).flatten(),
                scale: 1.5 - i as f32,
            }).collect();
            let layer = Linear {
                weight: by.tensor(&random(1, d_in * d_out), (d_out, d_in)).into(),
                weight_slot: place(d_in * d_out),
                bias: Some(by.tensor(&random(2, d_out), d_out)),
                bias_slot: place(d_out),
                loras,
            };
            let x = by.tensor(&random(3, tokens * d_in), (tokens, d_in));
            let dy = by.tensor(&random(4, tokens * d_out), (tokens, d_out));
            let (y, saved) = by.kernels.linear(&x, &layer).unwrap();
            let mut grads = by.gradients(offset);
            let input = input(by, kind, (tokens, d_in));
            let dx = by.kernels.linear_backward(&x, &saved, &dy, &layer, input, &mut grads).unwrap();
            let row_by_row = [Generating::Prefill, Generating::Decode]
                .map(|stage| by.kernels.linear_rowwise(&x, &layer, stage).unwrap());
            (y, saved.low, dx, grads.to_vec().unwrap(), row_by_row)
        };
        let b = run(&Implementation::cpu());
        for other in others() {
            let a = run(&other.by);
            other.same_tensor("y", &a.0, &b.0);
            for (a, b) in a.1.iter().zip(&b.1) {
                other.same_tensor("low", a, b);
            }
            other.same_input(a.2.as_ref(), b.2.as_ref());
            other.same("gradients", &a.3, &b.3);
            for (a, b) in a.4.iter().zip(&b.4) {
                other.same_tensor("row by row", a, b);
            }
        }
    }

    #[test]
    fn norm(rows in 1..9_usize, width in 1..20_usize, plus_one: bool, trained: bool, kind in 0..3_usize) {
        let run = |by: &Implementation| {
            let x = by.tensor(&random(1, rows * width), (rows, width));
            let dy = by.tensor(&random(2, rows * width), (rows, width));
            let weight = &by.tensor(&random(3, width), width);
            let slot = trained.then(|| slot(1, width));
            let norm = RmsNorm { weight, slot, options: NormOptions { eps: 1e-5, plus_one } };
            let (y, inv_rms) = by.kernels.rms_norm(&x, &norm).unwrap();
            let mut grads = by.gradients(width + 2);
            let input = input(by, kind, (rows, width));
            let dx = by.kernels.rms_norm_backward(&x, &norm, &inv_rms, &dy, input, &mut grads).unwrap();
            (y, inv_rms, dx, grads.to_vec().unwrap())
        };
        let b = run(&Implementation::cpu());
        for other in others() {
            let a = run(&other.by);
            other.same_tensor("y", &a.0, &b.0);
            other.same_tensor("inv_rms", &a.1, &b.1);
            other.same_input(a.2.as_ref(), b.2.as_ref());
            other.same("gradients", &a.3, &b.3);
        }
    }

    #[test]
    fn rope(tokens in 1..7_usize, heads in 1..4_usize, half in 1..4_usize, rest in 0..3_usize, inverse: bool) {
        let width = heads * (2 * half + rest);
        let x = random(1, tokens * width);
        let positions: Vec<u32> = (0..tokens as u32).map(|t| (t * 5) % 11).collect();
        let run = |by: &Implementation| {
            let table = RopeTable {
                cos: by.tensor(&random(2, 11 * half), (11, half)),
                sin: by.tensor(&random(3, 11 * half), (11, half)),
            };
            by.kernels.rope(by.tensor(&x, (tokens, width)), heads, &positions, &table, inverse).unwrap()
        };
        for other in others() {
            other.same_tensor("x", &run(&other.by), &run(&Implementation::cpu()));
        }
    }

    #[test]
    fn attention(layout in documents(1..14_usize), shape in attention_shape()) {
        let by_hand = attended(&Implementation::cpu(), &layout, &shape);
        for other in others().into_iter().filter(|other| other.name != "card in pieces") {
            for (what, (a, b)) in ATTENDED.iter().zip(attended(&other.by, &layout, &shape).iter().zip(&by_hand)) {
                other.same_tensor(what, a, b);
            }
        }
    }

    #[test]
    fn attention_over_caches(shape in attention_shape(), lengths in prop::collection::vec(1..20_usize, 1..4)) {
        let run = |by: &Implementation| over_caches(by, &shape, 21, &lengths);
        for other in others() {
            other.same_tensor("o", &run(&other.by), &run(&Implementation::cpu()));
        }
    }

    #[test]
    fn gated(len in 1..40_usize, which in 0..3_usize) {
        let activation = [Activation::Silu, Activation::GeluTanh, Activation::Gelu][which];
        let run = |by: &Implementation| {
            let of = |seed, factor: f64| {
                let values: Vec<f64> = random(seed, len).iter().map(|x| x * factor).collect();
                by.tensor(&values, (1, len))
            };
            let (gate, up, dh) = (of(1, 6.0), of(2, 1.0), of(3, 1.0));
            let h = by.kernels.gated(&gate, &up, activation).unwrap();
            let (d_gate, d_up) = by.kernels.gated_backward(&gate, &up, &dh, activation).unwrap();
            [h, d_gate, d_up]
        };
        for other in others() {
            for (a, b) in run(&other.by).iter().zip(&run(&Implementation::cpu())) {
                other.same_tensor("gated", a, b);
            }
        }
    }

    #[test]
    fn rows_of_a_table(known in 1..6_u32, width in 1..9_usize, ids in prop::collection::vec(0..100_u32, 1..20), scale in 0.5..2.0_f32) {
        let ids: Vec<u32> = ids.into_iter().map(|id| id % known).collect();
        let len = known as usize * width;
        let run = |by: &Implementation| {
            let table = by.tensor(&random(1, len), (known as usize, width));
            let dy = by.tensor(&random(2, ids.len() * width), (ids.len(), width));
            let x = by.kernels.embed(&ids, &table.clone().into(), scale).unwrap();
            let mut grads = by.gradients(len + 3);
            by.kernels.embed_backward(&ids, &dy, scale, slot(3, len), &mut grads).unwrap();
            let gathered = by.kernels.gather_rows(&table, &ids).unwrap();
            let scattered = by.kernels.scatter_rows(&dy, &ids, known as usize).unwrap();
            let sum = by.kernels.add(&dy, x.copy().unwrap()).unwrap();
            ([x, gathered, scattered, sum], grads.to_vec().unwrap())
        };
        let b = run(&Implementation::cpu());
        for other in others() {
            let a = run(&other.by);
            for (a, b) in a.0.iter().zip(&b.0) {
                other.same_tensor("rows", a, b);
            }
            other.same("gradients", &a.1, &b.1);
        }
    }

    #[test]
    fn head(
        answers in 1..6_usize, width in 1..7_usize, vocabulary in 1..40_usize,
        softcap in prop::option::of(0.5..3.0_f32),
    ) {
        let options = HeadOptions { scale: 1.3, softcap };
        let coefficients: Vec<f32> = random(3, answers).iter().map(|&c| c as f32).collect();
        let targets: Vec<u32> = (0..answers).map(|i| (i * 7919 % vocabulary) as u32).collect();
        let operands = |by: &Implementation| {
            let weight = by.tensor(&random(2, vocabulary * width), (vocabulary, width));
            (by.tensor(&random(1, answers * width), (answers, width)), Weight::from(weight))
        };
        let (h, weight) = operands(&Implementation::cpu());
        let own = Cpu::default().head(&h, Head { weight: &weight, options }, &targets, HeadWant::WithU).unwrap();
        let run = |by: &Implementation| {
            let (h, weight) = operands(by);
            let head = Head { weight: &weight, options };
            let out = by.kernels.head(&h, head, &targets, HeadWant::WithU).unwrap();
            let plain = by.kernels.head(&h, head, &targets, HeadWant::LogProbs).unwrap();
            assert!(plain.u.is_none());
            let pass = HeadPass { h: &h, targets: &targets, lse: &own.lse, coefficients: &coefficients };
            let mut grads = by.gradients(4 + weight.elem_count());
            by.kernels.head_weight_backward(head, pass, slot(4, weight.elem_count()), &mut grads).unwrap();
            let u = own.u.as_ref().unwrap().copy().unwrap().to_place(&by.place).unwrap();
            let dh = by.kernels.head_backward(u, &coefficients).unwrap();
            let logits = by.kernels.logits(&h, head).unwrap();
            let tensors = [out.u.unwrap(), dh, logits];
            (tensors, [out.log_probs, out.lse, plain.log_probs, grads.to_vec().unwrap()])
        };
        let by_hand = run(&Implementation::cpu());
        for other in others() {
            let found = run(&other.by);
            for (what, (a, b)) in ["u", "dh", "logits"].iter().zip(found.0.iter().zip(&by_hand.0)) {
                other.same_tensor(what, a, b);
            }
            for (what, (a, b)) in ["log-probs", "lse", "plain", "dW"].iter().zip(found.1.iter().zip(&by_hand.1)) {
                other.same(what, a, b);
            }
        }
    }

    #[test]
    fn what_is_copied_or_scaled(rows in 1..9_usize, left in 1..9_usize, right in 1..9_usize, seed: u64) {
        let run = |by: &Implementation| {
            let x = by.tensor(&random(1, rows * left), (rows, left));
            let y = by.tensor(&random(2, rows * right), (rows, right));
            let joined = by.kernels.join(&[x.clone(), y]).unwrap();
            let cut = by.kernels.columns(&joined, left, right).unwrap();
            [
                joined,
                cut,
                by.kernels.scale(&x, -2.5).unwrap(),
                by.kernels.dropout(&x, &Mask::new(0.4, seed)).unwrap(),
                by.kernels.recall(&by.kernels.keep(&x).unwrap()).unwrap(),
            ]
        };
        let by_hand = run(&Implementation::cpu());
        for other in others() {
            let found = run(&other.by);
            for (a, b) in found.iter().zip(&by_hand).take(4) {
                other.same_tensor("copy", a, b);
            }
            // Kept in two bytes where an implementation does so.
            Other { tolerance: 4e-3, ..other }.same_tensor("kept", &found[4], &by_hand[4]);
        }
    }

    #[test]
    fn adamw(len in 1..50_usize, first in 0..10_usize, decay in 0.0..0.2_f32) {
        let first = first.min(len - 1);
        let place = slot(first, len - first);
        let run = |by: &Implementation| {
            let value = by.tensor(&random(1, len), len);
            let (m, v) = (by.tensor(&vec![0.0; len], len), by.tensor(&vec![0.0; len], len));
            for step in 1..=3 {
                let step = AdamWStep {
                    learning_rate: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: decay, step,
                    gradient_scale: 0.5,
                };
                let buffers = AdamWBuffers { values: &value, gradients: &by.gradients(len), m: &m, v: &v };
                by.kernels.adamw(buffers, place, &step).unwrap();
            }
            [value, m, v]
        };
        for other in others() {
            for (a, b) in run(&other.by).iter().zip(&run(&Implementation::cpu())) {
                other.same_tensor("buffer", a, b);
            }
        }
    }
}

#[test]
fn extremes_stay_finite() {
    for other in others() {
        let by = &other.by;
        let gate = by.tensor(&[-1e4, -100.0, -88.5, 88.5, 100.0, 1e4], (1, 6));
        let ones = by.tensor(&[1.0; 6], (1, 6));
        for activation in [Activation::Silu, Activation::GeluTanh, Activation::Gelu] {
            let h = by.kernels.gated(&gate, &ones, activation).unwrap();
            other.same("h", &values(&h), &[0.0, 0.0, 0.0, 88.5, 100.0, 1e4]);
            let (slope, _) = by.kernels.gated_backward(&gate, &ones, &ones, activation).unwrap();
            other.same("slope", &values(&slope), &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        }
        // A late word beats all before it by hundreds.
        let w = Weight::from(by.tensor(&[100.0, 0.0, 0.0, 500.0], (4, 1)));
        let head = Head { weight: &w, options: HeadOptions::default() };
        let out = by.kernels.head(&by.tensor(&[1.0], (1, 1)), head, &[0], HeadWant::WithU).unwrap();
        other.same("log-prob", &out.log_probs, &[-400.0]);
        other.same("u", &values(&out.u.unwrap()), &[-400.0]);
    }
}

#[test]
fn mistakes_are_errors_before_the_device_sees_them() {
    for Other { by, .. } in others() {
        let table = by.tensor(&random(1, 10), (5, 2));
        let weight = Weight::from(table.clone());
        let kernels = &by.kernels;
        assert!(kernels.embed(&[5], &table.clone().into(), 1.0).is_err());
        assert!(kernels.gather_rows(&table, &[7]).is_err());
        assert!(kernels.scatter_rows(&table, &[0, 1, 2, 3, 4], 4).is_err());
        let head = Head { weight: &weight, options: HeadOptions::default() };
        assert!(kernels.head(&table, head, &[0, 1, 2, 3, 5], HeadWant::LogProbs).is_err());
        let mut grads = by.gradients(10);
        assert!(kernels.embed_backward(&[0], &table, 1.0, slot(0, 10), &mut grads).is_err());
    }
}

/// The rows of the head are worked on in parts.
#[test]
fn more_answers_than_a_part() {
    let answers = 1030;
    let targets: Vec<u32> = (0..answers as u32).map(|i| i % 11).collect();
    let run = |by: &Implementation| {
        let h = by.tensor(&random(1, answers * 2), (answers, 2));
        let w = Weight::from(by.tensor(&random(2, 22), (11, 2)));
        let head = Head { weight: &w, options: HeadOptions::default() };
        let out = by.kernels.head(&h, head, &targets, HeadWant::WithU).unwrap();
        [out.log_probs, values(&out.u.unwrap())]
    };
    let by_hand = run(&Implementation::cpu());
    for other in others() {
        for (what, (a, b)) in ["log-probs", "u"].iter().zip(run(&other.by).iter().zip(&by_hand)) {
            other.same(what, a, b);
        }
    }
}

/// A long sum of few results is cut into stretches.
#[test]
fn long_sums() {
    let run = |by: &Implementation| {
        let (x, wide) = (by.tensor(&random(3, 70 * 1300), (70, 1300)), by.tensor(&random(4, 67 * 1300), (67, 1300)));
        values(&by.kernels.linear(&x, &Linear::frozen(wide)).unwrap().0)
    };
    let by_hand = run(&Implementation::cpu());
    // A single row has to fit into one operand.
    for other in others().into_iter().filter(|other| other.name != "card in pieces") {
        other.same("y", &run(&other.by), &by_hand);
    }
}

/// Weights as files have them: bf16, and blocks of every format.
#[test]
fn stored_weights() {
    let wide = random(2, 66 * 512);
    let values_of: Vec<f32> = wide.iter().map(|&x| x as f32).collect();
    let mut weights = vec![Weight::from(tensor(&wide, (66, 512)).to_dtype(DType::BF16).unwrap())];
    for format in testing::FORMATS {
        weights.push(Quantized::quantize(format, &values_of, 66, 512).unwrap().into());
    }
    for weight in weights {
        let run = |by: &Implementation| {
            let (x, weight) = (by.tensor(&random(1, 5 * 512), (5, 512)), by.weight(&weight));
            let dy = by.tensor(&random(3, 5 * 66), (5, 66));
            let layer = Linear::frozen(weight.clone());
            let (y, saved) = by.kernels.linear(&x, &layer).unwrap();
            let mut grads = by.gradients(1);
            let dx = by.kernels.linear_backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads).unwrap();
            let few = by.kernels.linear_rowwise(&x, &layer, Generating::Decode).unwrap();
            let rows = by.kernels.embed(&[65, 0, 3], &weight, 1.5).unwrap();
            [values(&y), values(&dx.unwrap()), values(&rows), values(&few)]
        };
        let by_hand = run(&Implementation::cpu());
        for other in others().into_iter().filter(|other| other.name != "composed") {
            for (what, (a, b)) in ["y", "dx", "rows", "few"].iter().zip(run(&other.by).iter().zip(&by_hand)) {
                other.same(&format!("{} {what}", weight.format()), a, b);
            }
        }
    }
}
