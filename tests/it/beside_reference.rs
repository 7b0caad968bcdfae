//! Entropy and KL over the whole vocabulary, from the head's gradient rows, against the logits themselves.

use nudge::model::{Doc, Row};

use crate::fixture::{self, elements};

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = logits.iter().map(|logit| (logit - most).exp()).sum::<f64>().ln() + most;
    logits.iter().map(|logit| logit - sum).collect()
}

#[test]
fn entropy_and_kl_are_those_of_the_logits() {
    for fixture in fixture::all() {
        let policy = fixture.lora();
        let doc = Doc::new(vec![5, 9, 17], vec![vec![40, 41, 42, 43], vec![60, 61]]);
        let row = Row::pack(std::slice::from_ref(&doc)).unwrap();
        let beside = policy.beside_reference(&row).unwrap();
        assert_eq!(beside.log_probs, policy.log_probs(&row).unwrap(), "{}: to the bit", fixture.name);
        assert_eq!(beside.reference, policy.reference_log_probs(&row).unwrap(), "{}", fixture.name);
        let Some(whole) = beside.whole else {
            assert!(policy.spec().logit_softcap.is_some(), "{}", fixture.name);
            continue;
        };
        assert!(policy.spec().logit_softcap.is_none(), "{}", fixture.name);
        let (mut entropies, mut divergences) = (0.0, 0.0);
        for (answer, (entropy, kl)) in doc.continuations.iter().zip(whole.entropy.iter().zip(&whole.kl)) {
            let ids = [&doc.prefix[..], &answer[..]].concat();
            let (now, before) = (policy.logits(&ids).unwrap(), policy.reference_logits(&ids).unwrap());
            let vocabulary = now.dims()[1];
            let (now, before) = (elements(&now), elements(&before));
            for (place, (entropy, kl)) in entropy.iter().zip(kl).enumerate() {
                let at = (doc.prefix.len() - 1 + place) * vocabulary;
                let (p, q) = (log_softmax(&now[at..at + vocabulary]), log_softmax(&before[at..at + vocabulary]));
                let exact: f64 = p.iter().map(|p| -p.exp() * p).sum();
                let divergence: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
                let off = (f64::from(*entropy) - exact).abs().max((f64::from(*kl) - divergence).abs());
                assert!(off < 1e-3, "{}: {entropy} for {exact}, {kl} for {divergence}", fixture.name);
                (entropies, divergences) = (entropies + exact, divergences + divergence);
            }
        }
        assert!(entropies > 0.1 && divergences > 1e-3, "{}: there is something to see", fixture.name);
    }
}
