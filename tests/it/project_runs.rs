//! Runs in the project: what they measured, whose hands they are in, and their ids.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
};

use nudge::{
    data::PairId,
    store::{LogLevel, NewRun, Project, RunId, RunStatus, StoreError},
};

use crate::project::{CHILD, child, create};

fn new_run() -> NewRun {
    NewRun {
        name: "Run".to_owned(),
        config_toml: "[train]\nsteps = 3\n".to_owned(),
        method: "MPO anchored-sum".to_owned(),
        ..NewRun::default()
    }
}

#[test]
fn runs_that_nobody_named_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = create(dir.path());
    let named = ["", "Run", ""].map(|name| {
        let run = project.create_run(&NewRun { name: name.to_owned(), ..new_run() }).unwrap();
        project.run(run).unwrap().name
    });
    assert_eq!(named, ["MPO anchored-sum 1", "Run", "MPO anchored-sum 3"]);
}

#[test]
fn a_run_without_its_process_is_interrupted() {
    if let Some(dir) = env::var_os(CHILD) {
        let mut project = Project::open(Path::new(&dir)).unwrap();
        let run = project.create_run(&new_run()).unwrap();
        project.set_run_status(run, RunStatus::Running, None).unwrap();
        project.append_step(run, 1, 5, &[("loss".to_owned(), -0.5)]).unwrap();
        println!("running");
        std::thread::sleep(std::time::Duration::from_mins(10));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut project = create(dir.path());
    let mine = project.create_run(&new_run()).unwrap();
    let mut child = child("project_runs::a_run_without_its_process_is_interrupted", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "running"));

    let other = RunId(mine.0 + 1);
    let status = |run| Project::open(dir.path()).unwrap().run(run).unwrap().status;
    assert_eq!(status(other), RunStatus::Running, "its process is alive");
    let refused = project.set_run_status(other, RunStatus::Running, None);
    assert!(matches!(refused, Err(StoreError::RunIsLive(run)) if run == other));
    assert!(matches!(project.delete_run(other), Err(StoreError::RunIsLive(_))));

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(other), RunStatus::Interrupted);
    assert_eq!(status(mine), RunStatus::Queued, "this process is alive");
    let series = project.series(other, "loss", None).unwrap();
    assert_eq!(series, [(1, -0.5)], "what it measured is there");
    project.set_run_status(other, RunStatus::Running, None).unwrap();

    drop(project);
    assert_eq!(status(mine), RunStatus::Interrupted, "nobody has it in hand");
}

#[test]
fn runs_keep_what_they_measured_and_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = create(dir.path());
    let run = project.create_run(&new_run()).unwrap();
    let config = fs::read_to_string(project.run_dir(run).join("config.toml")).unwrap();
    assert_eq!(config, new_run().config_toml);
    for step in 1..=4u64 {
        let metrics =
            [("loss".to_owned(), -(step as f64)), ("grad_norm".to_owned(), if step == 3 { f64::NAN } else { 1.0 })];
        project.append_step(run, step, step * 10, &metrics).unwrap();
        project
            .append_pair_visits(
                run,
                step,
                &[nudge::store::PairVisit { pair: PairId(1), margin: step as f32, push: 0.25 }],
            )
            .unwrap();
    }
    project.append_step(run, 2, 99, &[("eval_loss".to_owned(), -0.5)]).unwrap();
    project.append_mark(run, 4, LogLevel::Info, "beta 0.1 → 0.2").unwrap();
    assert_eq!(project.metrics(run).unwrap(), ["loss", "grad_norm", "eval_loss"]);
    let norms = project.series(run, "grad_norm", Some(1)).unwrap();
    assert!(norms[1].1.is_nan() && norms[1].0 == 3);
    let steps = project.steps(run, Some(1)).unwrap();
    assert_eq!(steps[0].1.len(), 3);
    assert_eq!(steps.len(), 3);
    assert_eq!(project.step_times(run).unwrap()[1], (2, 20));

    project.truncate_after(run, 2).unwrap();
    assert_eq!(project.run(run).unwrap().step, 2);
    assert_eq!(project.series(run, "loss", None).unwrap().len(), 2);
    assert_eq!(project.pair_history(run, PairId(1)).unwrap().len(), 2);
    assert!(project.log(run).unwrap().is_empty());

    project.set_run_status(run, RunStatus::Failed, Some("Out of luck")).unwrap();
    assert_eq!(project.run(run).unwrap().message.as_deref(), Some("Out of luck"));
    let folder = project.run_dir(run);
    project.delete_run(run).unwrap();
    assert!(!folder.exists());
    assert!(matches!(project.run(run), Err(StoreError::NoSuchRun(_))));
    assert!(project.series(run, "loss", None).unwrap().is_empty());
    assert_ne!(project.create_run(&new_run()).unwrap(), run);
}
