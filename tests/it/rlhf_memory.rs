//! PPO, RLOO and GRPO where memory is short: what sampling holds is in the plan, and where none is found a run goes on
//! with less.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nudge::{
    data::config::{Method, TokenBudget},
    engine::protocol::Outcome,
    train::run::{checkpoint::newest_state, host::RolloutStage},
};

use crate::{
    faults::{Mishap, train_with, train_without_room},
    rlhf,
    terminal::{json_lines, out, path},
    toy,
};

#[test]
fn where_no_memory_is_found_for_all_answers_at_once_fewer_are_sampled_and_they_are_the_same() {
    let (toy, _) = rlhf::fitted();
    let mut ppo = rlhf::config(Method::Ppo);
    ppo.train.steps = Some(3);
    let (whole, outcome) = toy.train(&ppo);
    assert_eq!(outcome, Outcome::Completed);
    let run = toy.record(&ppo);
    let outcome =
        train_without_room(&toy, run, |what| matches!(what, RolloutStage::Sampling { at_once } if at_once > 1));
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let told: Vec<&str> =
        log.iter().filter(|line| line.text.contains("at a time")).map(|line| &line.text[..]).collect();
    assert_eq!(told.len(), 1, "two answers are too many, once: {told:?}");
    assert!(told[0].ends_with("while 2 answers were sampled at once; from now on it is 1 at a time"), "{told:?}");
    assert_eq!(toy::numbers(&toy.open(), run), toy::numbers(&toy.open(), whole));
}

#[test]
fn where_no_memory_is_found_to_score_or_to_freeze_a_row_the_step_is_tried_again_with_less() {
    let (toy, _) = rlhf::fitted();
    let mut ppo = rlhf::config(Method::Ppo);
    ppo.train.steps = Some(3);
    for (wanted, rows) in [
        (RolloutStage::Scoring, TokenBudget::Auto),
        (RolloutStage::Freezing, TokenBudget::Auto),
        (RolloutStage::Scoring, TokenBudget::Tokens(1)),
    ] {
        let mut ppo = ppo.clone();
        ppo.train.micro_batch_tokens = rows;
        let run = toy.record(&ppo);
        let mut is_struck = false;
        let outcome =
            train_without_room(&toy, run, move |what| what == wanted && !std::mem::replace(&mut is_struck, true));
        assert_eq!(outcome, Outcome::Completed, "{wanted:?}");
        let log = toy.open().log(run).unwrap();
        let says = |what: &str| log.iter().filter(|line| line.text.contains(what)).count();
        let is_alone = rows == TokenBudget::Tokens(1);
        assert_eq!(says("From this step on rows hold"), usize::from(!is_alone), "{wanted:?}: {log:?}");
        assert_eq!(says("is set aside: "), usize::from(is_alone), "{wanted:?}: {log:?}");
        assert_eq!(toy.open().series(run, "objective/scores", None).unwrap().len(), 3);
    }
}

#[test]
fn keys_and_values_of_sampled_answers_are_in_the_plan_and_within_the_limit() {
    let (toy, _) = rlhf::fitted();
    let home = toy.project.parent().unwrap();
    let check = |set: &[&str]| {
        let project = path(&toy.project);
        let mut args = vec!["check", &project, "--json", "--set", "objective.kind=rloo", "--set", "rlhf.max_tokens=40"];
        args.extend(set.iter().flat_map(|set| ["--set", set]));
        json_lines(&out(home, &args)).pop().unwrap()
    };
    let number = |report: &serde_json::Value, key: &str| report[key].as_u64().unwrap();
    let [few, many] = ["1", "8"].map(|pairs| check(&[&format!("train.pairs_per_step={pairs}")]));
    assert!(number(&few, "cache_bytes") > 0 && number(&many, "cache_bytes") > number(&few, "cache_bytes"));
    assert!(number(&many, "estimated_memory_bytes") >= number(&many, "cache_bytes"));
    assert!(many["sampling_secs"].as_f64().unwrap() > 0.0);
    assert!(many["estimated_secs"].as_f64().unwrap() > many["sampling_secs"].as_f64().unwrap());
}

#[test]
fn a_prompt_whose_answers_find_no_memory_is_set_aside() {
    let (toy, _) = rlhf::fitted();
    let mut rloo = rlhf::config(Method::Rloo);
    rloo.train.micro_batch_tokens = TokenBudget::Tokens(1);
    rloo.train.steps = Some(4);
    let run = toy.record(&rloo);
    let struck = AtomicBool::new(false);
    let outcome = train_with(&toy, run, |step| {
        if step == 3 && !struck.swap(true, Relaxed) { Mishap::OutOfMemory } else { Mishap::None }
    });
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let said = log.iter().find(|line| line.text.contains("is set aside")).unwrap();
    assert!(said.text.contains("The prompt of pair") && said.text.contains("with its 4 answers"), "{}", said.text);
    let state = newest_state(&toy.open().run(run).unwrap().checkpoints).unwrap();
    assert_eq!(state.aside.pairs.len(), 1);
}
