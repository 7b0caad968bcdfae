//! The same training wherever it is computed: by the processor's own kernels, by those composed of candle's operations,
//! and on a CUDA device where there is one (`cargo test --features cuda --test it -- parity devices`).

use nudge::{
    data::config::{Precision, Targets},
    kernels::{DType, Tensor},
    model::{AdamW, AdamWOptions, AdapterShape, Doc, LoadOptions, Policy, WeightType, save_merged},
    train::{
        dataset::packing::Packed,
        step::{Loss, Plan, Slopes, Trainer, go_on, gradient},
    },
};

use crate::fixture::{self, Place, relative};

const STEPS: usize = 4;

/// Losses, and the gradient of the last step.
struct Trained {
    losses: Vec<f64>,
    gradient: Vec<f64>,
    weights: Vec<(String, Tensor)>,
}

/// A loss whose slopes depend on the log-probs, as an objective's do: `Σ (lp + 1)²` of each answer's mean.
#[derive(Default)]
struct Square(f64);

impl Loss<()> for Square {
    fn add(&mut self, (): (), log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for answer in log_probs {
            let count = answer.len() as f64;
            let mean = answer.iter().map(|&lp| f64::from(lp)).sum::<f64>() / count;
            self.0 += (mean + 1.0).powi(2);
            slopes.answer((2.0 * (mean + 1.0) / count) as f32, answer.len());
        }
    }

    fn value(&self) -> f64 {
        self.0
    }
}

/// Some steps on one row.
fn train(policy: Policy, row: &Packed<()>) -> Trained {
    let optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let mut trainer = Trainer { policy, optimizer, memory: None };
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        let mut loss = Square::default();
        // The same masks at every step.
        let plan = Plan { step: 0, rows: std::slice::from_ref(row), learning_rate: 1e-3, max_grad_norm: 1.0 };
        assert!(trainer.step(plan, &mut loss, &mut go_on).unwrap().done().unwrap().updated);
        losses.push(loss.value());
    }
    let flat = trainer.policy.gradients().to_vec().unwrap();
    let gradient = flat.iter().map(|&g| f64::from(g)).collect();
    Trained { losses, gradient, weights: trainer.policy.trainable().unwrap() }
}

/// Another slope for each answer of a row.
#[derive(Default)]
struct Uneven(f32);

impl Loss<()> for Uneven {
    fn add(&mut self, (): (), log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for answer in log_probs {
            slopes.answer(0.5 - self.0, answer.len());
            self.0 += 1.0;
        }
    }

    fn value(&self) -> f64 {
        0.0
    }
}

fn adapter_options() -> LoadOptions {
    LoadOptions {
        adapter: Some(AdapterShape {
            rank: 4,
            alpha: 8.0,
            rslora: false,
            dropout: 0.1,
            targets: Targets::AllLinear,
            seed: 3,
        }),
        ..LoadOptions::default()
    }
}

fn full() -> LoadOptions {
    LoadOptions { full: true, ..LoadOptions::default() }
}

fn row(fixture: &fixture::Fixture) -> Packed<()> {
    let docs: Vec<Doc> = fixture
        .pairs()
        .into_iter()
        .map(|[prefix, chosen, rejected]| Doc::new(prefix, vec![chosen, rejected]))
        .collect();
    Packed::of(&docs.iter().map(|doc| ((), doc)).collect::<Vec<_>>()).unwrap()
}

fn values(weights: &[(String, Tensor)]) -> Vec<f64> {
    weights.iter().flat_map(|(_, tensor)| fixture::elements(tensor)).collect()
}

#[test]
fn every_place_trains_to_the_same_numbers() {
    for name in ["llama_gqa_rope3", "qwen2_bias"] {
        let own = fixture::one(name);
        if nudge::model::Spec::read(&own.folder).is_err() {
            continue;
        }
        let row = row(&own);
        for options in [adapter_options(), full()] {
            let want = train(own.load(&options), &row);
            assert!(want.losses[STEPS - 1] < want.losses[0], "{:?}", want.losses);
            for place in Place::all() {
                let fixture = fixture::one_on(name, place);
                let got = train(fixture.load(&options), &row);
                let off = relative(&got.losses, &want.losses);
                assert!(off < 1e-5, "{}: losses off by {off:e}", fixture.name);
                // After some updates: where a gradient is almost zero its sign is rounding, and AdamW makes a step of
                // it.
                let off = relative(&got.gradient, &want.gradient);
                assert!(off < 1e-3, "{}: gradient off by {off:e}", fixture.name);
                let off = relative(&values(&got.weights), &values(&want.weights));
                assert!(off < 1e-3, "{}: weights off by {off:e}", fixture.name);
            }
        }
    }
}

#[test]
fn every_place_has_the_same_first_gradient() {
    let own = fixture::one("llama_gqa_rope3");
    let row = row(&own);
    for options in [adapter_options(), full()] {
        let first = |mut policy: Policy| -> Vec<f64> {
            gradient(&mut policy, None, 0, std::slice::from_ref(&row), &mut Uneven::default(), &mut go_on).unwrap();
            let flat = policy.gradients().to_vec().unwrap();
            flat.iter().map(|&g| f64::from(g)).collect()
        };
        let want = first(own.load(&options));
        for place in Place::all() {
            let fixture = fixture::one_on("llama_gqa_rope3", place);
            let off = relative(&first(fixture.load(&options)), &want);
            assert!(off < 1e-5, "{}: off by {off:e}", fixture.name);
        }
    }
}

/// Activations and frozen weights in bf16; adapters, reductions and log-probs in f32.
#[test]
fn bf16_activations_stay_near_f32() {
    let own = fixture::one("llama_gqa_rope3");
    let row = row(&own);
    let want = train(own.load(&adapter_options()), &row);
    for place in Place::all() {
        if place == Place::Processor {
            continue;
        }
        let kernels = place.kernels(DType::BF16);
        let policy = Policy::load_with(&own.folder, &adapter_options(), kernels, &place.device()).unwrap();
        let got = train(policy, &row);
        let off = relative(&got.losses, &want.losses);
        assert!(off < 1e-2, "{place:?}: losses off by {off:e}");
        let off = relative(&got.gradient, &want.gradient);
        assert!(off < 0.1, "{place:?}: gradient off by {off:e}");
    }
}

/// What a checkpoint keeps goes from any place to any other.
#[test]
fn state_moves_between_places() {
    let row = row(&fixture::one("llama_gqa_rope3"));
    for place in Place::all() {
        let fixture = fixture::one_on("llama_gqa_rope3", place);
        let trained = train(fixture.load(&adapter_options()), &row);
        for other in Place::all() {
            let mut policy = fixture::one_on("llama_gqa_rope3", other).load(&adapter_options());
            policy.set_trainable(&trained.weights).unwrap();
            assert_eq!(values(&policy.trainable().unwrap()), values(&trained.weights), "{place:?} to {other:?}");
            let optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
            let mut elsewhere =
                AdamW::new(fixture.load(&adapter_options()).parameters(), AdamWOptions::default()).unwrap();
            elsewhere.restore(&optimizer.state().unwrap()).unwrap();
        }
    }
}

/// A merged folder does not depend on where the policy was, nor on what its activations were.
#[test]
fn exports_are_the_same_from_everywhere() {
    let own = fixture::one("llama_gqa_rope3");
    let adapter = fixture::for_policy(own.adapter_tensors());
    let merged = |mut policy: Policy| -> Vec<f64> {
        policy.set_trainable(&adapter).unwrap();
        let dir = tempfile::tempdir().unwrap();
        save_merged(&policy, dir.path(), WeightType::F32).unwrap();
        let path = dir.path().join("model.safetensors");
        let tensors = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        let mut named = fixture::for_policy(tensors.into_iter().collect());
        named.sort_by(|a, b| a.0.cmp(&b.0));
        values(&named)
    };
    let mut options = adapter_options();
    let want = merged(own.load(&options));
    for place in Place::all() {
        let fixture = fixture::one_on("llama_gqa_rope3", place);
        let off = relative(&merged(fixture.load(&options)), &want);
        assert!(off < 1e-6, "{}: off by {off:e}", fixture.name);
    }
    // Frozen weights in blocks are read again as they were.
    options.precision = Precision::Q8_0;
    assert!(relative(&merged(own.load(&options)), &want) < 1e-6);
}
