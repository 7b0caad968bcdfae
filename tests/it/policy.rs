//! The policy against itself: what must not change its numbers.

use std::ops::ControlFlow;

use nudge::{
    data::config::{Precision, Recompute},
    kernels::{self, Multiplier},
    model::{AdamW, AdamWOptions, Doc, LoadError, LoadOptions, Policy, Row},
    train::{
        dataset::packing::pack,
        step::{Loss, Slopes, go_on, gradient},
    },
};

use crate::fixture::{self, Fixture, Place, elements, largest_difference, relative};

const FIXTURE: &str = "smollm";

fn docs(fixture: &Fixture) -> Vec<Doc> {
    let pairs = fixture.pairs().into_iter().map(|[prompt, chosen, rejected]| Doc::new(prompt, vec![chosen, rejected]));
    let text = fixture::ids(&fixture.expected["preference"]["pretrain"][0]);
    // A text, and an answer of one token, which takes no row of its own.
    let short = Doc::new(text[..4].to_vec(), vec![vec![text[4]], text[5..].to_vec()]);
    pairs.chain([Doc::text(&text).unwrap(), short]).collect()
}

/// The fixture's adapter on the processor's own kernels, as the options have them.
fn loaded(fixture: &Fixture, change: impl FnOnce(&mut LoadOptions)) -> Policy {
    let mut options = Fixture::adapter_options();
    change(&mut options);
    let mut policy = Policy::load(&fixture.folder, &options).unwrap();
    policy.set_trainable(&fixture::for_policy(fixture.adapter_tensors())).unwrap();
    policy
}

/// Unlike coefficients for the scored segments of any row.
fn coefficients(count: usize) -> Vec<f32> {
    (0..count).map(|i| [0.7, -0.4, 0.25][i % 3] * (1.0 + i as f32 / 8.0)).collect()
}

fn log_probs_and_gradients(policy: &mut Policy, rows: &[Row], coefficients: &[f32]) -> (Vec<Vec<f32>>, Vec<f32>) {
    policy.gradients().zero().unwrap();
    let mut log_probs = Vec::new();
    let mut rest = coefficients;
    for row in rows {
        let pass = policy.forward(row).unwrap();
        log_probs.extend(pass.log_probs().to_vec());
        let (these, others) = rest.split_at(row.scored().len());
        rest = others;
        policy.backward(pass, these).unwrap();
    }
    (log_probs, policy.gradients().to_vec().unwrap())
}

#[test]
fn a_load_that_is_not_wanted_any_more_ends_between_tensors() {
    let fixture = fixture::one(FIXTURE);
    let options = Fixture::adapter_options();
    let mut asked = 0;
    let mut go_on = || {
        asked += 1;
        ControlFlow::Continue(())
    };
    Policy::load_watched(&fixture.folder, &options, &mut go_on).unwrap();
    assert!(asked > 20, "it is asked at every tensor: {asked}");
    for wanted in [0, 1, asked / 2, asked - 1] {
        let mut looked = 0;
        let stopped = Policy::load_watched(&fixture.folder, &options, &mut || {
            looked += 1;
            if looked > wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(LoadError::Stopped)), "stopped at {wanted}");
        assert_eq!(looked, wanted + 1, "and nothing more is asked");
    }
}

/// Some tokens of an answer pull, the others do not.
struct EveryOther {
    odd: bool,
    even: bool,
}

impl Loss<usize> for EveryOther {
    fn add(&mut self, _: usize, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for answer in log_probs {
            let pulls = |token: usize| if token.is_multiple_of(2) { self.even } else { self.odd };
            slopes.tokens((0..answer.len()).map(|token| f32::from(u8::from(pulls(token)))));
        }
    }

    fn value(&self) -> f64 {
        0.0
    }
}

#[test]
fn each_token_may_have_a_slope_of_its_own() {
    let fixture = fixture::one(FIXTURE);
    let docs = docs(&fixture);
    let rows = pack(docs.iter().enumerate(), 64).unwrap();
    let mut policy = loaded(&fixture, |_| {});
    let mut of = |odd, even| {
        gradient(&mut policy, None, 0, &rows, &mut EveryOther { odd, even }, &mut go_on).unwrap().done().unwrap();
        wide(&policy.gradients().to_vec().unwrap())
    };
    let (odd, even, both) = (of(true, false), of(false, true), of(true, true));
    let sum: Vec<f64> = odd.iter().zip(&even).map(|(odd, even)| odd + even).collect();
    assert!(relative(&sum, &both) < 1e-5, "the gradient is linear in the slopes");
    assert!(relative(&odd, &even) > 0.1, "other tokens pull elsewhere");
    let rows: Vec<Row> = rows.into_iter().map(|packed| packed.row).collect();
    let ones = vec![1.0; rows.iter().map(|row| row.scored().len()).sum()];
    let (_, alike) = log_probs_and_gradients(&mut policy, &rows, &ones);
    assert_eq!(wide(&alike), both, "one slope an answer is the same slope for each of its tokens");
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn check_same(got: &(Vec<Vec<f32>>, Vec<f32>), want: &(Vec<Vec<f32>>, Vec<f32>)) {
    let off = largest_difference(&wide(&got.0.concat()), &wide(&want.0.concat()));
    assert!(off < 1e-5, "log-probs off by {off:e}");
    let off = relative(&wide(&got.1), &wide(&want.1));
    assert!(off < 1e-5, "gradients off by {off:e}");
}

#[test]
fn sharing_a_prompt_changes_nothing() {
    let fixture = fixture::one(FIXTURE);
    for mut policy in [fixture.lora(), fixture.full()] {
        let shared = docs(&fixture);
        let apart: Vec<Doc> = shared
            .iter()
            .flat_map(|doc| {
                doc.continuations.iter().map(|continuation| Doc::new(doc.prefix.clone(), vec![continuation.clone()]))
            })
            .collect();
        let coefficients = coefficients(apart.len());
        let together = log_probs_and_gradients(&mut policy, &[Row::pack(&shared).unwrap()], &coefficients);
        let apart = log_probs_and_gradients(&mut policy, &[Row::pack(&apart).unwrap()], &coefficients);
        check_same(&together, &apart);
    }
}

#[test]
fn packing_changes_nothing() {
    let fixture = fixture::one(FIXTURE);
    for mut policy in [fixture.lora(), fixture.full()] {
        let docs = docs(&fixture);
        let rows: Vec<Row> = docs.iter().map(|doc| Row::pack(std::slice::from_ref(doc)).unwrap()).collect();
        let packed = [Row::pack(&docs).unwrap()];
        let coefficients = coefficients(packed[0].scored().len());
        let together = log_probs_and_gradients(&mut policy, &packed, &coefficients);
        let one_by_one = log_probs_and_gradients(&mut policy, &rows, &coefficients);
        check_same(&together, &one_by_one);
        assert_eq!(policy.log_probs(&packed[0]).unwrap(), together.0, "scoring and training agree");
    }
}

#[test]
fn recomputing_activations_changes_no_bit() {
    let fixture = fixture::one(FIXTURE);
    let rows = [Row::pack(&docs(&fixture)).unwrap()];
    let coefficients = coefficients(rows[0].scored().len());
    let mut choices = vec![(0.0, Precision::F32, None), (0.3, Precision::F32, None)];
    choices.extend(Multiplier::present().map(|by| (0.0, Precision::Bf16, Some(by))));
    for (dropout, precision, multiplier) in choices {
        let policy = |recompute| {
            loaded(&fixture, |options| {
                options.precision = precision;
                options.multiplier = multiplier;
                options.recompute = recompute;
                options.adapter.as_mut().unwrap().dropout = dropout;
            })
        };
        let (mut keeps, mut recomputes) = (policy(Recompute::Never), policy(Recompute::Always));
        let blocks = |policy: &Policy| policy.forward(&rows[0]).unwrap().recomputed_blocks();
        // The last block's backward comes right after its forward.
        let all = keeps.spec().layers.len() - 1;
        assert_eq!((blocks(&recomputes), blocks(&keeps)), (all, 0));
        let kept = log_probs_and_gradients(&mut keeps, &rows, &coefficients);
        let recomputed = log_probs_and_gradients(&mut recomputes, &rows, &coefficients);
        assert!(kept == recomputed);
        let (tokens, answers) = (rows[0].tokens(), rows[0].answer_tokens());
        let (most, least) = (keeps.row_bytes(tokens, answers), recomputes.row_bytes(tokens, answers));
        let mut chooses = policy(Recompute::Auto);
        chooses.set_room(u64::midpoint(least, most));
        assert!((1..all).contains(&blocks(&chooses)), "only what does not fit");
        assert!(chooses.row_bytes(tokens, answers) <= u64::midpoint(least, most));
        assert!(kept == log_probs_and_gradients(&mut chooses, &rows, &coefficients));
        for (room, expected) in [(most, 0), (least - 1, all)] {
            chooses.set_room(room);
            assert_eq!(blocks(&chooses), expected);
        }
        assert!(recomputes.estimate_bytes(4096, 1024) < keeps.estimate_bytes(4096, 1024));
    }
}

/// Activations that wait in bf16 and products in bf16 move log-probs and gradient by no more than the format's own
/// error does in this very model, whatever multiplies.
#[test]
fn gradients_in_bf16_are_near_those_in_f32() {
    let fixture = fixture::one(FIXTURE);
    let rows = [Row::pack(&docs(&fixture)).unwrap()];
    let coefficients = coefficients(rows[0].scored().len());
    let of = |policy: &mut Policy| {
        let (log_probs, gradients) = log_probs_and_gradients(policy, &rows, &coefficients);
        [wide(&log_probs.concat()), wide(&gradients)]
    };
    let distances = [largest_difference, relative];
    let bounds = fixture.bf16_bounds(distances, |fixture| of(&mut fixture.lora()));
    let mut exact = fixture.lora();
    let wanted = of(&mut exact);
    let (tokens, answers) = (rows[0].tokens(), rows[0].answer_tokens());
    for place in Place::all_in_bf16() {
        let mut rounded = fixture.at(place).lora();
        let got = of(&mut rounded);
        for (what, i) in [("log-probs", 0), ("gradients", 1)] {
            let (off, bound) = (distances[i](&got[i], &wanted[i]), bounds[i]);
            eprintln!("{place:?}: {what} off by {off:.2e}, bound {bound:.2e}");
            assert!(off < bound, "{place:?}: {what} off by {off:e}, bound {bound:e}");
        }
        let [whole, half] = [&exact, &rounded].map(|policy| policy.row_bytes(tokens, answers) as f64);
        assert!(half < 0.75 * whole, "{half} of {whole} bytes");
    }
}

#[test]
fn dropout_has_the_gradient_of_its_own_mask() {
    let fixture = fixture::one(FIXTURE);
    let row = Row::pack(&docs(&fixture)).unwrap();
    let weights = coefficients(row.scored().len());
    let mut policy = fixture.lora_with(|options| options.adapter.as_mut().unwrap().dropout = 0.3);
    let without = fixture.lora();
    let loss = |policy: &Policy| -> f64 {
        let pass = policy.forward(&row).unwrap();
        let sums = pass.log_probs().iter().map(|tokens| tokens.iter().map(|&x| f64::from(x)).sum::<f64>());
        sums.zip(&weights).map(|(sum, &weight)| sum * f64::from(weight)).sum()
    };
    policy.set_noise(1);
    let first = loss(&policy);
    assert_eq!(first, loss(&policy), "one seed, one mask");
    policy.set_noise(2);
    assert_ne!(first, loss(&policy), "another mask");
    assert_ne!(first, loss(&without));
    assert_eq!(policy.log_probs(&row).unwrap(), without.log_probs(&row).unwrap(), "scoring drops nothing");

    // Along the gradient the loss changes by its squared length.
    let (_, gradient) = log_probs_and_gradients(&mut policy, std::slice::from_ref(&row), &weights);
    let squared: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
    let start = policy.trainable().unwrap();
    let step = 1e-2 / squared.sqrt();
    let mut at = |sign: f64| {
        let moved: Vec<_> = policy
            .parameters()
            .entries()
            .iter()
            .zip(&start)
            .map(|(entry, (name, tensor))| {
                let slice = &gradient[entry.slot.offset..][..entry.slot.len];
                let mut values = tensor.to_vec::<f32>().unwrap();
                values.iter_mut().zip(slice).for_each(|(value, along)| *value += along * (sign * step) as f32);
                (name.clone(), kernels::Tensor::from_vec(values, tensor.dims(), &kernels::Place::CPU).unwrap())
            })
            .collect();
        policy.set_trainable(&moved).unwrap();
        loss(&policy)
    };
    let measured = (at(1.0) - at(-1.0)) / (2.0 * step);
    assert!((measured / squared - 1.0).abs() < 1e-2, "measured {measured}, gradient says {squared}");
}

#[test]
fn a_resumed_optimizer_goes_on_to_the_bit() {
    let fixture = fixture::one(FIXTURE);
    let row = Row::pack(&docs(&fixture)).unwrap();
    let weights = coefficients(row.scored().len());
    let train = |policy: &mut Policy, optimizer: &mut AdamW, steps: usize| {
        for _ in 0..steps {
            log_probs_and_gradients(policy, std::slice::from_ref(&row), &weights);
            policy.update(optimizer, 1e-3, 0.5).unwrap();
        }
    };
    let options = AdamWOptions { weight_decay: 0.1, ..AdamWOptions::default() };
    for load in [Fixture::lora, Fixture::full] {
        let mut policy = load(&fixture);
        let mut optimizer = AdamW::new(policy.parameters(), options).unwrap();
        train(&mut policy, &mut optimizer, 2);
        let (weights, state) = (policy.trainable().unwrap(), optimizer.state().unwrap());
        train(&mut policy, &mut optimizer, 2);

        let mut resumed = load(&fixture);
        let mut other = AdamW::new(resumed.parameters(), options).unwrap();
        resumed.set_trainable(&weights).unwrap();
        other.restore(&state).unwrap();
        train(&mut resumed, &mut other, 2);
        assert_eq!(other.step(), 4);
        let bits = |policy: &Policy| policy.parameters().values().to_vec::<f32>().unwrap();
        assert!(bits(&policy) == bits(&resumed));
    }
}

#[test]
fn norms_and_biases_do_not_decay() {
    let mut policy = fixture::one(FIXTURE).full();
    let options = AdamWOptions { weight_decay: 0.5, ..AdamWOptions::default() };
    let mut optimizer = AdamW::new(policy.parameters(), options).unwrap();
    let before = policy.trainable().unwrap();
    policy.update(&mut optimizer, 0.1, 1.0).unwrap(); // without any gradient
    for ((name, before), (_, after)) in before.iter().zip(policy.trainable().unwrap()) {
        let factor = if name.contains("norm") { 1.0 } else { 0.95 };
        let want: Vec<f64> = elements(before).iter().map(|value| value * factor).collect();
        assert!(relative(&elements(&after), &want) < 1e-6, "{name}");
    }
}
