//! Answers, Models and Projects, and what holds for every place.

use std::path::Path;

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::{Prompt, config::Method},
    engine::protocol::{Event, Generated, LogLevel, Request, RequestId, StoppedBy},
    state::{Screen, projects::Making, train::Sheet},
    store::{Project, ProjectSettings, RunAbout, RunMarks},
};

use super::{
    charts_window::{measured, painted},
    train_window::{interrupted, pretend_checkpoint, start},
};
use crate::{
    fixture,
    stage::{self, Stage, past_run},
    window::Window,
};

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
    assert!(
        window.harness.state().views().answers.ask.drawing.set.sampling.temperature > 0.0,
        "or both would be the same"
    );
    window.assert_shows("The same weights on both sides: the left draws with seed 0, the right with seed 1");
    window.harness.state_mut().views_mut().answers.ask.prompt = Prompt::Text("When?".to_owned());
    window.harness.step();
    window.keys(Modifiers::COMMAND, Key::Enter);
    let asked = |window: &Window| -> Vec<(RequestId, u64)> {
        let asked = window.requests.try_iter().map(|request| match request {
            Request::Generate { request, options, .. } => (request, options.seed),
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
    window.harness.state_mut().views_mut().answers.ask.drawing.set.sampling.temperature = 0.0;
    window.harness.step();
    window.assert_shows("both answers will be the same");
    window.click_button("Draw at temperature 0.7");
    assert_eq!(window.harness.state().views().answers.ask.drawing.set.sampling.temperature, 0.7);
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
    let whole = nudge::data::size(held + needs.training);
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
        let about = RunAbout { name: name.to_owned(), marks: RunMarks::default() };
        project.set_about(long, &about).unwrap();
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
