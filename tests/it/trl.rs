//! Reward model, PPO, RLOO and GRPO against TRL's own trainers on fixed token ids, by the pieces that a run is made of:
//! losses of five AdamW steps, the gradient of the first and the weights after the last.
//! `tests/fixtures/trl_trainers.py` makes the numbers.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    time::Duration,
};

use candle_core::{Device, Tensor};
use nudge::{
    data::{
        PairId,
        config::{Method, RewardAt, RunConfig},
    },
    model::{
        AdamWOptions, Doc, LoadOptions, Policy, Reads, Row,
        adapter::{self, AdapterFormat, AdapterPart},
    },
    train::{
        dataset::{
            documents::PairDoc,
            packing::{Packed, pack, pack_for},
        },
        loss::{StepDoc, TextTerms},
        reward::{bradley_terry::BradleyTerry, loss::RewardLoss},
        rlhf::{
            loss::{Moved, PolicyLoss, ValueLoss},
            rollout::{Rollout, RolloutAnswer, RolloutGroup, reads},
        },
        step::{Loss, Plan, Trainer, go_on},
    },
};
use serde_json::Value;

use crate::{
    fixture::{self, Fixture, Place, elements, ids, numbers, relative, root},
    parity::trainer,
    reward_parity::reward_model,
};

/// Relative, in f32.
const TOLERANCE: f64 = 1e-5;
/// After AdamW, whose first steps are signs of gradients.
const TRAINED_TOLERANCE: f64 = 1e-4;

/// A fixture with what TRL made of it.
struct Oracle {
    fixture: Fixture,
    told: Value,
    tensors: HashMap<String, Tensor>,
}

fn oracles() -> Vec<Oracle> {
    let with_numbers = |fixture: Fixture| {
        let name = fixture.name.split(' ').next().unwrap();
        let folder = root().join("expected").join(name);
        let text = fs::read_to_string(folder.join("trl.json")).ok()?;
        let tensors = candle_core::safetensors::load(folder.join("trl.safetensors"), &Device::Cpu).unwrap();
        Some(Oracle { told: serde_json::from_str(&text).unwrap(), tensors, fixture })
    };
    let found: Vec<Oracle> = fixture::all_in(&[Place::Processor]).into_iter().filter_map(with_numbers).collect();
    assert!(!found.is_empty() || std::env::var_os("NUDGE_FIXTURES").is_some());
    found
}

/// Relative, of numbers below `least` to that.
fn near(got: f64, want: f64, least: f64, tolerance: f64, what: &str) {
    let off = (got - want).abs() / want.abs().max(least);
    assert!(off < tolerance, "{what}: {got} instead of {want}, off by {off:e}");
}

fn adamw() -> AdamWOptions {
    AdamWOptions { weight_decay: 0.0, ..AdamWOptions::default() }
}

impl Oracle {
    fn rate(&self, method: &str) -> f64 {
        self.told["settings"]["rates"][method].as_f64().unwrap()
    }

    fn of(&self, setting: &str) -> f64 {
        self.told["settings"][setting].as_f64().unwrap()
    }

    /// Settings of a run by this method, as TRL's trainer had them.
    fn config(&self, kind: Method) -> RunConfig {
        let mut config = RunConfig::default();
        config.objective.kind = kind;
        config.rlhf.kl_coef = Some(self.of("kl_coef"));
        config.rlhf.clip = self.of("clip");
        config.ppo.value_clip = self.of("value_clip");
        config.ppo.value_coef = self.of("value_coef");
        config.ppo.gamma = self.of("gamma");
        config.ppo.lambda = self.of("lambda");
        config.ppo.reward_at = RewardAt::AfterEnd;
        config
    }

    /// Prompts with their answers, as they were sampled.
    fn groups(&self) -> Vec<RolloutGroup> {
        let end = self.of("end") as u32;
        let group = |(place, group): (usize, &Value)| {
            let continuations: Vec<Vec<u32>> = group["answers"].as_array().unwrap().iter().map(ids).collect();
            let ended = |ids: &Vec<u32>| RolloutAnswer { ended: ids.contains(&end), ..RolloutAnswer::default() };
            let answers = continuations.iter().map(ended).collect();
            RolloutGroup { of: StepDoc::Pair(place), doc: Doc::new(ids(&group["prompt"]), continuations), answers }
        };
        self.told["groups"].as_array().unwrap().iter().enumerate().map(group).collect()
    }

    /// The gradients of this part, tensor by tensor.
    fn check_gradients(&self, method: &str, policy: &mut Policy) {
        let flat = policy.gradients().to_vec().unwrap();
        for entry in policy.parameters().entries() {
            let of_entry = &flat[entry.slot.offset..entry.slot.offset + entry.slot.len];
            let got: Vec<f64> = of_entry.iter().map(|&g| f64::from(g)).collect();
            let want = &self.tensors[&format!("grad.{method}.{}", entry.name)];
            let off = relative(&got, &elements(want));
            assert!(off < TOLERANCE, "{} {method} gradient of {}: off by {off:e}", self.fixture.name, entry.name);
        }
    }

    /// The weights of this part after the last step.
    fn check_trained(&self, method: &str, policy: &Policy) {
        let trained = policy.trainable().unwrap();
        assert!(!trained.is_empty());
        for (name, got) in trained {
            let want = &self.tensors[&format!("trained.{method}.{name}")];
            let off = relative(&elements(&got), &elements(want));
            assert!(off < TRAINED_TOLERANCE, "{} {method} {name}: off by {off:e}", self.fixture.name);
        }
    }
}

fn step(trainer: &mut Trainer, rows: &[Packed<StepDoc>], loss: &mut dyn Loss<StepDoc>, learning_rate: f64) {
    let plan = Plan { step: 1, rows, learning_rate, max_grad_norm: 0.0 };
    assert!(trainer.step(plan, loss, &mut go_on).unwrap().done().unwrap().updated);
}

#[test]
fn a_reward_model_is_fitted_as_trl_fits_it() {
    for oracle in oracles() {
        let pairs: Vec<PairDoc> = oracle
            .fixture
            .pairs()
            .into_iter()
            .map(|[prefix, chosen, rejected]| PairDoc::certain(PairId(0), Doc::new(prefix, vec![chosen, rejected])))
            .collect();
        let docs = pairs.iter().enumerate().map(|(index, pair)| (StepDoc::Pair(index), &pair.doc));
        let rows = pack_for(docs, usize::MAX, Reads::Ends).unwrap();
        for one in oracle.told["reward"].as_array().unwrap() {
            let objective = BradleyTerry { center: one["center"].as_f64().unwrap(), margin: 0.0 };
            let mut trainer = trainer(reward_model(&oracle.fixture), adamw());
            let what = format!("{} κ {}", oracle.fixture.name, objective.center);
            for (index, want) in numbers(&one["losses"]).into_iter().enumerate() {
                let mut loss = RewardLoss::new(objective, &pairs, pairs.len());
                step(&mut trainer, &rows, &mut loss, oracle.rate("reward"));
                let allowed = if index == 0 { TOLERANCE } else { TRAINED_TOLERANCE };
                near(loss.value(), want, 0.1, allowed, &format!("{what} loss of step {}", index + 1));
                if index > 0 {
                    continue;
                }
                let scored = loss.scored(&(0..pairs.len()).collect::<Vec<_>>());
                let all: Vec<f64> = scored.iter().flat_map(|(_, pair)| [pair.chosen, pair.rejected]).collect();
                let mean = |of: &dyn Fn(f64, f64) -> f64| {
                    scored.iter().map(|(_, pair)| of(pair.chosen, pair.rejected)).sum::<f64>() / scored.len() as f64
                };
                for (name, got) in [
                    ("accuracy", mean(&|chosen, rejected| f64::from(u8::from(chosen > rejected)))),
                    ("margin", mean(&|chosen, rejected| chosen - rejected)),
                    ("min_reward", all.iter().copied().fold(f64::INFINITY, f64::min)),
                    ("mean_reward", all.iter().sum::<f64>() / all.len() as f64),
                    ("max_reward", all.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
                ] {
                    near(got, one["first"][name].as_f64().unwrap(), 0.1, TOLERANCE, &format!("{what} {name}"));
                }
                if objective.center > 0.0 {
                    oracle.check_gradients("reward.reward", &mut trainer.policy);
                }
            }
            if objective.center > 0.0 {
                oracle.check_trained("reward.reward", &trainer.policy);
            }
        }
    }
}

/// The policy that samples and learns, the rollout of TRL's answers under it, and the rows that updates go over.
fn rollout(oracle: &Oracle) -> (Trainer, Rollout, Vec<Packed<StepDoc>>) {
    let trainer = trainer(oracle.fixture.lora(), adamw());
    let mut rollout = Rollout { groups: oracle.groups(), sampling: Duration::ZERO, whole: Duration::ZERO };
    let docs = rollout.groups.iter().enumerate().map(|(place, group)| (StepDoc::Rollout(place), &group.doc));
    let rows = pack(docs, usize::MAX).unwrap();
    for packed in &rows {
        let old = trainer.policy.log_probs(&packed.row).unwrap();
        let reference = trainer.policy.reference_log_probs(&packed.row).unwrap();
        for ((part, old), (_, reference)) in packed.by_owner(&old).zip(packed.by_owner(&reference)) {
            let StepDoc::Rollout(place) = part else { unreachable!("there is nothing else") };
            for ((answer, old), reference) in rollout.groups[place].answers.iter_mut().zip(old).zip(reference) {
                (answer.old, answer.reference) = (old.clone(), reference.clone());
            }
        }
    }
    (trainer, rollout, rows)
}

fn mean(rollout: &Rollout, of: impl Fn(&RolloutAnswer) -> f64) -> f64 {
    rollout.answers().map(of).sum::<f64>() / rollout.answers().count() as f64
}

#[test]
fn ppo_with_its_critic_goes_where_trl_goes() {
    for oracle in oracles() {
        let config = oracle.config(Method::Ppo);
        let (mut policy, mut rollout, rows) = rollout(&oracle);
        let (reward, mut critic) = (reward_model(&oracle.fixture), trainer(reward_model(&oracle.fixture), adamw()));
        for group in &mut rollout.groups {
            let only = std::slice::from_ref(&group.doc);
            let scores = reward.log_probs(&Row::pack_for(only, Reads::Ends).unwrap()).unwrap();
            let values = critic.policy.log_probs(&Row::pack_for(only, reads(config.ppo.reward_at)).unwrap()).unwrap();
            for ((answer, score), values) in group.answers.iter_mut().zip(scores).zip(values) {
                answer.score = f64::from(score[0]);
                if !answer.ended {
                    answer.score -= oracle.of("missing_eos_penalty");
                }
                answer.values = values.into_iter().map(f64::from).collect();
            }
        }
        rollout.judge(&config);
        let all: Vec<usize> = (0..rollout.groups.len()).collect();
        let value_rows = rollout.rows(&all, reads(config.ppo.reward_at), usize::MAX).unwrap();
        let (mut policies, mut critics): (Vec<Moved>, Vec<Moved>) = (Vec::new(), Vec::new());
        let what = &oracle.fixture.name;
        for (index, want) in numbers(&oracle.told["ppo"]["losses"]).into_iter().enumerate() {
            let mut of_policy = PolicyLoss::new(&config, &rollout, &all, TextTerms::default());
            step(&mut policy, &rows, &mut of_policy, oracle.rate("ppo"));
            let mut of_critic = ValueLoss::new(&config, &rollout, &all);
            step(&mut critic, &value_rows, &mut of_critic, oracle.rate("ppo"));
            let allowed = if index == 0 { TOLERANCE } else { TRAINED_TOLERANCE };
            let got = of_policy.value() + of_critic.value();
            near(got, want, 0.1, allowed, &format!("{what} loss of step {}", index + 1));
            if index == 0 {
                of_policy.moved.check_start().unwrap();
                oracle.check_gradients("ppo.policy", &mut policy.policy);
                oracle.check_gradients("ppo.critic", &mut critic.policy);
            }
            policies.push(of_policy.moved);
            critics.push(of_critic.moved);
        }
        oracle.check_trained("ppo.policy", &policy.policy);
        oracle.check_trained("ppo.critic", &critic.policy);

        let over = |moved: &[Moved], of: fn(&Moved) -> f64| moved.iter().map(of).sum::<f64>() / moved.len() as f64;
        let (kl, score) = (mean(&rollout, RolloutAnswer::kl), mean(&rollout, |answer| answer.score));
        let penalty = -config.kl_coef() * kl;
        let entropy = mean(&rollout, |answer| -answer.old.iter().map(|&log_prob| f64::from(log_prob)).sum::<f64>());
        let ended = rollout.answers().filter(|answer| answer.ended).count() as f64;
        for (name, got) in [
            ("objective/kl", kl),
            ("objective/entropy", entropy),
            ("objective/non_score_reward", penalty),
            ("objective/rlhf_reward", score + penalty),
            ("objective/scores", score),
            ("val/num_eos_tokens", ended),
            ("policy/clipfrac_avg", over(&policies, Moved::clipped)),
            ("val/clipfrac_avg", over(&critics, Moved::clipped)),
            ("loss/policy_avg", over(&policies, Moved::loss)),
            ("loss/value_avg", over(&critics, Moved::loss)),
        ] {
            let allowed = if name.starts_with("objective/") { TOLERANCE } else { TRAINED_TOLERANCE };
            let want = oracle.told["ppo"]["metrics"][name].as_f64().unwrap();
            near(got, want, 0.1, allowed, &format!("{what} {name}"));
        }
        assert!(over(&policies, Moved::clipped) > 0.05 && over(&critics, Moved::clipped) > 0.05, "clipping is tried");
    }
}

#[test]
fn rloo_and_grpo_go_where_trl_goes() {
    for oracle in oracles() {
        for (kind, method) in [(Method::Rloo, "rloo"), (Method::Grpo, "grpo")] {
            let (config, told) = (oracle.config(kind), &oracle.told[method]);
            let (mut policy, mut rollout, rows) = rollout(&oracle);
            for (group, scores) in rollout.groups.iter_mut().zip(told["scores"].as_array().unwrap()) {
                for (answer, score) in group.answers.iter_mut().zip(numbers(scores)) {
                    answer.score = score;
                }
            }
            rollout.judge(&config);
            let what = format!("{} {method}", oracle.fixture.name);
            let first = |name: &str| told["first"][name].as_f64().unwrap();
            near(mean(&rollout, |answer| answer.score), first("reward"), 0.1, TOLERANCE, &what);
            if kind == Method::Rloo {
                let kl = rollout.answers().map(RolloutAnswer::kl).sum::<f64>() / rollout.tokens() as f64;
                near(kl, first("kl"), 0.1, TOLERANCE, &format!("{what} kl"));
            }
            let all: Vec<usize> = (0..rollout.groups.len()).collect();
            let mut clipped = 0.0;
            for (index, want) in numbers(&told["losses"]).into_iter().enumerate() {
                let mut loss = PolicyLoss::new(&config, &rollout, &all, TextTerms::default());
                step(&mut policy, &rows, &mut loss, oracle.rate(method));
                let allowed = if index == 0 { TOLERANCE } else { TRAINED_TOLERANCE };
                near(loss.value(), want, 0.1, allowed, &format!("{what} loss of step {}", index + 1));
                clipped += loss.moved.clipped();
                if index == 0 {
                    loss.moved.check_start().unwrap();
                    oracle.check_gradients(&format!("{method}.policy"), &mut policy.policy);
                }
            }
            assert!(clipped > 0.1, "clipping is tried");
            oracle.check_trained(&format!("{method}.policy"), &policy.policy);
        }
    }
}

/// What PEFT saved of TRL's reward model scores texts here as there, and is what an export of these weights writes.
#[test]
fn a_reward_model_of_peft_gives_its_scores_here_and_is_written_as_peft_writes_it() {
    for oracle in oracles() {
        let name = oracle.fixture.name.split(' ').next().unwrap();
        let saved = root().join("expected").join(name).join("reward_adapter");
        let read = oracle.fixture.load(&LoadOptions {
            frozen_adapters: vec![saved.clone()],
            bare: false,
            ..LoadOptions::default()
        });
        for one in oracle.told["held_out"].as_array().unwrap() {
            let text = ids(&one["ids"]);
            let (prefix, answer) = text.split_at(1);
            let doc = Doc::new(prefix.to_vec(), vec![answer.to_vec()]);
            let row = Row::pack_for(std::slice::from_ref(&doc), Reads::Ends).unwrap();
            let got = f64::from(read.log_probs(&row).unwrap()[0][0]);
            near(got, one["score"].as_f64().unwrap(), 0.1, TOLERANCE, &format!("{name} score of {text:?}"));
        }

        let tensors: BTreeMap<String, Tensor> =
            candle_core::safetensors::load(saved.join("adapter_model.safetensors"), &Device::Cpu)
                .unwrap()
                .into_iter()
                .collect();
        let mut policy = reward_model(&oracle.fixture);
        policy.set_trainable(&fixture::for_policy(tensors.clone().into_iter().collect())).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("adapter");
        adapter::save(&policy, &to, AdapterFormat::Peft, AdapterPart::Sum, "models/of/mine").unwrap();
        let written = candle_core::safetensors::load(to.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(written.len(), tensors.len(), "{:?}", written.keys());
        for (name, want) in &tensors {
            assert_eq!(written[name].dims(), want.dims(), "{name}");
            assert_eq!(elements(&written[name]), elements(want), "{name}");
        }
        let config = |folder: &std::path::Path| -> Value {
            serde_json::from_str(&fs::read_to_string(folder.join("adapter_config.json")).unwrap()).unwrap()
        };
        let (written, theirs) = (config(&to), config(&saved));
        for key in ["peft_type", "task_type", "r", "lora_alpha", "bias", "use_rslora"] {
            assert_eq!(written[key], theirs[key], "{key}");
        }
        assert!(written["modules_to_save"].as_array().unwrap().contains(&"score".into()));
    }
}
