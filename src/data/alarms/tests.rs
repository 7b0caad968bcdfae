//! The rules against runs of the demo that were recorded: healthy ones, and ones that were broken on purpose; and against
//! numbers made up for what the demo does not show.

use std::{fs, path::PathBuf};

use super::*;

/// A run's numbers by step, as `nudge metrics` writes them.
fn recorded(name: &str) -> Vec<(u64, Vec<(String, f64)>)> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("alarms/recorded/{name}.csv"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').skip(1).collect();
    let row = |line: &str| {
        let mut cells = line.split(',');
        let step = cells.next().unwrap().parse().unwrap();
        let metrics = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        (step, metrics.map(|(name, cell)| ((*name).to_owned(), cell.parse().unwrap())).collect())
    };
    lines.map(row).collect()
}

/// The demo's settings, as far as rules read them.
fn demo(held: f64) -> RunConfig {
    let mut config = RunConfig::default();
    config.optimizer.warmup_steps = 20;
    config.objective.reference_weight = Some(held);
    config
}

#[test]
fn healthy_runs_of_three_methods_and_three_seeds_raise_none() {
    for (method, held) in [("mpo", 0.3), ("dpo", 0.0), ("ipo", 0.0)] {
        for seed in 0..3 {
            let alarms = Watch::all(&demo(held), &recorded(&format!("{method}{seed}")));
            assert_eq!(alarms, [], "{method}, seed {seed}");
        }
    }
}

#[test]
fn broken_runs_raise_the_right_one_within_fifty_steps() {
    for (run, kind) in [
        ("rate_x100", AlarmKind::RateTooHigh),
        ("beta_50", AlarmKind::Asleep),
        ("flipped_labels", AlarmKind::HeldOutFalls),
        ("other_template", AlarmKind::StrangeText),
        ("no_eos", AlarmKind::NeverEnds),
    ] {
        let alarms = Watch::all(&demo(0.3), &recorded(run));
        let first = alarms.first().unwrap_or_else(|| panic!("{run} raises none"));
        assert_eq!(first.kind, kind, "{run}: {alarms:?}");
        assert!(first.to <= 50 && first.from <= first.to, "{run}: {first:?}");
    }
}

/// A run of so many steps whose numbers are functions of the step.
fn made(steps: u64, numbers: &[(&str, &dyn Fn(f64) -> f64)]) -> Vec<Alarm> {
    let steps: Vec<(u64, Vec<(String, f64)>)> = (0..=steps)
        .map(|step| (step, numbers.iter().map(|(name, of)| ((*name).to_owned(), of(step as f64))).collect()))
        .collect();
    Watch::all(&demo(0.3), &steps)
}

fn kinds(alarms: &[Alarm]) -> Vec<AlarmKind> {
    alarms.iter().map(|alarm| alarm.kind).collect()
}

#[test]
fn each_rule_hears_its_own_numbers() {
    let chosen = ("logps/chosen", &(|_| -30.0) as &dyn Fn(f64) -> f64);
    let of = |numbers: &[(&str, &dyn Fn(f64) -> f64)]| kinds(&made(60, numbers));
    let changes = |chosen_by: &'static dyn Fn(f64) -> f64, rejected_by: &'static dyn Fn(f64) -> f64| {
        [chosen, ("logps/chosen_change", chosen_by), ("logps/rejected_change", rejected_by)]
    };
    assert_eq!(of(&changes(&|s| -0.1 * s, &|s| -0.4 * s)), [AlarmKind::ChosenFalls]);
    assert_eq!(of(&changes(&|s| -0.4 * s, &|s| -0.4 * s)), [AlarmKind::RateTooHigh]);
    assert_eq!(of(&changes(&|_| 0.001, &|_| -0.001)), [AlarmKind::RateTooLow]);
    assert_eq!(of(&changes(&|s| 0.1 * s, &|s| -0.2 * s)), []);
    let pairs =
        |asleep: f64, won: f64| kinds(&made(30, &[("push/asleep", &|_| asleep), ("rewards/accuracies", &|_| won)]));
    assert_eq!(pairs(0.9, 0.6), [AlarmKind::Asleep]);
    assert_eq!(pairs(0.99, 1.0), [AlarmKind::Saturated]);
    assert_eq!(pairs(0.8, 1.0), []);
    let held_out = |now: &dyn Fn(f64) -> f64| {
        kinds(&made(
            40,
            &[("rewards/margins", &|s| 0.1 * s), ("eval_rewards/margins", now), ("eval_rewards/accuracies", &|_| 0.6)],
        ))
    };
    assert_eq!(held_out(&|s| if s < 20.0 { 0.05 * s } else { 0.3 }), [AlarmKind::HeldOutFalls]);
    assert_eq!(held_out(&|s| 0.05 * s), []);
    assert_eq!(of(&[("kl/ref", &|s| 0.02 * s)]), [AlarmKind::DriftTooLarge]);
    assert_eq!(of(&[("stop/eos_rate", &|s| 1.0 - s / 60.0)]), [AlarmKind::NeverEnds]);
    assert_eq!(of(&[("answers/repeated", &|s| s / 100.0)]), [AlarmKind::Repeats]);
    assert_eq!(
        of(&[("grad_norm", &|s| if s % 9.0 == 8.0 && s > 30.0 { 40.0 } else { 1.0 })]),
        [AlarmKind::GradientSpikes]
    );
    let fight = [("loss/reference", &(|s| 0.3 + 0.01 * s) as &dyn Fn(f64) -> f64), ("rewards/margins", &|_| 1.0)];
    assert_eq!(of(&fight), [AlarmKind::ReferenceFights]);
}

#[test]
fn a_limit_of_the_run_is_the_limit() {
    let mut config = demo(0.3);
    config.train.kl_limit = Some(0.01);
    let steps = [(0, 0.0), (10, 0.02)].map(|(step, kl)| (step, vec![("kl/ref".to_owned(), kl)]));
    let alarms = Watch::all(&config, &steps);
    assert_eq!(kinds(&alarms), [AlarmKind::DriftTooLarge]);
    assert!(alarms[0].sentence.contains("above 0.01, the limit of this run"), "{}", alarms[0].sentence);
}

#[test]
fn a_watch_that_is_fed_step_by_step_raises_what_it_raises_at_once() {
    let steps = recorded("rate_x100");
    let mut watch = Watch::new(&demo(0.3));
    let one_by_one: Vec<Alarm> = steps.iter().flat_map(|(step, metrics)| watch.take(*step, metrics)).collect();
    assert_eq!(one_by_one, Watch::all(&demo(0.3), &steps));
    let kinds: BTreeSet<AlarmKind> = one_by_one.iter().map(|alarm| alarm.kind).collect();
    assert_eq!(kinds.len(), one_by_one.len(), "each once");
}

#[test]
fn every_alarm_says_what_can_be_done() {
    let mut config = demo(0.3);
    for kind in AlarmKind::ALL {
        assert!(!kind.title().is_empty() && !kind.title().ends_with('.'));
        for method in Method::ALL {
            config.objective.kind = method;
            for cure in kind.cures(method) {
                let changed = config.changes_in(&cure.applied(&config)).unwrap();
                assert_eq!(changed.len(), 1, "{}", cure.words());
                assert!(changed[0].setting.counts.holds(&config), "{method:?} has no {}", changed[0].setting.key);
            }
        }
    }
    // β is no part of the loss of IPO, nor of what learns from its own samples.
    assert_eq!(AlarmKind::ChosenFalls.cures(Method::Ipo), [Cure::DoubleTau, Cure::HalveRate]);
    assert_eq!(AlarmKind::ChosenFalls.cures(Method::Ppo), [Cure::HalveRate]);
    assert_eq!(AlarmKind::Asleep.cures(Method::Dpo), [Cure::TenthOfBeta]);
    assert_eq!(AlarmKind::Asleep.cures(Method::Ipo), []);
}
