//! Train, Compare, Answers, Models and Projects.

use std::{fs, path::Path};

use egui::{Color32, Key, Modifiers, Shape, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::{
        Prompt,
        config::{Method, OptimizerConfig, RunConfig, TrainConfig},
    },
    engine::protocol::{Event, Generated, LogLevel, Outcome, PreflightReport, Request, RequestId, StoppedBy},
    state::{Screen, models::Selected, projects::Making, train::Sheet},
    store::{NewRun, Project, ProjectSettings, RunId, RunStatus},
    ui::theme,
};

use crate::{
    fixture,
    stage::{self, Stage, past_run},
    toy::{self, Toy},
    window::Window,
};

const WIDE: [f32; 2] = [1280.0, 800.0];

/// A run that measured `value(step)` of one metric at steps 0 to `steps`.
fn measured(project: &mut Project, name: &str, metric: &str, steps: u64, value: impl Fn(u64) -> f64) -> RunId {
    let run = project
        .create_run(&NewRun {
            name: name.to_owned(),
            config_toml: RunConfig::default().to_toml().unwrap(),
            method: "MPO anchored-sum".to_owned(),
            revision: project.revision().unwrap(),
            parent: None,
        })
        .unwrap();
    for step in 0..=steps {
        project.append_step(run, step, step * 100, &[(metric.to_owned(), value(step))]).unwrap();
    }
    project.set_total_steps(run, steps).unwrap();
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    run
}

/// A folder with a checkpoint's name; only the window's lists look at it.
fn pretend_checkpoint(project: &Project, run: RunId, step: u64) {
    let folder = project.run(run).unwrap().checkpoints[0].join(format!("step-{step:06}"));
    fs::create_dir_all(folder).unwrap();
}

fn shapes(stage: &Stage) -> Vec<Shape> {
    fn flat(shape: &Shape, out: &mut Vec<Shape>) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| flat(shape, out)),
            other => out.push(other.clone()),
        }
    }
    let mut out = Vec::new();
    for clipped in &stage.harness.output().shapes {
        flat(&clipped.shape, &mut out);
    }
    out
}

/// Every text that is painted, axis labels too.
fn painted(stage: &Stage) -> Vec<String> {
    let texts = shapes(stage).into_iter().filter_map(|shape| match shape {
        Shape::Text(text) => Some(text.galley.text().to_owned()),
        _ => None,
    });
    texts.collect()
}

fn compare(fill: impl FnOnce(&mut Project), metric: &str) -> Stage {
    let mut stage = Stage::with(egui::Theme::Light, WIDE, fill);
    metric.clone_into(&mut stage.harness.state_mut().views_mut().compare.metric);
    stage.go("Compare");
    stage.until("the histories are here", |app| {
        let runs = &app.workspace().runs;
        runs.history.len() == runs.records.len() && runs.history.values().all(|history| !history.series.is_empty())
    });
    stage
}

#[test]
fn g2_a_series_without_spread_is_drawn_on_an_axis_of_its_size() {
    for (metric, value, mark) in [
        ("eval_rewards/accuracies", 1.0, "100 %"),
        ("eval_rewards/accuracies", 0.7, "70 %"),
        ("push/asleep", 0.0, "0 %"),
    ] {
        let stage = compare(
            |project| {
                measured(project, "One", metric, 20, |_| value);
                measured(project, "Two", metric, 20, |_| value);
            },
            metric,
        );
        let texts = painted(&stage);
        assert!(texts.iter().any(|text| text == mark), "{texts:?}");
        let beyond = |text: &&String| {
            let share = text.strip_suffix(" %").and_then(|digits| digits.replace('−', "-").parse::<f64>().ok());
            share.is_some_and(|share| !(0.0..=100.0).contains(&share))
        };
        assert_eq!(texts.iter().find(beyond), None, "a share has no such value");
    }
}

#[test]
fn g3_every_run_keeps_its_pattern_on_a_log_scale_and_after_a_gap() {
    // Zero at step 0 as a reward margin is, and not a number in the middle.
    let value = |step| if step == 20 { f64::NAN } else { step as f64 * 0.01 };
    let mut stage = compare(
        |project| {
            for name in ["One", "Two", "Three", "Four"] {
                measured(project, name, "rewards/margins", 40, value);
            }
        },
        "rewards/margins",
    );
    let palette = theme::palette(&egui::Visuals::light());
    // Dashes are short pieces; dots are circles. A line that goes on without its gaps is one long piece.
    let pieces = |stage: &Stage, look: usize| {
        let color: Color32 = theme::series_color(palette, look);
        let (mut count, mut longest) = (0, 0.0f32);
        for shape in shapes(stage) {
            match shape {
                Shape::LineSegment { points, stroke } if stroke.color == color && stroke.width < 1.9 => {
                    count += 1;
                    longest = longest.max(points[0].distance(points[1]));
                }
                Shape::Circle(circle) if circle.fill == color => count += 1,
                _ => {}
            }
        }
        (count, longest)
    };
    for log in [false, true] {
        if log {
            stage.click("Log scale");
        }
        for look in 1..4 {
            let (count, longest) = pieces(&stage, look);
            assert!(count > 20, "run {look} on log {log}: {count} dashes or dots");
            assert!(longest < 30.0, "run {look} on log {log}: a dash of {longest} points");
        }
    }
    assert!(stage.says("1 of 0 or below"), "what has no place on the scale is told");
}

#[test]
fn a_value_that_is_not_a_number_is_marked_and_told() {
    let run = |project: &mut Project| {
        measured(project, "Broken", "loss", 12, |_| f64::NAN);
    };
    let mut stage = compare(run, "loss");
    assert!(stage.says("Loss chart, no value that is a number; Broken 13 not a number"));
    assert!(stage.says("13 not a number"));
    assert!(painted(&stage).iter().any(|text| text == "Not a number at any step"));
    stage.go("Train");
    stage.click("Watch");
    assert!(stage.says("Loss chart, no value that is a number"));
    assert!(!stage.says("Loss chart, nothing measured yet"));

    let stage = compare(
        |project| {
            measured(project, "Partly", "loss", 12, |step| if step == 3 { f64::INFINITY } else { 1.0 });
        },
        "loss",
    );
    assert!(stage.says("Loss chart, latest 1 at step 12; Partly 1 not a number"));
}

#[test]
fn what_can_be_done_with_a_chart_is_told() {
    let stage = compare(
        |project| {
            past_run(project, Method::Mpo, 0.1, 30.0);
        },
        "loss",
    );
    assert!(stage.says("Drag moves along the steps"));
    assert!(stage.says("Ctrl + wheel zooms"));
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
    let requests = stage.requests.clone();
    stage.until("the engine is asked to train", move |_| !requests.is_empty());
    let Ok(Request::Train { run, .. }) = stage.requests.try_recv() else {
        panic!("no run was started");
    };
    let record = Project::open(&stage.dir).unwrap().run(run).unwrap();
    assert_eq!(RunConfig::from_toml(&record.config_toml).unwrap().train.keep, 5);
}

#[test]
fn g10_a_weight_that_was_set_stays_when_other_methods_are_looked_at() {
    let mut stage = Stage::new();
    stage.enter("λ ref", "1");
    for method in ["DPO", "IPO", "MPO"] {
        stage.click(method);
    }
    let field = stage.harness.get_by_role_and_label(Role::TextInput, "λ ref");
    assert_eq!(field.accesskit_node().value().as_deref(), Some("1"));
}

/// Starts a run of this many steps under this name.
fn start(stage: &mut Stage, name: &str, steps: &str) -> RunId {
    if !stage.says("Start run") {
        stage.click("Set up");
    }
    stage.enter("Name of the run", name);
    stage.enter("Steps", steps);
    stage.click("Start run");
    let requests = stage.requests.clone();
    stage.until("the engine is asked to train", move |_| !requests.is_empty());
    match stage.requests.try_recv() {
        Ok(Request::Train { run, .. }) => run,
        other => panic!("{other:?}"),
    }
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
        Ok(Request::Withdraw { run }) => assert_eq!(run, third),
        other => panic!("{other:?}"),
    }
    Project::open(&stage.dir).unwrap().set_run_status(third, RunStatus::Stopped, None).unwrap();
    stage.say([Event::Finished { run: third, outcome: Outcome::Stopped { step: 0 } }]);
    stage.until("it is out of the queue", move |app| app.workspace().runs.place(third).is_none());
    assert!(stage.says("It has not begun; Continue starts it"));
    let runs = &stage.harness.state().workspace().runs;
    assert!(runs.is_going(first));
    assert_eq!(runs.place(second), Some(0));
    // The list of runs offers the same.
    stage.go("Compare");
    stage.click("Cancel Second");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Withdraw { run }) if run == second));
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
    engine.requests.send(Request::Withdraw { run: a }).unwrap();
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
    engine.requests.send(Request::Withdraw { run: again }).unwrap();
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
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Withdraw { run }) if run == second));
}

/// A run that was interrupted at step 32 of 80, shown on Watch.
fn interrupted(checkpoint: Option<u64>) -> Stage {
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
    assert!(stage.says("Continue starts it again at step 0, and what it measured up to step 32 is replaced"));
    stage.click("Continue");
    assert!(stage.requests.is_empty(), "asked first");
    assert!(stage.says("Cut off has no checkpoint to go on from"));
    stage.click("Leave it as it is");
    assert!(stage.requests.is_empty());
    stage.click("Continue");
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
    assert!(stage.says("Continue goes on from there and trains and measures steps 21 to 32 again"));
    stage.click("Continue");
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

/// A project with one finished run that has no weights on the disk.
fn project(dir: &Path) {
    let model = fixture::own_root().join("models/llama_mha");
    let settings = ProjectSettings { name: "Islands".to_owned(), model, ..ProjectSettings::default() };
    drop(Project::create(dir, &settings).unwrap());
}

#[test]
fn g20_two_answers_of_the_same_weights_are_drawn_with_seeds_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.click("Ask");
    window.settle();
    assert!(window.harness.state().views().answers.ask.drawing.set.temperature > 0.0, "or both would be the same");
    window.assert_shows("The same weights on both sides: the left draws with seed 0, the right with seed 1");
    window.harness.state_mut().views_mut().answers.ask.prompt = Prompt::Text("When?".to_owned());
    window.harness.step();
    window.keys(Modifiers::COMMAND, Key::Enter);
    let asked = |window: &Window| -> Vec<(RequestId, u64)> {
        let asked = window.requests.try_iter().map(|request| match request {
            Request::Generate { request, sampling, .. } => (request, sampling.seed),
            other => panic!("{other:?}"),
        });
        asked.collect()
    };
    let first = asked(&window);
    assert_eq!([first[0].1, first[1].1], [0, 1]);
    // They may be the same all the same: then others can be drawn.
    for (request, _) in first {
        let answer = Generated {
            ids: vec![1],
            text: "At nine.".to_owned(),
            stopped_by: StoppedBy::Eos,
            ..Generated::cancelled()
        };
        window.events.send(Event::Generated { request, answer }).unwrap();
    }
    window.until("both are done", |app| !app.views().answers.ask.busy());
    window.harness.step();
    window.click_button("Ask again with other seeds");
    let again = asked(&window);
    assert_eq!([again[0].1, again[1].1], [2, 3]);

    let mut window = Window::open(dir.path(), Screen::Answers);
    window.click("Ask");
    window.harness.state_mut().views_mut().answers.ask.drawing.set.temperature = 0.0;
    window.harness.step();
    window.assert_shows("both answers will be the same");
    window.click_button("Draw at temperature 0.7");
    assert_eq!(window.harness.state().views().answers.ask.drawing.set.temperature, 0.7);
}

#[test]
fn g22_a_number_that_cannot_be_used_is_told_and_not_drawn_as_another() {
    let mut stage = Stage::new();
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
fn g23_a_key_that_goes_elsewhere_closes_the_menu() {
    for key in [Key::N, Key::O, Key::Num2] {
        let mut stage = Stage::new();
        stage.click("Project Tide tables");
        assert!(stage.says("New project…"));
        stage.harness.key_press_modifiers(Modifiers::COMMAND, key);
        stage.harness.run();
        assert!(!stage.says("New project…"), "{key:?}");
    }
}

#[test]
fn g23_two_projects_of_one_name_are_told_apart() {
    let mut stage = Stage::new();
    let recent = &mut stage.harness.state_mut().views_mut().projects;
    recent.opened(Path::new("/here/demo"), "Demo");
    recent.opened(Path::new("/elsewhere/demo"), "Demo");
    stage.click("Project Tide tables");
    stage.harness.get_by_label("Open Demo in /here/demo");
    stage.harness.get_by_label("Open Demo in /elsewhere/demo");
    let texts = painted(&stage);
    for folder in ["/here/demo", "/elsewhere/demo"] {
        assert!(texts.iter().any(|text| text == folder), "{texts:?}");
    }
}

#[test]
fn g23_the_paths_of_a_new_project_are_looked_at_while_they_are_typed_and_enter_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("project");
    project(&at);
    let mut window = Window::open(&at, Screen::Train);
    window.keys(Modifiers::COMMAND, Key::N);
    window.focus(Role::TextInput, "Model to tune");
    window.type_text("/no/such/model");
    window.until("it was looked at", |app| matches!(app.workspace().projects.glance.model, Some(Err(_))));
    window.harness.step();
    window.assert_shows("/no/such/model");
    window.focus(Role::TextInput, "Model to tune");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(&fixture::own_root().join("models/qwen2_bf16").display().to_string());
    window.until("it was looked at", |app| matches!(app.workspace().projects.glance.model, Some(Ok(_))));
    window.harness.step();
    window.assert_shows("Qwen2, ");
    window.focus(Role::TextInput, "Folder");
    window.type_text(&at.display().to_string());
    window.until("it was looked at", |app| app.workspace().projects.glance.dir.is_some());
    window.harness.step();
    window.assert_shows("already");
    window.focus(Role::TextInput, "Folder");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(&dir.path().join("harbour").display().to_string());
    window.focus(Role::TextInput, "Name");
    window.type_text("Harbour");
    window.key(Key::Enter);
    window.until("it is made", |app| app.workspace().opened == 2);
    assert_eq!(window.harness.state().workspace().projects.making, Making::Idle);
}

#[test]
fn g24_the_answers_to_a_question_stay_inside_the_window() {
    let name = "A run whose name is as long as somebody who describes everything in it would make it";
    let mut stage = Stage::with(egui::Theme::Light, [900.0, 600.0], |project| {
        measured(project, name, "loss", 20, |step| step as f64);
    });
    stage.go("Compare");
    stage.click("Delete…");
    let keep = stage.harness.get_by_label("Keep").rect();
    let delete = stage.harness.get_by_label(&format!("Delete {name}")).rect();
    for rect in [keep, delete] {
        // The list of runs ends here.
        assert!(rect.right() <= 168.0 + 20.0 + 264.0, "{rect:?}");
    }
}

#[test]
fn g24_the_end_of_a_long_path_is_what_is_shown() {
    let mut stage = interrupted(Some(20));
    stage.click("Export…");
    let texts = painted(&stage);
    assert!(texts.iter().any(|text| text.ends_with("exports/Cut-off-adapter")), "{texts:?}");
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

#[test]
fn g25_what_training_takes_is_told_with_what_the_program_holds() {
    let mut stage = Stage::new();
    stage.go("Models");
    stage.until("the model was looked at", |app| {
        let models = &app.workspace().models;
        models.machine.is_some() && models.entries().any(|entry| entry.card.is_some())
    });
    let models = &stage.harness.state().workspace().models;
    let held = models.machine.as_ref().unwrap().held;
    let needs = models.entries().find_map(|entry| entry.card.as_ref()?.needs).unwrap();
    assert!(held > 10_000_000 && needs.training > needs.least);
    let whole = nudge::state::models::size(held + needs.training);
    assert!(stage.says(&format!("about {whole}")));
}

#[test]
fn g19_everything_of_a_place_is_inside_the_smallest_window() {
    let small = [900.0, 600.0];
    let mut stage = Stage::with(egui::Theme::Light, small, |project| {
        let run = past_run(project, Method::Mpo, 0.1, 30.0);
        pretend_checkpoint(project, run, 100);
        let long = past_run(project, Method::Dpo, 0.1, 30.0);
        let name = "A run whose name is as long as somebody who describes everything in it would make it";
        project.rename_run(long, name).unwrap();
    });
    let inside = |stage: &Stage, place: &str| {
        for node in stage.harness.root().children_recursive() {
            let role = node.accesskit_node().role();
            if !matches!(
                role,
                Role::Button | Role::CheckBox | Role::TextInput | Role::ComboBox | Role::Image | Role::Slider
            ) {
                continue;
            }
            let rect = node.rect();
            assert!(
                rect.right() <= small[0] + 0.5,
                "{place}: {:?} ends at {}",
                node.accesskit_node().label(),
                rect.right()
            );
        }
    };
    for screen in Screen::ALL {
        stage.go(screen.title());
        stage.harness.run();
        inside(&stage, screen.title());
    }
    stage.harness.state_mut().views_mut().screen = Screen::Answers;
    stage.harness.run();
    stage.click("Ask");
    inside(&stage, "Ask");
    let ask = stage.harness.get_all_by_role_and_label(Role::Button, "Ask").map(|node| node.rect()).next_back().unwrap();
    let tokens = stage.harness.get_by_role_and_label(Role::CheckBox, "Tokens").rect();
    assert!(!ask.intersects(tokens), "{ask:?} {tokens:?}");
    stage.go("Train");
    let run = start(&mut stage, "One", "40");
    stage.say([Event::Started { run, first_step: 1, total_steps: 40, arithmetic: stage::arithmetic() }]);
    stage.say([Event::Logged { run, step: 1, level: LogLevel::Info, text: "begun".to_owned(), mark: false }]);
    assert_eq!(stage.harness.state().views().train.sheet, Sheet::Run);
    inside(&stage, "Watch");
}
