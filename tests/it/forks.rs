//! Forks: with nothing changed they are the run that was never interrupted, to the bit; what they change counts from
//! there on.

use std::collections::BTreeSet;

use nudge::{
    data::{
        PairId,
        config::{DriftAction, Method, RunConfig},
    },
    engine::{fork, protocol::Outcome},
    store::{LeftOut, RunAbout, RunId, RunMarks, StoreError, family},
};

use crate::{
    resume::{assert_same, config, metrics},
    toy::Toy,
};

fn of(run: RunId, at: u64, config: RunConfig) -> fork::Fork {
    fork::Fork { run, at, name: None, config, left_out: None }
}

fn forked(toy: &Toy, fork: &fork::Fork) -> RunId {
    fork::fork(&mut toy.open(), fork).unwrap()
}

fn refused(toy: &Toy, fork: &fork::Fork) -> String {
    fork::fork(&mut toy.open(), fork).unwrap_err().to_string()
}

#[test]
fn with_nothing_changed_a_fork_is_the_uninterrupted_run_to_the_bit() {
    let toy = Toy::new();
    let (whole, outcome) = toy.train(&config());
    assert_eq!(outcome, Outcome::Completed);
    let same = forked(&toy, &of(whole, 10, config()));
    let record = toy.open().run(same).unwrap();
    assert_eq!((record.parent, record.parent_step, record.step), (Some(whole), Some(10), 10));
    assert_eq!(record.name, "toy run from 10");
    assert_eq!(toy.go_on(same), Outcome::Completed);
    assert_same(&toy, whole, same);
    let visits = |run| toy.open().visits(run, 1, 20).unwrap();
    assert_eq!(visits(whole), visits(same));

    // From the same beginning, and once more from the fork.
    let anew = forked(&toy, &of(whole, 0, config()));
    assert_eq!(toy.go_on(anew), Outcome::Completed);
    assert_same(&toy, whole, anew);
    let again = forked(&toy, &of(same, 10, config()));
    assert_eq!(toy.go_on(again), Outcome::Completed);
    assert_same(&toy, whole, again);

    let project = toy.open();
    let runs = project.runs().unwrap();
    let tree: Vec<(usize, i64)> = family(&runs, runs.iter()).iter().map(|(depth, run)| (*depth, run.id.0)).collect();
    assert_eq!(tree, [(0, 1), (1, 2), (2, 4), (1, 3)]);

    // Another one from there has a name of its own.
    let twin = forked(&toy, &of(whole, 10, config()));
    assert_eq!(project.run(twin).unwrap().name, "toy run from 10 (2)");

    // It stands by itself: what its parent leaves behind when it is deleted is its own.
    let mut project = project;
    project.delete_run(whole).unwrap();
    let left = project.run(same).unwrap();
    assert_eq!((left.parent, left.parent_step), (None, Some(10)));
    assert_eq!(metrics(&toy, same), metrics(&toy, again));
    let mut longer = config();
    longer.train.steps = Some(22);
    let more = forked(&toy, &of(same, 10, longer));
    assert_eq!(toy.go_on(more), Outcome::Completed);
}

#[test]
fn a_budget_of_drift_steers_and_goes_on_to_the_bit() {
    let toy = Toy::new();
    let mut config = config();
    config.objective.reference_weight = Some(0.0);
    config.train.eval_every = 2;
    config.train.kl_limit = Some(1e-3);
    config.train.kl_action = DriftAction::Steer;
    let (whole, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed, "it is steered, not stopped");
    let log = toy.open().log(whole).unwrap();
    let steered = log.iter().filter(|line| line.mark && line.text.starts_with("λ ref")).count();
    assert!(steered > 0, "{log:?}");
    let same = forked(&toy, &of(whole, 10, config));
    assert_eq!(toy.go_on(same), Outcome::Completed);
    assert_same(&toy, whole, same);
}

#[test]
fn what_a_fork_changes_counts_from_there_on() {
    let toy = Toy::new();
    let (whole, _) = toy.train(&config());
    let mut other = config();
    other.objective.kind = Method::Dpo;
    other.objective.beta = 1.5;
    other.objective.reference_weight = Some(0.1);
    let rename = |name: String| toy.open().set_about(whole, &RunAbout { name, marks: RunMarks::default() }).unwrap();
    rename(format!("{} 2", toy.open().run(whole).unwrap().method));
    let named = forked(&toy, &of(whole, 10, other.clone()));
    assert_eq!(toy.open().run(named).unwrap().name, format!("{} 2 from 10", toy.open().run(named).unwrap().method));
    rename("toy run".to_owned());
    let run = forked(&toy, &of(whole, 10, other));
    let project = toy.open();
    assert_eq!(project.run(run).unwrap().name, "toy run from 10");
    let marks: Vec<String> =
        project.log(run).unwrap().into_iter().filter(|line| line.mark).map(|line| line.text).collect();
    assert_eq!(marks.len(), 1, "{marks:?}");
    let mark = &marks[0];
    for part in ["Forked from toy run (run 1) at step 10: ", "Method mpo → dpo", "β 0.5 → 1.5", "λ ref "] {
        assert!(mark.contains(part), "{mark}");
    }
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let (whole, run) = (metrics(&toy, whole), metrics(&toy, run));
    let upto = |metrics: &std::collections::BTreeMap<(u64, String), u64>, last: u64| {
        metrics
            .iter()
            .filter(|((step, _), _)| *step <= last)
            .map(|(key, bits)| (key.clone(), *bits))
            .collect::<Vec<_>>()
    };
    assert_eq!(upto(&whole, 10), upto(&run, 10));
    let reward = |metrics: &std::collections::BTreeMap<(u64, String), u64>| {
        f64::from_bits(metrics[&(11, "rewards/chosen".to_owned())])
    };
    // The same weights met the same pairs: only β has scaled the reward.
    assert!((reward(&run) / reward(&whole) - 3.0).abs() < 1e-6, "{} {}", reward(&run), reward(&whole));
    assert_ne!(whole[&(12, "loss".to_owned())], run[&(12, "loss".to_owned())]);
}

#[test]
fn pairs_that_a_fork_leaves_out_are_met_no_more() {
    let toy = Toy::new();
    let (whole, _) = toy.train(&config());
    let pairs: Vec<PairId> =
        toy.open().visits(whole, 11, 12).unwrap().into_iter().map(|(_, visit)| visit.pair).collect();
    let left_out = LeftOut::new("tagged “blunt”".to_owned(), pairs[..3].to_vec());
    let run = forked(&toy, &fork::Fork { left_out: Some(left_out.clone()), ..of(whole, 10, config()) });
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let project = toy.open();
    let met = |run, from| {
        let visits = project.visits(run, from, 20).unwrap();
        visits.into_iter().map(|(_, visit)| visit.pair).collect::<BTreeSet<_>>()
    };
    assert!(met(whole, 11).iter().any(|pair| left_out.holds(*pair)));
    assert!(!met(run, 11).iter().any(|pair| left_out.holds(*pair)));
    assert!(met(run, 1).iter().any(|pair| left_out.holds(*pair)), "before the fork it was trained on them");
    let eval = |run| {
        project.series(run, "eval_pairs", None).unwrap().len() + project.series(run, "eval_loss", None).unwrap().len()
    };
    assert_eq!(eval(whole), eval(run), "held-out pairs are measured as before");
    // A fork of it leaves them out as well.
    let more = LeftOut::new("named by number".to_owned(), vec![pairs[3]]);
    let again = forked(
        &toy,
        &fork::Fork {
            left_out: Some(more),
            ..of(run, 20, {
                let mut c = config();
                c.train.steps = Some(24);
                c
            })
        },
    );
    assert_eq!(project.run(again).unwrap().left_out.unwrap().pairs().len(), 4);
    assert_eq!(toy.go_on(again), Outcome::Completed);
    assert!(met(again, 11).iter().all(|pair| !left_out.holds(*pair)));
}

#[test]
fn what_cannot_be_forked_is_said_and_leaves_nothing() {
    let toy = Toy::new();
    let (run, _) = toy.train(&config());
    let mut other = config();
    other.lora.rank += 1;
    other.train.shuffle_seed = 9;
    let said = refused(&toy, &of(run, 10, other));
    assert!(
        said.contains("lora.rank stays") && said.contains("train.shuffle_seed stays 0, because the order"),
        "{said}"
    );
    let said = refused(&toy, &of(run, 7, config()));
    assert!(said.contains("no checkpoint of step 7; there are those of 10, 20"), "{said}");
    let said = refused(&toy, &of(run, 20, config()));
    assert!(said.contains("goes on from step 20 and is to have 20 steps in all"), "{said}");
    assert!(matches!(
        fork::fork(&mut toy.open(), &of(RunId(9), 0, config())),
        Err(error) if error.to_string() == StoreError::NoSuchRun(RunId(9)).to_string()
    ));
    // All pairs left out: nothing is left to train on.
    let all = toy.open().pairs_at(toy.open().revision().unwrap()).unwrap().into_iter().map(|pair| pair.id).collect();
    let none = fork::Fork { left_out: Some(LeftOut::new("of all".to_owned(), all)), ..of(run, 10, config()) };
    let said = refused(&toy, &none);
    assert!(said.contains("leaves out all"), "{said}");
    assert_eq!(toy.open().runs().unwrap().len(), 1);
}
