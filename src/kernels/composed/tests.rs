//! The composed kernels on the processor against the hand-written ones, which have plain twins of their own: forward,
//! backward and what is left in the gradient buffer, for random shapes.

mod bf16;

use candle_core::DType;
use proptest::prelude::*;

use super::{
    Composed,
    attention::{Attention, Limits},
    flat,
};
use crate::{
    Activation, AdamWBuffers, AdamWStep, AttentionShape, CachedKeys, Generating, Gradients, Head, HeadOptions,
    HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, Lora, NormOptions, Outcome, Place, RmsNorm, RopeTable,
    Segment, Slot, Tensor, Weight,
    cpu::Cpu,
    testing::{qkv, random, slot, tensor, values},
};

fn composed() -> Composed {
    Composed::new(DType::F32).unwrap()
}

/// Every element within 1e-5 of the largest magnitude; operands are around 1, so what cancels to nothing is measured
/// against 0.1.
#[track_caller]
fn same(what: &str, composed: &[f32], own: &[f32]) {
    close(what, composed, own, 1e-5);
}

#[track_caller]
fn close(what: &str, composed: &[f32], own: &[f32], tolerance: f32) {
    assert_eq!(composed.len(), own.len(), "{what}: length");
    let size = own.iter().fold(0.1_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in composed.iter().zip(own).enumerate() {
        assert!((a - b).abs() <= tolerance * size, "{what}[{i}]: {a} composed, {b} by hand (largest magnitude {size})");
    }
}

#[track_caller]
fn same_tensor(what: &str, composed: &Tensor, own: &Tensor) {
    assert_eq!(composed.dims(), own.dims(), "{what}");
    assert_eq!(composed.dtype(), own.dtype(), "{what}");
    same(what, &values(composed), &values(own));
}

/// A gradient buffer that is not empty, so that adding is told from setting.
fn gradients(len: usize) -> Gradients {
    let mut grads = Gradients::new(len, &Place::CPU).unwrap();
    let start = tensor(&random(99, len), len);
    grads.add("test", slot(0, len), start.candle().unwrap()).unwrap();
    grads
}

/// What becomes of an input's gradient, the three ways.
fn input(kind: usize, dims: (usize, usize)) -> InputGradient {
    match kind {
        0 => InputGradient::Skip,
        1 => InputGradient::Fresh,
        _ => InputGradient::AddTo(tensor(&random(98, dims.0 * dims.1), dims)),
    }
}

#[track_caller]
fn same_input(composed: Option<&Tensor>, own: Option<&Tensor>) {
    assert_eq!(composed.is_some(), own.is_some());
    if let (Some(composed), Some(own)) = (composed, own) {
        same_tensor("dx", composed, own);
    }
}

/// Documents of a packed row: `(prompt, answers)` lengths.
fn documents() -> impl Strategy<Value = Layout> {
    let document = (1..14_usize, prop::collection::vec(1..12_usize, 0..3));
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

fn attention_shape() -> impl Strategy<Value = AttentionShape> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn linear(
        tokens in 1..9_usize, d_in in 1..12_usize, d_out in 1..12_usize,
        ranks in prop::collection::vec(1..4_usize, 0..3), trained: bool, kind in 0..3_usize,
    ) {
        let mut offset = 0;
        let mut place = |len: usize| {
            offset += len;
            trained.then(|| slot(offset - len, len))
        };
        let loras = ranks.iter().enumerate().map(|(i, &rank)| Lora {
            a: tensor(&random(10 + i as u64, rank * d_in), (rank, d_in)),
            b: tensor(&random(20 + i as u64, rank * d_out), (d_out, rank)),
            // Adapters are trained also where the layer is frozen.
            a_slot: Some(place(rank * d_in)).flatten(),
            b_slot: Some(place(rank * d_out)).flatten(),
            scale: 1.5 - i as f32,
        }).collect();
        let layer = Linear {
            weight: tensor(&random(1, d_in * d_out), (d_out, d_in)).into(),
            weight_slot: place(d_in * d_out),
            bias: Some(tensor(&random(2, d_out), d_out)),
            bias_slot: place(d_out),
            loras,
        };
        let x = tensor(&random(3, tokens * d_in), (tokens, d_in));
        let dy = tensor(&random(4, tokens * d_out), (tokens, d_out));
        let run = |kernels: &dyn Kernels| {
            let (y, saved) = kernels.linear(&x, &layer).unwrap();
            let mut grads = gradients(offset);
            let input = input(kind, (tokens, d_in));
            let dx = kernels.linear_backward(&x, &saved, &dy, &layer, input, &mut grads).unwrap();
            let row_by_row = kernels.linear_rowwise(&x, &layer, Generating::Prefill).unwrap();
            (y, saved.low, dx, grads.to_vec().unwrap(), row_by_row)
        };
        let (a, b) = (run(&composed()), run(&Cpu::default()));
        same_tensor("y", &a.0, &b.0);
        for (a, b) in a.1.iter().zip(&b.1) {
            same_tensor("low", a, b);
        }
        same_input(a.2.as_ref(), b.2.as_ref());
        same("gradients", &a.3, &b.3);
        same_tensor("row by row", &a.4, &b.4);
    }

    #[test]
    fn norm(rows in 1..9_usize, width in 1..20_usize, plus_one: bool, trained: bool, kind in 0..3_usize) {
        let x = tensor(&random(1, rows * width), (rows, width));
        let dy = tensor(&random(2, rows * width), (rows, width));
        let w = tensor(&random(3, width), width);
        let slot = trained.then(|| slot(1, width));
        let norm = RmsNorm { weight: &w, slot, options: NormOptions { eps: 1e-5, plus_one } };
        let run = |kernels: &dyn Kernels| {
            let (y, inv_rms) = kernels.rms_norm(&x, &norm).unwrap();
            let mut grads = gradients(width + 2);
            let input = input(kind, (rows, width));
            let dx = kernels
                .rms_norm_backward(&x, &norm, &inv_rms, &dy, input, &mut grads)
                .unwrap();
            (y, inv_rms, dx, grads.to_vec().unwrap())
        };
        let (a, b) = (run(&composed()), run(&Cpu::default()));
        same_tensor("y", &a.0, &b.0);
        same_tensor("inv_rms", &a.1, &b.1);
        same_input(a.2.as_ref(), b.2.as_ref());
        same("gradients", &a.3, &b.3);
    }

    #[test]
    fn rope(tokens in 1..7_usize, heads in 1..4_usize, half in 1..4_usize, rest in 0..3_usize, inverse: bool) {
        let width = heads * (2 * half + rest);
        let x = random(1, tokens * width);
        let positions: Vec<u32> = (0..tokens as u32).map(|t| (t * 5) % 11).collect();
        let table = RopeTable {
            cos: tensor(&random(2, 11 * half), (11, half)),
            sin: tensor(&random(3, 11 * half), (11, half)),
        };
        let run = |kernels: &dyn Kernels| {
            kernels.rope(tensor(&x, (tokens, width)), heads, &positions, &table, inverse).unwrap()
        };
        same_tensor("x", &run(&composed()), &run(&Cpu::default()));
    }

    #[test]
    fn attention(layout in documents(), shape in attention_shape(), joined in 1..200_usize, scores in 1..200_usize) {
        let tokens = layout.tokens();
        let (wide, narrow) = (shape.query_width(), shape.key_width());
        let q = tensor(&random(1, tokens * wide), (tokens, wide));
        let k = tensor(&random(2, tokens * narrow), (tokens, narrow));
        let v = tensor(&random(3, tokens * narrow), (tokens, narrow));
        let d_o = tensor(&random(4, tokens * wide), (tokens, wide));
        let run = |kernels: &dyn Kernels| {
            let (o, lse) = kernels.attention(qkv(&q, &k, &v), &layout, &shape).unwrap();
            let outcome = Outcome { o: &o, lse: &lse, d_o: &d_o };
            let (dq, dk, dv) = kernels
                .attention_backward(qkv(&q, &k, &v), outcome, &layout, &shape)
                .unwrap();
            [o, lse, dq, dk, dv]
        };
        let by_hand = run(&Cpu::default());
        // Blocks of all sizes: from one that holds everything to one for each row.
        let cut = Composed {
            attention: Attention::with_limits(Limits { joined, scores }),
            ..composed()
        };
        for kernels in [composed(), cut] {
            for (what, (a, b)) in ["o", "lse", "dq", "dk", "dv"].iter().zip(run(&kernels).iter().zip(&by_hand)) {
                same_tensor(what, a, b);
            }
        }
    }

    #[test]
    fn attention_over_caches(shape in attention_shape(), lengths in prop::collection::vec(1..20_usize, 1..4)) {
        let kept: Vec<(Tensor, Tensor, usize)> = lengths.iter().map(|&len| {
            let dims = (21, shape.key_width());
            let of = |seed| tensor(&random(seed + len as u64, dims.0 * dims.1), dims);
            (of(10), of(50), len)
        }).collect();
        let caches: Vec<_> = kept.iter()
            .map(|(keys, values, len)| CachedKeys { keys, values, len: *len })
            .collect();
        let dims = (lengths.len(), shape.query_width());
        let q = tensor(&random(1, dims.0 * dims.1), dims);
        let run = |kernels: &dyn Kernels| kernels.attention_cached(&q, &caches, &shape).unwrap();
        same_tensor("o", &run(&composed()), &run(&Cpu::default()));
    }

    #[test]
    fn gated(len in 1..40_usize, which in 0..3_usize) {
        let activation = [Activation::Silu, Activation::GeluTanh, Activation::Gelu][which];
        let of = |seed, factor: f64| {
            let values: Vec<f64> = random(seed, len).iter().map(|x| x * factor).collect();
            tensor(&values, (1, len))
        };
        let (gate, up, dh) = (of(1, 6.0), of(2, 1.0), of(3, 1.0));
        let run = |kernels: &dyn Kernels| {
            let h = kernels.gated(&gate, &up, activation).unwrap();
            let (d_gate, d_up) = kernels.gated_backward(&gate, &up, &dh, activation).unwrap();
            [h, d_gate, d_up]
        };
        for (a, b) in run(&composed()).iter().zip(&run(&Cpu::default())) {
            same_tensor("gated", a, b);
        }
    }

    #[test]
    fn rows_of_a_table(known in 1..6_u32, width in 1..9_usize, ids in prop::collection::vec(0..100_u32, 1..20), scale in 0.5..2.0_f32) {
        let ids: Vec<u32> = ids.into_iter().map(|id| id % known).collect();
        let len = known as usize * width;
        let table = tensor(&random(1, len), (known as usize, width));
        let dy = tensor(&random(2, ids.len() * width), (ids.len(), width));
        let run = |kernels: &dyn Kernels| {
            let x = kernels.embed(&ids, &table.clone().into(), scale).unwrap();
            let mut grads = gradients(len + 3);
            kernels.embed_backward(&ids, &dy, scale, slot(3, len), &mut grads).unwrap();
            let gathered = kernels.gather_rows(&table, &ids).unwrap();
            let scattered = kernels.scatter_rows(&dy, &ids, known as usize).unwrap();
            let sum = kernels.add(&dy, x.copy().unwrap()).unwrap();
            ([x, gathered, scattered, sum], grads.to_vec().unwrap())
        };
        let (a, b) = (run(&composed()), run(&Cpu::default()));
        for (a, b) in a.0.iter().zip(&b.0) {
            same_tensor("rows", a, b);
        }
        same("gradients", &a.1, &b.1);
    }

    #[test]
    fn head(
        answers in 1..6_usize, width in 1..7_usize, vocabulary in 1..40_usize, slice in 1..100_usize,
        softcap in prop::option::of(0.5..3.0_f32),
    ) {
        let options = HeadOptions { scale: 1.3, softcap };
        let h = tensor(&random(1, answers * width), (answers, width));
        let w = tensor(&random(2, vocabulary * width), (vocabulary, width));
        let coefficients: Vec<f32> = random(3, answers).iter().map(|&c| c as f32).collect();
        let targets: Vec<u32> = (0..answers).map(|i| (i * 7919 % vocabulary) as u32).collect();
        let matrix = Weight::from(w.clone());
        let head = Head { weight: &matrix, options };
        let own = Cpu::default().head(&h, head, &targets, HeadWant::WithU).unwrap();
        let pass = HeadPass { h: &h, targets: &targets, lse: &own.lse, coefficients: &coefficients };
        let place = slot(4, w.elem_count());
        let mut own_grads = gradients(4 + w.elem_count());
        Cpu::default().head_weight_backward(head, pass, place, &mut own_grads)
            .unwrap();
        for slice in [slice, super::head::SLICE] {
            let out = super::head::forward(h.candle().unwrap(), head, &targets, HeadWant::WithU, slice).unwrap();
            same("log-probs", &out.log_probs, &own.log_probs);
            same("lse", &out.lse, &own.lse);
            same_tensor("u", out.u.as_ref().unwrap(), own.u.as_ref().unwrap());
            let plain = super::head::forward(h.candle().unwrap(), head, &targets, HeadWant::LogProbs, slice).unwrap();
            prop_assert_eq!((&plain.log_probs, plain.u.is_none()), (&out.log_probs, true));

            let mut grads = gradients(4 + w.elem_count());
            super::head::weight_backward(head, HeadPass { lse: &out.lse, ..pass }, place, &mut grads, slice).unwrap();
            same("dW", &grads.to_vec().unwrap(), &own_grads.to_vec().unwrap());
        }
        let scaled = |kernels: &dyn Kernels| {
            kernels.head_backward(own.u.as_ref().unwrap().copy().unwrap(), &coefficients).unwrap()
        };
        same_tensor("dh", &scaled(&composed()), &scaled(&Cpu::default()));
        let logits = |kernels: &dyn Kernels| kernels.logits(&h, head).unwrap();
        same_tensor("logits", &logits(&composed()), &logits(&Cpu::default()));
    }

    #[test]
    fn adamw(len in 1..50_usize, first in 0..10_usize, decay in 0.0..0.2_f32) {
        let first = first.min(len - 1);
        let place = slot(first, len - first);
        let run = |kernels: &dyn Kernels| {
            let value = tensor(&random(1, len), len);
            let (m, v) = (tensor(&vec![0.0; len], len), tensor(&vec![0.0; len], len));
            for step in 1..=3 {
                let step = AdamWStep {
                    learning_rate: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: decay, step,
                    gradient_scale: 0.5,
                };
                kernels.adamw(AdamWBuffers { values: &value, gradients: &gradients(len), m: &m, v: &v }, place, &step).unwrap();
            }
            [value, m, v]
        };
        for (a, b) in run(&composed()).iter().zip(&run(&Cpu::default())) {
            same_tensor("buffer", a, b);
        }
    }

    /// What a buffer on a device does, on the processor.
    #[test]
    fn flat_buffers(len in 1..3000_usize, at in 0..3000_usize) {
        let mut grads = gradients(len);
        let device = grads.flat().candle().unwrap().copy().unwrap();
        let norm = flat::norm_squared(&device).unwrap();
        prop_assert!((norm - grads.norm_squared().unwrap()).abs() <= 1e-5 * norm);
        prop_assert!(flat::is_finite(&device).unwrap());
        flat::scale(&device, 0.5).unwrap();
        grads.scale(0.5).unwrap();
        prop_assert_eq!(values(&device.clone().into()), grads.to_vec().unwrap());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let spoilt = device.copy().unwrap();
            flat::add(&spoilt, slot(at % len, 1), tensor(&[bad], 1).candle().unwrap()).unwrap();
            prop_assert!(!flat::is_finite(&spoilt).unwrap());
        }
        flat::zero(&device).unwrap();
        prop_assert_eq!(values(&device.clone().into()), vec![0.0; len]);
    }
}

#[test]
fn pieces_cover_a_range_once() {
    let all: Vec<Slot> = flat::pieces(slot(5, (1 << 25) + 3)).collect();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].offset, 5);
    assert!(all.windows(2).all(|pair| pair[0].offset + pair[0].len == pair[1].offset));
    assert_eq!(all.iter().map(|piece| piece.len).sum::<usize>(), (1 << 25) + 3);
    assert_eq!(flat::pieces(slot(7, 0)).count(), 0);
}

/// The rows of the head are worked on in parts, too.
#[test]
fn more_answers_than_a_part() {
    let answers = 1030;
    let h = tensor(&random(1, answers * 2), (answers, 2));
    let w = Weight::from(tensor(&random(2, 22), (11, 2)));
    let targets: Vec<u32> = (0..answers as u32).map(|i| i % 11).collect();
    let head = Head { weight: &w, options: HeadOptions::default() };
    let run = |kernels: &dyn Kernels| {
        let out = kernels.head(&h, head, &targets, HeadWant::WithU).unwrap();
        (out.log_probs, values(&out.u.unwrap()))
    };
    let (a, b) = (run(&composed()), run(&Cpu::default()));
    same("log-probs", &a.0, &b.0);
    same("u", &a.1, &b.1);
}

#[test]
fn extremes_stay_finite() {
    let gate = tensor(&[-1e4, -100.0, -88.5, 88.5, 100.0, 1e4], (1, 6));
    let ones = tensor(&[1.0; 6], (1, 6));
    for activation in [Activation::Silu, Activation::GeluTanh, Activation::Gelu] {
        let h = composed().gated(&gate, &ones, activation).unwrap();
        same("h", &values(&h), &[0.0, 0.0, 0.0, 88.5, 100.0, 1e4]);
        let (slope, _) = composed().gated_backward(&gate, &ones, &ones, activation).unwrap();
        same("slope", &values(&slope), &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }
    // A late word beats all before it by hundreds.
    let w = Weight::from(tensor(&[100.0, 0.0, 0.0, 500.0], (4, 1)));
    let head = Head { weight: &w, options: HeadOptions::default() };
    let h = tensor(&[1.0], (1, 1));
    let out = super::head::forward(h.candle().unwrap(), head, &[0], HeadWant::WithU, 1).unwrap();
    same("log-prob", &out.log_probs, &[-400.0]);
    same("u", &values(&out.u.unwrap()), &[-400.0]);
}

#[test]
fn mistakes_are_errors_before_the_device_sees_them() {
    let kernels = composed();
    let table = tensor(&random(1, 10), (5, 2));
    assert!(kernels.embed(&[5], &table.clone().into(), 1.0).is_err());
    assert!(kernels.gather_rows(&table, &[7]).is_err());
    assert!(kernels.scatter_rows(&table, &[0, 1, 2, 3, 4], 4).is_err());
    let weight = Weight::from(table.clone());
    let head = Head { weight: &weight, options: HeadOptions::default() };
    assert!(kernels.head(&table, head, &[0, 1, 2, 3, 5], HeadWant::LogProbs).is_err());
    let mut grads = gradients(10);
    assert!(kernels.embed_backward(&[0], &table, 1.0, slot(0, 10), &mut grads).is_err());
    assert!(Composed::new(DType::F64).is_err());
}
