//! Runs as the window folds events and records into them.

use engine::protocol::{LogLevel, Metrics};

use super::*;
use crate::series::Series;

fn loss(value: f64) -> Metrics {
    vec![("loss".to_owned(), value)]
}

fn step(run: i64, step: u64) -> Event {
    Event::Step { run: RunId(run), step, total_steps: 9, metrics: loss(step as f64), eta_secs: None }
}

fn record(id: i64) -> RunRecord {
    RunRecord {
        id: RunId(id),
        status: RunStatus::Completed,
        revision: store::Revision(0),
        marks: store::RunMarks::default(),
        dir: std::path::PathBuf::new(),
        ..RunRecord::default()
    }
}

/// A completed run with these settings.
pub fn record_of(id: i64, toml: &str) -> RunRecord {
    RunRecord { config_toml: toml.to_owned(), ..record(id) }
}

fn live(run: i64) -> LiveRun {
    LiveRun::new(RunId(run), Arc::default())
}

#[test]
fn what_came_in_while_the_store_was_read_stays() {
    let mut history = History::default();
    for step in [4, 5] {
        history.take_metrics(step, &loss(step as f64));
    }
    history.fill(StoredRun {
        steps: (1..=4).map(|step| (step, loss(step as f64))).collect(),
        log: Vec::new(),
        watched: None,
    });
    let steps: Vec<f64> = history.series["loss"].points().iter().map(|p| p[0]).collect();
    assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn settings_are_read_again_only_when_they_change() {
    let with = record_of;
    let mut runs = Runs::default();
    runs.set_records(vec![with(1, "[objective]\nbeta = 0.25"), with(2, "no settings at all")]);
    assert_eq!(runs.settings(RunId(1)).unwrap().config.objective.beta, 0.25);
    assert_eq!(runs.settings(RunId(1)).unwrap().table["objective.beta"], "0.25");
    assert_eq!(runs.settings(RunId(2)).unwrap().config, RunConfig::default());
    runs.set_records(vec![with(1, "[objective]\nbeta = 0.5")]);
    assert_eq!(runs.settings(RunId(1)).unwrap().config.objective.beta, 0.5);
    assert!(runs.settings(RunId(2)).is_none(), "that run is gone");
}

#[test]
fn a_value_that_is_no_number_stays_in_the_series() {
    let mut runs = Runs::default();
    runs.queue(live(1));
    for (at, value) in [(1, 0.5), (2, f64::NAN), (3, f64::INFINITY)] {
        runs.take(&Event::Step { run: RunId(1), step: at, total_steps: 9, metrics: loss(value), eta_secs: None });
    }
    let history = runs.history(RunId(1)).unwrap();
    assert_eq!(history.series["loss"].not_finite(), 2);
    assert_eq!(history.latest("loss"), Some(0.5));
}

#[test]
fn a_run_that_rests_says_why_until_it_trains_again() {
    let mut runs = Runs::default();
    runs.queue(live(1));
    let why = "Training rests while an answer is written".to_owned();
    runs.take(&Event::Resting { run: RunId(1), why: Some(why.clone()) });
    assert_eq!(runs.live.as_ref().unwrap().phase, Some((why, None)));
    runs.take(&Event::Resting { run: RunId(1), why: None });
    assert_eq!(runs.live.as_ref().unwrap().phase, None);
}

#[test]
fn a_gap_asks_for_the_history() {
    let mut runs = Runs::default();
    runs.queue(live(1));
    assert_eq!(runs.take(&step(1, 1)), None);
    assert_eq!(runs.take(&step(1, 4)), Some(Follow::ReadHistory(RunId(1))));
    assert_eq!(runs.take(&step(1, 5)), None);
}

#[test]
fn the_next_run_is_live_when_one_ends() {
    let mut runs = Runs::default();
    runs.queue(live(1));
    runs.queue(live(2));
    let ended = Event::Finished { run: RunId(1), outcome: Outcome::Completed };
    assert_eq!(runs.take(&ended), Some(Follow::ReadRuns(RunId(1))));
    assert_eq!(runs.live.as_ref().unwrap().run, RunId(2));
    assert!(runs.waiting.is_empty());
}

#[test]
fn g11_a_queued_run_is_moved_and_taken_out() {
    let mut runs = Runs::default();
    for run in 1..=4 {
        runs.queue(live(run));
    }
    assert_eq!((runs.place(RunId(1)), runs.place(RunId(2)), runs.place(RunId(4))), (None, Some(0), Some(2)));
    assert_eq!(runs.reorder(RunId(4), 0), [RunId(4), RunId(2), RunId(3)]);
    assert_eq!(runs.reorder(RunId(4), 99), [RunId(2), RunId(3), RunId(4)]);
    assert_eq!(runs.reorder(RunId(1), 0), [RunId(2), RunId(3), RunId(4)], "the one that is going stays");
    let out = Event::Finished { run: RunId(3), outcome: Outcome::Stopped { step: 0 } };
    runs.take(&out);
    assert!(runs.is_going(RunId(1)));
    assert_eq!(runs.place(RunId(4)), Some(1));
    assert_eq!(runs.place(RunId(3)), None);
}

#[test]
fn g15_what_lies_beyond_the_resumed_step_is_not_shown_as_new() {
    let mut runs = Runs::default();
    runs.queue(live(1));
    let history = runs.history.entry(RunId(1)).or_default();
    for step in 1..=32 {
        history.take_metrics(step, &loss(step as f64));
    }
    history.take_metrics(25, &vec![("eval_loss".to_owned(), 0.1)]);
    history.take_line(30, LogLevel::Info, "λ ref 0.3 → 0.7", true);
    history.take_line(3, LogLevel::Info, "kept", false);
    let arithmetic = store::Arithmetic::default();
    let begun =
        |first_step| Event::Started { run: RunId(1), first_step, total_steps: 80, arithmetic: arithmetic.clone() };
    runs.take(&begun(21));
    let history = runs.history(RunId(1)).unwrap();
    assert_eq!(history.last_step(), 20.0);
    assert_eq!(history.series("eval_loss").map(Series::len), None);
    assert!(history.marks.is_empty());
    assert_eq!(history.log.len(), 1);
    runs.take(&begun(1));
    assert_eq!(runs.history(RunId(1)).unwrap().series("loss").map(Series::len), None);
}

#[test]
fn accuracy_is_not_drawn_before_anything_moved() {
    let mut history = History::default();
    let name = "eval_rewards/accuracies".to_owned();
    let measured = |accuracy, margin| vec![(name.clone(), accuracy), ("eval_rewards/margins".to_owned(), margin)];
    history.take_metrics(0, &measured(0.5, 1e-6));
    history.take_metrics(10, &measured(0.8, 1.5));
    assert_eq!(history.series[&name].points(), [[10.0, 0.8]]);
}

#[test]
fn an_evaluation_is_taken_over_after_its_step() {
    let steps = |metrics: &[(&str, f64)]| {
        let metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        StoredRun { steps: vec![(10, metrics)], ..StoredRun::default() }
    };
    let mut history = History::default();
    history.fill(steps(&[("loss", 1.0)]));
    history.extend(steps(&[("loss", 1.0), ("kl/ref", 0.2)]));
    assert_eq!(history.latest("kl/ref"), Some(0.2));
    assert_eq!(history.series("loss").unwrap().points(), [[10.0, 1.0]], "once");
}
