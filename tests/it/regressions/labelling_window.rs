//! Labelling in the window.

use std::path::Path;

use egui::{Event, Key, Modifiers};
use nudge::{
    data::{Choice, PairId},
    state::Screen,
};

use super::pairs_window::{FEW, letters, project, stored};
use crate::window::Window;

#[test]
fn g5_relabel_leaves_a_verdict_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 4);
    let before: Vec<_> = ids.iter().map(|id| stored(dir.path(), *id)).collect();
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.click_button("Relabel");
    window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    window.settle();
    // S and K keep what is there; U goes back to a kept pair without touching the journal.
    window.key(Key::S);
    window.key(Key::K);
    window.assert_shows("2 of 4");
    window.key(Key::U);
    window.assert_shows("1 of 4");
    let now: Vec<_> = ids.iter().map(|id| stored(dir.path(), *id)).collect();
    assert_eq!(now, before);
    assert_eq!(window.harness.state().workspace().pairs.undo.as_deref(), Some("Add a pair"));
    // Skip over a verdict is possible when it is meant.
    window.keys(Modifiers::SHIFT, Key::S);
    assert_eq!(stored(dir.path(), ids[1]).unwrap().choice(), Some(Choice::Skip));
}

#[test]
fn the_skip_button_leaves_a_verdict_alone_as_its_key_does() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 4);
    let before = stored(dir.path(), ids[0]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.click_button("Relabel");
    window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    window.settle();
    window.click_button("Skip");
    window.assert_shows("1 of 4");
    assert_eq!(stored(dir.path(), ids[0]), before);
    // A pair without a verdict is skipped.
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.begin_labelling();
    window.click_button("Skip");
    assert_eq!(stored(dir.path(), ids[0]).unwrap().choice(), Some(Choice::Skip));
}

#[test]
fn g5_l_with_nothing_to_do_starts_at_the_chosen_pair_and_says_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 4);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::ArrowDown);
    window.key(Key::ArrowDown);
    window.begin_labelling();
    let label = window.harness.state().views().pairs.labelling.as_ref().unwrap();
    assert_eq!(label.session.current(), Some(PairId(3)));
    window.assert_shows("Relabel");
    window.assert_shows("Going through labelled pairs again");
}

#[test]
fn presses_that_come_in_one_frame_are_one_label_each() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.begin_labelling();
    window.harness.state_mut().views_mut().keyboard.letters.end();
    for key in [Key::T, Key::B, Key::Num1] {
        for pressed in [true, false] {
            let modifiers = Modifiers::NONE;
            window.harness.event(Event::Key { key, physical_key: None, pressed, repeat: false, modifiers });
        }
    }
    window.harness.step();
    window.settle();
    let choices: Vec<_> = ids[..3].iter().map(|id| stored(dir.path(), *id).unwrap().choice()).collect();
    assert_eq!(choices[..2], [Some(Choice::Tie), Some(Choice::BothBad)]);
    assert!(matches!(choices[2], Some(Choice::Better { .. })));
}

#[test]
fn g6_an_edit_in_the_middle_of_labelling_is_saved_as_it_is_typed() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.begin_labelling();
    window.key(Key::E);
    window.type_text("mended ");
    window.until("the typing is saved", |app| !app.views().pairs.is_typing());
    window.settle();
    let texts = |dir: &Path| {
        let pair = stored(dir, ids[0]).unwrap();
        pair.answers.iter().map(|answer| answer.text.clone()).collect::<Vec<_>>().join(" ")
    };
    assert!(texts(dir.path()).contains("mended"));
    window.type_text("twice ");
    window.key(Key::Escape);
    assert!(texts(dir.path()).contains("mended twice"));
    window.key(Key::U);
    assert_eq!(texts(dir.path()), "a0 b0");
}

#[test]
fn g7_letters_after_l_set_no_verdict_when_they_are_a_text() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.harness.key_press(Key::L);
    window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    letters(&mut window, "ots of best");
    window.settle();
    window.assert_shows("0 of 4");
}

#[test]
fn a_text_typed_at_the_table_begins_no_edit_and_sets_no_verdict() {
    for text in ["Let me think", "Learn", "Lots"] {
        let dir = tempfile::tempdir().unwrap();
        let ids = project(dir.path(), &FEW, 0);
        let before: Vec<_> = ids.iter().map(|id| stored(dir.path(), *id)).collect();
        let mut window = Window::open(dir.path(), Screen::Pairs);
        let mut words = text.chars();
        letters(&mut window, &words.next().unwrap().to_string());
        // However long the list takes, the others come right behind.
        window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
        letters(&mut window, words.as_str());
        window.settle();
        window.assert_shows("0 of 4");
        assert!(window.harness.state().views().pairs.labelling.as_ref().unwrap().editing.is_none(), "“{text}”");
        let now: Vec<_> = ids.iter().map(|id| stored(dir.path(), *id)).collect();
        assert_eq!(now, before, "“{text}”");
    }
}

#[test]
fn quick_digits_are_one_verdict_each() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), &FEW, 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    letters(&mut window, "l");
    window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    window.settle();
    for digit in ["1", "2", "1", "2"] {
        letters(&mut window, digit);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    window.settle();
    let labelled = ids.iter().filter(|id| stored(dir.path(), **id).unwrap().verdict.is_some()).count();
    assert_eq!(labelled, 4);
}

#[test]
fn g12_the_answers_are_scrolled_together_from_the_keyboard() {
    let dir = tempfile::tempdir().unwrap();
    let (long, short) = ("a long line of it\n".repeat(400), "short\n".repeat(60));
    project(dir.path(), &[[&long, &short]], 0);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.begin_labelling();
    let at = |window: &Window| {
        let label = window.harness.state().views().pairs.labelling.as_ref().unwrap();
        (label.scroll.answers.at, label.scroll.answers.end())
    };
    let (start, end) = at(&window);
    assert!(start == 0.0 && end > 1_000.0, "{start} of {end}");
    window.key(Key::ArrowDown);
    let line = at(&window).0;
    window.key(Key::PageDown);
    let page = at(&window).0;
    window.key(Key::Space);
    let space = at(&window).0;
    assert!(0.0 < line && line < page && page < space, "{line} {page} {space}");
    window.key(Key::End);
    assert_eq!(at(&window).0, end, "the short side stays at its end without holding the long one back");
    window.key(Key::PageUp);
    window.key(Key::Home);
    assert_eq!(at(&window).0, 0.0);
    // No label was given on the way, and the next pair starts at its top.
    window.assert_shows("0 of 1");
}
