//! The scalar head, and several policies on one base.

use nudge::{
    kernels::{Place, Tensor},
    model::{Doc, LoadOptions, Policy, Reads, Row, ScalarHead},
    train::{
        dataset::packing::pack_for,
        step::{Loss, Slopes, go_on, gradient},
    },
};

use crate::fixture::{self, Fixture};

const FIXTURE: &str = "smollm";

fn docs(fixture: &Fixture) -> Vec<Doc> {
    let pairs = fixture.pairs().into_iter();
    pairs.map(|[prompt, chosen, rejected]| Doc::new(prompt, vec![chosen, rejected])).collect()
}

fn scoring(head: ScalarHead) -> Policy {
    let fixture = fixture::one(FIXTURE);
    let options = LoadOptions { scalar: Some(head), ..Fixture::adapter_options() };
    let mut policy = Policy::load(&fixture.folder, &options).unwrap();
    // Off 0, where nothing would tell one bug from another.
    let mut values = policy.trainable().unwrap();
    for (index, (_, tensor)) in values.iter_mut().enumerate() {
        let wave: Vec<f32> = (0..tensor.elem_count()).map(|i| ((i * 7 + index) as f32 * 0.37).sin() * 0.05).collect();
        *tensor = Tensor::from_vec(wave, tensor.dims(), &Place::CPU).unwrap();
    }
    policy.set_trainable(&values).unwrap();
    policy
}

/// Σ (i + 1)·x/8 + x² over all that is read.
#[derive(Default)]
struct Wave {
    seen: usize,
    value: f64,
}

impl Loss<usize> for Wave {
    fn add(&mut self, _: usize, read: &[Vec<f32>], slopes: &mut Slopes) {
        for &x in read.iter().flatten() {
            self.seen += 1;
            let (x, factor) = (f64::from(x), self.seen as f64 / 8.0);
            self.value += factor * x + x * x;
            slopes.tokens([(factor + 2.0 * x) as f32]);
        }
    }

    fn value(&self) -> f64 {
        self.value
    }
}

fn value(policy: &Policy, row: &Row) -> f64 {
    let mut wave = Wave::default();
    wave.add(0, &policy.log_probs(row).unwrap(), &mut Slopes::default());
    wave.value()
}

#[test]
fn gradients_through_the_scalar_head_are_those_of_differences() {
    let docs = docs(&fixture::one(FIXTURE));
    for reads in [Reads::Ends, Reads::States, Reads::StatesAndEnds] {
        let mut policy = scoring(ScalarHead::WithBias);
        let rows = pack_for(docs.iter().take(3).enumerate(), usize::MAX, reads).unwrap();
        let mut wave = Wave::default();
        gradient(&mut policy, None, 1, &rows, &mut wave, &mut go_on).unwrap().done().unwrap();
        let gradients = policy.gradients().to_vec().unwrap();
        let start = policy.parameters().values().to_vec::<f32>().unwrap();
        // Along the gradient itself, so that every parameter has its say.
        let norm = gradients.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        let step = 1e-2 / norm;
        let at = |sign: f64| {
            let moved: Vec<f32> = start
                .iter()
                .zip(&gradients)
                .map(|(&x, &g)| (f64::from(x) + sign * step * f64::from(g)) as f32)
                .collect();
            let moved = Tensor::from_vec(moved, start.len(), &Place::CPU).unwrap();
            policy.parameters().values().set_rows(0, &moved).unwrap();
            value(&policy, &rows[0].row)
        };
        let numeric = (at(1.0) - at(-1.0)) / (2.0 * step);
        assert!((numeric / (norm * norm) - 1.0).abs() < 5e-3, "{reads:?}: {numeric} for {}", norm * norm);
        assert!(gradients.iter().filter(|g| **g != 0.0).count() > gradients.len() / 2);
    }
}

#[test]
fn the_state_before_a_token_is_the_end_of_what_came_before_it() {
    let policy = scoring(ScalarHead::Plain);
    let docs = docs(&fixture::one(FIXTURE));
    let states = policy.log_probs(&Row::pack_for(&docs, Reads::States).unwrap()).unwrap();
    let both = policy.log_probs(&Row::pack_for(&docs, Reads::StatesAndEnds).unwrap()).unwrap();
    let ends = policy.log_probs(&Row::pack_for(&docs, Reads::Ends).unwrap()).unwrap();
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} and {b}");
    for ((states, both), ends) in states.iter().zip(&both).zip(&ends) {
        assert_eq!((both.len(), ends.len()), (states.len() + 1, 1));
        states.iter().zip(both).for_each(|(a, b)| near(*a, *b));
        near(ends[0], both[states.len()]);
    }
    // An answer cut by a token ends in the state before that token.
    let cut = |doc: &Doc| {
        let continuations = doc.continuations.iter().map(|ids| ids[..ids.len() - 1].to_vec());
        Doc::new(doc.prefix.clone(), continuations)
    };
    let cut: Vec<Doc> = docs.iter().filter(|doc| doc.continuations.iter().all(|ids| ids.len() > 1)).map(cut).collect();
    let whole: Vec<Doc> =
        docs.iter().filter(|doc| doc.continuations.iter().all(|ids| ids.len() > 1)).cloned().collect();
    let ends = policy.log_probs(&Row::pack_for(&cut, Reads::Ends).unwrap()).unwrap();
    let states = policy.log_probs(&Row::pack_for(&whole, Reads::States).unwrap()).unwrap();
    for (end, states) in ends.iter().zip(&states) {
        near(end[0], states[states.len() - 1]);
    }
}

#[test]
fn policies_beside_each_other_share_a_base_and_nothing_that_is_trained() {
    let fixture = fixture::one(FIXTURE);
    let docs = docs(&fixture);
    let row = Row::pack(&docs).unwrap();
    let mut policy = Policy::load(&fixture.folder, &Fixture::adapter_options()).unwrap();
    let shape = Fixture::adapter_options().adapter.unwrap();
    let apart = scoring(ScalarHead::Plain);
    policy.set_trainable(&fixture::for_policy(fixture.adapter_tensors())).unwrap();
    let (before, reference) = (policy.log_probs(&row).unwrap(), policy.reference_log_probs(&row).unwrap());
    let mut beside = policy.beside(&shape, Some(ScalarHead::Plain)).unwrap();
    assert_eq!(beside.identity(), policy.identity());
    assert_eq!(beside.log_probs(&row).unwrap(), reference, "it begins as the reference");
    beside.set_trainable(&apart.trainable().unwrap()).unwrap();
    let ends = Row::pack_for(&docs, Reads::Ends).unwrap();
    let scores = apart.log_probs(&ends).unwrap();
    assert_eq!(beside.log_probs(&ends).unwrap(), scores, "the same as one that was loaded for itself");
    assert_eq!(policy.log_probs(&row).unwrap(), before, "and the first is what it was");
    assert!(policy.log_probs(&ends).unwrap_err().to_string().contains("without a scalar head"));

    let mut critic = policy.beside(&shape, Some(ScalarHead::WithBias)).unwrap();
    critic.start_from(&beside, 0.5, 2.0).unwrap();
    for (value, score) in critic.log_probs(&ends).unwrap().iter().zip(&scores) {
        assert!((value[0] - (score[0] - 0.5) / 2.0).abs() < 1e-5);
    }
}
