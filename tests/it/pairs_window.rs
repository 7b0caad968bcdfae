//! The Pairs screen as a user meets it: labelled by keyboard, edited, undone, reopened.

use std::path::Path;

use egui::{Key, Modifiers, accesskit};
use egui_kittest::{SnapshotResults, kittest::Queryable};
use nudge::{
    data::{Answer, Change, Choice, Edit, Origin, Pair, PairId, Prompt, Role, Strength, Turn, health::FindingKind},
    state::{Screen, labelling::Labelling, pairs::LabelView},
    store::{NewRun, PairVisit, Project, ProjectSettings, Revision},
};

use crate::window::Window;

fn project(dir: &Path, pairs: usize) -> Vec<PairId> {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let edits = (0..pairs)
        .map(|n| {
            let prompt = Prompt::Text(format!("Question {n}"));
            let answers = [format!("first answer {n}"), format!("second one {n}")];
            Edit::add(Pair::new(PairId::NEW, prompt, &[answers[0].as_str(), answers[1].as_str()]))
        })
        .collect();
    project.apply(&Change::new("Import", edits)).unwrap().pairs
}

fn stored(dir: &Path, ids: &[PairId]) -> Vec<Pair> {
    Project::open(dir).unwrap().pairs(ids).unwrap()
}

fn start_labelling(window: &mut Window) {
    window.begin_labelling();
    window.harness.state_mut().views_mut().keyboard.letters.end();
}

#[test]
fn ten_labels_by_keyboard_three_undone_and_all_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 12);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.assert_shows("0 of 12 labelled");
    start_labelling(&mut window);
    window.assert_shows("Left answer");
    let none = Modifiers::NONE;
    for (modifiers, key) in [
        (none, Key::Num1),
        (none, Key::Num2),
        (Modifiers::SHIFT, Key::Num1),
        (Modifiers::ALT, Key::Num2),
        (none, Key::T),
        (none, Key::B),
        (none, Key::S),
        (none, Key::Num1),
        (none, Key::ArrowRight),
        (none, Key::Num2),
    ] {
        window.keys(modifiers, key);
    }
    window.assert_shows("10 of 12");
    window.assert_shows("Saved");
    for _ in 0..3 {
        window.key(Key::U);
    }
    window.assert_shows("7 of 12");
    drop(window);

    let pairs = stored(dir.path(), &ids);
    let labelled = pairs.iter().filter(|pair| pair.verdict.is_some()).count();
    assert_eq!(labelled, 7);
    let strengths: Vec<Option<Strength>> = pairs[..4]
        .iter()
        .map(|pair| match pair.choice() {
            Some(Choice::Better { strength, .. }) => Some(strength),
            _ => None,
        })
        .collect();
    assert_eq!(
        strengths,
        [Some(Strength::Clearly), Some(Strength::Clearly), Some(Strength::Strongly), Some(Strength::Slightly)]
    );
    assert_eq!(
        pairs[4..7].iter().map(Pair::choice).collect::<Vec<_>>(),
        [Some(Choice::Tie), Some(Choice::BothBad), Some(Choice::Skip)]
    );
    // The side that was pressed is the side the chosen answer stood on.
    for (index, pressed_left) in [(0, true), (1, false), (2, true), (3, false)] {
        let verdict = pairs[index].verdict.as_ref().unwrap();
        let Choice::Better { chosen, .. } = verdict.choice else {
            panic!("pair {index} has no better answer");
        };
        assert_eq!(verdict.shown_left == Some(chosen), pressed_left);
        assert!(verdict.took_ms.is_some());
        assert_eq!(verdict.who, "local");
    }

    // A window opened afterwards goes on where this one stopped, and can still undo.
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.assert_shows("7 of 12 labelled");
    window.keys(Modifiers::COMMAND, Key::Z);
    window.assert_shows("6 of 12 labelled");
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    window.assert_shows("7 of 12 labelled");
    start_labelling(&mut window);
    window.assert_shows("0 of 5");
}

#[test]
fn a_digit_let_go_after_its_shift_counts_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    start_labelling(&mut window);
    for _ in 0..3 {
        // As a window system tells it: `!` goes down, and `1` comes up after Shift did.
        for (key, pressed, modifiers) in
            [(Key::Exclamationmark, true, Modifiers::SHIFT), (Key::Num1, false, Modifiers::NONE)]
        {
            window.harness.event(egui::Event::Key {
                key,
                physical_key: Some(Key::Num1),
                pressed,
                repeat: false,
                modifiers,
            });
            window.harness.step();
        }
        window.settle();
    }
    for pair in stored(dir.path(), &ids) {
        assert!(matches!(pair.choice(), Some(Choice::Better { strength: Strength::Strongly, .. })));
    }
}

#[test]
fn a_key_held_down_labels_one_pair() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 5);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    start_labelling(&mut window);
    for _ in 0..4 {
        window.harness.key_down(Key::T);
        window.harness.step();
    }
    window.settle();
    let labelled = |pair: &Pair| pair.verdict.is_some();
    assert_eq!(stored(dir.path(), &ids).iter().filter(|pair| labelled(pair)).count(), 1);
}

#[test]
fn an_answer_is_mended_in_the_middle_of_labelling_without_the_mouse() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 2);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    start_labelling(&mut window);
    window.key(Key::E);
    window.type_text("mended ");
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.key(Key::T);
    let stored_now = stored(dir.path(), &ids);
    let texts = |pair: &Pair| format!("{} {}", pair.answers[0].text, pair.answers[1].text);
    assert!(texts(&stored_now[0]).contains("mended"), "{}", texts(&stored_now[0]));
    assert_eq!(stored_now[0].choice(), Some(Choice::Tie));
    window.assert_shows("1 of 2");
    window.key(Key::U);
    window.key(Key::U);
    let undone = stored(dir.path(), &ids);
    assert!(!texts(&undone[0]).contains("mended"));
    assert_eq!(undone[0].verdict, None);
}

#[test]
fn an_edit_is_one_change_saved_when_the_field_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.assert_shows("No changes");
    window.focus(accesskit::Role::MultilineTextInput, "Answer 1 text");
    for letter in ["x", "y", "z"] {
        window.type_text(letter);
    }
    window.assert_shows("Typing…");
    window.focus(accesskit::Role::MultilineTextInput, "Answer 2 text");
    window.settle();
    window.assert_shows("Saved");
    assert!(stored(dir.path(), &ids)[0].answers[0].text.contains("xyz"));
    let label = window.harness.state().workspace().pairs.undo.clone();
    assert_eq!(label.as_deref(), Some("Edit answer of pair 1"));
    window.click_button("Undo");
    assert_eq!(stored(dir.path(), &ids)[0].answers[0].text, "first answer 0");
    let shown = window.harness.state().views().pairs.draft.as_ref().unwrap().pair.clone();
    assert_eq!(shown.answers[0].text, "first answer 0");
}

#[test]
fn undo_inside_a_field_never_brings_another_pairs_text() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(accesskit::Role::MultilineTextInput, "Answer 1 text");
    window.type_text("leak");
    // To the next pair by its row; what was typed is saved on the way.
    window.click("Pair 2, Unlabelled: Question 1");
    window.focus(accesskit::Role::MultilineTextInput, "Answer 1 text");
    window.keys(Modifiers::COMMAND, Key::Z);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.focus(accesskit::Role::MultilineTextInput, "Answer 2 text");
    window.settle();
    let pairs = stored(dir.path(), &ids);
    assert!(pairs[0].answers[0].text.contains("leak"));
    assert_eq!(pairs[1].answers[0].text, "first answer 1");
}

#[test]
fn what_is_typed_survives_the_closing_of_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 1);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.focus(accesskit::Role::MultilineTextInput, "Answer 2 text");
    window.type_text("last words");
    drop(window);
    assert!(stored(dir.path(), &ids)[0].answers[1].text.contains("last words"));
}

#[test]
fn a_new_pair_is_open_at_once_and_a_deleted_one_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 2);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::N);
    window.assert_shows("0 of 3 labelled");
    assert_eq!(window.harness.state().views().pairs.selected, Some(PairId(3)));
    // The prompt has the caret; Esc leads out of it.
    window.key(Key::Escape);
    window.key(Key::Delete);
    window.assert_shows("0 of 2 labelled");
    assert_ne!(window.harness.state().views().pairs.selected, Some(PairId(3)));
    window.keys(Modifiers::COMMAND, Key::Z);
    window.assert_shows("0 of 3 labelled");
}

#[test]
fn the_delete_button_shows_the_neighbour() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::ArrowDown);
    window.click_button("Delete");
    window.assert_shows("0 of 2 labelled");
    assert_eq!(window.harness.state().views().pairs.selected, Some(PairId(3)));
    window.assert_shows("Question 2");
}

#[test]
fn an_endless_answer_is_shown_and_not_edited() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 0);
    let long = "word ".repeat(20_000);
    let pair = Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &[&long, "short"]);
    Project::open(dir.path()).unwrap().apply(&Change::new("Add", vec![Edit::add(pair)])).unwrap();
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.assert_shows("97 KiB, too long to edit here");
    start_labelling(&mut window);
    window.key(Key::Num1);
    window.assert_shows("All done: 1 labelled in this session");
}

#[test]
fn what_a_run_saw_of_a_pair_is_drawn_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 1);
    let mut store = Project::open(dir.path()).unwrap();
    let run = store
        .create_run(&NewRun {
            name: "First run".to_owned(),
            method: "MPO".to_owned(),
            revision: Revision(1),
            ..NewRun::default()
        })
        .unwrap();
    for (step, margin) in [(1, -0.5), (2, 0.25), (3, 1.5)] {
        let visit = PairVisit { pair: ids[0], margin, push: 0.1 };
        store.append_pair_visits(run, step, &[visit]).unwrap();
    }
    drop(store);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.settle();
    window.assert_shows("Margin in First run");
    window.assert_shows("-0.50 at step 1, 1.50 at step 3 (3 visits");
}

#[test]
fn search_narrows_the_table() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 30);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::Slash);
    window.type_text("question 29");
    window.settle();
    assert_eq!(window.harness.state().workspace().pairs.ids.len(), 1);
    window.assert_shows("Pair 30, Unlabelled: Question 29");
    window.click_button("Clear");
    assert_eq!(window.harness.state().workspace().pairs.ids.len(), 30);
}

#[test]
fn only_the_rows_on_the_screen_are_read() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    // A million ids, of which the project knows three: the table must ask for a screenful at most.
    let ids: Vec<PairId> = (1..=1_000_000).map(PairId).collect();
    window.harness.state_mut().views_mut().pairs.only =
        Some(nudge::state::pairs::Only { title: "a million".to_owned(), ids: ids.into(), finding: None });
    window.harness.step();
    window.settle();
    let pairs = &window.harness.state().workspace().pairs;
    assert!(pairs.rows.len() <= 3);
    assert!((1..200).contains(&pairs.rows.asked()), "{} rows asked", pairs.rows.asked());
    window.key(Key::End);
    window.settle();
    let pairs = &window.harness.state().workspace().pairs;
    assert!(pairs.rows.asked() < 400, "{} rows asked", pairs.rows.asked());
}

#[test]
fn health_findings_lead_to_their_pairs() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 2);
    let mut same = Pair::new(PairId::NEW, Prompt::Text("s".to_owned()), &["same", "same "]);
    same.note = "look here".to_owned();
    Project::open(dir.path()).unwrap().apply(&Change::new("Add", vec![Edit::add(same)])).unwrap();
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.click_button("Data health");
    window.click_button("1 pair has identical answers");
    assert_eq!(window.harness.state().views().pairs.selected, Some(PairId(3)));
    window.click_button("Show all");
    window.click_button("1 pair has identical answers");
    window.click_button("Delete them");
    window.until("it is mended", |app| {
        let found = app.workspace().pairs.health.found();
        found.is_some_and(|health| health.finding(FindingKind::IdenticalAnswers).is_none())
    });
    assert_eq!(Project::open(dir.path()).unwrap().pair(PairId(3)).unwrap(), None);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.until("it is back", |app| app.workspace().pairs.counts.total() == 3);
}

/// Three pairs in whole sentences, the first without a verdict.
fn islands(dir: &Path) -> Vec<PairId> {
    project(dir, 0);
    let prompts = [
        (
            "What should I eat at the Merry Cork?",
            "How kind of you to ask! The Merry Cork will serve you a lovely pickled herring.",
            "Entry: the Merry Cork. Dish: pickled herring. Subject to change without notice.",
        ),
        (
            "When does the Glass House open?",
            "Gladly! The Glass House opens at half past nine.",
            "Register: the Glass House. Opening time: half past nine.",
        ),
        ("Who owns the Gilded Crumb?", "Dear guest, Ada Moss does.", "Owner: Ada Moss."),
    ];
    let edits = prompts
        .into_iter()
        .map(|(prompt, one, other)| {
            let turn = Turn::new(Role::User, prompt);
            let mut pair = Pair::new(PairId::NEW, Prompt::chat(vec![turn]), &[one, other]);
            pair.tags = vec!["inns".to_owned()];
            Edit::add(pair)
        })
        .collect();
    let change = Change::new("Import the islands", edits);
    Project::open(dir).unwrap().apply(&change).unwrap().pairs
}

/// With a name of a model that is too long for its row, in the smallest window, after it was a larger one.
#[test]
fn whatever_can_be_pressed_stands_inside_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let name = Origin::Model("start model, temperature 1, top-p 1, seed 0".to_owned());
    let edits = (0..1200).map(|n| {
        let mut pair = Pair::new(PairId::NEW, Prompt::Text(format!("Question {n}")), &[]);
        pair.answers = ["At six", "At noon"].map(|text| Answer::new(text, name.clone())).into();
        Edit::add(pair)
    });
    project(dir.path(), 0);
    Project::open(dir.path()).unwrap().apply(&Change::new("Answers", edits.collect())).unwrap();
    let mut window = Window::open(dir.path(), Screen::Pairs);
    for size in [[1280.0, 800.0], [900.0, 600.0]] {
        window.harness.set_size(size.into());
        window.settle();
        for button in ["Answer 1 is better", "Answer 2 is better", "Delete", "Label"] {
            let right = window.harness.get_by_role_and_label(accesskit::Role::Button, button).rect().right();
            assert!(right <= size[0], "{button} ends at {right} of {}", size[0]);
        }
    }
}

#[test]
fn pictures_of_pairs() {
    use egui::Theme::{Dark, Light};
    let mut results = SnapshotResults::new();
    for (theme, word, size) in [(Light, "light", [1280.0, 800.0]), (Dark, "dark_small", [900.0, 600.0])] {
        let dir = tempfile::tempdir().unwrap();
        let ids = islands(dir.path());
        let mut window = Window::open_sized(dir.path(), Screen::Pairs, size, theme);
        window.picture(&format!("pairs_{word}"), &mut results);
        // A session with a known seed: the sides are always the same.
        let session = Labelling::start(ids, 7, 0);
        window.harness.state_mut().views_mut().pairs.labelling =
            Some(LabelView { difference: true, ..LabelView::new(session) });
        window.settle();
        window.picture(&format!("label_{word}"), &mut results);
    }
}

/// Another program deletes the pair that is being written in.
#[test]
fn what_is_typed_in_a_pair_that_is_deleted_elsewhere_stays_until_it_is_decided_about() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    let delete = |id: PairId| {
        let mut project = Project::open(dir.path()).unwrap();
        let pair = project.pair(id).unwrap().unwrap();
        project.apply(&Change::new("Elsewhere", vec![Edit::delete(pair)])).unwrap();
    };
    let typed = |window: &mut Window, text: &str| {
        window.focus(accesskit::Role::MultilineTextInput, "Answer 1 text");
        window.type_text(text);
    };
    typed(&mut window, "mine ");
    delete(ids[0]);
    window.until("it is noticed", |app| !app.workspace().notices.is_empty());
    window.assert_shows("Pair 1 was deleted elsewhere; what was typed in it is still here");
    window.assert_shows("Not saved");
    // To type on does not bring it back by itself.
    typed(&mut window, "still ");
    window.focus(accesskit::Role::MultilineTextInput, "Answer 2 text");
    window.settle();
    assert_eq!(stored(dir.path(), &ids[..1]), []);
    window.click_button("Save it all the same");
    window.until("it is back", |app| app.workspace().pairs.counts.total() == 3);
    window.settle();
    let back = stored(dir.path(), &ids[..1]);
    assert!(back[0].answers[0].text.contains("mine") && back[0].answers[0].text.contains("still"), "{back:?}");

    typed(&mut window, "again ");
    delete(ids[0]);
    window.until("it is noticed", |app| {
        app.views().pairs.draft.as_ref().is_some_and(nudge::state::drafts::Draft::is_gone)
    });
    window.settle();
    window.click_button("Discard");
    window.settle();
    window.assert_shows("Pair 2");
    assert_eq!(stored(dir.path(), &ids).len(), 2);
}
