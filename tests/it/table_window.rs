//! The table of pairs as a user meets it: filters that combine and are kept, many rows chosen and changed at once.

use std::path::Path;

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::{Change, Choice, Edit, Pair, PairId, Prompt, Split, Strength, Verdict},
    state::Screen,
    store::{Project, ProjectSettings},
};

use crate::window::Window;

const QUESTIONS: [&str; 8] = [
    "When does the ferry to Norby leave?",
    "Where can I rent a bicycle?",
    "Is the mill open on Sunday?",
    "How much is a room at the inn?",
    "When does the last ferry come back?",
    "Who keeps the lighthouse?",
    "May I bring my dog on the ferry?",
    "What is there to see on a rainy day?",
];

/// Eight pairs: every other one decided, with all three strengths; two tagged, one pinned to held-out.
fn project(dir: &Path) -> Vec<PairId> {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let strengths = [Strength::Slightly, Strength::Clearly, Strength::Strongly];
    let pair = |(n, question): (usize, &&str)| {
        let answers = ["At nine, from the old pier.", "I cannot say; ask at the ferry house."];
        let mut pair = Pair::new(PairId::NEW, Prompt::Text((*question).to_owned()), &answers);
        let choice = Choice::Better { chosen: 0, rejected: 1, strength: strengths[n / 2 % 3] };
        pair.verdict = n.is_multiple_of(2).then(|| Verdict::local(choice, n as i64));
        pair.tags = if n < 2 { vec!["travel".to_owned()] } else { Vec::new() };
        pair.split = if n == 4 { Split::Eval } else { Split::Auto };
        pair
    };
    let edits = QUESTIONS.iter().enumerate().map(pair).map(Edit::add).collect();
    project.apply(&Change::new("Import", edits)).unwrap().pairs
}

fn listed(window: &Window) -> Vec<i64> {
    window.harness.state().workspace().pairs.ids.iter().map(|id| id.0).collect()
}

fn filter(window: &mut Window, change: impl FnOnce(&mut nudge::state::filter::Filter)) {
    change(&mut window.harness.state_mut().views_mut().pairs.filter);
    window.harness.step();
    window.settle();
}

#[test]
fn filters_combine_are_counted_and_kept_by_name() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Pairs);
    filter(&mut window, |filter| filter.search = "ferry leave".to_owned());
    assert_eq!(listed(&window), [1]);
    window.assert_shows("1 of 8 pairs");
    filter(&mut window, |filter| {
        filter.search = "bicycle".to_owned();
        filter.tag = Some("travel".to_owned());
        filter.strength = Some(Strength::Slightly);
    });
    assert_eq!(listed(&window), [0; 0]);
    window.assert_shows("0 of 8 pairs");
    filter(&mut window, |filter| filter.search.clear());
    assert_eq!(listed(&window), [1]);

    window.keys(Modifiers::SHIFT, Key::F);
    window.focus(egui::accesskit::Role::TextInput, "Name of the filter");
    window.type_text("slight ones");
    window.key(Key::Enter);
    window.settle();
    let kept = |window: &Window| window.harness.state().workspace().pairs.table.saved.clone().unwrap().0;
    assert_eq!(kept(&window).keys().collect::<Vec<_>>(), ["slight ones"]);
    window.assert_shows("Forget");
    drop(window);
    // It belongs to the project, not to this window.
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.keys(Modifiers::SHIFT, Key::F);
    window.settle();
    let known = kept(&window)["slight ones"].clone();
    filter(&mut window, |filter| *filter = known);
    assert_eq!(listed(&window), [1]);
    window.click_button("Forget");
    window.settle();
    assert!(kept(&window).is_empty());
}

#[test]
fn held_out_pairs_are_marked_found_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.assert_shows("Pair 5, Strongly, held out: When does the last ferry come back?");
    filter(&mut window, |filter| filter.held_out = Some(true));
    assert!(listed(&window).contains(&5));
    window.harness.state_mut().views_mut().pairs.select(Some(ids[4]));
    window.harness.step();
    window.settle();
    window.assert_shows("Held out: runs are measured on it and not trained on it");
    filter(&mut window, |filter| filter.held_out = Some(false));
    assert!(!listed(&window).contains(&5));
}

#[test]
fn many_rows_are_changed_as_one_step_each_by_keyboard() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::Home);
    for _ in 0..2 {
        window.keys(Modifiers::SHIFT, Key::ArrowDown);
    }
    window.assert_shows("3 pairs are chosen");
    window.key(Key::T);
    window.settle();
    window.type_text("mine");
    window.key(Key::Enter);
    window.settle();
    window.assert_shows("3 pairs are chosen");
    window.key(Key::F);
    window.settle();
    window.key(Key::Escape);
    assert!(!window.shows("3 pairs are chosen"));
    let stored = || Project::open(dir.path()).unwrap().pairs(&ids).unwrap();
    let tagged: Vec<bool> = stored().iter().map(|pair| pair.tags.contains(&"mine".to_owned())).collect();
    assert_eq!(tagged, [true, true, true, false, false, false, false, false]);
    let flipped = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Slightly };
    assert_eq!(stored()[0].choice(), Some(flipped));
    assert_eq!((stored()[1].choice(), stored()[4].choice().unwrap() == flipped), (None, false));

    window.keys(Modifiers::COMMAND, Key::Z);
    window.settle();
    assert_eq!(stored()[0].choice(), Some(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Slightly }));
    assert!(stored()[0].tags.contains(&"mine".to_owned()), "the tag is a step of its own");

    window.keys(Modifiers::COMMAND, Key::A);
    window.assert_shows("8 pairs are chosen");
    window.click_button("Always training");
    window.settle();
    assert!(stored().iter().all(|pair| pair.split == Split::Train));
    window.key(Key::Delete);
    window.settle();
    assert!(stored().is_empty());
    window.keys(Modifiers::COMMAND, Key::Z);
    window.settle();
    assert_eq!(stored().len(), 8);
}

#[test]
fn a_million_rows_are_chosen_within_a_frame() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Pairs);
    let ids: Vec<PairId> = (1..=1_000_000).map(PairId).collect();
    let only = nudge::state::pairs::Only { title: "a million".to_owned(), ids: ids.into(), finding: None };
    window.harness.state_mut().views_mut().pairs.only = Some(only);
    window.harness.step();
    window.settle();
    window.keys(Modifiers::COMMAND, Key::A);
    window.assert_shows("1000000 pairs are chosen");
    window.keys(Modifiers::SHIFT, Key::End);
    window.assert_shows("1000000 pairs are chosen");
}

#[test]
fn the_table_looks_as_it_did() {
    let mut results = SnapshotResults::new();
    for (name, theme, size) in [
        ("table_many_light", egui::Theme::Light, [1280.0, 800.0]),
        ("table_many_dark_small", egui::Theme::Dark, [900.0, 600.0]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path());
        let mut window = Window::open_sized(dir.path(), Screen::Pairs, size, theme);
        window.keys(Modifiers::SHIFT, Key::F);
        filter(&mut window, |filter| filter.search = "ferry".to_owned());
        window.key(Key::Home);
        window.keys(Modifiers::SHIFT, Key::ArrowDown);
        window.keys(Modifiers::SHIFT, Key::ArrowDown);
        window.picture(name, &mut results);
        if theme == egui::Theme::Light {
            window.key(Key::Escape);
            window.settle();
            window.picture("table_search_light", &mut results);
        }
    }
}

/// Points from the left edge of the window to the editor.
fn editor_at(window: &Window) -> f32 {
    window.harness.get_by_role_and_label(Role::MultilineTextInput, "Chosen text").rect().left()
}

#[test]
fn a_part_that_a_small_window_made_narrow_is_wide_again_in_a_large_one() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Pairs);
    let mut at = |width: f32| {
        window.harness.set_size(egui::vec2(width, 800.0));
        window.harness.run_steps(3);
        window.settle();
        editor_at(&window)
    };
    let wide = at(1280.0);
    assert!(at(900.0) < wide - 20.0);
    assert_eq!(at(1280.0), wide);
}
