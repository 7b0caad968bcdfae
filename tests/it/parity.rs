//! The policy and a run's own step against PyTorch: logits, log-probs, greedy answers, the gradients of every
//! objective, five AdamW steps.

use candle_core::Tensor;
use nudge::{
    data::{PairId, config::Margin},
    model::{AdamW, AdamWOptions, Doc, Policy, Row},
    train::{
        dataset::documents::PairDoc,
        loss::{Batch, BatchLoss, Texts},
        measure::log_probs::Sums,
        objective::{Dpo, Ipo, Mpo, Objective, Smoothing},
        step::{Loss, Plan, Trainer, go_on},
    },
};
use serde_json::Value;

use crate::fixture::{self, Fixture, elements, ids, largest_difference, numbers, relative};

const TOLERANCE: f64 = 1e-4;
/// After AdamW: where a gradient is almost zero its sign is rounding, and AdamW makes a whole step of a sign.
const TRAINED_TOLERANCE: f64 = 1e-3;

#[test]
fn logits_and_log_probs_are_those_of_transformers() {
    for fixture in fixture::all() {
        let policy = fixture.base();
        for which in ["p0", "p1", "p2"] {
            let Some(want) = fixture.tensors.get(&format!("logits.{which}")) else {
                continue;
            };
            let input = fixture.input_ids(which).unwrap();
            let logits = elements(&policy.logits(&input).unwrap());
            let want = elements(want);
            let off = largest_difference(&logits, &want);
            assert!(off < TOLERANCE, "{} logits.{which}: off by {off:e}", fixture.name);

            let row = Row::pack(&[Doc::text(&input).unwrap()]).unwrap();
            let got: Vec<f64> = policy.log_probs(&row).unwrap()[0].iter().map(|&x| f64::from(x)).collect();
            let want = elements(&fixture.tensors[&format!("token_logps.{which}")]);
            let off = largest_difference(&got, &want);
            assert!(off < TOLERANCE, "{} token_logps.{which}: off by {off:e}", fixture.name);
        }
    }
}

#[test]
fn an_adapter_written_by_peft_gives_its_logits_trained_or_frozen() {
    for fixture in fixture::all() {
        let trained = fixture.lora();
        let frozen = fixture
            .load(&nudge::model::LoadOptions { frozen_adapters: vec![fixture.adapter.clone()], ..Default::default() });
        for which in ["p0", "p1", "p2"] {
            let Some(want) = fixture.adapter_logits.get(&format!("logits.{which}")) else {
                continue;
            };
            let input = fixture.input_ids(which).unwrap();
            for policy in [&trained, &frozen] {
                let off = largest_difference(&elements(&policy.logits(&input).unwrap()), &elements(want));
                assert!(off < TOLERANCE, "{} {which}: off by {off:e}", fixture.name);
            }
            let base = elements(&fixture.tensors[&format!("logits.{which}")]);
            let off = largest_difference(&elements(&trained.reference_logits(&input).unwrap()), &base);
            assert!(off < TOLERANCE, "{} {which} without adapter: off by {off:e}", fixture.name);
        }
    }
}

#[test]
fn greedy_answers_are_those_of_transformers() {
    for fixture in fixture::all() {
        let policy = fixture.base();
        for greedy in fixture.expected["greedy"].as_array().unwrap() {
            let want = ids(&greedy["tokens"]);
            let options = nudge::model::GenerateOptions { max_new: want.len(), ..Default::default() };
            let prompts = [ids(&greedy["prompt"])];
            let got = policy.generate(&prompts, &options, &mut |_, _| std::ops::ControlFlow::Continue(())).unwrap();
            assert_eq!(got[0].ids, want, "{}", fixture.name);
        }
    }
}

/// The documents of `expected.json`.
pub struct Documents {
    pairs: Vec<Doc>,
    sft: Vec<Doc>,
    pretrain: Vec<Doc>,
}

impl Documents {
    pub fn of(fixture: &Fixture) -> Self {
        let preference = &fixture.expected["preference"];
        let sft = preference["sft"].as_array().unwrap().iter();
        let pretrain = preference["pretrain"].as_array().unwrap().iter();
        Self {
            pairs: fixture
                .pairs()
                .into_iter()
                .map(|[prefix, chosen, rejected]| Doc::new(prefix, vec![chosen, rejected]))
                .collect(),
            sft: sft.map(|answer| Doc::new(ids(&answer["prompt"]), vec![ids(&answer["completion"])])).collect(),
            pretrain: pretrain.map(|text| Doc::text(&ids(text)).unwrap()).collect(),
        }
    }
}

fn texts<'d>(weight: &Value, docs: &'d [Doc]) -> Texts<'d> {
    Texts { weight: weight.as_f64().unwrap_or(0.0), docs: docs.iter().enumerate().collect() }
}

/// One objective of `expected.json` on its documents: a step's batch and loss.
pub struct Judge {
    objective: Objective,
    batch: Batch,
    pairs: Vec<PairDoc>,
    at_start: Sums,
}

impl Judge {
    /// `setting` is "lora" or "full".
    pub fn new(fixture: &Fixture, documents: &Documents, setting: &str, name: &str) -> Self {
        let setting = &fixture.expected[setting];
        let spec = &setting["objectives"][name]["spec"];
        let on = |key: &str| spec[key].as_bool().unwrap_or(false);
        let kind = spec["kind"].as_str().unwrap();
        let margin = match (on("anchored") || kind != "mpo", on("mean")) {
            (false, false) => Margin::Sum,
            (false, true) => Margin::Mean,
            (true, false) => Margin::AnchoredSum,
            (true, true) => Margin::AnchoredMean,
        };
        let objective = match kind {
            "mpo" => Objective::Mpo(Mpo { beta: spec["beta"].as_f64().unwrap(), margin }),
            "dpo" => Objective::Dpo(Dpo {
                beta: spec["beta"].as_f64().unwrap(),
                margin,
                smoothing: match spec["smoothing"].as_f64() {
                    None => Smoothing::None,
                    Some(epsilon) if on("robust") => Smoothing::Robust(epsilon),
                    Some(epsilon) => Smoothing::Conservative(epsilon),
                },
            }),
            "ipo" => Objective::Ipo(Ipo { beta: 0.1, tau: spec["tau"].as_f64().unwrap(), margin }),
            other => panic!("unknown objective {other}"),
        };
        let count = documents.pairs.len();
        let weights = |key: &str| {
            if on("weighted") { numbers(&fixture.expected["preference"][key]) } else { vec![1.0; count] }
        };
        let (reward, behaviour) = (weights("reward"), weights("behaviour"));
        let pairs = documents.pairs.iter().zip(reward.into_iter().zip(behaviour));
        let [chosen, rejected] = [0, 1].map(|side| numbers(&setting["ref_logps"]["sum"][side]));
        let indexed: Vec<(usize, &Doc)> = documents.pairs.iter().enumerate().collect();
        let (sft, pretrain) =
            (texts(&spec["kl_weight"], &documents.sft), texts(&spec["pretrain_weight"], &documents.pretrain));
        Self {
            objective,
            batch: Batch::pack(&indexed, &sft, &pretrain, usize::MAX).unwrap(),
            pairs: pairs
                .map(|(doc, (reward, behaviour))| PairDoc {
                    reward,
                    behaviour,
                    ..PairDoc::certain(PairId(0), doc.clone())
                })
                .collect(),
            at_start: chosen.into_iter().zip(rejected).map(|(chosen, rejected)| vec![chosen, rejected]).collect(),
        }
    }

    /// One step of a run on this batch, at the weights as they are; gives its loss.
    fn step(&self, trainer: &mut Trainer, learning_rate: f64) -> f64 {
        let at_start = |index: usize| self.at_start[index].as_slice();
        let mut loss = BatchLoss::new(&self.batch, self.objective, &self.pairs, &at_start);
        let plan = Plan { step: 1, rows: &self.batch.rows, learning_rate, max_grad_norm: 0.0 };
        assert!(trainer.step(plan, &mut loss, &mut go_on).unwrap().done().unwrap().updated);
        loss.value()
    }
}

/// Those whose gradients the fixture keeps; where it keeps none, the one that has every term, for its loss and norms.
fn objectives(fixture: &Fixture, setting: &str) -> Vec<String> {
    let kept = |name: &str| {
        let prefix = format!("grad.{setting}.{name}.");
        fixture.tensors.keys().any(|key| key.starts_with(&prefix))
    };
    let all = fixture.expected[setting]["objectives"].as_object().unwrap();
    let names: Vec<String> = all.keys().filter(|name| kept(name)).cloned().collect();
    if names.is_empty() {
        assert!(fixture.tensors.is_empty(), "{}", fixture.name);
        return vec!["mpo_total".to_owned()];
    }
    names
}

/// A step that goes nowhere: its loss, and the gradient of each trained tensor.
pub fn step(trainer: &mut Trainer, judge: &Judge) -> (f64, Vec<(String, Vec<f64>)>) {
    let loss = judge.step(trainer, 0.0);
    let flat = trainer.policy.gradients().to_vec().unwrap();
    let gradients = trainer
        .policy
        .parameters()
        .entries()
        .iter()
        .map(|entry| {
            let range = entry.slot.offset..entry.slot.offset + entry.slot.len;
            (entry.name.clone(), flat[range].iter().map(|&g| f64::from(g)).collect())
        })
        .collect();
    (loss, gradients)
}

/// With AdamW as PyTorch has it by default.
pub fn trainer(policy: Policy, options: AdamWOptions) -> Trainer {
    let optimizer = AdamW::new(policy.parameters(), options).unwrap();
    Trainer { policy, optimizer, memory: None }
}

#[test]
fn adapter_gradients_of_every_objective_are_those_of_pytorch() {
    for fixture in fixture::all() {
        let documents = Documents::of(&fixture);
        let mut trainer = trainer(fixture.lora(), AdamWOptions::default());
        for name in objectives(&fixture, "lora") {
            let judge = Judge::new(&fixture, &documents, "lora", &name);
            let (loss, gradients) = step(&mut trainer, &judge);
            let what = format!("{} {name}", fixture.name);
            let want = &fixture.expected["lora"]["objectives"][&name];
            check_number(loss, &want["loss"], &format!("{what} loss"));
            let norm = gradients.iter().flat_map(|(_, g)| g).map(|g| g * g).sum::<f64>().sqrt();
            check_number(norm, &want["grad_norm"], &format!("{what} gradient norm"));
            assert!(!gradients.is_empty());
            for (tensor, got) in &gradients {
                if let Some(want) = fixture.tensors.get(&format!("grad.lora.{name}.{tensor}")) {
                    let off = relative(got, &elements(want));
                    assert!(off < TOLERANCE, "{what} {tensor}: off by {off:e}");
                } else {
                    assert!(fixture.tensors.is_empty(), "{what}: no gradient of {tensor} to compare with");
                }
            }
        }
    }
}

#[test]
fn full_weight_gradients_of_every_objective_are_those_of_pytorch() {
    for fixture in fixture::all() {
        let documents = Documents::of(&fixture);
        let mut trainer = trainer(fixture.full(), AdamWOptions::default());
        let shapes: Vec<_> = trainer.policy.parameters().entries().to_vec();
        for name in objectives(&fixture, "full") {
            let judge = Judge::new(&fixture, &documents, "full", &name);
            let (loss, gradients) = step(&mut trainer, &judge);
            let want = &fixture.expected["full"]["objectives"][&name];
            let what = format!("{} {name}", fixture.name);
            check_number(loss, &want["loss"], &format!("{what} loss"));
            let norms = want["grad_norms"].as_object().unwrap();
            assert_eq!(norms.len(), gradients.len(), "{what}: tensors with a gradient");
            for ((tensor, got), entry) in gradients.iter().zip(&shapes) {
                let norm = got.iter().map(|g| g * g).sum::<f64>().sqrt();
                check_number(norm, &norms[tensor], &format!("{what} norm of {tensor}"));
                let Some(sample) = fixture.tensors.get(&format!("grad.full.{name}.{tensor}")) else {
                    continue;
                };
                let got = match want["grad_rows"][tensor].as_u64() {
                    Some(row) => &got[row as usize * entry.shape[1]..][..entry.shape[1]],
                    None => got.as_slice(),
                };
                let off = relative(got, &elements(sample));
                assert!(off < TOLERANCE, "{what} {tensor}: off by {off:e}");
            }
        }
    }
}

#[test]
fn five_adamw_steps_end_where_pytorch_ends() {
    for fixture in fixture::all() {
        let documents = Documents::of(&fixture);
        let training = &fixture.expected["training"];
        let betas = numbers(&training["betas"]);
        let options = AdamWOptions {
            betas: [betas[0], betas[1]],
            eps: training["eps"].as_f64().unwrap(),
            weight_decay: training["weight_decay"].as_f64().unwrap(),
        };
        let learning_rate = training["lr"].as_f64().unwrap();
        for name in training["objectives"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            let judge = Judge::new(&fixture, &documents, "lora", name);
            let mut trainer = trainer(fixture.lora(), options);
            for want in training["losses"][name].as_array().unwrap() {
                let loss = judge.step(&mut trainer, learning_rate);
                check_number(loss, want, &format!("{} {name} loss of step {}", fixture.name, trainer.optimizer.step()));
            }
            for (tensor, got) in trainer.policy.trainable().unwrap() {
                let Some(want) = fixture.tensors.get(&format!("trained.{name}.{tensor}")) else {
                    continue;
                };
                let off = relative(&elements(&got), &elements(want));
                assert!(off < TRAINED_TOLERANCE, "{} {name} {tensor}: off by {off:e}", fixture.name);
            }
        }
    }
}

/// Equal within 1e-4 of the number's size, a number below a hundredth within 1e-6.
pub fn check_number(got: f64, want: &Value, what: &str) {
    check_number_of(got, want, 1e-2, what);
}

/// Equal within 1e-4 of the number's size, or of `scale` where that is larger: the size of what it was computed from.
pub fn check_number_of(got: f64, want: &Value, scale: f64, what: &str) {
    let want = want.as_f64().unwrap();
    let off = (got - want).abs() / want.abs().max(scale);
    assert!(off < TOLERANCE, "{what}: {got} instead of {want}");
}

#[test]
fn candles_own_llama_agrees_on_the_last_position() {
    use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};

    let fixture = fixture::one("llama_gqa_rope3");
    let device = candle_core::Device::Cpu;
    let dtype = candle_core::DType::F32;
    let text = std::fs::read_to_string(fixture.folder.join("config.json")).unwrap();
    let config = serde_json::from_str::<LlamaConfig>(&text).unwrap().into_config(false);
    let bytes = std::fs::read(fixture.folder.join("model.safetensors")).unwrap();
    let weights = candle_nn::VarBuilder::from_buffered_safetensors(bytes, dtype, &device).unwrap();
    let llama = Llama::load(weights, &config).unwrap();
    let mut cache = Cache::new(false, dtype, &config, &device).unwrap();

    let input = fixture.input_ids("p1").unwrap();
    let tokens = Tensor::new(input.as_slice(), &device).unwrap().unsqueeze(0).unwrap();
    let theirs = elements(&llama.forward(&tokens, 0, &mut cache).unwrap());
    let ours = elements(&fixture.base().logits(&input).unwrap());
    let off = largest_difference(&ours[ours.len() - theirs.len()..], &theirs);
    assert!(off < TOLERANCE, "off by {off:e}");
}
