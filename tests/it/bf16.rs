//! Products in bf16: as near to PyTorch's f32 as bf16 allows, and near to f32 over a run.
//!
//! What bf16 allows is measured for each model ([`fixture::Fixture::bf16_bounds`]): it depends on its weights.
//! Everything is tried by all that this processor can multiply with.

use nudge::{
    data::config::Precision,
    engine::protocol::Outcome,
    kernels::Multiplier,
    model::{AdamWOptions, Doc, Policy, Row},
};

use crate::{
    fixture::{self, Fixture, Place, elements, largest_difference, relative},
    parity::{Documents, Judge, step, trainer},
    toy::{self, Toy},
};

/// The largest difference of many numbers has a chance of its own that their mean has not: over some hundred of them it
/// comes this much further than in the few copies that the bound is taken from.
const LARGEST: f64 = 1.5;

const INPUTS: [&str; 3] = ["p0", "p1", "p2"];

/// Logits and the tokens' log-probs of an input.
fn outputs(policy: &Policy, input: &[u32]) -> [Vec<f64>; 2] {
    let row = Row::pack(&[Doc::text(input).unwrap()]).unwrap();
    let log_probs = policy.log_probs(&row).unwrap();
    [elements(&policy.logits(input).unwrap()), log_probs[0].iter().map(|&x| f64::from(x)).collect()]
}

#[test]
fn logits_and_log_probs_are_those_of_transformers_within_rounding() {
    for fixture in fixture::all_in(&[Place::Processor]) {
        let inputs: Vec<_> = INPUTS
            .into_iter()
            .filter(|which| fixture.tensors.contains_key(&format!("logits.{which}")))
            .map(|which| (which, fixture.input_ids(which).unwrap()))
            .collect();
        let bounds: Vec<[f64; 2]> = inputs
            .iter()
            .map(|(_, input)| {
                let of = |fixture: &Fixture| outputs(&fixture.base(), input);
                fixture.bf16_bounds([relative, largest_difference], of)
            })
            .collect();
        for place in Place::all_in_bf16() {
            let policy = fixture.at(place).base();
            for ((which, input), bounds) in inputs.iter().zip(&bounds) {
                let want = |what: &str| elements(&fixture.tensors[&format!("{what}.{which}")]);
                let [logits, log_probs] = outputs(&policy, input);
                let off = relative(&logits, &want("logits"));
                let what = format!("{} {place:?} {which}", fixture.name);
                assert!(off < bounds[0], "{what}: logits off by {off:e}, bound {:e}", bounds[0]);
                assert!(off > 1e-6 || place == Place::Bf16(Multiplier::F32), "{what}: that is f32");
                let off = largest_difference(&log_probs, &want("token_logps"));
                let bound = LARGEST * bounds[1];
                assert!(off < bound, "{what}: log-probs off by {off:e}, bound {bound:e}");
            }
        }
    }
}

/// By the objective that has every term; the others are the same products with other coefficients.
#[test]
fn gradients_are_those_of_pytorch_within_rounding() {
    const OBJECTIVE: &str = "mpo_total";
    let fixture = fixture::one("llama_gqa_rope3");
    let documents = Documents::of(&fixture);
    for setting in ["lora", "full"] {
        let judge = Judge::new(&fixture, &documents, setting, OBJECTIVE);
        // The loss, and the gradients of all tensors that the fixture has whole, as one.
        let of = |fixture: &Fixture| {
            let policy = if setting == "lora" { fixture.lora() } else { fixture.full() };
            let (loss, gradients) = step(&mut trainer(policy, AdamWOptions::default()), &judge);
            let whole = gradients.into_iter().filter_map(|(tensor, gradient)| {
                let want = elements(fixture.tensors.get(&format!("grad.{setting}.{OBJECTIVE}.{tensor}"))?);
                (want.len() == gradient.len()).then_some((gradient, want))
            });
            let (got, wanted): (Vec<_>, Vec<_>) = whole.unzip();
            (loss, got.concat(), wanted.concat())
        };
        let bounds = fixture.bf16_bounds([largest_difference, relative], |fixture| {
            let (loss, gradients, _) = of(fixture);
            [vec![loss], gradients]
        });
        let want = fixture.expected[setting]["objectives"][OBJECTIVE]["loss"].as_f64().unwrap();
        for place in Place::all_in_bf16() {
            let (loss, got, wanted) = of(&fixture.at(place));
            let off = (loss - want).abs();
            // One number may lie well by chance in all copies: a token's log-prob is off by more.
            assert!(off < bounds[0].max(0.01 * want.abs()), "{setting} {place:?}: loss {loss} instead of {want}");
            assert!(!wanted.is_empty(), "{setting}: nothing to compare with");
            let off = relative(&got, &wanted);
            assert!(off < bounds[1], "{setting} {place:?}: gradient off by {off:e}, bound {:e}", bounds[1]);
        }
    }
}

/// The toy's preference is learnt alike: after twenty steps the two runs' losses differ by less than `NEAR`, at every
/// step.
#[test]
fn twenty_steps_in_bf16_stay_near_f32() {
    const NEAR: f64 = 0.02;
    let toy = Toy::new();
    let losses = |dtype, by| {
        let mut config = toy::config();
        config.model.dtype = dtype;
        config.train.steps = Some(20);
        (config.train.eval_every, config.train.sample_every) = (0, 0);
        config.train.eval_answers = 0;
        config.train.pairs_per_step = 2;
        config.objective.reference_weight = Some(0.0);
        config.objective.retention_weight = None;
        config.data.eval_fraction = 0.5;
        let run = toy.record_by(&config, by);
        assert_eq!(toy.go_on(run), Outcome::Completed);
        let record = toy.open().run(run).unwrap();
        let losses = toy.open().series(run, "loss", None).unwrap();
        assert_eq!(losses.len(), 20);
        (record.arithmetic.unwrap().compute, losses)
    };
    let (name, f32) = losses(Precision::F32, Multiplier::F32);
    assert_eq!(name, "f32");
    assert!(f32[0].1 - f32[19].1 > 5.0 * NEAR, "it learnt much more than that");
    for by in Multiplier::present() {
        let (name, bf16) = losses(Precision::Bf16, by);
        assert_eq!(name, if by.rounds() { "bf16" } else { "f32" });
        let apart = f32.iter().zip(&bf16).map(|(a, b)| (a.1 - b.1).abs());
        let most = apart.fold(0.0, f64::max);
        assert!(most > 0.0 && most < NEAR, "{}: {most:e} apart", by.name());
    }
}
