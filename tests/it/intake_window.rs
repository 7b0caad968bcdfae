//! Files of pairs taken in and given out on the Pairs screen, as a user meets it.

use std::{fs, path::Path};

use egui::{Key, Modifiers, accesskit};
use nudge::{
    data::{Change, Edit, Pair, PairId, Prompt},
    state::Screen,
    store::{Project, ProjectSettings},
};

use crate::window::Window;

/// A project with one pair that nobody has labelled.
fn project(dir: &Path) {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let pair = Pair::new(PairId::NEW, Prompt::Text("Question".to_owned()), &["one answer", "another one"]);
    Project::create(dir, &settings).unwrap().apply(&Change::new("Import", vec![Edit::add(pair)])).unwrap();
}

#[test]
fn an_import_says_what_came_in_and_what_did_not() {
    let dir = tempfile::tempdir().unwrap();
    project(&dir.path().join("project"));
    let file = dir.path().join("more.jsonl");
    fs::write(
        &file,
        "{\"prompt\":\"p\",\"chosen\":\"good\",\"rejected\":\"bad\"}\nnot json\n{\"prompt\":\"q\",\"chosen\":\"yes\",\"rejected\":\"no\"}\n",
    )
    .unwrap();
    let mut window = Window::open(&dir.path().join("project"), Screen::Pairs);
    window.click_button("Import…");
    // The caret is already in the field.
    window.type_text(file.to_str().unwrap());
    window.click_button("Import file");
    window.assert_shows("2 pairs came in from more.jsonl");
    window.assert_shows("1 record did not");
    window.assert_shows("Line 2");
    window.assert_shows("2 prompts came in as a text to be continued");
    window.assert_shows("import with “Text prompts are what a user says” ticked");
    window.assert_shows("2 of 3 labelled");
    // One step takes the whole import back.
    window.click_button("Close report");
    window.click_button("Undo");
    window.assert_shows("0 of 1 labelled");
    let out = dir.path().join("out.jsonl");
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    window.click_button("Export…");
    window.focus(accesskit::Role::TextInput, "Export");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text(out.to_str().unwrap());
    window.click_button("Export file");
    let written = fs::read_to_string(out).unwrap();
    assert_eq!(written.lines().count(), 2);
    assert!(written.contains("\"good\""));
}

#[test]
fn a_file_is_looked_at_before_it_is_taken_in_and_its_columns_are_remembered() {
    let dir = tempfile::tempdir().unwrap();
    project(&dir.path().join("p"));
    let file = dir.path().join("survey.csv");
    fs::write(&file, "frage,eins,zwei,besser\nHow deep?,two,ten,zwei\nHow far?,one,six,eins\n").unwrap();
    let mut window = Window::open(&dir.path().join("p"), Screen::Pairs);
    let name = |window: &mut Window, label: &str, text: &str| {
        window.focus(accesskit::Role::TextInput, label);
        window.keys(Modifiers::COMMAND, Key::A);
        window.type_text(text);
        window.settle();
    };
    window.click_button("Import…");
    name(&mut window, "Import", file.to_str().unwrap());
    window.click_button("Look at it");
    window.until("the file was looked at", |app| app.workspace().pairs.look.is_some());
    window.settle();
    window.assert_shows("Its columns: frage, eins, zwei, besser");
    window.assert_shows("there is no field \"chosen\"");
    // Named, they are what they are; the look follows what is typed.
    name(&mut window, "Columns", "prompt=frage chosen=zwei rejected=eins");
    window.until("it is read under other names", |app| {
        app.workspace().pairs.look.as_ref().is_some_and(|look| look.rows.len() == 2)
    });
    window.settle();
    window.assert_shows("CSV, read as TRL");
    window.assert_shows("How deep?");
    window.click_button("Import file");
    window.until("both came in", |app| app.workspace().pairs.counts.total() == 3);
    window.settle();
    let known = &window.harness.state().views().pairs.intake.known;
    assert_eq!(known.get("frage, eins, zwei, besser").unwrap(), "prompt=frage chosen=zwei rejected=eins");
    // Again: its columns are known, and nothing is new.
    assert_eq!(window.harness.state().views().pairs.intake.names, "");
    window.click_button("Import…");
    window.click_button("Import file");
    window.settle();
    window.assert_shows("2 were there already");
    assert_eq!(window.harness.state().workspace().pairs.counts.total(), 3);
}
