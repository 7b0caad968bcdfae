//! The rules against runs of the demo that were recorded: healthy ones, and ones that were broken on purpose; and
//! against numbers made up for what the demo does not show.
//!
//! Each file is what `nudge metrics --demo last` wrote after one of these, without the columns that no rule reads:
//!
//! | file | command, or what was changed |
//! |---|---|
//! | `mpo0` .. `ipo2` | `nudge compare --demo --methods mpo,dpo,ipo --seeds 3` |
//! | `rate_x100` | `nudge train --demo --steps 50 --set optimizer.learning_rate=0.07` |
//! | `dpo_rate`, `ipo_rate` | the same with `--set objective.kind=dpo`, or `ipo` |
//! | `beta_50` | `nudge train --demo --steps 50 --set objective.beta=50` |
//! | `dpo_beta_50` | the same with `--set objective.kind=dpo` |
//! | `flipped_labels` | the held-out pairs of a copy of the demo turned round, then `nudge train COPY --steps 50` |
//! | `other_template` | `--set model.path=COPY`, a copy of the model whose `chat_template` writes other roles' marks |
//! | `no_eos` | the same, of one whose `chat_template` writes no end of a turn |

use std::{fs, path::PathBuf};

use super::*;
use crate::metrics::{
    ENDED, ENDED_HIGH, ENDED_LOW, HELD_OUT_ACCURACY, HELD_OUT_ACCURACY_HIGH, PREFERENCE_LOSS, REFERENCE_ENDED,
};

/// A run's numbers by step, as `nudge metrics` writes them. Those recorded before a metric was kept by itself have it
/// from those that it comes from; all reference answers of the demo are shorter than a sample may be.
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
    let mut steps: Vec<(u64, Vec<(String, f64)>)> = lines.map(row).collect();
    for (step, metrics) in &mut steps {
        let of = |name: &str| metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let mut more = Vec::new();
        if let Some(loss) = of("loss") {
            more.push((PREFERENCE_LOSS, loss - of("loss/reference").map_or(0.0, |reference| HELD * reference)));
        }
        if let Some(ended) = of(ENDED) {
            let (low, high) = wilson(ended, ANSWERS);
            more.extend([(ENDED_LOW, low), (ENDED_HIGH, high)]);
        }
        if let Some(accuracy) = of(HELD_OUT_ACCURACY) {
            more.push((HELD_OUT_ACCURACY_HIGH, wilson(accuracy, PAIRS).1));
        }
        if *step == 0 {
            more.push((REFERENCE_ENDED, 1.0));
        }
        more.retain(|(name, _)| of(name).is_none());
        metrics.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    steps
}

/// Answers that the demo draws at an evaluation, and the pairs that it holds out.
const ANSWERS: f64 = 8.0;
const PAIRS: f64 = 290.0;

/// Wilson's 95 % interval.
fn wilson(share: f64, n: f64) -> (f64, f64) {
    let squared = 1.96f64.powi(2);
    let middle = (share + squared / (2.0 * n)) / (1.0 + squared / n);
    let half = 1.96 / (1.0 + squared / n) * (share * (1.0 - share) / n + squared / (4.0 * n * n)).sqrt();
    (middle - half, middle + half)
}

/// λ_ref of the demo's MPO.
const HELD: f64 = 0.3;

/// The demo's settings, as far as rules read them.
fn demo(method: Method) -> RunConfig {
    let mut config = RunConfig::default();
    config.objective.kind = method;
    config.optimizer.warmup_steps = 20;
    config.objective.reference_weight = Some(if method == Method::Mpo { HELD } else { 0.0 });
    config
}

#[test]
fn healthy_runs_of_three_methods_and_three_seeds_raise_none() {
    for (name, method) in [("mpo", Method::Mpo), ("dpo", Method::Dpo), ("ipo", Method::Ipo)] {
        for seed in 0..3 {
            let alarms = Watch::all(&demo(method), None, &recorded(&format!("{name}{seed}")));
            assert_eq!(alarms, [], "{name}, seed {seed}");
        }
    }
}

#[test]
fn broken_runs_raise_the_right_one_within_fifty_steps() {
    for (run, method, kind) in [
        ("rate_x100", Method::Mpo, AlarmKind::RateTooHigh),
        ("dpo_rate", Method::Dpo, AlarmKind::RateTooHigh),
        ("ipo_rate", Method::Ipo, AlarmKind::RateTooHigh),
        ("beta_50", Method::Mpo, AlarmKind::Asleep),
        ("dpo_beta_50", Method::Dpo, AlarmKind::BetaTooLarge),
        ("flipped_labels", Method::Mpo, AlarmKind::HeldOutFalls),
        ("other_template", Method::Mpo, AlarmKind::StrangeText),
        ("no_eos", Method::Mpo, AlarmKind::NeverEnds),
    ] {
        let alarms = Watch::all(&demo(method), None, &recorded(run));
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
    Watch::all(&demo(Method::Mpo), None, &steps)
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
    let wrong = |high: f64| {
        let numbers: &[(&str, &dyn Fn(f64) -> f64)] = &[
            ("rewards/margins", &|s| 0.1 * s),
            ("eval_rewards/margins", &|s| -0.1 * s),
            ("eval_rewards/accuracies", &|_| 0.4),
            ("eval_rewards/accuracies_high", &|_| high),
        ];
        kinds(&made(40, numbers))
    };
    assert_eq!(wrong(0.49), [AlarmKind::HeldOutFalls]);
    assert_eq!(wrong(0.69), [], "two of five pairs come out right by accident");
    assert_eq!(held_out(&|s| if s < 20.0 { 0.05 * s } else { 0.3 }), [AlarmKind::HeldOutFalls]);
    assert_eq!(held_out(&|s| 0.05 * s), []);
    assert_eq!(of(&[("kl/ref", &|s| 0.02 * s)]), [AlarmKind::DriftTooLarge]);
    assert_eq!(of(&[("answers/repeated", &|s| s / 100.0)]), [AlarmKind::Repeats]);
    assert_eq!(
        of(&[("grad_norm", &|s| if s % 9.0 == 8.0 && s > 30.0 { 40.0 } else { 1.0 })]),
        [AlarmKind::GradientSpikes]
    );
    let fight = [("loss/reference", &(|s| 0.3 + 0.01 * s) as &dyn Fn(f64) -> f64), ("rewards/margins", &|_| 1.0)];
    assert_eq!(of(&fight), [AlarmKind::ReferenceFights]);
}

#[test]
fn a_template_of_other_marks_is_told_where_the_model_knows_better_ones() {
    let before = |gain: f64| kinds(&made(0, &[("template/gain", &|_| gain)]));
    assert_eq!(before(0.03), [AlarmKind::StrangeText]);
    assert_eq!(before(0.0), [], "it was trained with marks that its tokenizer cuts up");
}

#[test]
fn an_answer_that_is_cut_is_told_from_one_without_an_end() {
    let before = |ended: f64, high: f64, expected: f64| {
        let numbers: &[(&str, &dyn Fn(f64) -> f64)] =
            &[("stop/eos_rate", &|_| ended), ("stop/eos_rate_high", &|_| high), ("stop/reference", &|_| expected)];
        kinds(&made(0, numbers))
    };
    assert_eq!(before(0.0, 0.32, 0.1), [], "it writes more than a sample may be long");
    assert_eq!(before(0.25, 0.59, 1.0), [AlarmKind::StrangeText]);
    assert_eq!(before(0.25, 0.59, 0.5), [], "two of eight, where half would do, may be an accident");
    // Of eight answers, with Wilson's intervals of the first and the last.
    let after = |now: f64, high: f64, known: f64| {
        let then = |first: f64, last: f64| move |s: f64| if s == 0.0 { first } else { last };
        let (ended, high, known) = (then(1.0, now), then(1.0, high), then(0.8, known));
        let numbers: &[(&str, &dyn Fn(f64) -> f64)] = &[
            ("stop/eos_rate", &ended),
            ("stop/eos_rate_low", &|_| 0.676),
            ("stop/eos_rate_high", &high),
            ("stop/known", &known),
        ];
        kinds(&made(1, numbers))
    };
    assert_eq!(after(0.25, 0.59, 0.1), [AlarmKind::NeverEnds]);
    assert_eq!(after(0.375, 0.694, 0.1), [], "three of eight may be an accident");
    assert_eq!(after(0.25, 0.59, 0.7), [], "answers grow longer and are cut; their end is known");
}

#[test]
fn a_loss_that_beta_magnifies_is_told_from_one_that_learns() {
    let dpo = |loss: f64, moved: f64| {
        let numbers = |step: u64| {
            let loss = if step < 2 { 0.693 } else { loss };
            [
                ("loss/preference", loss),
                ("logps/chosen", -30.0),
                ("logps/chosen_change", moved),
                ("logps/rejected_change", -moved),
            ]
        };
        let steps: Vec<_> =
            (1..=20).map(|step| (step, numbers(step).map(|(name, it)| (name.to_owned(), it)).to_vec())).collect();
        kinds(&Watch::all(&demo(Method::Dpo), None, &steps))
    };
    assert_eq!(dpo(2.0, 0.1), [AlarmKind::BetaTooLarge]);
    assert_eq!(dpo(1.2, 0.1), []);
    assert_eq!(dpo(2.0, 9.0), [], "answers have moved far: that is not β");
}

#[test]
fn a_held_out_margin_of_a_few_pairs_falls_by_accident() {
    // As nine held-out pairs of thirty in all had it, and the same of a hundred times as many.
    let of = |low: f64| {
        let numbers: &[(&str, &dyn Fn(f64) -> f64)] = &[
            ("rewards/margins", &|s| 0.02 * s),
            ("eval_rewards/margins", &|s| if s <= 20.0 { 0.0014 * s } else { 0.028 - 0.0024 * (s - 20.0) }),
            ("eval_rewards/accuracies", &|_| 0.667),
            ("eval_rewards/accuracies_low", &|_| low),
            ("eval_margin/q10", &|_| -3.3),
            ("eval_margin/q90", &|_| 2.8),
        ];
        kinds(&made(50, numbers))
    };
    assert_eq!(of(0.354), []);
    assert_eq!(of(0.635), [AlarmKind::HeldOutFalls]);
}

#[test]
fn answers_that_do_not_move_are_told_by_what_keeps_them() {
    let numbers = |_| [("logps/chosen", -30.0), ("logps/chosen_change", 0.002), ("logps/rejected_change", -0.003)];
    let steps: Vec<_> =
        (1..=60).map(|step| (step, numbers(step).map(|(name, it)| (name.to_owned(), it)).to_vec())).collect();
    let of = |beta: f64, held: f64, method| {
        let mut config = demo(method);
        (config.objective.beta, config.objective.reference_weight) = (beta, Some(held));
        let alarms = Watch::all(&config, None, &steps);
        assert!(alarms[0].to <= 50, "{alarms:?}");
        kinds(&alarms)
    };
    assert_eq!(of(1e-4, 0.3, Method::Mpo), [AlarmKind::BetaTooSmall]);
    assert_eq!(of(1.0, 0.3, Method::Mpo), [AlarmKind::RateTooLow]);
    assert_eq!(of(1e-4, 0.0, Method::Dpo), [AlarmKind::RateTooLow], "alone the pairs are heard at any β");
    assert_eq!(of(1e-4, 0.3, Method::Ipo), [AlarmKind::RateTooLow], "IPO has no β");
}

#[test]
fn a_fork_tells_what_is_wrong_of_its_own_steps_and_of_those_again() {
    let steps = |until: u64, falls: u64| -> Vec<(u64, Vec<(String, f64)>)> {
        let numbers = move |step: u64| {
            let chosen = if step > falls { -9.0 } else { 1.0 };
            [("logps/chosen", -30.0), ("logps/chosen_change", chosen), ("logps/rejected_change", -40.0)]
        };
        (1..=until).map(|step| (step, numbers(step).map(|(name, it)| (name.to_owned(), it)).to_vec())).collect()
    };
    let config = demo(Method::Dpo);
    assert_eq!(kinds(&Watch::all(&config, None, &steps(30, 10))), [AlarmKind::ChosenFalls]);
    assert_eq!(Watch::all(&config, Some(30), &steps(30, 10)), [], "that is told of its parent");
    let relapse = Watch::all(&config, Some(20), &steps(60, 10));
    assert_eq!(kinds(&relapse), [AlarmKind::ChosenFalls]);
    assert_eq!(relapse[0].to, 30, "as soon as its own steps say so");
}

#[test]
fn a_rate_that_was_too_high_hides_the_rest_only_as_long_as_it_is() {
    let numbers = |step: u64| {
        let (chosen, rejected) = if step <= 20 { (-9.0, -9.0) } else { (-9.0, -40.0) };
        [("logps/chosen", -30.0), ("logps/chosen_change", chosen), ("logps/rejected_change", rejected)]
    };
    let steps: Vec<_> =
        (1..=60).map(|step| (step, numbers(step).map(|(name, it)| (name.to_owned(), it)).to_vec())).collect();
    let alarms = Watch::all(&demo(Method::Dpo), None, &steps);
    assert_eq!(kinds(&alarms), [AlarmKind::RateTooHigh, AlarmKind::ChosenFalls]);
    assert!(alarms[1].to > 20, "{alarms:?}");
}

#[test]
fn a_limit_of_the_run_is_the_limit() {
    let mut config = demo(Method::Mpo);
    config.train.kl_limit = Some(0.01);
    let steps = [(0, 0.0), (10, 0.02)].map(|(step, kl)| (step, vec![("kl/ref".to_owned(), kl)]));
    let alarms = Watch::all(&config, None, &steps);
    assert_eq!(kinds(&alarms), [AlarmKind::DriftTooLarge]);
    assert!(alarms[0].sentence.contains("above 0.01, the limit of this run"), "{}", alarms[0].sentence);
}

#[test]
fn a_watch_that_is_fed_step_by_step_raises_what_it_raises_at_once() {
    let steps = recorded("rate_x100");
    let mut watch = Watch::new(&demo(Method::Mpo), None);
    let one_by_one: Vec<Alarm> = steps.iter().flat_map(|(step, metrics)| watch.take(*step, metrics)).collect();
    assert_eq!(one_by_one, Watch::all(&demo(Method::Mpo), None, &steps));
    let kinds: BTreeSet<AlarmKind> = one_by_one.iter().map(|alarm| alarm.kind).collect();
    assert_eq!(kinds.len(), one_by_one.len(), "each once");
}

#[test]
fn every_alarm_says_what_can_be_done() {
    let mut config = demo(Method::Mpo);
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
    assert_eq!(AlarmKind::BetaTooSmall.cures(Method::Mpo), [Cure::TenfoldBeta, Cure::HoldLess]);
}
