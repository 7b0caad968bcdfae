//! What is no number among the operands is none among the results, by every implementation: damaged weights must not
//! look like plausible ones.

use super::*;

const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// The others, and the processor's own.
fn all() -> Vec<(&'static str, Implementation)> {
    let own = ("processor", Implementation::cpu());
    std::iter::once(own).chain(others().into_iter().map(|other| (other.name, other.by))).collect()
}

/// Random numbers in rows, one column of which is damaged: what one bad weight makes of a projection.
fn damaged(seed: u64, (rows, columns): (usize, usize), column: usize, bad: f64) -> Vec<f64> {
    let mut values = random(seed, rows * columns);
    values.iter_mut().skip(column).step_by(columns).for_each(|value| *value = bad);
    values
}

#[track_caller]
fn assert_none(what: &str, numbers: &[f32]) {
    assert!(!numbers.is_empty() && numbers.iter().all(|x| !x.is_finite()), "{what}: {numbers:?}");
}

/// With a column of queries, then of keys, that is no number.
#[test]
fn attention() {
    const TOKENS: usize = 41;
    let segment = |start, len, prefix| Segment { start, len, prefix };
    let layout = Layout::new(vec![segment(0, 36, 0..0), segment(36, 4, 0..36), segment(40, 1, 0..0)]).unwrap();
    for (name, by) in all() {
        for (softcap, bad, of_keys) in
            [None, Some(2.0)].into_iter().flat_map(|cap| BAD.map(|bad| [(cap, bad, false), (cap, bad, true)])).flatten()
        {
            let what =
                format!("{name}, softcap {softcap:?}, {bad} in the {}", if of_keys { "keys" } else { "queries" });
            let shape = AttentionShape { heads: 1, kv_heads: 1, head_dim: 6, scale: 0.4, softcap, window: None };
            let of = |seed, is_bad: bool| {
                let values = if is_bad { damaged(seed, (TOKENS, 6), 2, bad) } else { random(seed, TOKENS * 6) };
                by.tensor(&values, (TOKENS, 6))
            };
            let (q, k, v, d_o) = (of(1, !of_keys), of(2, of_keys), of(3, false), of(4, false));
            let (o, lse) = by.kernels.attention(qkv(&q, &k, &v), &layout, &shape).unwrap();
            assert_none(&format!("{what}: o"), &values(&o));
            assert_none(&format!("{what}: lse"), &values(&lse));
            let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
            let (dq, dk, dv) = by.kernels.attention_backward(qkv(&q, &k, &v), outcome, &layout, &shape).unwrap();
            for (part, gradient) in [("dq", dq), ("dk", dk), ("dv", dv)] {
                assert!(values(&gradient).iter().any(|x| !x.is_finite()), "{what}: {part}");
            }
            let of_last = |x: &Tensor| x.rows(TOKENS - 1, 1).unwrap();
            for len in [1, 35] {
                let caches = [CachedKeys { keys: &k, values: &v, len }];
                let o = by.kernels.attention_cached(&of_last(&q), &caches, &shape).unwrap();
                assert_none(&format!("{what}: over {len} of a cache"), &values(&o));
            }
        }
    }
}

#[test]
fn head() {
    const ROWS: usize = 3;
    const WORDS: usize = 37;
    for (name, by) in all() {
        for (softcap, bad) in [None, Some(2.0)].into_iter().flat_map(|cap| BAD.map(|bad| (cap, bad))) {
            let what = format!("{name}, softcap {softcap:?}, {bad}");
            let options = HeadOptions { scale: 1.0, softcap };
            let told = |h: &[f64], w: &[f64]| {
                let weight = Weight::from(by.tensor(w, (WORDS, 4)));
                let (h, head) = (by.tensor(h, (ROWS, 4)), Head { weight: &weight, options });
                let out = by.kernels.head(&h, head, &[5, 36, 0], HeadWant::WithU).unwrap();
                (out.log_probs, values(&out.u.unwrap()), values(&by.kernels.logits(&h, head).unwrap()))
            };
            // In the final norm.
            let (log_probs, u, logits) = told(&damaged(1, (ROWS, 4), 1, bad), &random(2, WORDS * 4));
            assert_none(&format!("{what}: log-probs"), &log_probs);
            assert_none(&format!("{what}: u"), &u);
            assert_none(&format!("{what}: logits"), &logits);
            // In the row of a word that is nobody's target.
            let mut words = random(2, WORDS * 4);
            words[7 * 4 + 1] = bad;
            let (log_probs, u, logits) = told(&random(1, ROWS * 4), &words);
            assert_none(&format!("{what}, in a word: log-probs"), &log_probs);
            assert!(u.iter().any(|x| !x.is_finite()), "{what}: u");
            assert_eq!(logits.iter().filter(|x| !x.is_finite()).count(), ROWS, "{what}: logits");
        }
    }
}

#[test]
fn gated() {
    for (name, by) in all() {
        for (activation, bad) in [Activation::Silu, Activation::GeluTanh, Activation::Gelu]
            .into_iter()
            .flat_map(|activation| BAD.map(|bad| (activation, bad)))
        {
            let of = |bad: f64| by.tensor(&[0.5, bad, -0.5], (1, 3));
            let (gate, up, dh) = (of(bad), of(0.25), of(0.125));
            let h = values(&by.kernels.gated(&gate, &up, activation).unwrap());
            let (_, d_up) = by.kernels.gated_backward(&gate, &up, &dh, activation).unwrap();
            for (part, numbers) in [("h", h), ("d_up", values(&d_up))] {
                // Minus infinity closes the gate.
                if bad != f64::NEG_INFINITY {
                    assert!(!numbers[1].is_finite(), "{name}, {activation:?}, {bad}: {part} {numbers:?}");
                }
                assert!(numbers[0].is_finite() && numbers[2].is_finite(), "{name}: {part} {numbers:?}");
            }
        }
    }
}

/// The scale of a block is a number of half precision, of which some are none.
#[test]
fn a_block_whose_scale_is_none() {
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0, BlockFormat::Q5_1, BlockFormat::Q4K] {
        let whole = Quantized::quantize(format, &row(), 1, 256).unwrap();
        for half in [0x7e00_u16, 0x7c00, 0xfc00] {
            let mut bytes = whole.stored().to_vec();
            bytes[..2].copy_from_slice(&half.to_le_bytes());
            let len = bytes.len();
            let damaged = Quantized::new(format, 1, 256, Arc::new(bytes), 0..len).unwrap();
            for (name, by) in all() {
                let weight = by.weight(&damaged.clone().into());
                let x = values(&by.kernels.embed(&[0], &weight, 1.0).unwrap());
                assert!(x.iter().any(|x| !x.is_finite()), "{} by {name}: {half:#x}", format.name());
                let layer = Linear::frozen(weight);
                let y = by.kernels.linear(&by.tensor(&random(1, 256), (1, 256)), &layer).unwrap().0;
                assert_none(&format!("{} by {name}: {half:#x}", format.name()), &values(&y));
            }
        }
    }
}

fn row() -> Vec<f32> {
    random(5, 256).iter().map(|&x| x as f32).collect()
}
