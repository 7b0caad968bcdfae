//! The contrast pair of token weights: stopped and gone on with, kept as long as somebody needs it.

use std::{fs, path::PathBuf};

use nudge::{
    data::config::{RunConfig, TokenWeights},
    engine::protocol::{Event, Outcome},
    store::RunId,
    train::importance::contrast::clear,
};

use crate::toy::{self, Toy, finished, start, wait_for};

fn config(steps: u64) -> RunConfig {
    let mut config = toy::config();
    config.objective.token_weights = TokenWeights::Tis;
    config.tis.steps = Some(steps);
    config
}

/// What there is of contrast pairs, by name.
fn folders(toy: &Toy) -> Vec<PathBuf> {
    let entries = fs::read_dir(toy.open().dir().join("contrast")).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn learnt(toy: &Toy) -> [Vec<u8>; 2] {
    let [folder] = folders(toy).try_into().unwrap();
    ["positive.safetensors", "negative.safetensors"].map(|file| fs::read(folder.join(file)).unwrap())
}

/// Stops the run while it fits one of the two.
fn stop_in(toy: &Toy, run: RunId, which: &str) {
    let engine = start();
    let control = toy.queue(&engine, run);
    wait_for(&engine, |event| match event {
        Event::Phase { what, done: Some(done), .. } if what.contains(which) && done.share() > 0.0 => Some(()),
        _ => None,
    });
    control.stop();
    assert_eq!(finished(&engine, run), Outcome::Stopped { step: 0 });
    engine.shut_down();
}

#[test]
fn a_fit_that_is_stopped_goes_on_to_the_bit() {
    let (whole, parts) = (Toy::new(), Toy::new());
    let config = config(200);
    assert_eq!(whole.train(&config).1, Outcome::Completed);
    let run = parts.record(&config);
    stop_in(&parts, run, "π⁺");
    assert!(folders(&parts)[0].join("half.safetensors").is_file());
    stop_in(&parts, run, "π⁻");
    assert!(folders(&parts)[0].join("positive.safetensors").is_file());
    assert_eq!(parts.go_on(run), Outcome::Completed);
    assert_eq!(learnt(&parts), learnt(&whole));
    let log = parts.open().log(run).unwrap();
    let went_on = log.iter().filter(|line| line.text.starts_with("Goes on with the contrast pair"));
    assert_eq!(went_on.map(|line| line.text.contains("π⁻")).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_half_whose_file_is_damaged_is_fitted_again() {
    let (whole, parts) = (Toy::new(), Toy::new());
    let config = config(60);
    assert_eq!(whole.train(&config).1, Outcome::Completed);
    let run = parts.record(&config);
    stop_in(&parts, run, "π⁻");
    for file in ["half.safetensors", "positive.safetensors"] {
        fs::write(folders(&parts)[0].join(file), "torn").unwrap();
    }
    assert_eq!(parts.go_on(run), Outcome::Completed);
    assert_eq!(learnt(&parts), learnt(&whole));
}

#[test]
fn what_nobody_needs_any_more_is_deleted() {
    let toy = Toy::new();
    let (first, _) = toy.train(&config(2));
    let (second, _) = toy.train(&config(3));
    let stopped = toy.record(&config(100_000));
    stop_in(&toy, stopped, "π⁺");
    assert_eq!(folders(&toy).len(), 3, "{:?}", folders(&toy));
    clear(&toy.open(), None);
    assert_eq!(folders(&toy).len(), 3, "each is needed");
    for (run, left) in [(first, 2), (stopped, 1), (second, 0)] {
        toy.open().delete_run(run).unwrap();
        clear(&toy.open(), None);
        assert_eq!(folders(&toy).len(), left, "{:?}", folders(&toy));
    }
}
