//! What depends on the processor.

use std::process::Command;

use nudge::{
    data::config::Precision,
    engine::protocol::Outcome,
    kernels::Multiplier,
    model::{LoadOptions, Policy},
    store::Arithmetic,
};

use crate::{
    fixture::{self, Fixture},
    toy::{self, Toy},
};

/// Without a named multiplier the quickest is measured and told with what it was chosen from; with one it is taken.
#[test]
fn a2_a_bf16_folder_is_multiplied_by_what_was_measured() {
    let fixture = fixture::one("qwen2_bf16");
    let load = |multiplier| {
        let options = LoadOptions { multiplier, ..Fixture::adapter_options() };
        Policy::load(&fixture.folder, &options).unwrap()
    };
    let measured = load(None);
    let told = measured.products().remark().unwrap();
    for by in Multiplier::present().filter(|by| *by != Multiplier::Loops) {
        assert!(told.contains("GFLOP/s") && told.contains(by.name()), "{told}");
    }
    assert_eq!(measured.products(), load(None).products(), "measured once");
    assert_eq!(measured.weight_format(), "bf16");
    for by in Multiplier::present() {
        let policy = load(Some(by));
        assert_eq!(policy.products().multiplier(), Some(by));
        assert_eq!(policy.weight_format(), "bf16");
        assert!(!policy.products().remark().unwrap_or_default().contains("GFLOP/s"), "nothing was measured");
    }
}

/// Log-probs of rounded factors are other numbers, so they are not another policy's reference; what rounds alike is
/// one.
#[test]
fn a2_what_rounds_has_an_identity_of_its_own() {
    let fixture = fixture::one("smollm");
    let identity = |precision, by| {
        let options = LoadOptions { precision, multiplier: Some(by), ..Fixture::adapter_options() };
        Policy::load(&fixture.folder, &options).unwrap().identity().to_owned()
    };
    let rounding = identity(Precision::Bf16, Multiplier::Loops);
    for by in Multiplier::present().filter(|by| by.rounds()) {
        assert_eq!(identity(Precision::Bf16, by), rounding);
    }
    assert_ne!(identity(Precision::Bf16, Multiplier::F32), rounding);
    assert_ne!(identity(Precision::F32, Multiplier::F32), rounding);
}

/// Six steps are some, an end of everything and the others, to the bit, by whatever the run began with.
#[test]
fn a2_a_resumed_run_multiplies_by_what_it_began_with() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.model.dtype = Precision::Bf16;
    config.train.steps = Some(6);
    config.train.checkpoint_every = 3;
    (config.train.eval_every, config.train.sample_every) = (0, 0);
    config.train.eval_answers = 0;
    let losses = |run| toy.open().series(run, "loss", None).unwrap();
    for by in Multiplier::present() {
        let whole = toy.record_by(&config, by);
        assert_eq!(toy.go_on(whole), Outcome::Completed);
        let parts = toy.record_by(&config, by);
        toy.stop_at(parts, 2);
        assert_eq!(toy.go_on(parts), Outcome::Completed);
        let noted = toy.open().run(parts).unwrap().arithmetic.unwrap();
        assert_eq!(noted.multiplier.as_deref(), Some(by.name()));
        assert_eq!(losses(parts), losses(whole), "{}", by.name());
    }
}

/// A run that began on another processor is not continued with other numbers in silence.
#[test]
fn a2_a_run_of_another_processor_is_refused_with_what_to_do() {
    let Some(lacking) = Multiplier::ALL.into_iter().find(|by| !by.is_present()) else {
        eprintln!("not tried: this processor has every multiplier");
        return;
    };
    let toy = Toy::new();
    let mut config = toy::config();
    config.model.dtype = Precision::Bf16;
    config.train.steps = Some(4);
    config.train.checkpoint_every = 2;
    let run = toy.record_by(&config, Multiplier::Loops);
    toy.stop_at(run, 1);
    let elsewhere = Arithmetic { multiplier: Some(lacking.name().to_owned()), ..Arithmetic::default() };
    toy.open().set_arithmetic(run, &elsewhere).unwrap();
    let Outcome::Failed { error: why } = toy.go_on(run) else { panic!("it went on") };
    assert!(why.contains(lacking.name()) && why.contains("start a new run"), "{why}");
}

/// Tests of what a policy computes once more, in processes that take this processor for a lesser one: log-probs and
/// gradients, against PyTorch and against itself.
#[test]
fn a1_policies_compute_the_same_at_every_level_of_this_processor() {
    const LEVEL: &str = "NUDGE_PROCESSOR";
    const TESTS: [&str; 5] = [
        "parity::logits_and_log_probs",
        "parity::adapter_gradients",
        "policy::packing_changes_nothing",
        "policy::gradients_in_bf16",
        "processor::a2_a_run_of_another_processor",
    ];
    if std::env::var_os(LEVEL).is_some() {
        return; // this is such a process
    }
    for level in ["baseline", "avx2"] {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        let tests = tests.args(TESTS).env(LEVEL, level).output().unwrap();
        let told = String::from_utf8_lossy(&tests.stdout);
        assert!(tests.status.success(), "at {level}:\n{told}");
        for test in TESTS {
            assert!(told.contains(test), "at {level} these were run:\n{told}");
        }
    }
}
