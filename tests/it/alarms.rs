//! Alarms where people meet them: in a run of the terminal, and above the charts of the window.

use egui::Key;
use nudge::{data::config::Method, engine::protocol::Request, state::ignored, store::Project};

use crate::{
    stage::{Stage, past_run},
    terminal::{SMALL, json_lines, out, project, run},
};

#[test]
fn a_run_that_goes_wrong_says_so_while_it_goes_and_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["train", &project, "--steps", "4"];
    args.extend(SMALL);
    // Whatever is learnt is more than nothing.
    args.extend(["--set", "train.kl_limit=1e-12", "--set", "train.kl_action=warn"]);
    let output = run(home, &args);
    let [shown, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("The model drifts far. kl/"), "while it goes: {said}");
    assert!(shown.contains("The model drifts far, steps "), "at its end: {shown}");
    assert!(shown.contains("What a fork from before may try: more λ ref, or half the learning rate"), "{shown}");

    args.push("--json");
    let lines = json_lines(&out(home, &args));
    let alarms = lines.last().unwrap()["alarms"].as_array().unwrap();
    assert!(alarms.iter().any(|alarm| alarm["kind"] == "drift_too_large"), "{alarms:?}");

    let mut calm = vec!["train", &project, "--steps", "2", "--json"];
    calm.extend(SMALL);
    let lines = json_lines(&out(home, &calm));
    assert_eq!(lines.last().unwrap()["alarms"].as_array().map(Vec::len), Some(0), "a few steps harm nothing");
}

/// A run that is over, and drifted far at its last evaluation. `settings`: of its own.
fn drifted(settings: &str) -> Stage {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run = past_run(project, Method::Mpo, 0.1, 30.0);
        project.set_run_config(run, settings).unwrap();
        project.append_step(run, 121, 40_000, &[("kl/ref".to_owned(), 0.9)]).unwrap();
    });
    stage.click("Watch");
    stage.until("its history is here", |app| app.workspace().runs.history.values().any(|h| h.last_step() == 121.0));
    assert!(stage.says("The model drifts far. kl/ref is 0.9 nats a token"));
    stage
}

#[test]
fn what_is_ignored_by_a_key_stays_so_when_the_project_is_opened_again() {
    let mut stage = drifted("");
    stage.harness.key_press(Key::I);
    stage.harness.run();
    assert!(!stage.says("The model drifts far."));
    let dir = stage.dir.clone();
    let kept = move || Project::open(&dir).unwrap().setting(ignored::KEY).unwrap().unwrap_or_default();
    let is_kept = kept.clone();
    stage.until("it is kept with the project", move |_| is_kept().contains("drift_too_large"));

    let dir = stage.dir.display().to_string();
    stage.click("Project Tide tables");
    stage.click("Open a project…");
    stage.enter("Folder of a project", &dir);
    stage.harness.key_press(Key::Enter);
    stage.until("it is open again", |app| app.workspace().opened == 2);
    stage.go("Train");
    stage.click("Watch");
    stage.until("its history is here", |app| app.workspace().runs.history.values().any(|h| h.last_step() == 121.0));
    assert!(!stage.says("The model drifts far."), "{}", kept());
}

#[test]
fn a_remedy_lets_the_alarm_be_only_when_its_fork_is_made() {
    let mut stage = drifted("[data]\nreference = \"/no/such/file.jsonl\"\n");
    stage.harness.key_press(Key::M);
    stage.until("the fork is refused", |app| !app.workspace().notices.is_empty());
    assert!(stage.says("The model drifts far."), "nothing was done about it");

    let mut stage = drifted("");
    stage.harness.key_press(Key::M);
    let requests = stage.requests.clone();
    stage.until("the fork is asked for", move |_| !requests.is_empty());
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Train { .. })));
    let runs = &stage.harness.state().workspace().runs;
    let run = runs.records[0].id;
    assert_eq!(runs.records[1].parent, Some(run));
    assert!(runs.alarms(run).next().is_none(), "it is dealt with");
}
