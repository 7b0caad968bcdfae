//! A reward model against PyTorch: the scores of Transformers' sequence classification under PEFT, the Bradley–Terry
//! loss, its gradients, five AdamW steps.

use candle_core::{Device, Tensor};
use nudge::{
    data::PairId,
    model::{AdamWOptions, Doc, Policy, Reads, ScalarHead},
    train::{
        dataset::{
            documents::PairDoc,
            packing::{Packed, pack_for},
        },
        loss::StepDoc,
        reward::{bradley_terry::BradleyTerry, loss::RewardLoss},
        step::{Loss as _, Plan, Trainer, go_on},
    },
};
use serde_json::Value;

use crate::{
    fixture::{self, Fixture, for_policy, largest_difference, numbers},
    parity::{check_number, check_number_of, trainer},
};

const SCORE: &str = "base_model.model.score.weight";
const TOLERANCE: f64 = 1e-4;

fn is_with_rewards(fixture: &Fixture) -> bool {
    fixture.expected["reward"].is_object()
}

/// The fixture's adapter with the head that `another_seed.py` gives it.
pub fn reward_model(fixture: &Fixture) -> Policy {
    let mut options = Fixture::adapter_options();
    options.scalar = Some(ScalarHead::Plain);
    let mut policy = fixture.load(&options);
    let width = policy.spec().hidden_size;
    let head: Vec<f32> = (0..width).map(|place| (0.2 * (1.7 * place as f64).sin()) as f32).collect();
    let mut tensors = fixture.adapter_tensors();
    tensors.push((SCORE.to_owned(), Tensor::from_vec(head, (1, width), &Device::Cpu).unwrap()));
    policy.set_trainable(&for_policy(tensors)).unwrap();
    policy
}

struct Pairs {
    pairs: Vec<PairDoc>,
    rows: Vec<Packed<StepDoc>>,
}

impl Pairs {
    fn of(fixture: &Fixture) -> Self {
        let pairs: Vec<PairDoc> = fixture
            .pairs()
            .into_iter()
            .map(|[prefix, chosen, rejected]| PairDoc::certain(PairId(0), Doc::new(prefix, vec![chosen, rejected])))
            .collect();
        let docs = pairs.iter().enumerate().map(|(index, pair)| (StepDoc::Pair(index), &pair.doc));
        let rows = pack_for(docs, usize::MAX, Reads::Ends).unwrap();
        Self { pairs, rows }
    }

    /// One step of a run; gives its loss and scores.
    fn step(&self, trainer: &mut Trainer, objective: BradleyTerry, learning_rate: f64) -> (f64, [Vec<f64>; 2]) {
        let mut loss = RewardLoss::new(objective, &self.pairs, self.pairs.len());
        let plan = Plan { step: 1, rows: &self.rows, learning_rate, max_grad_norm: 0.0 };
        assert!(trainer.step(plan, &mut loss, &mut go_on).unwrap().done().unwrap().updated);
        let drawn: Vec<usize> = (0..self.pairs.len()).collect();
        let scored = loss.scored(&drawn);
        let side = |of: fn(f64, f64) -> f64| scored.iter().map(|(_, pair)| of(pair.chosen, pair.rejected)).collect();
        (loss.value(), [side(|chosen, _| chosen), side(|_, rejected| rejected)])
    }
}

fn of(one: &Value) -> BradleyTerry {
    BradleyTerry { center: one["center"].as_f64().unwrap(), margin: one["margin"].as_f64().unwrap() }
}

#[test]
fn scores_losses_and_gradients_are_those_of_pytorch() {
    for fixture in fixture::all().into_iter().filter(is_with_rewards) {
        let (pairs, expected) = (Pairs::of(&fixture), &fixture.expected["reward"]);
        let mut trainer = trainer(reward_model(&fixture), AdamWOptions::default());
        for one in expected["losses"].as_array().unwrap() {
            let what = format!("{} {one}", fixture.name);
            let (loss, scores) = pairs.step(&mut trainer, of(one), 0.0);
            for (got, want) in scores.iter().zip(expected["scores"].as_array().unwrap()) {
                let off = largest_difference(got, &numbers(want));
                assert!(off < TOLERANCE, "{what}: scores off by {off:e}");
            }
            check_number(loss, &one["loss"], &format!("{what} loss"));
            let flat = trainer.policy.gradients().to_vec().unwrap();
            let norm = |of: &[f32]| of.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            check_number(norm(&flat), &one["grad_norm"], &format!("{what} gradient norm"));
            let head = trainer.policy.parameters().entries().iter().find(|entry| entry.name == SCORE).unwrap();
            let of_head = norm(&flat[head.slot.offset..head.slot.offset + head.slot.len]);
            check_number(of_head, &one["grad_norm_head"], &format!("{what} gradient norm of the head"));
        }
    }
}

#[test]
fn five_steps_end_where_pytorch_ends() {
    for fixture in fixture::all().into_iter().filter(is_with_rewards) {
        let (pairs, training) = (Pairs::of(&fixture), &fixture.expected["training"]);
        let betas = numbers(&training["betas"]);
        let options = AdamWOptions {
            betas: [betas[0], betas[1]],
            eps: training["eps"].as_f64().unwrap(),
            weight_decay: training["weight_decay"].as_f64().unwrap(),
        };
        let mut trainer = trainer(reward_model(&fixture), options);
        for want in fixture.expected["reward"]["training"].as_array().unwrap() {
            let objective = BradleyTerry { center: 0.01, margin: 0.0 };
            let (loss, _) = pairs.step(&mut trainer, objective, training["lr"].as_f64().unwrap());
            // AdamW's first steps round where a gradient is near zero; a small loss then is the tail of a margin of
            // order 1.
            check_number_of(loss, want, 1.0, &format!("{} loss of step {}", fixture.name, trainer.optimizer.step()));
        }
    }
}
