//! Fetching a model in the window: looked up first, then fetched, stopped, gone on with, used.

use std::{path::Path, time::Duration};

use egui::{Key, Modifiers, accesskit::Role};
use nudge::{
    app::App,
    engine::catalog::Catalog,
    state::{Screen, download::Fetching, models::Selected},
    store::{Project, ProjectSettings},
};

use crate::{
    hub,
    hub_server::{COMMIT, Server},
    window::Window,
};

/// A project without a model, on its Models place, with an empty cache and a hub of its own.
fn window(dir: &Path, server: &Server) -> Window {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    drop(Project::create(&dir.join("project"), &settings).unwrap());
    let mut window = Window::open(&dir.join("project"), Screen::Models);
    let cache = dir.join("cache");
    let app = window.harness.state_mut();
    app.set_catalog(Catalog::at(cache.clone()));
    app.set_hub(hub::hub(server, &cache));
    window
}

/// Types a name over whatever is there, and asks what it would bring.
fn look_up(window: &mut Window, name: &str) {
    window.focus(Role::TextInput, "Download");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(name);
    window.click_button("Look it up");
    window.until("the hub has answered", |app| !app.workspace().models.fetching.is_busy());
    window.harness.step();
}

#[test]
fn a_model_is_looked_up_fetched_and_used() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&hub::model("qwen2_bf16"));
    let mut window = window(dir.path(), &server);
    window.click_button("Download…");
    look_up(&mut window, "org/name");
    window.assert_shows("Its page names the licence apache-2.0");
    let cdn = |path: &str| path.starts_with("/cdn/");
    let asked = server.asked();
    assert!(!asked.iter().any(|asked| cdn(&asked.path)), "only looked up");

    window.click_button(&fetch_button(&window));
    window.until("it is there", |app| matches!(app.workspace().models.fetching, Fetching::Done { .. }));
    window.settle();
    window.assert_shows("org/name is in the cache");
    let snapshot = dir.path().join("cache/models--org--name/snapshots").join(COMMIT);
    let selected = window.harness.state().views().models.selected.clone();
    assert_eq!(selected, Some(Selected::Model(snapshot.clone())));
    window.click_button("Use for this project");
    drop(window);
    let settings = Project::open(&dir.path().join("project")).unwrap().settings().unwrap();
    assert_eq!(settings.model, snapshot);
}

/// The one button that begins with "Fetch".
fn fetch_button(window: &Window) -> String {
    let Fetching::Offered(offer) = &window.harness.state().workspace().models.fetching else {
        panic!("nothing is offered: {:?}", window.harness.state().workspace().models.fetching);
    };
    let size = nudge::data::size(offer.missing());
    match offer.there {
        0 => format!("Fetch {size}"),
        _ => format!("Fetch the other {size}"),
    }
}

#[test]
fn a_download_is_stopped_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&hub::model("qwen2_bf16"));
    server.trouble().slow = Some(Duration::from_millis(20));
    let mut window = window(dir.path(), &server);
    window.click_button("Download…");
    look_up(&mut window, "org/name");
    window.click_button(&fetch_button(&window));
    let in_weights = |app: &App| match &app.workspace().models.fetching {
        Fetching::UnderWay { progress, .. } if progress.file.as_deref() == Some("model.safetensors") => {
            Some(progress.bytes)
        }
        _ => None,
    };
    window.until("the weights begin", |app| in_weights(app).is_some());
    let begun = in_weights(window.harness.state()).unwrap();
    window.until("some of them are there", |app| in_weights(app).is_some_and(|bytes| bytes > begun + 4096));
    // Nothing more comes while the window is looked at.
    server.trouble().slow = Some(Duration::from_mins(1));
    // Another place of the window may be looked at meanwhile.
    window.keys(Modifiers::COMMAND, Key::Num1);
    window.keys(Modifiers::COMMAND, Key::Num5);
    window.click_button("Cancel download");
    window.until("it is stopped", |app| matches!(app.workspace().models.fetching, Fetching::Stopped(_)));
    window.harness.step();
    window.assert_shows("what was fetched is kept");
    server.trouble().slow = None;
    window.click_button("Go on");
    window.until("it is there", |app| matches!(app.workspace().models.fetching, Fetching::Done { .. }));
    let resumed = server.asked().into_iter().any(|asked| asked.range.is_some());
    assert!(resumed, "the second download began anew");
}

#[test]
fn what_cannot_be_fetched_is_told_and_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::of_folder(&hub::model("qwen2_bf16"));
    server.trouble().listing = Some((404, Vec::new()));
    let mut window = window(dir.path(), &server);
    window.click_button("Download…");
    look_up(&mut window, "no name at all");
    window.assert_shows("org/name");
    look_up(&mut window, "org/name");
    window.assert_shows("has no model org/name");
    server.trouble().listing = None;
    window.click_button("Try again");
    window.until("the hub has answered", |app| matches!(app.workspace().models.fetching, Fetching::Offered(_)));
    window.harness.step();
    window.click_button("Close");
    assert_eq!(window.harness.state().workspace().models.fetching, Fetching::Idle);
}

#[test]
fn one_of_several_gguf_files_is_picked() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    let server = Server::of_folder(&folder);
    let mut window = window(dir.path(), &server);
    window.click_button("Download…");
    look_up(&mut window, "org/name");
    let Fetching::WhichFile { files, .. } = &window.harness.state().workspace().models.fetching else {
        panic!("no choice");
    };
    let (file, bytes) = files[0].clone();
    window.click_button(&format!("{file}, {}", nudge::data::size(bytes)));
    window.until("the hub has answered", |app| matches!(app.workspace().models.fetching, Fetching::Offered(_)));
    window.harness.step();
    window.click_button(&fetch_button(&window));
    window.until("it is there", |app| matches!(app.workspace().models.fetching, Fetching::Done { .. }));
    let Fetching::Done { path, .. } = &window.harness.state().workspace().models.fetching else { unreachable!() };
    assert!(path.ends_with(&file), "{}", path.display());
}
