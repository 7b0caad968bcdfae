//! PPO, RLOO and GRPO: from a reward model to a policy, with the golden start, exact resume, and sentences where it
//! cannot be.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nudge::{
    data::config::{Method, Prompts, RewardAt, RunConfig, TokenBudget},
    engine::protocol::Outcome,
    store::{LogLevel, RunId},
    train::{
        rlhf::teacher,
        run::{
            checkpoint::newest_state,
            fork::{Fork, fork},
            rotation,
        },
    },
};

use crate::{
    faults::{Mishap, train_with},
    resume, reward,
    toy::{self, Toy},
};

pub fn config(kind: Method) -> RunConfig {
    let mut config = resume::config();
    config.objective.kind = kind;
    config.objective.retention_weight = None;
    config.optimizer.learning_rate = 3e-3;
    config.rlhf.max_tokens = 6;
    config.ppo.critic_warmup = 1;
    config
}

pub fn fitted() -> (Toy, RunId) {
    let toy = Toy::new();
    let (reward, outcome) = toy.train(&reward::config());
    assert_eq!(outcome, Outcome::Completed);
    (toy, reward)
}

fn series(toy: &Toy, run: RunId, name: &str) -> Vec<(u64, f64)> {
    toy.open().series(run, name, None).unwrap()
}

#[test]
fn the_first_update_begins_where_the_rollout_was() {
    let (toy, _) = fitted();
    for kind in [Method::Ppo, Method::Rloo, Method::Grpo] {
        let mut config = config(kind);
        config.rlhf.epochs = Some(1);
        config.ppo.critic_warmup = 0;
        config.objective.reference_weight = Some(0.3);
        config.objective.retention_weight = Some(0.1);
        config.train.steps = Some(3);
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed, "{kind:?}");
        for (step, ratio) in series(&toy, run, "val/ratio") {
            assert_eq!(ratio, 1.0, "{kind:?} step {step}: exactly, by the rows that it samples with");
        }
        for name in ["policy/approxkl_avg", "policy/clipfrac_avg"] {
            assert!(series(&toy, run, name).iter().all(|(_, value)| *value == 0.0), "{kind:?} {name}");
        }
        assert_eq!(series(&toy, run, "objective/kl")[0], (1, 0.0), "{kind:?}: the policy is its own reference");
        assert_eq!(series(&toy, run, "objective/kl_full")[0], (1, 0.0), "{kind:?}: over the whole vocabulary too");
        assert!(series(&toy, run, "objective/kl_full").iter().skip(1).all(|(_, nats)| *nats > 0.0), "{kind:?}");
        assert!(series(&toy, run, "policy/entropy_avg").iter().all(|(_, nats)| *nats > 0.1), "{kind:?}");
        assert_eq!(series(&toy, run, "eval_loss/preference")[0].1, std::f64::consts::LN_2);
        let of = |name: &str| series(&toy, run, name)[0].1;
        assert!((of("objective/rlhf_reward") - of("objective/scores")).abs() < 1e-12);
        let loss = of("loss/policy_avg");
        // GRPO's sum to 0 over answers, and its mean is over their tokens.
        assert!(loss.abs() < 1e-6 || kind == Method::Grpo, "{kind:?}: advantages sum to 0, {loss}");
        assert!(of("loss/reference") > 0.0 && of("loss/retention") > 0.0);
    }
}

#[test]
fn what_the_reward_model_likes_is_said_more_often() {
    let (toy, _) = fitted();
    for kind in [Method::Ppo, Method::Rloo, Method::Grpo] {
        let mut config = config(kind);
        config.rlhf.answers_per_prompt = Some(6);
        config.rlhf.kl_coef = Some(0.0);
        config.optimizer.learning_rate = 1e-2;
        config.train.steps = Some(60);
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let scores = series(&toy, run, "objective/scores");
        let mean = |steps: &[(u64, f64)]| steps.iter().map(|(_, score)| score).sum::<f64>() / steps.len() as f64;
        let (first, last) = (mean(&scores[..5]), mean(&scores[50..]));
        assert!(last > first + 0.3, "{kind:?}: {scores:?}");
        assert!(series(&toy, run, "objective/kl").last().unwrap().1 > 0.0);
    }
}

#[test]
fn a_killed_run_resumes_to_the_bit_and_a_stop_goes_back_to_its_last_step() {
    let (toy, _) = fitted();
    let mut ppo = config(Method::Ppo);
    ppo.rlhf.minibatches = 2;
    ppo.rlhf.prompts = Prompts::WithReference;
    ppo.ppo.reward_at = RewardAt::AfterEnd;
    for config in [ppo, config(Method::Rloo)] {
        let (whole, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let parts = toy.record(&config);
        toy.leave_at(parts, 12);
        resume::remove_after(&toy.open().run_dir(parts), 10);
        assert_eq!(toy.go_on(parts), Outcome::Completed);
        resume::assert_same(&toy, whole, parts);

        let stopped = toy.record(&config);
        toy.stop_at(stopped, 5);
        assert_eq!(toy.go_on(stopped), Outcome::Completed);
        resume::assert_same(&toy, whole, stopped);
    }
}

fn why(toy: &Toy, config: &RunConfig) -> String {
    let run = toy.record(config);
    match toy.go_on(run) {
        Outcome::Failed { error } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let toy = Toy::new();
    let rloo = config(Method::Rloo);
    let error = why(&toy, &rloo);
    assert!(error.contains("RLOO needs a reward model") && error.contains("fit one first"), "{error}");
    let (policy, _) = toy.train(&toy::config());
    let mut named = rloo.clone();
    named.reward.run = Some(policy.0 as u64);
    let error = why(&toy, &named);
    assert!(error.contains("is no reward model"), "{error}");
    named.reward.run = Some(99);
    let error = why(&toy, &named);
    assert!(error.contains("there is no run 99"), "{error}");

    // A reward model of another base.
    toy.train(&reward::config());
    let other = toy.project.parent().unwrap().join("other");
    toy::write_model_seeded(&other, 5);
    let mut elsewhere = rloo.clone();
    elsewhere.model.path = Some(other);
    let error = why(&toy, &elsewhere);
    assert!(error.contains("was fitted on another base model"), "{error}");

    // Dropout, full weights and a lone answer are refused before anything is loaded.
    let mut dropped = rloo.clone();
    dropped.lora.dropout = 0.1;
    assert!(why(&toy, &dropped).contains("as it sampled"));
    let mut full = rloo.clone();
    full.lora.full = true;
    assert!(why(&toy, &full).contains("needs a frozen base"));
    let mut alone = rloo;
    alone.rlhf.answers_per_prompt = Some(1);
    assert!(why(&toy, &alone).contains("must be 2 or more"));
}

#[test]
fn a_policy_that_leaves_its_reference_is_told_of() {
    let (toy, _) = fitted();
    let mut wild = config(Method::Rloo);
    wild.rlhf.kl_coef = Some(0.0);
    wild.rlhf.max_tokens = 6;
    wild.optimizer.learning_rate = 0.1;
    wild.optimizer.max_grad_norm = 0.0;
    wild.train.steps = Some(30);
    let run = toy.record(&wild);
    toy.go_on(run);
    let log = toy.open().log(run).unwrap();
    let told = log
        .iter()
        .filter(|line| line.level == LogLevel::Warning && line.text.contains("nats a token from the reference"));
    assert_eq!(told.count(), 1, "{:?}", series(&toy, run, "objective/kl"));
}

fn learns_from(toy: &Toy, run: RunId) -> RunId {
    newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap().teacher.unwrap().run
}

#[test]
fn what_a_run_learns_from_stays_and_is_the_same_when_it_begins_again() {
    let (toy, reward) = fitted();
    let folders = toy.open().run(reward).unwrap().checkpoints;
    assert!(rotation::asked_for(&folders).is_empty());
    let rloo = config(Method::Rloo);
    let (run, outcome) = toy.train(&rloo);
    assert_eq!(outcome, Outcome::Completed);
    let step = rotation::newest_step(&folders).unwrap();
    assert_eq!(rotation::asked_for(&folders), [step], "it does not make room for later ones");
    let settings = |run| RunConfig::from_toml(&toy.open().run(run).unwrap().config_toml).unwrap();
    assert_eq!(settings(run).reward.run, Some(reward.0 as u64));
    assert_eq!(settings(run).reward.step, Some(step));
    let said = toy.open().log(run).unwrap();
    let sentence = format!("Learns from the reward model of toy run (run {}) at step {step}", reward.0);
    assert_eq!(said.iter().filter(|line| line.text == sentence).count(), 1, "{said:?}");

    // A newer one is there; whoever begins this run again, or forks it at its beginning, learns from the old one.
    let (newer, _) = toy.train(&reward::config());
    assert_eq!(toy.go_on_from(run, Some(0)), Outcome::Completed);
    assert_eq!(learns_from(&toy, run), reward);
    let again = Fork { run, at: 0, name: None, config: settings(run), left_out: None };
    let forked = fork(&mut toy.open(), &again).unwrap();
    assert_eq!(toy.go_on(forked), Outcome::Completed);
    assert_eq!(learns_from(&toy, forked), reward);
    let (fresh, _) = toy.train(&rloo);
    assert_eq!(learns_from(&toy, fresh), newer);
}

#[test]
fn a_fork_of_another_method_names_its_reward_model_and_warms_its_critic_up() {
    let (toy, reward) = fitted();
    let mut dpo = toy::config();
    dpo.objective.kind = Method::Dpo;
    dpo.train.checkpoint_every = 5;
    let (parent, _) = toy.train(&dpo);
    let mut ppo = config(Method::Ppo);
    ppo.train = RunConfig::from_toml(&toy.open().run(parent).unwrap().config_toml).unwrap().train;
    ppo.lora = dpo.lora.clone();
    ppo.data = dpo.data.clone();
    ppo.model = dpo.model.clone();
    ppo.reward.run = Some(reward.0 as u64);
    ppo.ppo.critic_warmup = 2;
    let at = rotation::steps(&toy.open().run(parent).unwrap().checkpoints)[0];
    let run = fork(&mut toy.open(), &Fork { run: parent, at, name: None, config: ppo, left_out: None }).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert_eq!(learns_from(&toy, run), reward);
    let first = |name: &str| series(&toy, run, name).into_iter().find(|(step, _)| *step > at).unwrap().0;
    assert_eq!(first("loss/value_avg"), at + 1);
    assert_eq!(first("loss/policy_avg"), at + 3, "two steps are the critic's alone, counted from the fork");
}

#[test]
fn a_reward_model_that_is_needed_is_not_deleted_and_one_that_changed_is_refused() {
    let (toy, reward) = fitted();
    let rloo = config(Method::Rloo);
    let run = toy.record(&rloo);
    toy.stop_at(run, 3);
    let error = teacher::refuse_to_delete(&toy.open(), reward).unwrap_err().to_string();
    assert!(error.contains(&format!("(run {})", run.0)) && error.contains("learns from this reward model"), "{error}");

    let told = || match toy.go_on(run) {
        Outcome::Failed { error } => error,
        other => panic!("{other:?}"),
    };
    let folders = toy.open().run(reward).unwrap().checkpoints;
    let folder = rotation::newest(&folders).unwrap();
    // The optimizer is nothing to whoever reads scores; the weights are.
    fs::write(folder.join("optimizer.safetensors"), "torn").unwrap();
    let weights = folder.join("trainable.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, "torn").unwrap();
    assert!(told().contains("cannot be read"));
    fs::write(&weights, whole).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    teacher::refuse_to_delete(&toy.open(), reward).unwrap();

    let later = toy.record(&rloo);
    toy.stop_at(later, 3);
    toy.open().delete_run(reward).unwrap();
    let Outcome::Failed { error } = toy.go_on(later) else { panic!("its reward model is gone") };
    assert!(error.contains("is gone") && error.contains("start a new run"), "{error}");
}

#[test]
fn an_update_that_begins_elsewhere_than_the_rollout_is_refused() {
    let (toy, _) = fitted();
    for kind in [Method::Ppo, Method::Rloo, Method::Grpo] {
        let mut config = config(kind);
        config.ppo.critic_warmup = 0;
        let run = toy.record(&config);
        let Outcome::Failed { error } = train_with(&toy, run, |_| Mishap::Moved) else { panic!("{kind:?}") };
        assert!(error.contains("The updates disagree with the sampling"), "{kind:?}: {error}");
        assert!(rotation::steps(&toy.open().run(run).unwrap().checkpoints).is_empty());
    }
}

#[test]
fn a_stop_between_two_updates_leaves_the_step_undone() {
    let (toy, _) = fitted();
    let mut ppo = config(Method::Ppo);
    ppo.rlhf.minibatches = 2;
    ppo.train.micro_batch_tokens = TokenBudget::Tokens(4096);
    let (whole, outcome) = toy.train(&ppo);
    assert_eq!(outcome, Outcome::Completed);
    let run = toy.record(&ppo);
    // One row an update: the policy's and the critic's first, then somebody stops it in the policy's second.
    let seen = AtomicU32::new(0);
    let outcome = train_with(&toy, run, |step| {
        let before = seen.fetch_add(u32::from(step == 5), Relaxed);
        if step == 5 && before == 2 { Mishap::Stop } else { Mishap::None }
    });
    assert_eq!(outcome, Outcome::Stopped { step: 4 });
    assert_eq!(toy.go_on(run), Outcome::Completed);
    resume::assert_same(&toy, whole, run);
}

#[test]
fn while_the_critic_alone_learns_there_is_no_loss_of_the_policy() {
    let (toy, _) = fitted();
    let mut ppo = config(Method::Ppo);
    ppo.ppo.critic_warmup = 3;
    ppo.rlhf.minibatches = 2;
    ppo.objective.reference_weight = Some(0.3);
    ppo.train.steps = Some(6);
    let (run, outcome) = toy.train(&ppo);
    assert_eq!(outcome, Outcome::Completed);
    let steps = |name: &str| series(&toy, run, name).iter().map(|(step, _)| *step).collect::<Vec<_>>();
    for name in ["loss", "grad_norm", "loss/policy_avg", "loss/reference"] {
        assert_eq!(steps(name), [4, 5, 6], "{name}");
    }
    for name in ["loss/value_avg", "grad_norm/critic", "tokens_per_sec"] {
        assert_eq!(steps(name), [1, 2, 3, 4, 5, 6], "{name}");
    }
    assert!(series(&toy, run, "tokens_per_sec").iter().all(|(_, speed)| *speed > 0.0));
    let at = |name: &str| series(&toy, run, name).iter().find(|(step, _)| *step == 4).unwrap().1;
    let whole = at("loss/policy_avg") + 0.3 * at("loss/reference") + 0.1 * at("loss/value_avg");
    assert!((at("loss") - whole).abs() < 1e-9, "{} for {whole}", at("loss"));
}

#[test]
fn no_evaluation_is_the_best_by_a_loss_that_is_not_trained_on() {
    let (toy, _) = fitted();
    let (run, _) = toy.train(&config(Method::Rloo));
    assert!(series(&toy, run, "eval_loss").is_empty());
    assert!(!series(&toy, run, "eval_loss/preference").is_empty());
    assert_eq!(newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap().best, None);
}

#[test]
fn every_other_prompt_is_of_a_reference_answer_however_many_a_step_has() {
    let (toy, _) = fitted();
    let mut rloo = config(Method::Rloo);
    rloo.rlhf.prompts = Prompts::WithReference;
    rloo.train.pairs_per_step = 1;
    rloo.train.steps = Some(4);
    rloo.train.checkpoint_every = 4;
    let (run, outcome) = toy.train(&rloo);
    assert_eq!(outcome, Outcome::Completed);
    let state = newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap();
    assert_eq!(state.prompts, 4);
    assert!(state.reference_prompts.is_some(), "two of the four were");
}

#[test]
fn a_step_without_a_number_names_its_pairs() {
    let (toy, _) = fitted();
    let mut rloo = config(Method::Rloo);
    rloo.train.steps = Some(4);
    let run = toy.record(&rloo);
    let outcome = train_with(&toy, run, |step| if step == 2 { Mishap::NonFiniteGradient } else { Mishap::None });
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let said = log.iter().find(|line| line.text.contains("Step 2 was not applied")).unwrap();
    assert!(said.text.contains("the gradient norm is NaN") && said.text.contains("Its pairs: "), "{}", said.text);
}

#[test]
fn scores_that_are_no_numbers_end_a_run_and_doubt_no_checkpoint() {
    let (toy, reward) = fitted();
    let rloo = config(Method::Rloo);
    let run = toy.record(&rloo);
    toy.stop_at(run, 3);
    let before: BTreeSet<u64> = rotation::steps(&toy.open().run(run).unwrap().checkpoints).into_iter().collect();

    // The scale of the scores, which lies beside the weights, is spoiled.
    let folder = rotation::newest(&toy.open().run(reward).unwrap().checkpoints).unwrap();
    let file = folder.join("state.json");
    let mut index: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    index["state"]["scale"]["mean"] = "inf".into();
    fs::write(&file, index.to_string()).unwrap();
    let Outcome::Failed { error } = toy.go_on(run) else { panic!("there is nothing to learn from") };
    assert!(error.contains(&format!("the reward model of run {}", reward.0)), "{error}");
    let folders = toy.open().run(run).unwrap().checkpoints;
    assert!(rotation::doubtful_steps(&folders).is_empty());
    let after: BTreeSet<u64> = rotation::steps(&folders).into_iter().collect();
    assert!(before.is_subset(&after), "{before:?} {after:?}");
    let log = toy.open().log(run).unwrap();
    let named =
        |line: &nudge::store::LogLine| line.text.contains("leaves prompts out") && line.text.contains("of pair ");
    assert_eq!(log.iter().filter(|line| named(line)).count(), 3);
}

/// The last step of a reward model need not be its best: on held-out pairs an earlier one may tell more of them apart.
#[test]
fn a_run_learns_from_the_best_checkpoint_of_its_reward_model_or_from_the_one_that_is_named() {
    let toy = Toy::new();
    let mut fits = reward::config();
    (fits.train.eval_every, fits.train.checkpoint_every) = (10, 5);
    let (reward, outcome) = toy.train(&fits);
    assert_eq!(outcome, Outcome::Completed);
    let told = |step: u64, accuracy: f64, loss: f64| {
        let metrics = [("eval_accuracy".to_owned(), accuracy), ("eval_loss".to_owned(), loss)];
        toy.open().append_step(reward, step, 0, &metrics).unwrap();
    };
    let mut rloo = config(Method::Rloo);
    rloo.train.steps = Some(2);
    let learns = |config: &RunConfig, step: u64, which: &str| {
        let (run, outcome) = toy.train(config);
        assert_eq!(outcome, Outcome::Completed);
        let teacher = newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap().teacher.unwrap();
        let log = toy.open().log(run).unwrap();
        assert!(teacher.step == step && log.iter().any(|line| line.text.ends_with(which)), "{teacher:?} {log:?}");
    };
    told(10, 0.75, 0.4);
    told(20, 0.5, 0.3);
    learns(&rloo, 10, "at step 10, of 2 checkpoints that were evaluated the best on held-out pairs (75 %)");
    // Of two that are as accurate the one with the lower loss.
    told(20, 0.75, 0.3);
    learns(&rloo, 20, "at step 20, of 2 checkpoints that were evaluated the best on held-out pairs (75 %)");
    // One that cannot be read is passed over.
    let folder = rotation::find(&toy.open().run(reward).unwrap().checkpoints, 20).unwrap();
    let weights = folder.join("trainable.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, "torn").unwrap();
    learns(&rloo, 10, "The checkpoint of step 10 is used instead");
    fs::write(&weights, whole).unwrap();

    (rloo.reward.run, rloo.reward.step) = (Some(reward.0 as u64), Some(15));
    learns(&rloo, 15, "at step 15, as reward.step names it");
    rloo.reward.step = Some(7);
    let error = why(&toy, &rloo);
    assert!(error.contains("reward.step is 7") && error.contains("there are those of 5, 10, 15, 20"), "{error}");
}

#[test]
fn scores_are_on_one_scale_unless_that_is_switched_off() {
    let (toy, reward) = fitted();
    let scale = newest_state(&toy.open().run(reward).unwrap().checkpoints).unwrap().scale.unwrap();
    let score = |normalize: bool| {
        let mut rloo = config(Method::Rloo);
        (rloo.train.steps, rloo.reward.normalize) = (Some(1), normalize);
        (rloo.rlhf.missing_eos_penalty, rloo.rlhf.reward_clip) = (0.0, 0.0);
        let (run, outcome) = toy.train(&rloo);
        assert_eq!(outcome, Outcome::Completed);
        series(&toy, run, "objective/scores")[0].1
    };
    let (scaled, raw) = (score(true), score(false));
    assert!((scaled * scale.std + scale.mean - raw).abs() < 1e-9 && (scaled - raw).abs() > 1e-3, "{scaled} {raw}");
}

#[test]
fn a_step_that_samples_counts_its_prompts_and_one_that_scores_its_pairs() {
    let (toy, reward) = fitted();
    let (run, _) = toy.train(&config(Method::Grpo));
    for (run, counted) in [(reward, "pairs"), (run, "pairs")] {
        let counts = series(&toy, run, counted);
        assert_eq!(counts.len(), 20);
        assert!(counts.iter().all(|(_, pairs)| *pairs >= 1.0 && *pairs <= 5.0), "{counts:?}");
    }
    let tokens = series(&toy, run, "num_tokens");
    assert!(tokens.windows(2).all(|two| two[0].1 < two[1].1), "they are counted from the beginning: {tokens:?}");
}
