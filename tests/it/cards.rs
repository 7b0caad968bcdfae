//! Runs on a graphics card: on most test machines the processor in disguise.

use std::{ops::ControlFlow, sync::Arc};

use nudge::{
    data::config::{Margin, ObjectiveConfig, RunConfig, Targets, TokenBudget},
    engine::{
        Speakers,
        bench::{self, BenchModel, BenchOptions},
        protocol::{Metrics, Outcome, Weights},
    },
    kernels::{
        Place,
        device::{self, DeviceChoice},
        gpu::{Card, CardOptions},
    },
    model::{AdapterShape, GenerateOptions, LoadOptions},
    store::RunId,
};

use crate::{
    bench::{batch_file, model},
    faults::{Mishap, train_with},
    fixture,
    toy::{self, Toy, finished, reached, start, value},
};

/// The number that a test's own card has: no machine has so many.
fn on_card(number: usize) -> RunConfig {
    let mut config = toy::config();
    config.train.device = format!("gpu:{number}");
    config
}

/// A test's own card, opened some way; nothing where no driver answers.
fn opened(number: usize, options: CardOptions) -> Option<Arc<Card>> {
    fixture::card()?;
    let card = Card::open(0, options).unwrap();
    device::adopt(number, &card);
    Some(card)
}

fn trained(toy: &Toy, config: &RunConfig) -> RunId {
    let (run, outcome) = toy.train(config);
    assert_eq!(outcome, Outcome::Completed);
    run
}

/// Every loss of two runs beside each other.
#[track_caller]
fn assert_near(toy: &Toy, own: RunId, other: RunId, tolerance: f64) {
    let project = toy.open();
    let steps = |run| -> Vec<(u64, Metrics)> { project.steps(run, None).unwrap() };
    let (own, other) = (steps(own), steps(other));
    assert_eq!(own.len(), other.len());
    let mut compared = 0;
    for ((step, own), (_, other)) in own.iter().zip(&other) {
        for (name, expected) in
            own.iter().filter(|(name, _)| ["loss", "eval/loss", "rewards/margins"].contains(&name.as_str()))
        {
            let found = value(other, name);
            let off = (found - expected).abs() / expected.abs().max(1.0);
            assert!(off < tolerance, "step {step}, {name}: {found} instead of {expected}");
            compared += 1;
        }
    }
    assert!(compared >= own.len());
}

#[test]
fn thirty_steps_in_pieces_are_near_the_processors() {
    const NUMBER: usize = 1002;
    // Tables, activations and gradients are larger than one operand may be.
    let pieces = CardOptions { binding_limit: Some(16 << 10), poison: true, ..CardOptions::default() };
    if opened(NUMBER, pieces).is_none() {
        return;
    }
    let toy = Toy::new();
    let thirty = |config: RunConfig| {
        let mut config = config;
        config.train.steps = Some(30);
        config
    };
    let own = trained(&toy, &thirty(toy::config()));
    let on_card = trained(&toy, &thirty(on_card(NUMBER)));
    assert_near(&toy, own, on_card, 2e-3);
}

#[test]
fn rows_of_a_thousand_tokens_are_near_the_processors() {
    const NUMBER: usize = 1003;
    // A megabyte an operand, as the least of cards would never have it.
    let pieces = CardOptions { binding_limit: Some(1 << 20), poison: true, ..CardOptions::default() };
    if opened(NUMBER, pieces).is_none() {
        return;
    }
    let toy = Toy::new();
    toy::write_long_model(&toy.model, 4096);
    let story = "The boat came home and the stones were grey. ".repeat(60);
    let pairs = (0..6).map(|n| toy::labelled(&format!("{story} Is {n} even?"), "yes sir", "no way"));
    toy::add(&mut toy.open(), pairs.collect());
    let few = |config: RunConfig| {
        let mut config = config;
        config.train.steps = Some(3);
        config
    };
    let own = trained(&toy, &few(toy::config()));
    let on_card = trained(&toy, &few(on_card(NUMBER)));
    assert_near(&toy, own, on_card, 2e-3);
}

#[test]
fn a_run_on_a_card_is_near_the_processors_and_goes_on_to_the_bit() {
    const NUMBER: usize = 1000;
    let Some(card) = fixture::card() else { return };
    device::adopt(NUMBER, &card);
    let toy = Toy::new();
    let own = trained(&toy, &toy::config());
    let whole = trained(&toy, &on_card(NUMBER));
    assert_near(&toy, own, whole, 1e-3);

    // Stopped in between, the same bits come out on the same card.
    let parts = toy.record(&on_card(NUMBER));
    toy.leave_at(parts, 6);
    assert_eq!(toy.go_on(parts), Outcome::Completed);
    assert_eq!(toy::numbers(&toy.open(), whole), toy::numbers(&toy.open(), parts));
}

#[test]
fn a_card_whose_driver_gives_up_costs_no_more_than_the_steps_since_the_checkpoint() {
    const NUMBER: usize = 1001;
    let Some(card) = opened(NUMBER, CardOptions::default()) else { return };
    let toy = Toy::new();
    let run = toy.record(&on_card(NUMBER));
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 7);
    card.lose();
    let Outcome::Failed { error } = finished(&engine, run) else { panic!("the card is lost") };
    assert!(error.contains("on purpose") && error.contains("last checkpoint"), "{error}");
    engine.shut_down();

    // On another device, from what was saved.
    let project = toy.open();
    let config = toy::config();
    project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
    drop(project);
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.contains("goes on with another device")), "{log:?}");
}

/// Trains a run on a card that has so many bytes from a step on.
fn trained_within(toy: &Toy, run: RunId, card: &Arc<Card>, from: u64, bytes: u64) -> Outcome {
    let full = Arc::clone(card);
    let outcome = train_with(toy, run, move |step| {
        if step == from {
            full.limit_memory(bytes);
        }
        Mishap::None
    });
    card.limit_memory(u64::MAX);
    outcome
}

#[test]
fn a_card_that_others_fill_goes_on_with_half_the_rows_and_the_same_losses() {
    const NUMBER: usize = 1007;
    let Some(card) = opened(NUMBER, CardOptions::default()) else { return };
    let toy = Toy::new();
    let in_rows_of = |tokens| {
        let mut config = on_card(NUMBER);
        config.train.micro_batch_tokens = TokenBudget::Tokens(tokens);
        config.train.steps = Some(6);
        config.train.checkpoint_every = 2;
        config
    };
    let peak_of = |tokens| {
        device::forget_peak(&Place::Gpu(Arc::clone(&card)));
        let run = trained(&toy, &in_rows_of(tokens));
        (run, device::memory(&Place::Gpu(Arc::clone(&card))).unwrap().peak)
    };
    let ((whole, most), (_, less)) = (peak_of(256), peak_of(128));
    assert!(less + (less >> 4) < most, "{less} bytes with half the rows, {most} with all");

    let run = toy.record(&in_rows_of(256));
    assert_eq!(trained_within(&toy, run, &card, 3, less.midpoint(most)), Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let told: Vec<_> = log.iter().filter(|line| line.text.contains("rows hold")).collect();
    assert_eq!(told.len(), 1, "{log:?}");
    assert!(told[0].step == 3 && told[0].mark && told[0].text.contains("rows hold 128 tokens"), "{told:?}");
    assert!(told[0].text.contains("had no room for"), "{told:?}");
    assert_near(&toy, whole, run, 1e-4);

    // Others take all the rest: no pair finds room. From what was saved the run goes on as if nothing had been.
    let run = toy.record(&in_rows_of(256));
    let Outcome::Failed { error } = trained_within(&toy, run, &card, 3, 0) else { panic!("there is no room") };
    assert!(error.contains("had no room for") && error.contains("when there is more memory"), "{error}");
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert_eq!(toy::numbers(&toy.open(), whole), toy::numbers(&toy.open(), run));
}

#[test]
fn who_answers_on_a_card_that_fell_over_is_loaded_anew() {
    const NUMBER: usize = 1006;
    let Some(card) = opened(NUMBER, CardOptions::default()) else { return };
    let toy = Toy::new();
    let run = trained(&toy, &on_card(NUMBER));
    let weights = Weights::Run { project: toy.project.clone(), run, step: None };
    let mut speakers = Speakers::default();
    let answer = |speakers: &mut Speakers| -> Vec<u32> {
        let policy = &speakers.get(&weights).unwrap().policy;
        let options = GenerateOptions { max_new: 3, ..GenerateOptions::default() };
        let answers = policy.generate(&[vec![5, 6]], &options, &mut |_, _| ControlFlow::Continue(())).unwrap();
        answers[0].ids.clone()
    };
    let before = answer(&mut speakers);
    card.lose();
    assert!(opened(NUMBER, CardOptions::default()).is_some());
    assert_eq!(answer(&mut speakers), before);
}

#[test]
fn what_each_shader_takes_is_told_beside_the_parts_of_a_step() {
    const NUMBER: usize = 1004;
    let options = |bare| CardOptions { bare, ..CardOptions::default() };
    if opened(NUMBER, options(false)).is_none() || opened(NUMBER + 1, options(true)).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let measured = |number| {
        let adapter =
            AdapterShape { rank: 4, alpha: 8.0, rslora: false, dropout: 0.0, targets: Targets::AllLinear, seed: 3 };
        let options = BenchOptions {
            model: BenchModel::Folder(model()),
            batch_file: Some(batch_file(dir.path()).into()),
            pairs_per_step: 4,
            micro_batch_tokens: TokenBudget::Auto,
            objective: ObjectiveConfig { margin: Some(Margin::Mean), ..ObjectiveConfig::default() },
            load: LoadOptions { device: DeviceChoice::Gpu(number), adapter: Some(adapter), ..LoadOptions::default() },
            warmup: 0,
            steps: 1,
        };
        bench::run(&options, &mut |_| {}).unwrap()
    };
    let report = measured(NUMBER);
    let share: f64 = report.parts.iter().map(|part| part.share).sum();
    assert!((share - 1.0).abs() < 1e-6, "{share}");
    let share: f64 = report.kernels.iter().map(|kernel| kernel.share).sum();
    assert!((share - 1.0).abs() < 1e-6, "{share}");
    let gemm = report.kernels.iter().find(|kernel| kernel.name == "gemm").unwrap();
    assert!(gemm.gflops.unwrap() > 0.0 && gemm.matmul_share.unwrap() > 0.0 && gemm.runs > 10, "{gemm:?}");
    assert!(report.kernels.iter().any(|kernel| kernel.name == "adamw" && kernel.gflops.is_none()));
    assert_eq!(report.no_kernels, None);
    let card = Card::open(0, CardOptions::default()).unwrap();
    assert_eq!(report.device.driver.as_ref(), Some(&card.info().driver));
    assert_eq!((report.device.kind.as_str(), report.device.card.as_ref()), ("gpu", Some(&card.info().name)));
    // Of the card's own memory: the program around it is not in it.
    assert!(report.peak_memory_mb < report.host_peak_memory_mb.unwrap(), "{report:?}");
    assert!(report.memory_above_mb > 0.0 && report.peak_memory_mb >= report.memory_before_steps_mb, "{report:?}");

    let without = measured(NUMBER + 1);
    assert!(without.kernels.is_empty() && without.no_kernels.unwrap().contains("no clock"));
}

/// The program itself, from the first look at the cards on.
#[test]
#[cfg(target_os = "linux")]
fn a_card_that_did_not_finish_is_refused_until_the_drivers_are_others() {
    if fixture::card().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let nudge = |args: &[&str]| {
        let mut nudge = std::process::Command::new(env!("CARGO_BIN_EXE_nudge"));
        nudge.args(args).env("XDG_CACHE_HOME", dir.path()).env("NUDGE_GPU", "software");
        let output = nudge.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let file = dir.path().join("nudge/cards.json");
    let model = model();
    let answer_on = |device| {
        let model = model.to_str().unwrap();
        nudge(&["generate", "--model", model, "--device", device, "--prompt-ids", "5,6", "--max-new", "1"])
    };
    // Who wants the processor waits for no card.
    let (done, told) = answer_on("cpu");
    assert!(done && !file.exists(), "{told}");
    let (done, told) = nudge(&["probe-gpu"]);
    assert!(done, "{told}");
    let rewrite = |pointer: &str, value: serde_json::Value| {
        let mut kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        *kept.pointer_mut(pointer).unwrap() = value;
        std::fs::write(&file, kept.to_string()).unwrap();
    };
    rewrite("/trials/cards/0/rates", serde_json::json!({"Err": "it did not finish within 60 seconds"}));
    // Not for the first time: this machine may be busy as well.
    rewrite("/open_looks", serde_json::json!(3));
    let (done, told) = answer_on("gpu:0");
    assert!(!done && told.contains("did not finish") && told.contains("`nudge probe-gpu` tries it again"), "{told}");
    // What memory there is is told otherwise from day to day.
    rewrite("/trials/cards/0/card/memory", serde_json::json!({"Shared": 4096}));
    let (done, told) = answer_on("gpu:0");
    assert!(!done && told.contains("did not finish"), "{told}");
    rewrite("/drivers", serde_json::json!(["another"]));
    let (done, told) = answer_on("gpu:0");
    assert!(done, "{told}");
}
