//! Texts that are being written and are in no record yet: neither closing the window nor another project loses them.

use std::{path::Path, time::Duration};

use egui::{Key, accesskit::Role};
use nudge::{
    data::{Prompt, Role as Speaker, Turn},
    state::{
        Screen,
        answers::Tab,
        compare::edits::RunDraft,
        judged::RulesDraft,
        pairs::{LabelMark, LabelView, MarkField},
        writing::UnsavedTexts,
    },
    store::{NewRun, Probe, Project, ProjectSettings, RunId},
};

use crate::{
    regressions::pairs_window::{FEW, project as pairs},
    window::Window,
};

fn project(dir: &Path, name: &str) -> RunId {
    let settings = ProjectSettings { name: name.to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    project.create_run(&NewRun { name: "First run".to_owned(), ..NewRun::default() }).unwrap()
}

/// Writes a little everywhere.
fn write(window: &mut Window) -> UnsavedTexts {
    let app = window.harness.state_mut();
    let record = app.workspace().runs.records[0].clone();
    let views = app.views_mut();
    views.answers.judged.writing = Some(RulesDraft::go_on("[[rule]]\nname = ".to_owned(), None));
    let probe = Probe { prompt: Prompt::Text("When?".to_owned()), note: "asked for".to_owned(), stays: false };
    views.answers.editing = Some(vec![probe]);
    views.answers.ask.prompt = Prompt::chat(vec![Turn::new(Speaker::User, "Who rows?")]);
    "Why?".clone_into(&mut views.answers.duel.typed);
    "The bar is dry at low water".clone_into(&mut views.pairs.references.text);
    let mut draft = RunDraft { fresh: false, ..RunDraft::of(&record) };
    "the one with".clone_into(&mut draft.about.marks.note);
    views.compare.draft = Some(draft);
    window.harness.step();
    UnsavedTexts::of(window.harness.state().workspace(), window.harness.state().views())
}

fn texts(window: &Window) -> UnsavedTexts {
    UnsavedTexts::of(window.harness.state().workspace(), window.harness.state().views())
}

#[test]
fn what_is_being_written_survives_the_window_and_another_project() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    project(dir.path(), "Islands");
    project(other.path(), "Harbours");
    let mut window = Window::open(dir.path(), Screen::Answers);
    let written = write(&mut window);
    assert!(window.shows("Typing, not yet saved"), "the strip says “Saved” of what is not");
    // Closed before a moment has gone by.
    drop(window);
    let mut window = Window::open(dir.path(), Screen::Answers);
    assert_eq!(texts(&window), written);
    window.assert_shows("Saved");

    let open = |window: &mut Window, dir: &Path, name: &str| {
        let views = window.harness.state_mut().views_mut();
        views.projects.opened(dir, name);
        views.screen = Screen::Projects;
        let opened = dir.to_owned();
        window.harness.step();
        window.click_button(&format!("Open {name}"));
        window.until("the other project is open", move |app| {
            app.workspace().project.as_ref().is_some_and(|project| project.dir == opened)
        });
        window.settle();
    };
    window.harness.state_mut().views_mut().answers.duel.typed = "Why, and when?".to_owned();
    window.harness.step();
    open(&mut window, other.path(), "Harbours");
    assert_eq!(texts(&window), UnsavedTexts::default(), "nothing of one project stands in another");
    open(&mut window, dir.path(), "Islands");
    assert_eq!(texts(&window), UnsavedTexts { duel: "Why, and when?".to_owned(), ..written });
}

#[test]
fn a_moment_after_the_last_key_they_are_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), "Islands");
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.harness.state_mut().views_mut().answers.tab = Tab::Duel;
    window.harness.state_mut().views_mut().answers.duel.typed = "Why?".to_owned();
    window.until("it is seen", |app| app.workspace().saving.writing);
    window.until("it is kept", |app| !app.workspace().saving.writing && app.workspace().saving.under_way == 0);
    std::thread::sleep(Duration::from_millis(10));
    let kept = Project::open(dir.path()).unwrap().setting(nudge::state::writing::KEY).unwrap().unwrap();
    assert!(kept.contains("Why?"), "{kept}");
}

#[test]
fn a_runs_note_is_kept_by_escape_and_by_editing_another_run() {
    let dir = tempfile::tempdir().unwrap();
    let first = project(dir.path(), "Islands");
    let second = {
        let mut project = Project::open(dir.path()).unwrap();
        project.create_run(&NewRun { name: "Second run".to_owned(), ..NewRun::default() }).unwrap()
    };
    let mut window = Window::open(dir.path(), Screen::Compare);
    let note = |run: RunId| Project::open(dir.path()).unwrap().run(run).unwrap().marks.note;
    window.click_button("Edit First run");
    window.focus(Role::MultilineTextInput, "Note");
    window.type_text("steady");
    window.key(Key::Escape);
    window.settle();
    assert_eq!(note(first), "steady");
    window.click_button("Edit First run");
    window.focus(Role::MultilineTextInput, "Note");
    window.type_text(" and slow");
    window.click_button("Edit Second run");
    window.settle();
    assert!(note(first).contains("and slow"), "{}", note(first));
    window.focus(Role::MultilineTextInput, "Note");
    window.type_text("never mind");
    window.click_button("Cancel");
    window.settle();
    assert_eq!(note(second), "");
}

#[test]
fn a_note_in_the_middle_of_labelling_is_kept_when_the_window_goes() {
    let dir = tempfile::tempdir().unwrap();
    let ids = pairs(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.begin_labelling();
    let label: &mut LabelView = window.harness.state_mut().views_mut().pairs.labelling.as_mut().unwrap();
    label.field = Some(MarkField { mark: LabelMark::Note, text: "ask Ada".to_owned(), wants_caret: false });
    window.harness.step();
    // A verdict by the mouse ends the note, and is one step more.
    window.click_button("Tie");
    let stored = |n: usize| Project::open(dir.path()).unwrap().pair(ids[n]).unwrap().unwrap();
    assert!(stored(0).note == "ask Ada" && stored(0).verdict.is_some());
    let label: &mut LabelView = window.harness.state_mut().views_mut().pairs.labelling.as_mut().unwrap();
    label.field = Some(MarkField { mark: LabelMark::Note, text: "and Ben".to_owned(), wants_caret: false });
    drop(window);
    assert_eq!(stored(1).note, "and Ben");
}
