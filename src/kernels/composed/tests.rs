//! What `agreement` cannot ask of every implementation: where the composed kernels cut their work, and their buffers.

mod bf16;

use candle_core::DType;
use proptest::prelude::*;

use super::{
    Composed,
    attention::{Attention, Limits},
    flat,
};
use crate::{
    AttentionOut, Head, HeadOptions, HeadPass, HeadWant, Kernels, Slot, Tensor, Weight,
    agreement::{attention_shape, documents},
    cpu::Cpu,
    testing::{assert_near, gradients, qkv, random, slot, tensor, values},
};

fn composed() -> Composed {
    Composed::new(DType::F32).unwrap()
}

#[track_caller]
fn same(what: &str, composed: &[f32], own: &[f32]) {
    assert_near(what, composed, own, 1e-5);
}

#[track_caller]
fn same_tensor(what: &str, composed: &Tensor, own: &Tensor) {
    assert_eq!(composed.dims(), own.dims(), "{what}");
    assert_eq!(composed.dtype(), own.dtype(), "{what}");
    same(what, &values(composed), &values(own));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn attention(layout in documents(1..14_usize), shape in attention_shape(), joined in 1..200_usize, scores in 1..200_usize) {
        let tokens = layout.tokens();
        let (wide, narrow) = (shape.query_width(), shape.key_width());
        let q = tensor(&random(1, tokens * wide), (tokens, wide));
        let k = tensor(&random(2, tokens * narrow), (tokens, narrow));
        let v = tensor(&random(3, tokens * narrow), (tokens, narrow));
        let d_o = tensor(&random(4, tokens * wide), (tokens, wide));
        let run = |kernels: &dyn Kernels| {
            let (o, lse) = kernels.attention(qkv(&q, &k, &v), &layout, &shape).unwrap();
            let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
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

/// A late word beats all before it by hundreds.
#[test]
fn a_late_slice_may_beat_all_before_it() {
    let w = Weight::from(tensor(&[100.0, 0.0, 0.0, 500.0], (4, 1)));
    let head = Head { weight: &w, options: HeadOptions::default() };
    let h = tensor(&[1.0], (1, 1));
    let out = super::head::forward(h.candle().unwrap(), head, &[0], HeadWant::WithU, 1).unwrap();
    same("log-prob", &out.log_probs, &[-400.0]);
    same("u", &values(&out.u.unwrap()), &[-400.0]);
}

#[test]
fn activations_are_f32_or_bf16() {
    assert!(Composed::new(DType::F64).is_err());
}
