//! Train: setting up, the queue, going on, exports.

use std::fs;

use egui::{Key, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::config::{OptimizerConfig, RunConfig, TrainConfig},
    engine::protocol::{Event, Outcome, PreflightReport, Request},
    state::{Screen, models::Selected},
    store::{Project, RunId, RunStatus},
};

use super::charts_window::measured;
use crate::{
    stage::{self, Stage},
    toy::{self, Toy},
};

const WIDE: [f32; 2] = [1280.0, 800.0];

/// A folder with a checkpoint's name; only the window's lists look at it.
pub(super) fn pretend_checkpoint(project: &Project, run: RunId, step: u64) {
    let folder = project.run(run).unwrap().checkpoints[0].join(format!("step-{step:06}"));
    fs::create_dir_all(folder).unwrap();
}

/// The button is below what the window shows.
fn unfold(stage: &mut Stage) {
    stage.harness.state_mut().views_mut().train.more = true;
    stage.harness.run();
}

#[test]
fn g4_how_many_checkpoints_are_kept_is_a_setting_of_the_form() {
    let mut stage = Stage::new();
    unfold(&mut stage);
    assert!(stage.says("Kept are the newest, the best on held-out pairs, those you ask for, and 2 earlier ones"));
    stage.enter(TrainConfig::KEEP.label, "5");
    assert!(stage.says("and 5 earlier ones"));
    stage.click("Start run");
    let run = stage.asked_to_train();
    let record = Project::open(&stage.dir).unwrap().run(run).unwrap();
    assert_eq!(RunConfig::from_toml(&record.config_toml).unwrap().train.keep, 5);
}

#[test]
fn g10_a_weight_that_was_set_stays_when_other_methods_are_looked_at() {
    let mut stage = Stage::new();
    unfold(&mut stage);
    stage.enter("λ ref", "1");
    for method in ["DPO", "IPO", "MPO"] {
        stage.click(method);
    }
    let field = stage.harness.get_by_role_and_label(Role::TextInput, "λ ref");
    assert_eq!(field.accesskit_node().value().as_deref(), Some("1"));
}

/// Starts a run of this many steps under this name.
pub(super) fn start(stage: &mut Stage, name: &str, steps: &str) -> RunId {
    if !stage.says("Start run") {
        stage.click("Set up");
    }
    unfold(stage);
    stage.enter("Name of the run", name);
    stage.enter("Steps", steps);
    stage.click("Start run");
    stage.asked_to_train()
}

#[test]
fn g11_a_queued_run_says_what_it_waits_for_and_can_be_moved_and_cancelled() {
    let mut stage = Stage::new();
    let first = start(&mut stage, "First", "40");
    stage.say([Event::Started { run: first, first_step: 1, total_steps: 40, arithmetic: stage::arithmetic() }]);
    let second = start(&mut stage, "Second", "300");
    assert!(stage.says("Queued, 2nd, 0 of 300 steps; waits for First"));
    assert!(!stage.says("of 0"));
    let third = start(&mut stage, "Third", "7");
    assert!(stage.says("Queued, 3rd, 0 of 7 steps; waits for First and Second"));
    stage.click("Sooner");
    match stage.requests.try_recv() {
        Ok(Request::Reorder { runs }) => assert_eq!(runs, [third, second]),
        other => panic!("{other:?}"),
    }
    assert!(stage.says("Queued, 2nd, 0 of 7 steps; waits for First"));
    stage.click("Cancel Third");
    match stage.requests.try_recv() {
        Ok(Request::Withdraw { run, .. }) => assert_eq!(run, third),
        other => panic!("{other:?}"),
    }
    Project::open(&stage.dir).unwrap().set_run_status(third, RunStatus::Stopped, None).unwrap();
    stage.say([Event::Finished { run: third, outcome: Outcome::Stopped { step: 0 } }]);
    stage.until("it is out of the queue", move |app| app.workspace().runs.place(third).is_none());
    assert!(stage.says("It has not begun; Resume starts it"));
    let runs = &stage.harness.state().workspace().runs;
    assert!(runs.is_going(first));
    assert_eq!(runs.place(second), Some(0));
    // The list of runs offers the same.
    stage.go("Compare");
    stage.click("Cancel Second");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Withdraw { run, .. }) if run == second));
}

#[test]
fn g11_the_engine_takes_a_run_out_of_its_queue_and_keeps_the_order_that_was_asked_for() {
    let toy = Toy::new();
    let engine = toy::start();
    let mut long = toy::config();
    long.train.steps = Some(100_000);
    long.train.eval_every = 0;
    long.train.sample_every = 0;
    let going = toy.record(&long);
    let reins = toy.queue(&engine, going);
    let mut short = toy::config();
    short.train.steps = Some(1);
    let [a, b, c] = [0; 3].map(|_| toy.record(&short));
    toy::reached(&engine, going, 1);
    for run in [a, b, c] {
        toy.queue(&engine, run);
    }
    engine.requests.send(Request::Reorder { runs: vec![c, a, b] }).unwrap();
    engine.requests.send(Request::Withdraw { run: a, for_now: false }).unwrap();
    assert_eq!(toy::finished(&engine, a), Outcome::Stopped { step: 0 });
    let record = toy.open().run(a).unwrap();
    assert_eq!((record.status, record.step), (RunStatus::Stopped, 0));
    assert!(!record.checkpoints[0].exists(), "it never began");
    reins.stop();
    let ended: Vec<RunId> = (0..3)
        .map(|_| {
            toy::wait_for(&engine, |event| match event {
                Event::Finished { run, .. } => Some(*run),
                _ => None,
            })
        })
        .collect();
    assert_eq!(ended, [going, c, b]);
    // One that has begun meanwhile is stopped.
    let again = toy.record(&long);
    toy.queue(&engine, again);
    toy::reached(&engine, again, 1);
    engine.requests.send(Request::Withdraw { run: again, for_now: false }).unwrap();
    assert!(matches!(toy::finished(&engine, again), Outcome::Stopped { step } if step >= 1));
    engine.shut_down();
}

#[test]
fn g11_closing_with_a_checkpoint_does_not_begin_the_next_of_the_queue() {
    let mut stage = Stage::new();
    let first = start(&mut stage, "First", "40");
    stage.say([Event::Started { run: first, first_step: 1, total_steps: 40, arithmetic: stage::arithmetic() }]);
    let second = start(&mut stage, "Second", "40");
    let input = stage.harness.input_mut();
    let info = input.viewports.entry(egui::ViewportId::ROOT).or_default();
    info.events.push(egui::ViewportEvent::Close);
    stage.harness.step();
    let input = stage.harness.input_mut();
    input.viewports.entry(egui::ViewportId::ROOT).or_default().events.clear();
    stage.harness.run();
    stage.click("Save a checkpoint and close");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Withdraw { run, .. }) if run == second));
}

/// A run that was interrupted at step 32 of 80, shown on Watch.
pub(super) fn interrupted(checkpoint: Option<u64>) -> Stage {
    let mut stage = Stage::with(egui::Theme::Light, WIDE, |project| {
        let run = measured(project, "Cut off", "loss", 32, |step| 1.0 / (step + 1) as f64);
        project.append_step(run, 25, 2500, &[("eval_rewards/accuracies".to_owned(), 1.0)]).unwrap();
        project.set_total_steps(run, 80).unwrap();
        project.set_run_status(run, RunStatus::Interrupted, None).unwrap();
        if let Some(step) = checkpoint {
            pretend_checkpoint(project, run, step);
        }
    });
    stage.click("Watch");
    stage
}

#[test]
fn g15_continue_says_what_will_happen_before_it_does() {
    let mut stage = interrupted(None);
    assert!(stage.says("Resume starts it again at step 0, and what it measured up to step 32 is replaced"));
    stage.click("Resume");
    assert!(stage.requests.is_empty(), "asked first");
    assert!(stage.says("Cut off has no checkpoint to go on from"));
    stage.click("Leave it as it is");
    assert!(stage.requests.is_empty());
    stage.click("Resume");
    stage.click("Start it again");
    let Ok(Request::Train { run, .. }) = stage.requests.try_recv() else {
        panic!("it was not started");
    };
    // What it measured before is not shown as new.
    stage.say([
        Event::Started { run, first_step: 1, total_steps: 80, arithmetic: stage::arithmetic() },
        Event::Step { run, step: 1, total_steps: 80, metrics: vec![("loss".to_owned(), 0.9)], eta_secs: None },
    ]);
    assert!(!stage.says("100 %"), "the old evaluation is gone");
    let history = stage.harness.state().workspace().runs.history(run).unwrap();
    assert_eq!(history.last_step(), 1.0);

    let mut stage = interrupted(Some(20));
    assert!(stage.says("Resume goes on from there and trains and measures steps 21 to 32 again"));
    stage.click("Resume");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Train { .. })));
}

#[test]
fn g16_an_export_needs_weights_and_says_so() {
    let mut stage = interrupted(None);
    stage.click("Export…");
    assert_eq!(stage.harness.state().views().screen, Screen::Train, "greyed");
    let run = stage.harness.state().workspace().runs.records[0].id;
    stage.harness.state_mut().views_mut().models.selected = Some(Selected::Run(run));
    stage.go("Models");
    stage.until("the models are listed", |app| app.workspace().models.machine.is_some());
    assert!(stage.says("It has no checkpoint, so none of its weights are on the disk"));
    stage.harness.get_by_role_and_label(Role::Button, "Export").click();
    stage.harness.run();
    assert!(!stage.harness.state().workspace().models.exporting.is_under_way());
    stage.click("Report");
    assert!(!stage.says("It has no checkpoint, so"), "a report tells what was measured");

    let mut stage = interrupted(Some(20));
    stage.click("Export…");
    assert_eq!(stage.harness.state().views().screen, Screen::Models);
}

#[test]
fn g22_a_number_that_cannot_be_used_is_told_and_not_drawn_as_another() {
    let mut stage = Stage::new();
    unfold(&mut stage);
    assert!(stage.says("Loss over margin"));
    for (typed, sentence) in [
        ("abc", "β is “abc”; it must be a number such as 0.1 or 3e-4"),
        ("1e400", "β is “1e400”, which is larger than any number here"),
        ("-1", "β is -1; it must be a number above 0"),
    ] {
        stage.enter("β", typed);
        assert!(stage.says(sentence), "{sentence}");
        assert!(stage.says("The curves appear when β can be used"), "{typed}");
        assert!(!stage.says("Loss over margin, "), "no curve of another β");
    }
    stage.enter("β", "0.2");
    assert!(stage.says("Loss over margin, "));

    let run = start(&mut stage, "One", "40");
    stage.say([Event::Started { run, first_step: 1, total_steps: 40, arithmetic: stage::arithmetic() }]);
    stage.enter("λ ref", "-3");
    assert!(stage.says("λ ref is -3; it must be 0 or more"));
    stage.harness.key_press(Key::Enter);
    stage.harness.run();
    assert!(stage.requests.is_empty());
}

#[test]
fn g22_a_fault_that_is_folded_away_is_unfolded() {
    let mut stage = Stage::new();
    unfold(&mut stage);
    stage.enter(OptimizerConfig::WARMUP_STEPS.label, "many");
    stage.harness.state_mut().views_mut().train.more = false;
    stage.harness.run();
    assert!(stage.says("Warm-up steps is “many”; it must be a whole number such as 16"));
}

#[test]
fn g24_a_time_that_nobody_waits_for_is_told() {
    let mut stage = Stage::new();
    stage.click("Check first");
    let Ok(Request::Preflight { request, .. }) = stage.requests.try_recv() else {
        panic!("no check was asked for");
    };
    let report = PreflightReport {
        train_pairs: 1,
        reference_answers: 1,
        total_steps: 1_000_000_000,
        estimated_secs: 97_098.0 * 3600.0,
        ..PreflightReport::default()
    };
    stage.say([Event::Preflight { request, report: Box::new(report) }]);
    assert!(stage.says("11 years"));
    assert!(stage.says("is one of them larger than you meant?"));
    assert!(stage.says("1 reference answer"));
    assert!(!stage.says("1 reference answers"));
}
