//! The window as a person uses it: by label, with the engine played by the test.

use eframe::App as _;
use egui::accesskit::Role;
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::config::{Knob, Method},
    engine::protocol::{Event, HowFar, LogLevel, Outcome, PreflightReport, Request, RequestId, SaveAnswer},
    state::{Screen, train::Sheet},
    store::{Project, RunId, RunStatus},
};

use crate::stage::{self, Stage, held_out, past_run, step};

/// Presses Start run and gives the run that the engine was asked for.
pub fn start(stage: &mut Stage) -> RunId {
    stage.click("Start run");
    stage.asked_to_train()
}

/// A run at step 120 of 400, with everything that a live run shows.
fn live(stage: &mut Stage) -> RunId {
    let run = start(stage);
    stage.say([Event::Started { run, first_step: 1, total_steps: 400, arithmetic: stage::arithmetic() }]);
    stage.say((1..=120).flat_map(|n| {
        let evaluated = (n % 10 == 0).then(|| Event::Evaluated { run, step: n, metrics: held_out(n, 60.0) });
        std::iter::once(step(run, n, 400)).chain(evaluated)
    }));
    stage.say([Event::Logged {
        run,
        step: 100,
        level: LogLevel::Info,
        text: "Saved the checkpoint of step 100".to_owned(),
        mark: false,
    }]);
    run
}

#[test]
fn the_rail_and_the_keys_switch_screens() {
    let mut stage = Stage::new();
    for screen in Screen::ALL {
        stage.go(screen.title());
        assert_eq!(stage.harness.state().views().screen, screen);
    }
    stage.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Num3);
    stage.harness.run();
    assert_eq!(stage.harness.state().views().screen, Screen::Compare);
    stage.harness.get_by_label("Project Tide tables");
    stage.harness.get_by_label("Saved");
}

#[test]
fn a_project_is_opened_by_its_path_and_a_wrong_path_is_a_notice() {
    let mut stage = Stage::new();
    let other = tempfile::tempdir().unwrap();
    let settings = nudge::store::ProjectSettings { name: "Star charts".to_owned(), ..Default::default() };
    drop(Project::create(other.path(), &settings).unwrap());

    stage.click("Project Tide tables");
    stage.click("Open a project…");
    stage.enter("Folder of a project", "/no/such/folder");
    stage.click("Open");
    stage.until("it is refused", |app| !app.workspace().notices.is_empty());
    assert!(stage.says("Could not open /no/such/folder"));

    stage.enter("Folder of a project", &other.path().display().to_string());
    stage.harness.key_press(egui::Key::Enter);
    stage.until("it is open", |app| app.workspace().opened == 2);
    stage.harness.get_by_label("Project Star charts");
}

#[test]
fn starting_needs_settings_that_can_be_used() {
    let mut stage = Stage::new();
    stage.click("All settings");
    stage.enter("β", "a lot");
    assert!(stage.says("β is “a lot”; it must be a number such as 0.1 or 3e-4"));
    stage.click("Start run");
    assert!(stage.requests.is_empty());

    stage.enter("β", "0");
    assert!(stage.says("β is 0; it must be a number above 0"));
    stage.click("Start run");
    assert!(stage.requests.is_empty());

    stage.enter("β", "0.25");
    let run = start(&mut stage);
    let record = Project::open(&stage.dir).unwrap().run(run).unwrap();
    assert!(record.config_toml.contains("beta = 0.25"), "{}", record.config_toml);
    assert_eq!(record.method, "MPO anchored-sum");
    assert_eq!(stage.harness.state().views().train.sheet, Sheet::Run);
}

#[test]
fn another_method_changes_formula_fields_and_margins() {
    let mut stage = Stage::new();
    stage.click("All settings");
    assert!(stage.says("L = −σ(β·m)"));
    stage.harness.get_by_label("Mean");
    stage.click("IPO");
    assert!(stage.says("L = (m − 1/(2τ))²"));
    stage.harness.get_by_role_and_label(Role::TextInput, "τ");
    assert!(stage.harness.query_by_label("Mean").is_none(), "reference-free margins are MPO's");
    stage.enter("τ", "0.5");
    assert!(stage.says("Target margin 1/(2τ) = 1"));
}

#[test]
fn events_move_the_charts() {
    let mut stage = Stage::new();
    let run = start(&mut stage);
    assert!(stage.says("Loss chart, nothing measured yet"));
    stage.say([
        Event::Started { run, first_step: 1, total_steps: 400, arithmetic: stage::arithmetic() },
        Event::Step {
            run,
            step: 1,
            total_steps: 400,
            metrics: vec![("loss".to_owned(), 0.42), ("memory_mb".to_owned(), 100.0)],
            eta_secs: Some(200.0),
        },
    ]);
    stage.harness.get_by_label("Loss chart, latest 0.42 at step 1");
    assert!(stage.says("Step 1 of 400 · 3 min 20 s left"));
    stage.say([Event::Phase { run, what: "Sampling answers".to_owned(), done: Some(HowFar::Of([3, 8])) }]);
    assert!(stage.says("Step 1 of 400 · 3 min 20 s left · Sampling answers, 3 of 8"), "how far it is stays to be seen");
    stage.say([step(run, 2, 400)]);
    assert!(stage.says("Loss 0.0"), "the sparkline of the status strip has a name");
    stage.say([Event::Evaluated { run, step: 2, metrics: vec![("eval_rewards/accuracies".to_owned(), 0.75)] }]);
    assert!(stage.says("Preference accuracy chart, latest"));
}

#[test]
fn a_run_that_ends_behind_another_window_calls() {
    for focused in [true, false] {
        let mut stage = Stage::new();
        let run = start(&mut stage);
        stage.say([Event::Started { run, first_step: 1, total_steps: 400, arithmetic: stage::arithmetic() }]);
        stage.events.send(Event::Finished { run, outcome: Outcome::Completed }).unwrap();
        // A hidden window draws no frame: what it is told of itself is the raw input alone.
        let (input, ctx) = (egui::RawInput { focused, ..Default::default() }, stage.harness.ctx.clone());
        let mut frame = eframe::Frame::_new_kittest();
        let app = stage.harness.state_mut();
        let mut output = ctx.run_logic(&input, |ctx| app.logic(ctx, &mut frame));
        let commands = output.viewport_commands.remove(&egui::ViewportId::ROOT).unwrap_or_default();
        let called = commands.iter().any(|it| matches!(it, egui::ViewportCommand::RequestUserAttention(_)));
        assert_eq!(called, !focused, "{commands:?}");
    }
}

#[test]
fn an_evaluation_of_a_run_elsewhere_is_seen_though_its_step_was() {
    let mut stage = Stage::new();
    let mut project = Project::open(&stage.dir).unwrap();
    let run = past_run(&mut project, Method::Mpo, 0.1, 30.0);
    project.set_run_status(run, RunStatus::Running, None).unwrap();
    stage.until("its record is here", |app| app.workspace().runs.record(run).is_some());
    stage.click("Compare");
    stage.until("its history is here", |app| app.workspace().runs.history(run).is_some_and(|it| it.last_step() > 0.0));
    for (name, value) in [("loss", 0.5), ("kl/ref", 0.9)] {
        project.append_step(run, 121, 40_000, &[(name.to_owned(), value)]).unwrap();
        stage.until(name, |app| {
            app.workspace().runs.history(run).and_then(|it| it.series(name)?.latest()) == Some([121.0, value])
        });
    }
}

#[test]
fn who_moved_is_said_in_a_sentence() {
    let mut stage = Stage::new();
    let run = start(&mut stage);
    stage.say([Event::Step {
        run,
        step: 1,
        total_steps: 2,
        metrics: vec![("logps/chosen_change".to_owned(), -3.1), ("logps/rejected_change".to_owned(), -9.0)],
        eta_secs: None,
    }]);
    assert!(stage.says("Of late the margin grows because rejected falls faster; chosen also lost 3.1 nats"));
}

#[test]
fn space_pauses_and_resumes() {
    let mut stage = Stage::new();
    live(&mut stage);
    let paused = |stage: &Stage| {
        let workspace = stage.harness.state().workspace();
        workspace.runs.live.as_ref().unwrap().control.paused()
    };
    stage.harness.key_press(egui::Key::Space);
    stage.harness.run();
    assert!(paused(&stage));
    stage.harness.key_press(egui::Key::Space);
    stage.harness.run();
    assert!(!paused(&stage));
    stage.click("Pause the run");
    assert!(paused(&stage));
}

#[test]
fn a_knob_asks_the_engine_and_marks_the_charts() {
    let mut stage = Stage::new();
    let run = live(&mut stage);
    stage.enter("λ ref", "0.7");
    stage.harness.key_press(egui::Key::Enter);
    stage.harness.run();
    match stage.requests.try_recv() {
        Ok(Request::Turn { run: of, knob }) => {
            assert_eq!(of, run);
            assert_eq!(knob, Knob::ReferenceWeight(0.7));
        }
        other => panic!("{other:?}"),
    }
    stage.say([Event::Logged {
        run,
        step: 121,
        level: LogLevel::Info,
        text: "λ ref 0.3 → 0.7".to_owned(),
        mark: true,
    }]);
    let marks = &stage.harness.state().workspace().runs.history(run).unwrap().marks;
    assert_eq!((marks[0].step, marks[0].text.as_str()), (121, "λ ref 0.3 → 0.7"));
}

#[test]
fn a_checkpoint_that_failed_asks_what_to_do() {
    let mut stage = Stage::new();
    let run = live(&mut stage);
    let error = "The checkpoint of step 120 could not be saved: the disk is full".to_owned();
    stage.say([Event::SaveFailed { run, step: 120, error }]);
    assert!(stage.says("could not be saved: the disk is full"));
    assert!(stage.says("waits with its weights in memory"));
    for (word, expected) in [("Try again", SaveAnswer::TryAgain), ("Go on without", SaveAnswer::GoOn)] {
        stage.click(word);
        match stage.requests.try_recv() {
            Ok(Request::Settle { run: of, answer }) => {
                assert_eq!((of, answer), (run, expected));
            }
            other => panic!("{other:?}"),
        }
    }
    stage.assert_no_id_clash();
    stage.say([Event::Continued { run, step: 120 }]);
    assert!(!stage.says("Save elsewhere…"));
}

#[test]
fn steps_lost_on_the_way_are_read_from_the_project() {
    let mut stage = Stage::new();
    let run = start(&mut stage);
    let mut project = Project::open(&stage.dir).unwrap();
    for n in 1..=9 {
        project.append_step(run, n, n, &[("loss".to_owned(), n as f64)]).unwrap();
    }
    let event = |n: u64| Event::Step {
        run,
        step: n,
        total_steps: 20,
        metrics: vec![("loss".to_owned(), n as f64)],
        eta_secs: None,
    };
    stage.say([event(1), event(9)]);
    stage.until("the gap is filled", |app| {
        let history = app.workspace().runs.history(run).unwrap();
        history.series("loss").is_some_and(|series| series.len() == 9)
    });
}

#[test]
fn a_check_is_shown_and_an_older_answer_is_not() {
    let mut stage = Stage::new();
    stage.click("Check first");
    let Ok(Request::Preflight { request, .. }) = stage.requests.try_recv() else {
        panic!("no check was asked for");
    };
    let report = |pairs| PreflightReport {
        train_pairs: pairs,
        golden: vec![("loss/preference".to_owned(), -0.4, -0.5)],
        asleep: 0.6,
        ..PreflightReport::default()
    };
    stage.say([Event::Preflight { request: RequestId(request.0 + 100), report: Box::new(report(3)) }]);
    assert!(stage.says("Checking…"));
    stage.say([Event::Preflight { request, report: Box::new(report(8)) }]);
    assert!(stage.says("8 to train"));
    assert!(stage.says("60 % asleep at the start"));
    assert!(stage.says("differs"));
    // A golden value that is missed is a reason not to start.
    stage.click("Start run");
    assert!(stage.requests.is_empty());
}

#[test]
fn a_failed_run_says_why_and_keeps_its_charts() {
    let mut stage = Stage::new();
    let run = live(&mut stage);
    stage.say([Event::Finished {
        run,
        outcome: Outcome::Failed { error: "The disk is full; free some space and continue".to_owned() },
    }]);
    assert!(stage.says("failed; its charts and its last checkpoint stay"));
    assert!(stage.says("The disk is full; free some space and continue"));
    assert!(stage.harness.state().workspace().runs.live.is_none());
    let button = stage.harness.get_all_by_label("Dismiss").next().unwrap();
    button.click();
    stage.harness.run();
    assert!(stage.harness.state().workspace().notices.is_empty());
}

#[test]
fn closing_while_a_run_goes_asks_in_a_strip() {
    let mut stage = Stage::new();
    let run = live(&mut stage);
    let viewport = egui::ViewportId::ROOT;
    let close = |stage: &mut Stage| {
        let input = stage.harness.input_mut();
        let info = input.viewports.entry(viewport).or_default();
        info.events.push(egui::ViewportEvent::Close);
        stage.harness.step();
        let input = stage.harness.input_mut();
        let info = input.viewports.entry(viewport).or_default();
        info.events.clear();
        stage.harness.run();
    };
    close(&mut stage);
    assert!(stage.says("is still going"));
    stage.click("Save a checkpoint and close");
    let live = stage.harness.state().workspace().runs.live.as_ref().unwrap();
    assert!(live.control.stopping());
    assert!(stage.says("has written its checkpoint"));
    stage.say([Event::Finished { run, outcome: Outcome::Stopped { step: 120 } }]);
    assert!(stage.harness.state().workspace().runs.live.is_none());
}

#[test]
fn compare_lays_past_runs_over_each_other_and_lists_only_what_differs() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Mpo, 0.1, 30.0);
        past_run(project, Method::Mpo, 0.5, 50.0);
    });
    stage.go("Compare");
    stage.until("both histories are here", |app| {
        app.workspace().runs.history.values().filter(|h| !h.series.is_empty()).count() == 2
    });
    assert!(stage.says("Preference accuracy, held out chart, latest"));
    assert!(stage.harness.query_by_label("β").is_some(), "as the sheet calls it");
    assert!(!stage.says("Learning rate"));
    assert!(stage.says("Frontier chart; MPO anchored-sum β 0.1: accuracy 96.1 %"));

    let tick = stage.harness.get_by_role_and_label(Role::CheckBox, "MPO anchored-sum β 0.1");
    tick.click();
    stage.harness.run();
    assert!(stage.says("Tick a second run to see what differs"));
}

#[test]
fn a_run_is_renamed_and_deleted_in_the_project() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Dpo, 0.1, 30.0);
    });
    stage.go("Compare");
    stage.click("Edit DPO anchored-sum β 0.1");
    stage.enter("New name of the run", "Baseline");
    stage.click("Save");
    stage.until("it is renamed", |app| app.workspace().runs.records[0].name == "Baseline");
    stage.click("Delete…");
    assert!(stage.says("for good?"));
    stage.click("Delete Baseline");
    stage.until("it is gone", |app| app.workspace().runs.records.is_empty());
    assert_eq!(Project::open(&stage.dir).unwrap().runs().unwrap(), []);
}

#[test]
fn a_stopped_run_can_be_continued() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run = past_run(project, Method::Mpo, 0.1, 30.0);
        project.set_run_status(run, RunStatus::Stopped, None).unwrap();
        // Only its name is looked at here.
        std::fs::create_dir_all(project.run(run).unwrap().checkpoints[0].join("step-000120")).unwrap();
    });
    stage.click("Watch");
    stage.click("Resume");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Train { .. })));
    stage.until("its history is here", |app| app.workspace().runs.history.values().any(|h| h.last_step() == 120.0));
}

#[test]
fn a_run_that_has_done_all_its_steps_can_be_given_more() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run = past_run(project, Method::Mpo, 0.1, 30.0);
        std::fs::create_dir_all(project.run(run).unwrap().checkpoints[0].join("step-000120")).unwrap();
    });
    stage.click("Watch");
    stage.click("Extend…");
    stage.enter("Steps in all", "100");
    assert!(stage.says("It has done 120; Steps must be 121 or more"));
    stage.click("Go on");
    assert!(stage.requests.is_empty());
    stage.enter("Steps in all", "200");
    stage.click("Go on");
    let requests = stage.requests.clone();
    stage.until("the engine is asked to train", move |_| !requests.is_empty());
    let Ok(Request::Train { run, from: None, .. }) = stage.requests.try_recv() else {
        panic!("no run goes on");
    };
    let config = Project::open(&stage.dir).unwrap().run(run).unwrap().config_toml;
    assert!(config.contains("steps = 200"), "{config}");
}

#[test]
fn no_screen_uses_an_id_twice() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Mpo, 0.1, 30.0);
        past_run(project, Method::Ipo, 0.1, 50.0);
    });
    stage.click("All settings");
    stage.assert_no_id_clash();
    live(&mut stage);
    for screen in Screen::ALL {
        stage.go(screen.title());
        stage.assert_no_id_clash();
    }
}

#[test]
fn pictures_of_train_and_compare() {
    use egui::Theme::{Dark, Light};
    let mut results = SnapshotResults::new();
    for (theme, word) in [(Light, "light"), (Dark, "dark")] {
        let mut stage = Stage::with(theme, [1280.0, 800.0], |project| {
            past_run(project, Method::Mpo, 0.1, 30.0);
            past_run(project, Method::Dpo, 0.1, 20.0);
            past_run(project, Method::Ipo, 0.1, 50.0);
        });
        stage.picture(&format!("launch_{word}"), &mut results);
        stage.go("Compare");
        stage.until("the histories are here", |app| {
            let history = &app.workspace().runs.history;
            history.values().filter(|h| !h.series.is_empty()).count() == 3
        });
        stage.picture(&format!("compare_{word}"), &mut results);
        stage.go("Train");
        live(&mut stage);
        stage.picture(&format!("live_{word}"), &mut results);
    }
    let mut small = Stage::with(Light, [900.0, 600.0], |_| {});
    small.picture("launch_small", &mut results);
    live(&mut small);
    small.picture("live_small", &mut results);
}
