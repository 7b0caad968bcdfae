//! bf16 activations: every result is bf16 where it flows on, f32 where it must not lose digits, and close to f32.

use candle_core::DType;

use super::{same, same_tensor};
use crate::{
    AttentionOut, AttentionShape, Head, HeadOptions, HeadWant, InputGradient, Kernels, Layout, Linear, Lora,
    NormOptions, RmsNorm, Tensor,
    composed::Composed,
    cpu::Cpu,
    testing::{assert_near, gradients, qkv, random, slot, tensor, values},
};

/// An operand that bf16 holds exactly, in f32 and in bf16.
fn exact(seed: u64, rows: usize, columns: usize) -> (Tensor, Tensor) {
    let rounded = tensor(&random(seed, rows * columns), (rows, columns)).to_dtype(DType::BF16).unwrap();
    (rounded.to_dtype(DType::F32).unwrap(), rounded)
}

/// The values of a bf16 tensor.
#[track_caller]
fn half(x: &Tensor) -> Vec<f32> {
    assert_eq!(x.dtype(), DType::BF16);
    values(&x.to_dtype(DType::F32).unwrap())
}

/// With bf16 activations every result is bf16 where it flows on, and close to f32.
#[test]
fn bf16_through_the_linear_layer() {
    let kernels = Composed::new(DType::BF16).unwrap();
    let (table, table16) = exact(1, 9, 8);
    let ids: Vec<u32> = (0..12).map(|i| i * 5 % 9).collect();
    let x = Cpu::default().embed(&ids, &table.into(), 1.0).unwrap();
    let x16 = kernels.embed(&ids, &table16.into(), 1.0).unwrap();
    assert_near("embedding", &half(&x16), &values(&x), 1e-6);

    let (weight, weight16) = exact(2, 8, 8);
    let adapter = Lora {
        a: exact(3, 2, 8).0,
        b: exact(4, 8, 2).0,
        a_slot: Some(slot(0, 16)),
        b_slot: Some(slot(16, 16)),
        scale: 2.0,
    };
    let layer = |weight| Linear { loras: vec![adapter.clone()], ..Linear::frozen(weight) };
    let (layer, layer16) = (layer(weight), layer(weight16));
    let (y, saved) = Cpu::default().linear(&x, &layer).unwrap();
    let (y16, saved16) = kernels.linear(&x16, &layer16).unwrap();
    assert_near("linear", &half(&y16), &values(&y), 2e-2);
    let (dy, dy16) = exact(5, 12, 8);
    let (mut grads, mut grads16) = (gradients(32), gradients(32));
    let dx = Cpu::default().linear_backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut grads).unwrap();
    let dx16 = kernels.linear_backward(&x16, &saved16, &dy16, &layer16, InputGradient::Fresh, &mut grads16).unwrap();
    assert_near("dx", &half(&dx16.unwrap()), &values(&dx.unwrap()), 2e-2);
    assert_near("adapter", &grads16.to_vec().unwrap(), &grads.to_vec().unwrap(), 2e-2);
}

#[test]
fn bf16_through_attention() {
    let kernels = Composed::new(DType::BF16).unwrap();
    let layout = Layout::single(12).unwrap();
    let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 2, scale: 0.7, softcap: None, window: None };
    let ((q, q16), (d_o, d_o16)) = (exact(1, 12, 8), exact(2, 12, 8));
    let ((k, k16), (v, v16)) = (exact(7, 12, 4), exact(8, 12, 4));
    let (o, lse) = Cpu::default().attention(qkv(&q, &k, &v), &layout, &shape).unwrap();
    let (o16, lse16) = kernels.attention(qkv(&q16, &k16, &v16), &layout, &shape).unwrap();
    same_tensor("lse", &lse16, &lse);
    assert_near("o", &half(&o16), &values(&o), 1e-2);
    let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
    let outcome16 = AttentionOut { o: &o16, lse: &lse16, d_o: &d_o16 };
    let (dq, dk, dv) = Cpu::default().attention_backward(qkv(&q, &k, &v), outcome, &layout, &shape).unwrap();
    let (dq16, dk16, dv16) = kernels.attention_backward(qkv(&q16, &k16, &v16), outcome16, &layout, &shape).unwrap();
    for (a, b) in [(&dq16, &dq), (&dk16, &dk), (&dv16, &dv)] {
        assert_near("gradient", &half(a), &values(b), 2e-2);
    }
}

#[test]
fn bf16_through_norm_and_head() {
    let kernels = Composed::new(DType::BF16).unwrap();
    let ((x, x16), (table, table16)) = (exact(1, 12, 8), exact(2, 9, 8));
    let w = tensor(&random(6, 8), 8);
    let norm = RmsNorm { weight: &w, slot: None, options: NormOptions { eps: 1e-5, plus_one: false } };
    let (n, _) = Cpu::default().rms_norm(&x, &norm).unwrap();
    let (n16, inv) = kernels.rms_norm(&x16, &norm).unwrap();
    assert_eq!(inv.dtype(), DType::F32);
    assert_near("norm", &half(&n16), &values(&n), 1e-2);

    let targets = [1, 2, 3];
    let (table, table16) = (table.into(), table16.into());
    let head = |weight| Head { weight, options: HeadOptions::default() };
    let rows16 = kernels.gather_rows(&n16, &[0, 3, 3]).unwrap();
    let rows = rows16.to_dtype(DType::F32).unwrap();
    let out = kernels.head(&rows16, head(&table16), &targets, HeadWant::WithU).unwrap();
    let own = Cpu::default().head(&rows, head(&table), &targets, HeadWant::WithU).unwrap();
    same("log-probs", &out.log_probs, &own.log_probs);
    same_tensor("u", out.u.as_ref().unwrap(), own.u.as_ref().unwrap());
    let dh = kernels.head_backward(out.u.unwrap(), &[0.5, 1.0, 2.0]).unwrap();
    let d_rows = kernels.scatter_rows(&dh, &[0, 3, 3], 12).unwrap();
    let mut none = gradients(0);
    let d_norm =
        kernels.rms_norm_backward(&x16, &norm, &inv, &d_rows, InputGradient::Fresh, &mut none).unwrap().unwrap();
    assert_eq!(d_norm.dtype(), DType::BF16);
}
