//! The head against straight loops and their finite differences.

use super::*;
use crate::testing::{assert_close, assert_gradient, assert_same_bits, inner, random, slot, tensor, values};

fn forward(h: &Tensor, w: &Weight, targets: &[u32], options: &HeadOptions, want: HeadWant) -> Result<HeadOut> {
    super::forward(h, Head { weight: w, options: *options }, targets, want, Multiplier::F32)
}

fn logits_twin(h: &[f64], w: &[f64], width: usize, options: &HeadOptions) -> Vec<f64> {
    h.chunks(width)
        .flat_map(|h| {
            w.chunks(width).map(|w| {
                let raw = f64::from(options.scale) * inner(h, w);
                options.softcap.map_or(raw, |cap| f64::from(cap) * (raw / f64::from(cap)).tanh())
            })
        })
        .collect()
}

/// Straight loops.
fn twin(h: &[f64], w: &[f64], width: usize, targets: &[u32], options: &HeadOptions) -> Vec<f64> {
    let logits = logits_twin(h, w, width, options);
    let row = |(logits, &target): (&[f64], &u32)| {
        let largest = logits.iter().fold(f64::NEG_INFINITY, |m, &l| m.max(l));
        logits[target as usize] - largest - logits.iter().map(|l| (l - largest).exp()).sum::<f64>().ln()
    };
    logits.chunks(w.len() / width).zip(targets).map(row).collect()
}

fn check(answers: usize, width: usize, vocabulary: usize, options: &HeadOptions) {
    let (h, w, coefficients) = (random(1, answers * width), random(2, vocabulary * width), random(3, answers));
    let targets: Vec<u32> = (0..answers).map(|i| ((i * 7919 + vocabulary - 1) % vocabulary) as u32).collect();
    let (h_tensor, w_tensor) = (tensor(&h, (answers, width)), Weight::from(tensor(&w, (vocabulary, width))));
    let out = forward(&h_tensor, &w_tensor, &targets, options, HeadWant::WithU).unwrap();
    let expected = twin(&h, &w, width, &targets, options);
    assert_close("log-probs", &out.log_probs, &expected, 2e-6);
    let plain = forward(&h_tensor, &w_tensor, &targets, options, HeadWant::LogProbs).unwrap();
    assert_eq!(plain.log_probs, out.log_probs);
    assert!(plain.u.is_none());
    let all = logits(&h_tensor, Head { weight: &w_tensor, options: *options }).unwrap();
    assert_close("logits", &values(&all), &logits_twin(&h, &w, width, options), 2e-6);

    let floats: Vec<f32> = coefficients.iter().map(|&c| c as f32).collect();
    let dh = scale_rows(out.u.unwrap(), &floats).unwrap();
    let loss = |h: &[f64], w: &[f64]| inner(&twin(h, w, width, &targets, options), &coefficients);
    assert_gradient("dh", &h, &values(&dh), |h| loss(h, &w));
    let mut grads = Gradients::new(4 + w.len(), &Place::CPU).unwrap();
    let place = slot(4, w.len());
    let head = Head { weight: &w_tensor, options: *options };
    let pass = HeadPass { h: &h_tensor, targets: &targets, lse: &out.lse, coefficients: &floats };
    weight_backward(head, pass, place, &mut grads, Multiplier::F32).unwrap();
    let flat = grads.to_vec().unwrap();
    assert_eq!(flat[..4], [0.0; 4]);
    assert_gradient("dW", &w, &flat[4..], |w| loss(&h, w));
}

#[test]
fn equals_its_twin_and_its_finite_differences() {
    for options in [
        HeadOptions::default(),
        HeadOptions { scale: 0.5, softcap: None },
        HeadOptions { scale: 2.0, softcap: Some(1.5) },
    ] {
        check(1, 3, 1, &options);
        check(1, 5, 2, &options);
        check(13, 9, 70, &options);
        // More than one chunk of the vocabulary, and an odd rest.
        check(5, 4, CHUNK + 37, &options);
    }
}

#[test]
fn more_answers_than_a_block() {
    check(ROWS + 3, 2, 11, &HeadOptions::default());
}

#[test]
fn a_late_large_logit_takes_over_without_overflow() {
    // The last word of the second chunk beats all before it by hundreds.
    let vocabulary = CHUNK + 5;
    let mut w = vec![0.0; vocabulary];
    w[0] = 100.0;
    w[vocabulary - 1] = 500.0;
    let h = tensor(&[1.0], (1, 1));
    let out = forward(&h, &tensor(&w, (vocabulary, 1)).into(), &[0], &HeadOptions::default(), HeadWant::WithU).unwrap();
    assert_close("log-prob", &out.log_probs, &[-400.0], 1e-6);
    assert_close("u", &values(&out.u.unwrap()), &[-400.0], 1e-6);
}

#[test]
fn same_bits_with_any_number_of_threads() {
    let (h, w) = (tensor(&random(1, 120 * 24), (120, 24)), Weight::from(tensor(&random(2, 2500 * 24), (2500, 24))));
    let targets: Vec<u32> = (0..120).map(|i| i * 20).collect();
    assert_same_bits(|| {
        let options = HeadOptions::default();
        let out = forward(&h, &w, &targets, &options, HeadWant::WithU).unwrap();
        let mut grads = Gradients::new(2500 * 24, &Place::CPU).unwrap();
        let place = slot(0, 2500 * 24);
        let coefficients = vec![0.5; 120];
        let pass = HeadPass { h: &h, targets: &targets, lse: &out.lse, coefficients: &coefficients };
        weight_backward(Head { weight: &w, options }, pass, place, &mut grads, Multiplier::F32).unwrap();
        vec![out.log_probs, out.lse, values(&out.u.unwrap()), grads.to_vec().unwrap()]
    });
}

#[test]
fn a_target_outside_the_vocabulary_is_an_error() {
    let (h, w) = (tensor(&[1.0], (1, 1)), Weight::from(tensor(&[1.0, 2.0], (2, 1))));
    let error = forward(&h, &w, &[2], &HeadOptions::default(), HeadWant::LogProbs).unwrap_err();
    assert!(error.to_string().contains("vocabulary of 2"));
}

/// In bf16 a logit is off by no more than the rounding of its terms, and a log-prob by twice that.
#[test]
fn products_in_bf16_stay_within_their_rounding() {
    let (answers, width, vocabulary) = (9, 64, 1500);
    let h = tensor(&random(1, answers * width), (answers, width));
    let w = tensor(&random(2, vocabulary * width), (vocabulary, width)).into();
    let targets: Vec<u32> = (0..9).map(|i| i * 160).collect();
    let run = |by| {
        let options = HeadOptions::default();
        super::forward(&h, Head { weight: &w, options }, &targets, HeadWant::WithU, by).unwrap()
    };
    let exact = run(Multiplier::F32);
    let twin: Vec<f64> = values(exact.u.as_ref().unwrap()).iter().map(|&u| f64::from(u)).collect();
    for by in Multiplier::present().filter(|by| by.rounds()) {
        let rounded = run(by);
        // 64 terms of at most 1, each factor off by at most 2⁻⁸ of itself, mostly cancelling.
        for (exact, rounded) in exact.log_probs.iter().zip(&rounded.log_probs) {
            assert!((exact - rounded).abs() < 0.05, "{rounded} instead of {exact} by {}", by.name());
        }
        assert_ne!(exact.log_probs, rounded.log_probs);
        assert_close("u", &values(&rounded.u.unwrap()), &twin, 0.01);
    }
}
