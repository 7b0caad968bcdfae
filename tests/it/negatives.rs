//! Pairs with several rejected answers in order: what a run makes of them, from the file to the last checkpoint.

use nudge::{
    data::{
        Pair, PairId,
        config::{Method, Negatives, RunConfig, TokenWeights, Transform},
        metrics::{METRICS, Measured},
    },
    engine::protocol::Outcome,
    store::{Project, RunId},
};

use crate::{
    resume::{assert_same, config as resumable},
    toy::{self, Toy, ask},
};

/// The toy with answers in order beside its pairs: of a third of the prompts three answers, of another six.
fn toy_with_orders() -> Toy {
    let toy = Toy::new();
    let texts = ["yes sir", "yes", "maybe so", "no way", "go away", "none of it"];
    let ordered = |n: usize| {
        let count = [2, 3, 6][n % 3];
        let mut pair = toy::labelled(&format!("Is {n} odd?"), texts[0], texts[1]);
        pair.answers = Pair::new(PairId::NEW, ask(""), &texts[..count]).answers;
        if count > 2 {
            pair.verdict.as_mut().unwrap().order = (0..count).collect();
        }
        pair
    };
    toy::add(&mut toy.open(), (0..15).map(ordered).collect());
    toy
}

fn several(negatives: Negatives, most: usize, config: RunConfig) -> RunConfig {
    let mut config = config;
    (config.objective.negatives, config.objective.negatives_max) = (negatives, most);
    config
}

fn at_start(project: &Project, run: RunId, name: &str) -> f64 {
    project.series(run, name, None).unwrap().first().unwrap().1
}

#[test]
fn one_rejected_answer_is_what_a_run_has_always_been() {
    let (plain, ordered) = (Toy::new(), toy_with_orders());
    let pairs = ordered.open().pairs_at(ordered.open().revision().unwrap()).unwrap();
    assert_eq!(pairs.iter().map(|pair| pair.worse().len()).max(), Some(5));
    let (run, outcome) = ordered.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    assert!(ordered.open().series(run, "negatives/count", None).unwrap().is_empty());
    // Pairs of two give the same numbers whatever is asked for.
    let (first, _) = plain.train(&toy::config());
    let (all, _) = plain.train(&several(Negatives::All, 4, toy::config()));
    let numbers = |run| toy::numbers(&plain.open(), run);
    assert_eq!(numbers(first), numbers(all));
}

#[test]
fn all_rejected_answers_are_trained_on_and_measured() {
    let toy = toy_with_orders();
    for (method, golden) in
        [(Method::Dpo, (|k: f64| (1.0 + k).ln()) as fn(f64) -> f64), (Method::Mpo, |k: f64| -1.0 / (1.0 + k))]
    {
        let mut config = several(Negatives::All, 8, toy::config());
        config.objective.kind = method;
        config.data.eval_fraction = 0.0;
        let (run, outcome) = toy.train(&RunConfig { data: config.data.clone(), ..config });
        assert_eq!(outcome, Outcome::Completed);
        let project = toy.open();
        let last = |name: &str| project.series(run, name, None).unwrap().last().unwrap().1;
        assert!(last("rewards/margins") > at_start(&project, run, "rewards/margins"));
        // Each of a step's pairs begins with what its own number of answers gives.
        let (loss, count) = (at_start(&project, run, "loss/preference"), at_start(&project, run, "negatives/count"));
        assert!((1.0..5.0).contains(&count), "{count}");
        let (low, high) = (golden(1.0).min(golden(5.0)), golden(1.0).max(golden(5.0)));
        assert!(loss > low && loss < high, "{loss} between {low} and {high}");
        assert!((at_start(&project, run, "negatives/ess") - count).abs() < 1e-3, "alike before anything moved");
        let asked = METRICS.iter().filter(|metric| metric.key.starts_with("negatives/"));
        for metric in asked.inspect(|metric| assert_eq!(metric.measured, Measured::BothIfAsked)) {
            assert!(!project.series(run, metric.key, None).unwrap().is_empty(), "{}", metric.key);
        }
        let visits = project.pair_history(run, PairId(21 + 2)).unwrap();
        assert!(!visits.is_empty() && visits.iter().all(|(_, visit)| visit.push > 0.0), "{visits:?}");
    }
}

/// Weights that are all 1 change no bit of a run on answers in order; others do, and each rejected answer has its own.
#[test]
fn tokens_are_weighed_in_every_rejected_answer() {
    let toy = toy_with_orders();
    for kind in [Method::Dpo, Method::Mpo] {
        let mut plain = several(Negatives::All, 8, toy::config());
        plain.objective.kind = kind;
        let mut ones = plain.clone();
        ones.objective.token_weights = TokenWeights::Tis;
        (ones.tis.ranks, ones.tis.steps) = ([1.0, 1.0], Some(2));
        let mut weighed = ones.clone();
        weighed.tis.transform = Transform::Exp;
        let [plain, ones, weighed] = [plain, ones, weighed].map(|config| {
            let (run, outcome) = toy.train(&config);
            assert_eq!(outcome, Outcome::Completed);
            let mut numbers = toy::numbers(&toy.open(), run);
            numbers.retain(|(_, name), _| !name.contains("weights/") && !name.contains("weighted_margins"));
            numbers
        });
        assert_eq!(ones, plain, "{kind:?}");
        assert_ne!(weighed, plain, "{kind:?}");
    }
}

/// A pair with these answers, the best of them first, is trained on with two of the others.
fn two_others_are_learnt_from(answers: &[&str]) {
    let toy = Toy::new();
    let mut pair = toy::labelled("Is 8 odd?", "yes sir", "no way");
    pair.answers = Pair::new(PairId::NEW, ask(""), answers).answers;
    pair.verdict.as_mut().unwrap().order = (0..answers.len()).collect();
    toy::add(&mut toy.open(), vec![pair]);
    let (run, outcome) = toy.train(&several(Negatives::All, 4, toy::config()));
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.starts_with("1 pair brings several rejected answers, 2.0 in the mean")));
    assert!(log.iter().all(|line| !line.text.contains("set aside")), "{log:?}");
}

/// They would make the pair one that cannot be trained on.
#[test]
fn a_third_answer_that_says_nothing_new_is_left_out() {
    two_others_are_learnt_from(&["yes sir", "no way", "no way", "", "maybe so"]);
}

/// The others are trained on all the same.
#[test]
fn an_answer_that_the_context_cannot_hold_costs_the_pair_that_answer() {
    two_others_are_learnt_from(&["yes sir", "no way", &"maybe so ".repeat(2000), "go away"]);
}

/// What is drawn of a pair with six answers is a function of seed, step and pair.
#[test]
fn drawn_and_chosen_answers_resume_to_the_bit() {
    let toy = toy_with_orders();
    for negatives in [Negatives::All, Negatives::Diverse] {
        let config = several(negatives, 2, resumable());
        let (whole, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let log = toy.open().log(whole).unwrap();
        let told = log.iter().find(|line| line.text.contains("several rejected answers")).unwrap();
        let expected = if negatives == Negatives::All { "of 4 of them a visit draws 2" } else { "up to 2" };
        assert!(told.text.ends_with(expected), "{}", told.text);

        let parts = toy.record(&config);
        toy.stop_at(parts, 7);
        assert_eq!(toy.go_on(parts), Outcome::Completed);
        assert_same(&toy, whole, parts);
    }
}
