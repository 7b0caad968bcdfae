//! The Models and Projects places as a user meets them: look around, add a model, make a project with it, try it,
//! export a run.

use std::{fs, path::Path, sync::Arc};

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::Queryable as _;
use nudge::{
    app::{Lane, update},
    data::{Prompt, config::ModelConfig},
    engine::{
        catalog::Catalog,
        protocol::{Request, Weights},
    },
    state::{
        Screen,
        export::{ExportForm, ExportKind, Exporting},
        models::Selected,
        projects::Making,
    },
    store::{Project, ProjectSettings},
};

use crate::{
    fixture, stage,
    toy::{self, Toy},
    window::{Dropped, Window},
};

/// A project whose model is one of the fixtures, and the window on its Models place with a cache of one more.
fn window(dir: &Path) -> Window {
    let settings = ProjectSettings {
        name: "Islands".to_owned(),
        model: fixture::own_root().join("models/smollm"),
        ..ProjectSettings::default()
    };
    drop(Project::create(&dir.join("project"), &settings).unwrap());
    let snapshot = dir.join("cache/models--org--tiny/snapshots/0123abc");
    copy_folder(&fixture::own_root().join("models/qwen2_bf16"), &snapshot);
    let mut window = Window::open(&dir.join("project"), Screen::Train);
    let catalog = Catalog::at(dir.join("cache"));
    window.harness.state_mut().set_catalog(catalog);
    window.keys(Modifiers::COMMAND, Key::Num5);
    window
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Clicks the row of the list that begins with this name.
#[track_caller]
fn click_row(window: &mut Window, name: &str) {
    let rows = window.harness.query_all_by_label_contains(name);
    let row = rows.into_iter().find(|node| egui_kittest::kittest::NodeT::accesskit_node(node).role() == Role::ListItem);
    row.unwrap_or_else(|| panic!("no row of {name}")).click();
    window.harness.step();
    window.settle();
}

#[test]
fn models_are_listed_with_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    window.assert_shows("This project's model");
    window.assert_shows("org/tiny, Qwen2");
    // The project's own is shown first; the arrow goes on to the next.
    window.assert_shows("This project tunes it");
    window.key(Key::ArrowDown);
    window.assert_shows("BF16");
    window.assert_shows("Chat template");
    window.assert_shows("Training an adapter");
    window.assert_shows("Use for this project");
}

#[test]
fn a_folder_of_models_is_added_and_remembered_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    window.click_button("Add…");
    window.focus(Role::TextInput, "Add");
    window.type_text("/no/such/folder");
    window.click_button("Add this");
    window.until("it is refused", |app| app.workspace().models.refused.is_some());
    window.harness.step();
    window.assert_shows("There is no /no/such/folder");
    window.focus(Role::TextInput, "Add");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(&fixture::own_root().join("gguf").display().to_string());
    window.key(Key::Enter);
    window.until("it is added", |app| !app.views().models.places.is_empty());
    window.settle();
    window.assert_shows("llama_q8_0.gguf, Llama");
    click_row(&mut window, "llama_q8_0.gguf");
    window.assert_shows("GGUF file");
    let place = fixture::own_root().join("gguf").display().to_string();
    window.click_button(&format!("Leave out {place}"));
    assert!(!window.shows("llama_q8_0.gguf"));
}

#[test]
fn a_file_that_is_dropped_is_added_and_says_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    let damaged = dir.path().join("damaged.gguf");
    fs::write(&damaged, b"GGUF but not quite").unwrap();
    let dropped = Arc::new(Dropped(damaged.clone()));
    window.harness.input_mut().dropped_files.push(dropped);
    window.until("it is added", |app| !app.views().models.places.is_empty());
    window.settle();
    let selected = window.harness.state().views().models.selected.clone();
    assert_eq!(selected, Some(Selected::Model(damaged)));
    window.assert_shows("Not supported");
    window.assert_shows("is not a GGUF file that can be read");
    assert!(!window.shows("Use for this project"));
}

#[test]
fn a_project_without_runs_changes_its_model_and_one_with_runs_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    let snapshot = dir.path().join("cache/models--org--tiny/snapshots/0123abc");
    click_row(&mut window, "org/tiny");
    window.click_button("Use for this project");
    window.assert_shows("This project tunes org/tiny from now on");
    drop(window);
    let at = dir.path().join("project");
    let mut project = Project::open(&at).unwrap();
    assert_eq!(project.settings().unwrap().model, snapshot);
    stage::past_run(&mut project, nudge::data::config::Method::Mpo, 0.1, 40.0);
    drop(project);

    let mut window = Window::open(&at, Screen::Models);
    window.click_button("Add…");
    window.focus(Role::TextInput, "Add");
    let other = fixture::own_root().join("models/smollm");
    window.type_text(&other.display().to_string());
    window.key(Key::Enter);
    window.until("it is added", |app| !app.views().models.places.is_empty());
    window.settle();
    window.click_button("Use for the next run");
    assert_eq!(window.harness.state().views().screen, Screen::Train);
    let launch = &window.harness.state().views().train.launch;
    assert_eq!(launch.text(ModelConfig::PATH.key), other.display().to_string());
    drop(window);
    let settings = Project::open(&at).unwrap().settings().unwrap();
    assert_eq!(settings.model, snapshot);
}

#[test]
fn a_model_is_tried_beside_the_projects_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    click_row(&mut window, "org/tiny");
    window.click_button("Try it");
    assert_eq!(window.harness.state().views().screen, Screen::Answers);
    window.harness.state_mut().views_mut().answers.ask.prompt = Prompt::Text("When?".to_owned());
    window.harness.step();
    window.keys(Modifiers::COMMAND, Key::Enter);
    let mut asked = Vec::new();
    while let Ok(Request::Generate { source, .. }) = window.requests.try_recv() {
        asked.push(source);
    }
    let model = |folder| Weights::Model { folder, adapter: None };
    let snapshot = dir.path().join("cache/models--org--tiny/snapshots/0123abc");
    let own = fixture::own_root().join("models/smollm");
    assert_eq!(asked, [model(own), model(snapshot)]);
}

#[test]
fn a_project_of_ones_own_is_made_in_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(dir.path());
    click_row(&mut window, "org/tiny");
    window.click_button("New project with it");
    window.assert_shows("Give it a name");
    window.focus(Role::TextInput, "Name");
    window.type_text("Harbour tone");
    let home = dir.path().join("project");
    window.focus(Role::TextInput, "Folder");
    window.type_text(&home.display().to_string());
    window.click_button("Make the project");
    window.until("it is refused", |app| matches!(app.workspace().projects.making, Making::Failed(_)));
    window.harness.step();
    window.assert_shows("already");
    window.focus(Role::TextInput, "Folder");
    window.keys(Modifiers::COMMAND, Key::A);
    let home = dir.path().join("harbour");
    window.type_text(&home.display().to_string());
    window.click_button("Make the project");
    window.until("it is open", |app| app.workspace().opened == 2);
    window.settle();
    // The next thing to do is at hand.
    assert_eq!(window.harness.state().views().screen, Screen::Pairs);
    window.assert_shows("Import");
    let recent = &window.harness.state().views().projects.recent;
    let names: Vec<&str> = recent.iter().map(|recent| recent.name.as_str()).collect();
    assert_eq!(names, ["Harbour tone", "Islands"]);
    let settings = Project::open(&home).unwrap().settings().unwrap();
    assert!(settings.model.ends_with("snapshots/0123abc"));

    window.keys(Modifiers::COMMAND, Key::O);
    window.click_button("Open Islands");
    window.until("the other is open", |app| app.workspace().opened == 3);
}

#[test]
fn an_adapter_is_frozen_under_the_next_run_or_trained_further() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let checkpoints = toy.open().run(run).unwrap().checkpoints.pop().unwrap();
    let mut window = Window::open(&toy.project, Screen::Models);
    window.click_button("Add…");
    window.focus(Role::TextInput, "Add");
    window.type_text(&checkpoints.display().to_string());
    window.key(Key::Enter);
    window.until("it is added", |app| !app.views().models.places.is_empty());
    window.settle();
    for (button, key, other) in [
        ("Start the next run from it", ModelConfig::START_ADAPTER.key, ModelConfig::CONTINUE_ADAPTER.key),
        ("Train it further", ModelConfig::CONTINUE_ADAPTER.key, ModelConfig::START_ADAPTER.key),
    ] {
        window.keys(Modifiers::COMMAND, Key::Num5);
        window.click_button(button);
        let views = window.harness.state().views();
        assert_eq!(views.screen, Screen::Train);
        let launch = &views.train.launch;
        assert!(Path::new(launch.text(key)).starts_with(&checkpoints));
        assert_eq!(launch.text(other), "", "both at once would train twice");
    }
    window.assert_shows("Adapter to train further");
}

/// Trains a tiny run, then exports it with the window.
#[test]
fn a_run_is_exported_and_its_proof_is_told() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let mut window = Window::open(&toy.project, Screen::Models);
    let name = window.harness.state().workspace().runs.name(run);
    click_row(&mut window, &name);
    let target = toy.project.join("out");
    window.focus(Role::TextInput, "Target folder");
    window.type_text(&target.display().to_string());

    // It waits behind another job until it was cancelled: a small export could be done before the button is there.
    let (ends, end) = std::sync::mpsc::channel::<()>();
    window.harness.state_mut().aside(Lane::Export, "Could not wait", move || {
        end.recv().ok();
        Ok(update(|_, _| ()))
    });
    window.click_button("Export");
    window.click_button("Cancel export");
    drop(ends);
    window.until("it is stopped", |app| matches!(app.workspace().models.exporting, Exporting::Idle));
    assert!(!target.exists(), "a stopped export leaves nothing");

    window.click_button("Export");
    window.until("it is exported", |app| matches!(app.workspace().models.exporting, Exporting::Done(_)));
    window.harness.step();
    window.assert_shows("the training is in it");
    window.assert_shows("Read back from the disk");
    assert!(target.join("adapter_model.safetensors").is_file());

    window.click_button("Export once more");
    window.click_button("Export");
    window.until("it is refused", |app| matches!(app.workspace().models.exporting, Exporting::Failed { .. }));
    window.harness.step();
    window.assert_shows("holds an earlier export");
    window.click_button("Replace it");
    window.until("it is exported", |app| matches!(app.workspace().models.exporting, Exporting::Done(_)));
    window.harness.step();

    window.click_button("Export once more");
    window.harness.state_mut().views_mut().models.export =
        ExportForm { layout: ExportKind::Report, ..ExportForm::default() };
    window.harness.step();
    let page = toy.project.join("out.html");
    window.focus(Role::TextInput, "Target file");
    window.type_text(&page.display().to_string());
    window.click_button("Export");
    window.until("the report is there", |app| matches!(app.workspace().models.exporting, Exporting::Done(_)));
    window.harness.step();
    window.assert_shows("Report of step");
    assert!(fs::read_to_string(&page).unwrap().contains("<svg"));
}
