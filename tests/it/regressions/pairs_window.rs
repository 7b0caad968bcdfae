//! The Pairs place and labelling.

use std::{path::Path, time::Duration};

use egui::{Event, Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::Queryable as _;
use nudge::{
    data::{Change, Choice, Edit, Pair, PairId, Prompt, Strength, Verdict},
    state::{Level, Notice, OpenedProject, ProjectSummary, Screen, UndoOffer, Views, Workspace, compare::board::Board},
    store::{Project, ProjectSettings},
};

use crate::window::Window;

/// A project whose pairs have these answers; the first `labelled` of them have a verdict.
pub(crate) fn project(dir: &Path, answers: &[[&str; 2]], labelled: usize) -> Vec<PairId> {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let edits = answers.iter().enumerate().map(|(n, answers)| {
        let mut pair = Pair::new(PairId::NEW, Prompt::Text(format!("Question {n}")), answers);
        pair.verdict = (n < labelled)
            .then(|| Verdict::imported(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly }, 0));
        Edit::add(pair)
    });
    // One by one, so that undo has steps to go through.
    edits.map(|edit| project.apply(&Change::new("Add a pair", vec![edit])).unwrap().pairs[0]).collect()
}

fn imported(dir: &Path, pairs: usize) {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let edits = (0..pairs)
        .map(|n| Edit::add(Pair::new(PairId::NEW, Prompt::Text(format!("Question {n}")), &["one", "two"])))
        .collect();
    project.apply(&Change::new(format!("Import {pairs} pairs from a.jsonl"), edits)).unwrap();
}

pub(super) fn stored(dir: &Path, id: PairId) -> Option<Pair> {
    Project::open(dir).unwrap().pair(id).unwrap()
}

/// As a window system tells of a key: what it is, and what it types.
pub(super) fn letters(window: &mut Window, text: &str) {
    for letter in text.chars() {
        let key = Key::from_name(&letter.to_uppercase().to_string());
        let event = |pressed| Event::Key {
            key: key.unwrap_or(Key::Space),
            physical_key: None,
            pressed,
            repeat: false,
            modifiers: Modifiers::NONE,
        };
        window.harness.event(event(true));
        window.harness.event(Event::Text(letter.to_string()));
        window.harness.step();
        window.harness.event(event(false));
        window.harness.step();
    }
}

/// Holds a key: it goes down once and is repeated.
fn hold(window: &mut Window, modifiers: Modifiers, key: Key, repeats: usize) {
    for _ in 0..repeats {
        window.harness.event(Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers });
        window.harness.step();
    }
    window.harness.event(Event::Key { key, physical_key: None, pressed: false, repeat: false, modifiers });
    window.harness.step();
    window.settle();
}

fn prompt_of(window: &Window) -> String {
    let draft = window.harness.state().views().pairs.draft.as_ref().unwrap();
    match &draft.pair.prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(turns) => turns[0].content.clone(),
    }
}

pub(crate) const FEW: [[&str; 2]; 4] = [["a0", "b0"], ["a1", "b1"], ["a2", "b2"], ["a3", "b3"]];

#[test]
fn g6_what_is_typed_is_on_the_disk_a_moment_after_the_last_key() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(Role::MultilineTextInput, "Answer 1 text");
    window.type_text("first ");
    assert!(window.shows("Typing, not yet saved"), "the strip says “Saved” of what is not");
    // Nothing but time goes by; the field keeps the caret.
    for part in ["second ", "third"] {
        window.until("the typing is saved", |app| !app.views().pairs.is_typing());
        window.settle();
        assert!(window.shows("Saved"));
        window.type_text(part);
    }
    window.until("the typing is saved", |app| !app.views().pairs.is_typing());
    window.settle();
    let text = |dir: &Path| stored(dir, ids[0]).unwrap().answers[0].text.clone();
    assert!(text(dir.path()).contains("first second third"), "{}", text(dir.path()));
    // However often it was saved, it is one step.
    window.click_button("Undo");
    assert_eq!(text(dir.path()), "a0");
    assert_eq!(window.harness.state().workspace().pairs.undo.as_deref(), Some("Add a pair"));
    window.click_button("Redo");
    assert!(text(dir.path()).contains("first second third"));
}

#[test]
fn g6_typing_is_saved_on_another_place_too() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(Role::MultilineTextInput, "Answer 2 text");
    window.type_text("kept ");
    window.harness.state_mut().views_mut().screen = Screen::Models;
    window.until("the typing is saved", |app| !app.views().pairs.is_typing());
    window.settle();
    assert!(stored(dir.path(), ids[0]).unwrap().answers[1].text.contains("kept"));
}

#[test]
fn g6_a_tag_that_was_not_finished_survives_the_closing_of_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.harness.state_mut().views_mut().pairs.new_tag = "ferries".to_owned();
    drop(window);
    assert_eq!(stored(dir.path(), ids[0]).unwrap().tags, ["ferries"]);
}

#[test]
fn g7_a_new_pair_takes_what_is_typed_next() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW[..1], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.harness.key_press(Key::N);
    window.harness.step();
    // At once, while the pair is still on its way to the disk.
    letters(&mut window, "How do I tie a bowline");
    window.settle();
    assert_eq!(prompt_of(&window), "How do I tie a bowline");
    let views = &window.harness.state().views().pairs;
    assert!(views.labelling.is_none() && views.difference);
    window.assert_shows("of 2 labelled");
}

#[test]
fn g7_the_first_pair_takes_what_is_typed_next() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &[], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.click_button("Write the first pair");
    letters(&mut window, "Name a ladder");
    window.settle();
    assert_eq!(prompt_of(&window), "Name a ladder");
    window.assert_shows("of 1 labelled");
}

#[test]
fn g7_a_new_answer_and_a_new_turn_have_the_caret() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW[..1], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.click_button("Add answer");
    letters(&mut window, "no land");
    window.click_button("Make a conversation");
    window.click_button("Add turn");
    letters(&mut window, "dill");
    window.settle();
    let draft = window.harness.state().views().pairs.draft.as_ref().unwrap();
    assert_eq!(draft.pair.answers[2].text, "no land");
    let Prompt::Chat(turns) = &draft.pair.prompt else { panic!("still plain text") };
    assert_eq!(turns[1].content, "dill");
    window.assert_shows("of 1 labelled");
}

#[test]
fn g7_several_tags_are_written_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW[..1], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(Role::TextInput, "New tag");
    for tag in ["dull", "long"] {
        letters(&mut window, tag);
        window.key(Key::Enter);
        window.harness.step();
    }
    window.settle();
    assert_eq!(stored(dir.path(), ids[0]).unwrap().tags, ["dull", "long"]);
    window.assert_shows("of 1 labelled");
}

#[test]
fn g7_a_sentence_typed_into_nowhere_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    letters(&mut window, "how do I lend ink");
    window.settle();
    let views = &window.harness.state().views().pairs;
    assert!(views.labelling.is_none() && views.difference && !views.tokens);
    window.assert_shows("of 4 labelled");
}

#[test]
fn g8_undo_of_an_import_asks_first() {
    let dir = tempfile::tempdir().unwrap();
    imported(dir.path(), 30);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.assert_shows("of 30 labelled");
    window.assert_shows("Undo “Import 30 pairs from a.jsonl”? It changes 30 pairs");
    window.click_button("Keep it");
    assert!(!window.shows("It changes 30 pairs"));
    window.keys(Modifiers::COMMAND, Key::Z);
    window.click_button("Undo it");
    window.assert_shows("No pairs yet");
    // It is named, and one click brings it back.
    window.assert_shows("“Import 30 pairs from a.jsonl” was undone");
    window.click_button("Redo what the note says");
    window.assert_shows("of 30 labelled");
    assert!(!window.shows("was undone"), "the note ends with what it speaks of");
}

#[test]
fn g8_held_keys_act_once() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    hold(&mut window, Modifiers::NONE, Key::Delete, 9);
    window.assert_shows("of 3 labelled");
    window.assert_shows("Pair 1 was deleted");
    window.click_button("Undo what the note says");
    window.assert_shows("of 4 labelled");
    assert!(stored(dir.path(), ids[0]).is_some());
    hold(&mut window, Modifiers::COMMAND, Key::Z, 9);
    window.assert_shows("of 3 labelled");
    hold(&mut window, Modifiers::COMMAND | Modifiers::SHIFT, Key::Z, 9);
    window.assert_shows("of 4 labelled");
    hold(&mut window, Modifiers::NONE, Key::N, 9);
    window.assert_shows("of 5 labelled");
}

#[test]
fn g8_a_lost_redo_is_told() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::Delete);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.click_button("Tie");
    window.assert_shows("“Delete pair 1” was undone and can no longer be redone");
}

#[test]
fn an_import_tells_that_it_drops_what_could_be_redone() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 0);
    let file = dir.path().join("more.jsonl");
    std::fs::write(&file, "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n").unwrap();
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::Delete);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.click_button("Import…");
    window.type_text(&file.display().to_string());
    window.click_button("Import file");
    window.assert_shows("“Delete pair 1” was undone and can no longer be redone");
}

#[test]
fn a_notice_does_not_cover_the_chosen_row() {
    let dir = tempfile::tempdir().unwrap();
    imported(dir.path(), 60);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::End);
    let row = |window: &Window| {
        let row = window.harness.query_all_by_label_contains("Pair 60,").next();
        row.map(|row| row.rect().bottom()).expect("the chosen row is drawn")
    };
    let before = row(&window);
    // A note comes up below the table.
    window.key(Key::ArrowUp);
    window.key(Key::Delete);
    window.assert_shows("was deleted");
    window.key(Key::End);
    window.harness.step();
    let note = window.harness.query_all_by_label_contains("was deleted").next().unwrap().rect().top();
    assert!(row(&window) <= note, "{} of {note}, {before} before", row(&window));
}

#[test]
fn g9_a_vanished_pair_leaves_the_editor_and_the_list_says_why_it_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    // More than the window reads again after a change.
    imported(dir.path(), 300);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::End);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.click_button("Undo it");
    window.until("the editor is empty", |app| app.views().pairs.draft.is_none());
    window.assert_shows("No pairs yet");
    assert!(!window.shows("Clear the filter"));
}

#[test]
fn g9_a_refused_edit_is_said_once_and_never_applied_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    // Somebody else changes the pair under the window.
    let before = stored(dir.path(), ids[0]).unwrap();
    let theirs = Pair { note: "theirs".to_owned(), ..before.clone() };
    let change = Change::new("Elsewhere", vec![Edit::replace(before, theirs.clone())]);
    Project::open(dir.path()).unwrap().apply(&change).unwrap();
    window.focus(Role::MultilineTextInput, "Answer 1 text");
    window.type_text("mine ");
    window.focus(Role::MultilineTextInput, "Answer 2 text");
    window.until("it was refused", |app| !app.workspace().notices.is_empty());
    for _ in 0..20 {
        window.harness.step();
        std::thread::sleep(Duration::from_millis(10));
    }
    window.settle();
    let errors = window.harness.state().workspace().notices.iter().filter(|(_, notice)| notice.level == Level::Error);
    assert_eq!(errors.count(), 1);
    window.assert_shows("Not saved");
    // Another pair is opened: the refused edit is told to be left out, and is.
    window.key(Key::Escape);
    window.click("Pair 2, Unlabelled: Question 1");
    window.assert_shows("What was typed in pair 1 is not saved");
    assert_eq!(stored(dir.path(), ids[0]), Some(theirs));
}

#[test]
fn g13_the_table_is_one_stop_and_enter_opens_the_editor() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    let mut stops = Vec::new();
    for _ in 0..60 {
        window.harness.key_press(Key::Tab);
        window.harness.step();
        window.harness.step();
        let focused = window.harness.ctx.memory(egui::Memory::focused);
        stops.extend(focused);
    }
    let table = egui::Id::unique("table of pairs");
    let first = stops.iter().position(|stop| *stop == table).expect("the table is no stop");
    let again = stops.iter().skip(first + 1).position(|stop| *stop == table);
    assert!(again.is_none_or(|again| again > 5), "{stops:?}");
    // On the table arrows move inside it, and Enter goes into the editor.
    window.harness.ctx.memory_mut(|memory| memory.request_focus(table));
    window.harness.step();
    window.key(Key::ArrowDown);
    assert_eq!(window.harness.state().views().pairs.selected, Some(ids[1]));
    assert_eq!(window.harness.ctx.memory(egui::Memory::focused), Some(table));
    window.key(Key::Enter);
    window.harness.step();
    letters(&mut window, "ah ");
    window.settle();
    assert!(prompt_of(&window).contains("ah "), "{}", prompt_of(&window));
    // Esc leads back to the table.
    window.key(Key::Escape);
    window.harness.step();
    assert_eq!(window.harness.ctx.memory(egui::Memory::focused), Some(table));
}

#[test]
fn g14_typing_at_the_end_of_a_crlf_line_changes_no_other_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &[["next\r\nlast\r\n", "b"]], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(Role::MultilineTextInput, "Answer 1 text");
    let control = Modifiers::CTRL | Modifiers::COMMAND;
    window.keys(control, Key::Home);
    window.key(Key::End);
    window.type_text("Q");
    window.harness.event(Event::Paste("1\n2".to_owned()));
    window.harness.step();
    window.focus(Role::MultilineTextInput, "Answer 2 text");
    window.settle();
    assert_eq!(stored(dir.path(), ids[0]).unwrap().answers[0].text, "nextQ1\n2\r\nlast\r\n");
    window.focus(Role::MultilineTextInput, "Answer 1 text");
    window.keys(control, Key::End);
    window.key(Key::Backspace);
    window.focus(Role::MultilineTextInput, "Answer 2 text");
    window.settle();
    assert_eq!(stored(dir.path(), ids[0]).unwrap().answers[0].text, "nextQ1\n2\r\nlast");
}

#[test]
fn g21_notices_are_one_strip() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    let deep = "/no/such/place/of/mine/that/is/long/enough/to/be/cut/in/the/middle/a.jsonl";
    for name in [deep, "/no/such/b.jsonl"] {
        window.click_button("Import…");
        window.keys(Modifiers::COMMAND, Key::A);
        window.type_text(name);
        window.click_button("Import file");
    }
    assert_eq!(window.harness.state().workspace().notices.len(), 2);
    window.assert_shows("2 notices");
    assert!(!window.shows(&deep[..40]), "only the newest is shown");
    window.click_button("Show all");
    assert!(!window.shows(deep), "a long path is shortened");
    window.assert_shows("…");
    window.click_button("Dismiss all");
    assert!(window.harness.state().workspace().notices.is_empty());
}

#[test]
fn g21_notices_end_with_their_project() {
    let mut workspace = Workspace::default();
    workspace.notices.push(Notice::info("Pair 1 was deleted").offering(UndoOffer::Undo("Delete pair 1".to_owned())));
    let project = ProjectSummary {
        dir: "/two".into(),
        name: "Two".to_owned(),
        model: "/model".into(),
        has_template: true,
        ..ProjectSummary::default()
    };
    workspace.open(
        OpenedProject {
            project,
            runs: Vec::new(),
            saved: std::collections::BTreeMap::default(),
            board: Board::default(),
            ignored: state::ignored::Ignored::default(),
            order: Vec::new(),
            rules: Vec::new(),
            can_turn_about: [false; 2],
            texts: nudge::state::writing::UnsavedTexts::default(),
        },
        &mut Views::default(),
    );
    assert!(workspace.notices.is_empty());
}

#[test]
fn what_no_font_can_show_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    // Egyptian hieroglyphs: in none of the fonts that come with the program.
    project(dir.path(), &[["\u{13000}\u{13001} and \u{13000}", "readable ä"]], 0);
    let mut window = Window::open_with_boxes(dir.path(), Screen::Pairs);
    window.harness.step();
    window.assert_shows("3 characters cannot be shown");
}
