//! Resume is exact: twenty steps are ten, an end of everything, and ten more, to the bit.

use std::{collections::BTreeMap, fs, path::Path};

use nudge::{
    data::config::{Priority, RunConfig, Threads},
    engine::protocol::Outcome,
    store::RunId,
};

use crate::toy::{self, Toy};

pub fn config() -> RunConfig {
    let mut config = toy::config();
    config.train.steps = Some(20);
    config.train.checkpoint_every = 10;
    config.train.keep = 5;
    config.train.eval_every = 4;
    config
}

/// Every metric of every step as bits.
pub fn metrics(toy: &Toy, run: RunId) -> BTreeMap<(u64, String), u64> {
    toy::numbers(&toy.open(), run)
}

pub fn weights(toy: &Toy, run: RunId, step: u64) -> Vec<u8> {
    let dir = toy.open().run_dir(run);
    let folder = dir.join(format!("checkpoints/step-{step:06}"));
    ["trainable.safetensors", "optimizer.safetensors", "adapter_model.safetensors"]
        .iter()
        .flat_map(|file| fs::read(folder.join(file)).unwrap())
        .collect()
}

pub fn assert_same(toy: &Toy, whole: RunId, parts: RunId) {
    let (whole_metrics, parts_metrics) = (metrics(toy, whole), metrics(toy, parts));
    for (key, bits) in &whole_metrics {
        let other = parts_metrics.get(key).copied();
        assert_eq!(other.map(f64::from_bits), Some(f64::from_bits(*bits)), "{key:?}");
    }
    assert_eq!(whole_metrics.len(), parts_metrics.len());
    assert!(weights(toy, whole, 20) == weights(toy, parts, 20), "weights and moments");
    let samples = |run| toy.open().samples(run).unwrap();
    assert_eq!(samples(whole), samples(parts));
}

#[test]
fn twenty_steps_equal_ten_and_an_end_of_everything_and_ten() {
    let toy = Toy::new();
    let (whole, outcome) = toy.train(&config());
    assert_eq!(outcome, Outcome::Completed);

    let parts = toy.record(&config());
    toy.leave_at(parts, 12);
    // As after a killed process: the checkpoint of the orderly stop is not there, later metrics are.
    let run_dir = toy.open().run_dir(parts);
    remove_after(&run_dir, 10);
    assert!(toy.open().series(parts, "loss", None).unwrap().len() >= 12);
    assert_eq!(toy.go_on(parts), Outcome::Completed);
    assert_same(&toy, whole, parts);

    // From wherever an orderly stop happened to be.
    let stopped = toy.record(&config());
    toy.stop_at(stopped, 7);
    assert_eq!(toy.go_on(stopped), Outcome::Completed);
    assert_same(&toy, whole, stopped);
}

#[test]
fn threads_and_priority_change_no_bit() {
    let toy = Toy::new();
    let (one, _) = toy.train(&config());
    let mut other = config();
    other.train.threads = Threads::Count(3);
    other.train.priority = Priority::Gentle;
    let (three, outcome) = toy.train(&other);
    assert_eq!(outcome, Outcome::Completed);
    assert_same(&toy, one, three);
    let said = |run, text: &str| {
        let log = toy.open().log(run).unwrap();
        log.iter().any(|line| line.text.contains(text))
    };
    assert!(said(one, "Computes with 1 thread"));
    assert!(said(three, "Computes with 3 threads at a lower priority"));
}

#[test]
fn a_finished_run_says_so_and_can_be_extended() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(3);
    let (run, _) = toy.train(&config);
    let Outcome::Failed { error } = toy.go_on(run) else {
        panic!("there is nothing left to do");
    };
    assert!(error.contains("already at its last step (3 of 3)"), "{error}");
    let project = toy.open();
    assert_eq!(project.run(run).unwrap().status, nudge::store::RunStatus::Completed);
    config.train.steps = Some(5);
    project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert_eq!(project.run(run).unwrap().step, 5);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_a_changed_model_refused() {
    let toy = Toy::new();
    let mut config = config();
    config.train.checkpoint_every = 2;
    let run = toy.record(&config);
    toy.stop_at(run, 6);

    let run_dir = toy.open().run_dir(run);
    let newest = checkpoints(&run_dir).pop().unwrap();
    let path = run_dir.join(format!("checkpoints/step-{newest:06}/trainable.safetensors"));
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.contains("is not the file that was written")));

    // Another model in the same folder is another reference.
    let weights = toy.model.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&weights, bytes).unwrap();
    config.train.steps = Some(22);
    toy.open().set_run_config(run, &config.to_toml().unwrap()).unwrap();
    let Outcome::Failed { error } = toy.go_on(run) else {
        panic!("the reference has changed");
    };
    assert!(error.contains("reference is not the one it began with"), "{error}");
}

#[test]
fn old_checkpoints_make_room_and_the_best_stays() {
    let toy = Toy::new();
    let mut config = config();
    config.train.steps = Some(8);
    config.train.checkpoint_every = 1;
    config.train.eval_every = 1;
    config.train.keep = 2;
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let losses = project.series(run, "eval_loss", Some(0)).unwrap();
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    let kept = checkpoints(&project.run_dir(run));
    assert!(kept.contains(&best) && kept.contains(&8), "{kept:?}, best {best}");
    assert!(kept.len() <= 4, "{kept:?}");
}

pub fn checkpoints(run_dir: &Path) -> Vec<u64> {
    let entries = fs::read_dir(run_dir.join("checkpoints")).unwrap();
    let mut steps: Vec<u64> = entries
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("step-")?.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    steps
}

pub fn remove_after(run_dir: &Path, step: u64) {
    for later in checkpoints(run_dir) {
        if later > step {
            fs::remove_dir_all(run_dir.join(format!("checkpoints/step-{later:06}"))).unwrap();
        }
    }
}
