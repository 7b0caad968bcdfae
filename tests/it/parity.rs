//! The policy against PyTorch: logits, log-probs, greedy answers, the gradients of every objective, five AdamW steps.

use candle_core::Tensor;
use nudge::{
    data::config::Margin,
    model::{AdamW, AdamWOptions, Doc, Policy, Row},
    objective::{Objective, PairLogProbs, Smoothing},
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

/// The batch of `expected.json`, packed: pairs as prompt and two answers, then the reference answers, then the texts.
pub struct Batch {
    pub row: Row,
    pairs: Vec<[usize; 2]>,
    sft_tokens: usize,
    pretrain_tokens: usize,
}

impl Batch {
    pub fn of(fixture: &Fixture) -> Self {
        let preference = &fixture.expected["preference"];
        let mut docs = Vec::new();
        let mut pairs = Vec::new();
        for [prompt, chosen, rejected] in fixture.pairs() {
            pairs.push([chosen.len(), rejected.len()]);
            docs.push(Doc { prefix: prompt, continuations: vec![chosen, rejected] });
        }
        let mut sft_tokens = 0;
        for answer in preference["sft"].as_array().unwrap() {
            let completion = ids(&answer["completion"]);
            sft_tokens += completion.len();
            docs.push(Doc { prefix: ids(&answer["prompt"]), continuations: vec![completion] });
        }
        let mut pretrain_tokens = 0;
        for text in preference["pretrain"].as_array().unwrap() {
            let text = ids(text);
            pretrain_tokens += text.len() - 1;
            docs.push(Doc::text(&text).unwrap());
        }
        Self { row: Row::pack(&docs).unwrap(), pairs, sft_tokens, pretrain_tokens }
    }
}

/// One objective of `expected.json` applied to a batch's log-probs.
pub struct Judge<'a> {
    spec: &'a Value,
    objective: Objective,
    reference: [Vec<f64>; 2],
    reward: Vec<f64>,
    behaviour: Vec<f64>,
}

struct Judged {
    loss: f64,
    coefficients: Vec<f32>,
}

impl<'a> Judge<'a> {
    /// `setting` is "lora" or "full".
    pub fn new(fixture: &'a Fixture, setting: &str, name: &str) -> Self {
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
            "mpo" => Objective::Mpo { beta: spec["beta"].as_f64().unwrap(), margin },
            "dpo" => Objective::Dpo {
                beta: spec["beta"].as_f64().unwrap(),
                margin,
                smoothing: match spec["smoothing"].as_f64() {
                    None => Smoothing::None,
                    Some(epsilon) if on("robust") => Smoothing::Robust(epsilon),
                    Some(epsilon) => Smoothing::Conservative(epsilon),
                },
            },
            "ipo" => Objective::Ipo { beta: 0.1, tau: spec["tau"].as_f64().unwrap(), margin },
            other => panic!("unknown objective {other}"),
        };
        let pairs = fixture.pairs().len();
        let weights = |key: &str| {
            if on("weighted") { numbers(&fixture.expected["preference"][key]) } else { vec![1.0; pairs] }
        };
        Self {
            spec,
            objective,
            reference: [0, 1].map(|side| numbers(&setting["ref_logps"]["sum"][side])),
            reward: weights("reward"),
            behaviour: weights("behaviour"),
        }
    }

    fn judge(&self, batch: &Batch, log_probs: &[Vec<f32>]) -> Judged {
        let sums: Vec<f64> =
            log_probs.iter().map(|tokens| tokens.iter().map(|&token| f64::from(token)).sum()).collect();
        let count = batch.pairs.len() as f64;
        let mut loss = 0.0;
        let mut coefficients = vec![0.0; sums.len()];
        for (index, &[chosen_tokens, rejected_tokens]) in batch.pairs.iter().enumerate() {
            let term = self.objective.evaluate(&PairLogProbs {
                policy_chosen: sums[2 * index],
                policy_rejected: sums[2 * index + 1],
                reference_chosen: self.reference[0][index],
                reference_rejected: self.reference[1][index],
                chosen_tokens,
                rejected_tokens,
                certainty: 1.0,
                reward: self.reward[index],
                behaviour: self.behaviour[index],
            });
            loss += term.loss / count;
            coefficients[2 * index] = (term.grad_chosen / count) as f32;
            coefficients[2 * index + 1] = (term.grad_rejected / count) as f32;
        }
        let sft = fixture_len(batch);
        for (range, weight, tokens) in [
            (sft.clone(), "kl_weight", batch.sft_tokens),
            (sft.end..sums.len(), "pretrain_weight", batch.pretrain_tokens),
        ] {
            let slope = self.spec[weight].as_f64().unwrap_or(0.0) / tokens as f64;
            for index in range {
                loss -= slope * sums[index];
                coefficients[index] = -slope as f32;
            }
        }
        Judged { loss, coefficients }
    }
}

/// Scored segments of the reference answers.
fn fixture_len(batch: &Batch) -> std::ops::Range<usize> {
    let start = 2 * batch.pairs.len();
    let mut tokens = 0;
    let answers = batch.row.scored()[start..].iter().take_while(|&&length| {
        tokens += length;
        tokens <= batch.sft_tokens
    });
    start..start + answers.count()
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

/// Forward, loss, backward; gives the gradient of each trained tensor.
pub fn step(policy: &mut Policy, batch: &Batch, judge: &Judge<'_>) -> (f64, Vec<(String, Vec<f64>)>) {
    policy.gradients().zero().unwrap();
    let pass = policy.forward(&batch.row).unwrap();
    let judged = judge.judge(batch, pass.log_probs());
    policy.backward(pass, &judged.coefficients).unwrap();
    let flat = policy.gradients().to_vec().unwrap();
    let gradients = policy
        .parameters()
        .entries()
        .iter()
        .map(|entry| {
            let range = entry.slot.offset..entry.slot.offset + entry.slot.len;
            (entry.name.clone(), flat[range].iter().map(|&g| f64::from(g)).collect())
        })
        .collect();
    (judged.loss, gradients)
}

#[test]
fn adapter_gradients_of_every_objective_are_those_of_pytorch() {
    for fixture in fixture::all() {
        let batch = Batch::of(&fixture);
        let mut policy = fixture.lora();
        for name in objectives(&fixture, "lora") {
            let judge = Judge::new(&fixture, "lora", &name);
            let (loss, gradients) = step(&mut policy, &batch, &judge);
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
        let batch = Batch::of(&fixture);
        let mut policy = fixture.full();
        let shapes: Vec<_> = policy.parameters().entries().to_vec();
        for name in objectives(&fixture, "full") {
            let judge = Judge::new(&fixture, "full", &name);
            let (loss, gradients) = step(&mut policy, &batch, &judge);
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
        let batch = Batch::of(&fixture);
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
            let judge = Judge::new(&fixture, "lora", name);
            let mut policy = fixture.lora();
            let mut optimizer = AdamW::new(policy.parameters(), options).unwrap();
            for want in training["losses"][name].as_array().unwrap() {
                let (loss, _) = step(&mut policy, &batch, &judge);
                check_number(loss, want, &format!("{} {name} loss before step {}", fixture.name, optimizer.step() + 1));
                policy.update(&mut optimizer, learning_rate, 1.0).unwrap();
            }
            for (tensor, got) in policy.trainable().unwrap() {
                let Some(want) = fixture.tensors.get(&format!("trained.{name}.{tensor}")) else {
                    continue;
                };
                let off = relative(&elements(&got), &elements(want));
                assert!(off < TRAINED_TOLERANCE, "{} {name} {tensor}: off by {off:e}", fixture.name);
            }
        }
    }
}

/// Equal within 1e-4 of the number's size (or absolutely, below 1).
fn check_number(got: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap();
    let off = (got - want).abs() / want.abs().max(1e-2);
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
