//! Products in bf16: as near to PyTorch's f32 as bf16 allows, and near to f32 over a run.
//!
//! A factor rounded to bf16 is off by at most 2⁻⁹ of itself. What is compared has gone through four layers of such
//! products, and a gradient through all of them twice.

use nudge::engine::{config::Dtype, protocol::Outcome};

use crate::{
    fixture::{self, Fixture, Place, elements, largest_difference, relative},
    parity::{Batch, Judge, step},
    toy::{self, Toy},
};

/// The most that rounding takes from a number.
const ROUNDING: f64 = 1.0 / 512.0;
/// Logits and gradients, as a share of their size.
const LOGITS: f64 = 8.0 * ROUNDING;
const GRADIENTS: f64 = 16.0 * ROUNDING;
/// One token's log-prob, absolutely.
const LOG_PROB: f64 = 64.0 * ROUNDING;

fn all() -> Vec<Fixture> {
    fixture::all_in(&[Place::Bf16])
}

#[test]
fn logits_and_log_probs_are_those_of_transformers_within_rounding() {
    for fixture in all() {
        let policy = fixture.base();
        for which in ["p0", "p1", "p2"] {
            let Some(want) = fixture.tensors.get(&format!("logits.{which}")) else {
                continue;
            };
            let input = fixture.input_ids(which).unwrap();
            let logits = policy.logits(&input).unwrap();
            let off = relative(&elements(&logits), &elements(want));
            assert!(off < LOGITS, "{} {which}: off by {off:e}", fixture.name);
            assert!(off > 1e-6, "{}: that is f32", fixture.name);
            let row = nudge::model::Row::pack(&[nudge::model::Doc::text(&input).unwrap()]).unwrap();
            let got: Vec<f64> = policy.log_probs(&row).unwrap()[0].iter().map(|&x| f64::from(x)).collect();
            let want = elements(&fixture.tensors[&format!("token_logps.{which}")]);
            let off = largest_difference(&got, &want);
            assert!(off < LOG_PROB, "{} {which}: off by {off:e}", fixture.name);
        }
    }
}

/// By the objective that has every term; the others are the same products with other coefficients.
#[test]
fn gradients_are_those_of_pytorch_within_rounding() {
    const OBJECTIVE: &str = "mpo_total";
    let fixture = fixture::one_on("llama_gqa_rope3", Place::Bf16);
    let batch = Batch::of(&fixture);
    for (setting, mut policy) in [("lora", fixture.lora()), ("full", fixture.full())] {
        let judge = Judge::new(&fixture, setting, OBJECTIVE);
        let (loss, gradients) = step(&mut policy, &batch, &judge);
        let want = fixture.expected[setting]["objectives"][OBJECTIVE]["loss"].as_f64().unwrap();
        let off = (loss - want).abs() / want.abs().max(1.0);
        assert!(off < LOG_PROB, "{setting}: loss {loss} instead of {want}");
        // All tensors that the fixture has whole, as one.
        let (mut got, mut wanted) = (Vec::new(), Vec::new());
        for (tensor, gradient) in &gradients {
            let key = format!("grad.{setting}.{OBJECTIVE}.{tensor}");
            if let Some(want) = fixture.tensors.get(&key).map(elements)
                && want.len() == gradient.len()
            {
                got.extend_from_slice(gradient);
                wanted.extend(want);
            }
        }
        assert!(!wanted.is_empty(), "{setting}: nothing to compare with");
        let off = relative(&got, &wanted);
        assert!(off < GRADIENTS, "{setting}: gradient off by {off:e}");
    }
}

/// The toy's preference is learnt alike: after twenty steps the two runs' losses differ by less than `NEAR`, at every step.
#[test]
fn twenty_steps_in_bf16_stay_near_f32() {
    const NEAR: f64 = 0.02;
    let toy = Toy::new();
    let losses = |dtype| {
        let mut config = toy::config();
        config.model.dtype = dtype;
        config.train.steps = Some(20);
        (config.train.eval_every, config.train.sample_every) = (0, 0);
        config.train.eval_answers = 0;
        config.train.pairs_per_step = 2;
        config.objective.reference_weight = Some(0.0);
        config.objective.retention_weight = None;
        config.data.eval_fraction = 0.5;
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let record = toy.open().run(run).unwrap();
        let losses = toy.open().series(run, "loss", None).unwrap();
        (record.arithmetic.unwrap().compute, losses)
    };
    let (wide, f32) = losses(Dtype::F32);
    let (narrow, bf16) = losses(Dtype::Bf16);
    assert_eq!((wide.as_str(), narrow.as_str()), ("f32", "bf16"));
    assert_eq!((f32.len(), bf16.len()), (20, 20));
    let apart = f32.iter().zip(&bf16).map(|(a, b)| (a.1 - b.1).abs());
    let most = apart.fold(0.0, f64::max);
    assert!(most > 0.0 && most < NEAR, "{most:e} apart");
    assert!(f32[0].1 - f32[19].1 > 5.0 * NEAR, "it learnt much more than that");
}
