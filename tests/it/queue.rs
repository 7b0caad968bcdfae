//! The queue of runs: its order, what survives a restart, and runs that go on without the window.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::config::{Method, RunConfig},
    engine::protocol::{Event, Outcome, Request},
    store::{NewRun, Project, RunId, RunStatus},
};

use crate::{
    stage::{self, Stage, past_run},
    terminal::{json_lines, nudge, out, sentence, trained},
};

fn waiting(project: &mut Project, name: &str) -> RunId {
    let mut config = RunConfig::default();
    config.train.steps = Some(2);
    let new = NewRun {
        name: name.to_owned(),
        config_toml: config.to_toml().unwrap(),
        method: "MPO anchored-sum".to_owned(),
        revision: project.revision().unwrap(),
        parent: None,
    };
    let run = project.create_run(&new).unwrap();
    project.set_waited(run).unwrap();
    run
}

/// Three methods are queued; the engine has begun with the first.
fn three(stage: &mut Stage) -> Vec<RunId> {
    stage.click("Compare the methods");
    let requests = stage.requests.clone();
    stage.until("three runs are asked for", move |_| requests.len() == 3);
    let asked: Vec<Request> = stage.requests.try_iter().collect();
    let runs = asked.into_iter().map(|request| match request {
        Request::Train { run, .. } => run,
        other => panic!("{other:?}"),
    });
    let runs: Vec<RunId> = runs.collect();
    let first = runs[0];
    stage.say([Event::Started { run: first, first_step: 1, total_steps: 80, arithmetic: stage::arithmetic() }]);
    runs
}

/// Waits for what another process does.
fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_queue_is_put_in_order_by_buttons_keys_and_dragging_and_the_project_keeps_it() {
    let mut stage = Stage::new();
    let runs = three(&mut stage);
    let names: Vec<String> = runs.iter().map(|run| stage.harness.state().workspace().runs.name(*run)).collect();
    let order = |stage: &Stage| -> Vec<RunId> {
        stage.harness.state().workspace().runs.waiting.iter().map(|waiting| waiting.run).collect()
    };
    assert_eq!(order(&stage), runs[1..]);
    stage.click(&format!("Sooner: {}", names[2]));
    assert_eq!(order(&stage), [runs[2], runs[1]]);
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Reorder { runs: asked }) if asked == [runs[2], runs[1]]));
    let (dir, expected) = (stage.dir.clone(), vec![runs[2], runs[1]]);
    stage.until("the order is kept", move |_| Project::open(&dir).unwrap().queue_order().unwrap() == expected);

    stage.harness.state_mut().views_mut().train.shown = Some(runs[1]);
    stage.harness.key_press_modifiers(egui::Modifiers::ALT, egui::Key::ArrowUp);
    stage.harness.run();
    assert_eq!(order(&stage), [runs[1], runs[2]]);
    stage.harness.key_press_modifiers(egui::Modifiers::ALT, egui::Key::ArrowDown);
    stage.harness.run();
    assert_eq!(order(&stage), [runs[2], runs[1]]);

    stage.harness.state_mut().views_mut().train.shown = Some(runs[0]);
    stage.harness.run();
    let row = |stage: &Stage, name: &str| stage.harness.get_by_value(name).rect().center();
    let (from, to) = (row(&stage, &names[1]), row(&stage, &names[2]));
    stage.drag(from, to);
    assert_eq!(order(&stage), [runs[1], runs[2]]);

    stage.click(&format!("Out of the queue: {}", names[1]));
    assert!(stage.harness.state().workspace().runs.is_leaving(runs[1]));
}

#[test]
fn what_waited_is_offered_in_the_order_in_which_it_stood() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let first = waiting(project, "Made first");
        let second = waiting(project, "Made second");
        project.set_queue_order(&[second, first]).unwrap();
    });
    assert!(stage.says("2 runs waited when the program ended: Made second, Made first"));
    stage.click("Queue again");
    let requests = stage.requests.clone();
    stage.until("both are asked for", move |_| requests.len() == 2);
    let asked: Vec<RunId> = stage
        .requests
        .try_iter()
        .filter_map(|request| match request {
            Request::Train { run, .. } => Some(run),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [RunId(2), RunId(1)]);
}

#[test]
fn the_terminal_lists_orders_and_trains_the_queue() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = trained(home, "Trained");
    assert!(out(home, &["queue", &dir]).contains("No run waits"));
    let mut project = Project::open(dir.as_ref()).unwrap();
    let config = project.run(RunId(1)).unwrap().config_toml;
    let runs = ["A", "B"].map(|name| {
        let run = waiting(&mut project, name);
        project.set_run_config(run, &config).unwrap();
        run
    });
    let listed = |args: &[&str]| -> Vec<String> {
        let lines = json_lines(&out(home, &[&["queue", &dir, "--json"], args].concat()));
        lines.iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]), ["A", "B"]);
    assert_eq!(listed(&["--order", "B"]), ["B", "A"]);
    let shown = out(home, &["queue", &dir]);
    assert!(shown.contains("--go"), "{shown}");
    let refused = sentence(home, &["queue", &dir, "--order", "Trained"], 2);
    assert!(refused.contains("does not wait"), "{refused}");

    let lines = json_lines(&out(home, &["queue", &dir, "--go", "--json"]));
    let ended: Vec<i64> =
        lines.iter().filter(|line| line["status"] == "completed").filter_map(|line| line["run"].as_i64()).collect();
    assert_eq!(ended, [runs[1].0, runs[0].0]);
    assert!(project.queue().unwrap().is_empty());
}

#[test]
fn a_run_in_another_process_is_stopped_with_a_checkpoint_and_goes_on_from_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = trained(home, "First");
    let none = sentence(home, &["stop", &dir], 1);
    assert!(none.contains("No run is going"), "{none}");
    let mut project = Project::open(dir.as_ref()).unwrap();
    let mut config = RunConfig::from_toml(&project.run(RunId(1)).unwrap().config_toml).unwrap();
    config.train.steps = Some(4000);
    // What it ends with is not one that was due anyway.
    config.train.checkpoint_every = 0;
    let [long, behind, last] = ["Long", "Behind", "Last"].map(|name| {
        let run = waiting(&mut project, name);
        project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
        run
    });
    let record = |run| Project::open(dir.as_ref()).unwrap().run(run).unwrap();
    let mut child = nudge(home, &["queue", &dir, "--go"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the first does not begin", || record(long).step >= 3);
    // One that waits is asked before its turn.
    assert!(out(home, &["stop", &dir, "Behind"]).contains("before its first step"));
    let said = out(home, &["stop", &dir]);
    assert!(said.contains("Long (run 2)") && said.contains("Behind it 2 of the queue"), "{said}");
    until("the last does not begin", || record(last).step >= 3);
    out(home, &["stop", &dir, "Last"]);
    assert!(child.wait().unwrap().success());

    assert_eq!((record(behind).status, record(behind).step), (RunStatus::Stopped, 0));
    let stopped = record(long);
    assert_eq!((stopped.status, record(last).status), (RunStatus::Stopped, RunStatus::Stopped));
    assert!(stopped.step >= 3 && stopped.step < 4000);
    assert_eq!(nudge::engine::checkpoint_steps(&stopped.checkpoints), [stopped.step]);
    let refused = sentence(home, &["stop", &dir, "Long"], 1);
    assert!(refused.contains("not going: it is stopped"), "{refused}");
    // What was asked then does not stop it again.
    config.train.steps = Some(stopped.step + 2);
    project.set_run_config(long, &config.to_toml().unwrap()).unwrap();
    let lines = json_lines(&out(home, &["resume", &dir, "Long", "--json"]));
    assert!(lines.iter().filter_map(|line| line["step"].as_u64()).all(|step| step >= stopped.step), "{lines:?}");
    assert_eq!(lines.last().unwrap()["status"], "completed");
}

#[test]
fn a_run_in_another_process_rests_and_goes_on_and_one_command_ends_the_whole_queue() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = trained(home, "First");
    let none = sentence(home, &["pause", &dir], 1);
    assert!(none.contains("No run is going"), "{none}");
    let mut project = Project::open(dir.as_ref()).unwrap();
    let mut config = RunConfig::from_toml(&project.run(RunId(1)).unwrap().config_toml).unwrap();
    config.train.steps = Some(40_000);
    let [long, behind] = ["Long", "Behind"].map(|name| {
        let run = waiting(&mut project, name);
        project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
        run
    });
    let record = |run| Project::open(dir.as_ref()).unwrap().run(run).unwrap();
    let mut child = nudge(home, &["queue", &dir, "--go"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it does not begin", || record(long).step >= 3);
    assert!(out(home, &["pause", &dir]).contains("Long (run 2) rests"));
    until("it does not rest", || record(long).status == RunStatus::Paused);
    let at = record(long).step;
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(record(long).step, at, "it rests");
    assert!(out(home, &["pause", &dir, "--off"]).contains("goes on"));
    until("it does not go on", || record(long).step > at);
    assert_eq!(record(long).status, RunStatus::Running);

    let refused = sentence(home, &["stop", &dir, "Long", "--queue"], 2);
    assert!(refused.contains("no run is named"), "{refused}");
    let said = out(home, &["stop", &dir, "--queue"]);
    assert!(said.contains("ends with a checkpoint") && said.contains("stays in the queue"), "{said}");
    assert!(child.wait().unwrap().success());
    assert_eq!(record(long).status, RunStatus::Stopped);
    assert!(record(behind).waited() && record(behind).step == 0);
    assert_eq!(project.queue().unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), [behind]);
}

/// Asks the window to close, as its title bar does.
fn close(stage: &mut Stage) {
    let viewport = egui::ViewportId::ROOT;
    stage.harness.input_mut().viewports.entry(viewport).or_default().events.push(egui::ViewportEvent::Close);
    stage.harness.step();
    stage.harness.input_mut().viewports.entry(viewport).or_default().events.clear();
    stage.harness.run();
}

/// A run that goes, the window asked to close, and the answer that it is to go on without it.
fn sent_to_the_background(program: &str) -> (Stage, RunId) {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let mut settings = project.settings().unwrap();
        "[train]\nsteps = 3\n".clone_into(&mut settings.run_toml);
        project.set_settings(&settings).unwrap();
        past_run(project, Method::Mpo, 0.1, 30.0);
    });
    stage.harness.state_mut().set_program(program.into());
    stage.click("Start run");
    let run = stage.asked_to_train();
    stage.say([Event::Started { run, first_step: 1, total_steps: 3, arithmetic: stage::arithmetic() }]);
    close(&mut stage);
    assert!(stage.says("is still going, and this window trains it"));
    stage.click("Go on in the background");
    assert!(stage.harness.state().workspace().runs.live.as_ref().unwrap().control.stopping());
    assert!(stage.says("it goes on from there in the background"));
    // What the engine writes before it says so.
    Project::open(&stage.dir).unwrap().set_run_status(run, RunStatus::Stopped, None).unwrap();
    stage.say([Event::Finished { run, outcome: Outcome::Stopped { step: 0 } }]);
    (stage, run)
}

#[test]
fn a_run_goes_on_without_the_window() {
    let (stage, run) = sent_to_the_background(env!("CARGO_BIN_EXE_nudge"));
    let project = Project::open(&stage.dir).unwrap();
    let begun = Instant::now();
    while project.run(run).unwrap().status != RunStatus::Completed {
        let said = || std::fs::read_to_string(stage.dir.join("runs/background.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}: {}", project.run(run).unwrap().status, said());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(project.run(run).unwrap().step, 3);
}

#[test]
fn what_cannot_go_on_without_the_window_keeps_it_open() {
    let (stage, _) = sent_to_the_background("/no/such/program");
    assert!(stage.says("does not go on in the background"));
    assert!(stage.says("Resume goes on with it here"));
}

#[test]
fn pictures_of_the_queue() {
    let mut results = SnapshotResults::new();
    for (theme, word) in [(egui::Theme::Light, "light"), (egui::Theme::Dark, "dark")] {
        let mut stage = Stage::with(theme, [1280.0, 800.0], |_| {});
        three(&mut stage);
        stage.say((1..=30).map(|n| stage::step(RunId(1), n, 80)));
        close(&mut stage);
        stage.harness.state_mut().views_mut().train.shown = Some(RunId(1));
        stage.harness.run();
        stage.picture(&format!("queue_{word}"), &mut results);
        stage.assert_no_id_clash();
    }
}
