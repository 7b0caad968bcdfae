//! A run in one file: made in a terminal, opened elsewhere, and only to be looked at there.

use std::{fs, path::Path, sync::Arc};

use nudge::store::{Project, RunId};

use crate::{
    stage::Stage,
    terminal::{SMALL, json_lines, out, path, sentence, trained},
    window::Dropped,
};

#[test]
fn a_run_leaves_in_one_file_and_opens_elsewhere_to_be_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = trained(home, "First");
    let file = path(&home.join("first.nudge"));
    let said = json_lines(&out(home, &["bundle", &dir, "First", "-o", &file, "--json"]));
    assert_eq!(said[0]["step"], 2, "its weights are in it");
    assert_eq!(said[0]["bytes"], fs::metadata(&file).unwrap().len());
    let refused = sentence(home, &["bundle", &dir, "First", "-o", &file], 1);
    assert!(refused.contains("exists"), "{refused}");
    let told = sentence(home, &["bundle", &dir, "First", "-o", &file, "--overwrite"], 0);
    assert!(told.contains("weights of step 2"), "{told}");
    let document = path(&Path::new(&dir).join("project.sqlite"));
    let refused = sentence(home, &["bundle", &dir, "First", "-o", &document, "--overwrite"], 1);
    assert!(refused.contains("it is a database"), "{refused}");

    let elsewhere = path(&home.join("elsewhere"));
    out(home, &["open", &file, "--to", &elsewhere]);
    assert!(out(home, &["runs", &elsewhere]).contains("First"));
    let csv = |dir: &str| out(home, &["metrics", dir, "First"]);
    assert_eq!(csv(&elsewhere), csv(&dir), "every number is in it");
    let mut args = vec!["train", &elsewhere, "--steps", "2"];
    args.extend(SMALL);
    let refused = sentence(home, &args, 1);
    assert!(refused.contains("cannot be written to"), "{refused}");
    // The weights are there to be asked, where the model is.
    let adapter = path(&home.join("adapter"));
    out(home, &["export", &elsewhere, "First", "--adapter", &adapter]);

    fs::write(&file, "something else").unwrap();
    let refused = sentence(home, &["open", &file, "--to", &path(&home.join("none"))], 1);
    assert!(refused.contains("is no bundle that can be opened"), "{refused}");
    assert!(!home.join("none").exists());
}

#[test]
fn a_bundle_in_the_window_says_what_it_is() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("source");
    let out = home.path().join("out");
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        crate::stage::past_run(project, nudge::data::config::Method::Mpo, 0.1, 30.0);
        project.bundle(RunId(1), &[], &source, false).unwrap();
        Project::unbundle(&source, &out).unwrap();
    });
    stage.click("Project Tide tables");
    stage.click("Open a project…");
    stage.enter("Folder of a project", &out.display().to_string());
    stage.click("Open");
    stage.until("it is open", |app| app.workspace().opened == 2);
    assert!(stage.says("It came out of a bundle: Run 1 of Tide tables: MPO anchored-sum β 0.1"));
    stage.go("Compare");
    stage.until("its curves are here", |app| {
        app.workspace().runs.history.values().any(|history| !history.series.is_empty())
    });
    assert!(stage.says("Preference accuracy, held out chart, latest"));
}

#[test]
fn a_bundle_that_is_dropped_on_the_window_opens_wherever_one_is() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("first.nudge");
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        crate::stage::past_run(project, nudge::data::config::Method::Mpo, 0.1, 30.0);
        project.bundle(RunId(1), &[], &file, false).unwrap();
    });
    stage.go("Answers");
    stage.harness.input_mut().dropped_files.push(Arc::new(Dropped(file)));
    stage.until("it is open", |app| app.workspace().opened == 2);
    assert!(stage.says("Run 1 of Tide tables"));
    let unpacked = stage.harness.state().workspace().project.as_ref().unwrap().dir.clone();

    // One that is damaged says so and leaves open what was.
    let said = stage.harness.state().workspace().notices.len();
    let damaged = home.path().join("damaged.NUDGE");
    fs::write(&damaged, "nothing of the kind").unwrap();
    stage.harness.input_mut().dropped_files.push(Arc::new(Dropped(damaged)));
    stage.until("it is refused", |app| app.workspace().notices.len() > said);
    assert!(stage.says("is no bundle"));
    assert_eq!(stage.harness.state().workspace().project.as_ref().unwrap().dir, unpacked);
    fs::remove_dir_all(unpacked).ok();
}
