//! Attention against straight loops, finite differences of them, and itself.

use super::{AttentionShape, CachedKeys, backward, forward};
use crate::{
    AttentionOut, Layout, Segment, Tensor,
    testing::{Implementation, assert_close, assert_gradient, assert_same_bits, inner, qkv, random, tensor, values},
};

pub(crate) fn shape(heads: usize, kv_heads: usize, head_dim: usize) -> AttentionShape {
    AttentionShape { heads, kv_heads, head_dim, scale: 0.7, softcap: None, window: None }
}

/// Documents as `[prompt, answer, answer, ..]` lengths.
pub(crate) fn layout(documents: &[&[usize]]) -> Layout {
    let mut segments = Vec::new();
    let mut start = 0;
    for document in documents {
        let prompt = start..start + document[0];
        for (i, &len) in document.iter().enumerate() {
            segments.push(Segment { start, len, prefix: if i == 0 { 0..0 } else { prompt.clone() } });
            start += len;
        }
    }
    Layout::new(segments).unwrap()
}

/// Rows that a row sees: its prefix and its own segment up to itself, inside the window.
fn seen(layout: &Layout, row: usize, window: Option<usize>) -> Vec<usize> {
    let segment = layout.segments().iter().find(|s| s.rows().contains(&row)).unwrap();
    let position = layout.positions()[row] as usize;
    segment
        .prefix
        .clone()
        .chain(segment.start..=row)
        .filter(|&key| window.is_none_or(|window| position - (layout.positions()[key] as usize) < window))
        .collect()
}

/// Straight loops; `(o, lse)`.
fn twin(q: &[f64], k: &[f64], v: &[f64], layout: &Layout, shape: &AttentionShape) -> (Vec<f64>, Vec<f64>) {
    let hd = shape.head_dim;
    let (mut o, mut lse) = (vec![0.0; q.len()], vec![0.0; layout.tokens() * shape.heads]);
    for row in 0..layout.tokens() {
        for head in 0..shape.heads {
            let key_head = head / (shape.heads / shape.kv_heads);
            let at = (row * shape.heads + head) * hd;
            let key_at = |key: usize| (key * shape.kv_heads + key_head) * hd;
            let keys = seen(layout, row, shape.window);
            let scores: Vec<f64> = keys
                .iter()
                .map(|&key| {
                    let raw = f64::from(shape.scale) * inner(&q[at..at + hd], &k[key_at(key)..key_at(key) + hd]);
                    shape.softcap.map_or(raw, |cap| f64::from(cap) * (raw / f64::from(cap)).tanh())
                })
                .collect();
            let largest = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
            let total: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
            lse[row * shape.heads + head] = largest + total.ln();
            for (key, score) in keys.iter().zip(&scores) {
                let weight = (score - largest).exp() / total;
                for i in 0..hd {
                    o[at + i] += weight * v[key_at(*key) + i];
                }
            }
        }
    }
    (o, lse)
}

/// Forward and backward of one case against the twin.
fn check(documents: &[&[usize]], shape: &AttentionShape) {
    check_by(&Implementation::cpu(), 2e-6, documents, shape);
}

/// The same by any implementation, within a tolerance of the largest magnitude.
pub(crate) fn check_by(by: &Implementation, tolerance: f64, documents: &[&[usize]], shape: &AttentionShape) {
    let layout = layout(documents);
    let tokens = layout.tokens();
    let (q_width, k_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let (q, k, v) = (random(1, tokens * q_width), random(2, tokens * k_width), random(3, tokens * k_width));
    let d_o = random(4, tokens * q_width);
    let (q_tensor, k_tensor) = (by.tensor(&q, (tokens, q_width)), by.tensor(&k, (tokens, k_width)));
    let (v_tensor, d_o_tensor) = (by.tensor(&v, (tokens, k_width)), by.tensor(&d_o, (tokens, q_width)));
    let qkv = qkv(&q_tensor, &k_tensor, &v_tensor);
    let (o, lse) = by.kernels.attention(qkv, &layout, shape).unwrap();
    let (o_twin, lse_twin) = twin(&q, &k, &v, &layout, shape);
    assert_close("o", &values(&o), &o_twin, tolerance);
    assert_close("lse", &values(&lse), &lse_twin, tolerance);

    let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o_tensor };
    let (dq, dk, dv) = by.kernels.attention_backward(qkv, outcome, &layout, shape).unwrap();
    let loss = |q: &[f64], k: &[f64], v: &[f64]| inner(&twin(q, k, v, &layout, shape).0, &d_o);
    assert_gradient("dq", &q, &values(&dq), |q| loss(q, &k, &v));
    assert_gradient("dk", &k, &values(&dk), |k| loss(&q, k, &v));
    assert_gradient("dv", &v, &values(&dv), |v| loss(&q, &k, v));
}

#[test]
fn one_token() {
    check(&[&[1]], &shape(1, 1, 4));
    check(&[&[1, 1, 1]], &shape(2, 1, 3));
}

#[test]
fn odd_lengths_and_grouped_heads() {
    check(&[&[5, 3, 7], &[1, 2], &[9]], &shape(6, 2, 5));
    check(&[&[33, 17, 1]], &shape(4, 4, 8));
    // More than one query block in a segment: 16 tokens a block for a group of 8.
    check(&[&[35, 18, 16], &[16]], &shape(8, 1, 4));
}

#[test]
fn more_keys_than_a_block() {
    check(&[&[300, 20, 270]], &shape(2, 1, 4));
}

#[test]
fn windows_by_position() {
    for window in [1, 4, 19] {
        check(&[&[11, 9, 14], &[30]], &AttentionShape { window: Some(window), ..shape(4, 2, 4) });
    }
    // Answers so far from their prompt that they see nothing of it.
    check(&[&[3, 40]], &AttentionShape { window: Some(8), ..shape(8, 1, 4) });
    check(&[&[290, 20]], &AttentionShape { window: Some(280), ..shape(2, 2, 4) });
}

#[test]
fn softcap_and_both() {
    check(&[&[13, 6, 8]], &AttentionShape { softcap: Some(0.8), ..shape(4, 2, 6) });
    check(&[&[13, 6, 8]], &AttentionShape { softcap: Some(2.0), window: Some(5), ..shape(4, 2, 6) });
}

#[test]
fn large_scores_do_not_overflow() {
    let layout = layout(&[&[40, 3]]);
    let shape = AttentionShape { scale: 400.0, ..shape(2, 1, 4) };
    let (q, k, v) = (random(1, 43 * 8), random(2, 43 * 4), random(3, 43 * 4));
    let (o, _) =
        forward(qkv(&tensor(&q, (43, 8)), &tensor(&k, (43, 4)), &tensor(&v, (43, 4))), &layout, &shape).unwrap();
    assert_close("o", &values(&o), &twin(&q, &k, &v, &layout, &shape).0, 2e-4);
}

/// A call with enough work to be cut into chunks and shared out.
#[test]
fn chunks_equal_the_twin_and_the_bits_do_not_depend_on_threads() {
    let shape = shape(2, 1, 32);
    let layout = layout(&[&[700, 150, 90], &[40, 20]]);
    let tokens = layout.tokens();
    let (q, k, v) = (random(1, tokens * 64), random(2, tokens * 32), random(3, tokens * 32));
    let d_o = random(4, tokens * 64);
    let (qt, kt, vt) = (tensor(&q, (tokens, 64)), tensor(&k, (tokens, 32)), tensor(&v, (tokens, 32)));
    let d_o_t = tensor(&d_o, (tokens, 64));
    let run = || {
        let qkv = qkv(&qt, &kt, &vt);
        let (o, lse) = forward(qkv, &layout, &shape).unwrap();
        let (dq, dk, dv) = backward(qkv, AttentionOut { o: &o, lse: &lse, d_o: &d_o_t }, &layout, &shape).unwrap();
        [o, lse, dq, dk, dv].iter().map(values).collect::<Vec<_>>()
    };
    assert_same_bits(run);
    let results = run();
    assert_close("o", &results[0], &twin(&q, &k, &v, &layout, &shape).0, 2e-6);
    // One direction for each operand: the twin is slow at this size.
    for (which, gradient) in [(0, &results[2]), (1, &results[3]), (2, &results[4])] {
        let operand = [&q, &k, &v][which];
        let direction = random(9, operand.len());
        let loss = |sign: f64| {
            let moved: Vec<f64> = operand.iter().zip(&direction).map(|(x, d)| x + sign * 1e-4 * d).collect();
            let mut operands = [&q, &k, &v];
            operands[which] = &moved;
            inner(&twin(operands[0], operands[1], operands[2], &layout, &shape).0, &d_o)
        };
        let difference = (loss(1.0) - loss(-1.0)) / 2e-4;
        let analytic: f64 = gradient.iter().zip(&direction).map(|(&g, d)| f64::from(g) * d).sum();
        let size: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        assert!((difference - analytic).abs() < 1e-4 * size, "operand {which}: {analytic} and {difference}");
    }
}

/// The shared prompt is exact: each answer gets what it gets alone after its prompt.
#[test]
fn a_shared_prompt_equals_separate_sequences() {
    let shape = AttentionShape { window: Some(9), softcap: Some(1.5), ..shape(4, 2, 8) };
    let (prompt, answers) = (12, [7, 5]);
    let packed = layout(&[&[prompt, answers[0], answers[1]]]);
    let tokens = packed.tokens();
    let (q, k, v) = (random(1, tokens * 32), random(2, tokens * 16), random(3, tokens * 16));
    let rows = |data: &[f64], width: usize, rows: &[usize]| -> Tensor {
        let picked: Vec<f64> = rows.iter().flat_map(|&r| data[r * width..(r + 1) * width].to_vec()).collect();
        tensor(&picked, (rows.len(), width))
    };
    let all: Vec<usize> = (0..tokens).collect();
    let (o, _) = forward(qkv(&rows(&q, 32, &all), &rows(&k, 16, &all), &rows(&v, 16, &all)), &packed, &shape).unwrap();
    for (start, len) in [(prompt, answers[0]), (prompt + answers[0], answers[1])] {
        let alone: Vec<usize> = (0..prompt).chain(start..start + len).collect();
        let single = Layout::single(alone.len()).unwrap();
        let (alone_o, _) =
            forward(qkv(&rows(&q, 32, &alone), &rows(&k, 16, &alone), &rows(&v, 16, &alone)), &single, &shape).unwrap();
        let expected: Vec<f64> = values(&alone_o)[prompt * 32..].iter().map(|&x| f64::from(x)).collect();
        assert_close("answer", &values(&o)[start * 32..(start + len) * 32], &expected, 1e-6);
    }
}

#[test]
fn a_cache_gives_the_last_row_of_the_whole() {
    check_caches_by(&Implementation::cpu(), 2e-6);
}

/// Caches of several lengths against the last row of the twin.
pub(crate) fn check_caches_by(by: &Implementation, tolerance: f64) {
    for (window, softcap) in [(None, None), (Some(3), None), (Some(290), Some(0.8)), (None, Some(2.0))] {
        let shape = AttentionShape { softcap, window, ..shape(6, 2, 5) };
        let lengths = [1_usize, 4, 300];
        let capacity = 301;
        let mut caches = Vec::new();
        let mut queries = Vec::new();
        let mut expected = Vec::new();
        for (i, &len) in lengths.iter().enumerate() {
            let seed = 10 * i as u64;
            let (q, k, v) = (random(seed, len * 30), random(seed + 1, capacity * 10), random(seed + 2, capacity * 10));
            let (o, _) = twin(&q, &k[..len * 10], &v[..len * 10], &Layout::single(len).unwrap(), &shape);
            expected.extend_from_slice(&o[(len - 1) * 30..]);
            queries.extend_from_slice(&q[(len - 1) * 30..]);
            caches.push((by.tensor(&k, (capacity, 10)), by.tensor(&v, (capacity, 10)), len));
        }
        let caches: Vec<_> = caches.iter().map(|(keys, values, len)| CachedKeys { keys, values, len: *len }).collect();
        let o = by.kernels.attention_cached(&by.tensor(&queries, (3, 30)), &caches, &shape).unwrap();
        assert_close("o", &values(&o), &expected, tolerance);
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let layout = layout(&[&[4]]);
    let good = tensor(&random(1, 32), (4, 8));
    let shape_of = |heads, kv_heads| shape(heads, kv_heads, 4);
    let good = qkv(&good, &good, &good);
    assert!(forward(good, &layout, &shape_of(2, 2)).is_ok());
    assert!(forward(good, &layout, &shape_of(2, 1)).is_err());
    assert!(forward(good, &layout, &shape_of(3, 2)).is_err());
    let blind = AttentionShape { window: Some(0), ..shape_of(2, 2) };
    assert!(forward(good, &layout, &blind).is_err());
}
