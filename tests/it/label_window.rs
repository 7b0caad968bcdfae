//! Labelling beyond a verdict: flags, tags, notes, several answers in order, pairs gone through again, edits that keep
//! the original, and where the end of a session leads.

use std::path::Path;

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Answer, Change, Choice, Edit, Origin, Pair, PairId, Prompt, Strength, Turn, Verdict},
    state::{
        Screen,
        order::{Derived, FLAG},
    },
    store::{Project, ProjectSettings},
};

use crate::window::Window;

fn project(dir: &Path, pairs: impl IntoIterator<Item = Pair>) -> Vec<PairId> {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let edits = pairs.into_iter().map(Edit::add).collect();
    project.apply(&Change::new("Import", edits)).unwrap().pairs
}

fn pair(question: &str, answers: &[&str]) -> Pair {
    let prompt = Prompt::chat(vec![Turn::new(nudge::data::Role::User, question)]);
    let mut pair = Pair::new(PairId::NEW, prompt, answers);
    for answer in &mut pair.answers {
        answer.origin = Origin::Model("start model, seed 1".to_owned());
    }
    pair
}

fn stored(dir: &Path) -> Vec<Pair> {
    let project = Project::open(dir).unwrap();
    project.pairs_at(project.revision().unwrap()).unwrap()
}

fn begin(window: &mut Window) {
    window.begin_labelling();
}

fn write(window: &mut Window, key: Key, field: &str, text: &str) {
    window.key(key);
    window.until("the field has the caret", |_| true);
    window.focus(Role::MultilineTextInput, field);
    window.type_text(text);
    window.key(Key::Enter);
    window.settle();
}

#[test]
fn flag_tag_and_note_by_key_each_a_step_of_the_session() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), [pair("When?", &["at nine", "at ten"]), pair("Where?", &["here", "there"])]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    begin(&mut window);
    window.key(Key::F);
    write(&mut window, Key::G, "New tag", "travel");
    write(&mut window, Key::N, "Note", "ask Ada");
    window.assert_shows("flagged, travel");
    window.assert_shows("“ask Ada”");
    assert_eq!(
        (&stored(dir.path())[0].tags, stored(dir.path())[0].note.as_str()),
        (&vec![FLAG.to_owned(), "travel".to_owned()], "ask Ada")
    );
    // Esc leaves the field and not the session, and nothing that was typed is lost: the note is kept, half a tag waits.
    window.key(Key::N);
    window.until("the field has the caret", |_| true);
    window.focus(Role::MultilineTextInput, "Note");
    window.keys(Modifiers::COMMAND, Key::End);
    window.type_text(" or Ben");
    window.key(Key::Escape);
    window.settle();
    assert!(window.harness.state().views().pairs.labelling.is_some());
    assert_eq!(stored(dir.path())[0].note, "ask Ada or Ben");
    window.key(Key::G);
    window.until("the field has the caret", |_| true);
    window.focus(Role::MultilineTextInput, "New tag");
    window.type_text("har");
    window.key(Key::Escape);
    window.settle();
    assert_eq!(stored(dir.path())[0].tags.len(), 2);
    write(&mut window, Key::G, "New tag", "bour");
    assert_eq!(stored(dir.path())[0].tags[2], "harbour");
    window.key(Key::Num1);
    window.assert_shows("1 of 2");
    for _ in 0..6 {
        window.key(Key::U);
    }
    let first = &stored(dir.path())[0];
    assert_eq!((first.tags.len(), first.note.as_str(), first.choice()), (0, "", None));
}

#[test]
fn several_answers_are_put_in_order_and_give_pairs() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), [pair("When?", &["a", "b", "c", "d"]), pair("Where?", &["here", "there"])]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    begin(&mut window);
    window.assert_shows("This pair has 4 answers");
    window.key(Key::O);
    let shown = {
        let label = window.harness.state().views().pairs.labelling.as_ref().unwrap();
        label.session.shown_all(&stored(dir.path())[0])
    };
    // Taken back, and begun anew with the third column.
    window.key(Key::Num2);
    window.assert_shows("Best");
    window.key(Key::U);
    for key in [Key::Num3, Key::Num1, Key::Num4] {
        window.key(key);
    }
    window.settle();
    window.assert_shows("1 of 2");
    let order = [2, 0, 3, 1].map(|place: usize| ["a", "b", "c", "d"][shown[place]]);
    let pairs = stored(dir.path());
    assert_eq!(pairs.len(), 2 + 5);
    let sides: Vec<(&str, &str)> = pairs
        .iter()
        .filter_map(|pair| pair.sides())
        .map(|(chosen, rejected)| (chosen.text.as_str(), rejected.text.as_str()))
        .collect();
    let expected: Vec<(&str, &str)> =
        (0..4).flat_map(|at| (at + 1..4).map(move |worse| (order[at], order[worse]))).collect();
    assert_eq!(sides, expected);
    window.key(Key::U);
    window.settle();
    assert_eq!(stored(dir.path()).len(), 2, "one step takes the order back with all its pairs");
    assert!(stored(dir.path()).iter().all(|pair| pair.verdict.is_none()));
}

#[test]
fn an_order_may_stay_with_its_pair_and_is_changed_in_the_editor() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), [pair("When?", &["a", "b", "c", "d"])]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.harness.state_mut().views_mut().pairs.label.derived = Derived::Kept;
    begin(&mut window);
    window.key(Key::O);
    let shown = {
        let label = window.harness.state().views().pairs.labelling.as_ref().unwrap();
        label.session.shown_all(&stored(dir.path())[0])
    };
    for key in [Key::Num3, Key::Num1, Key::Num4] {
        window.key(key);
    }
    window.settle();
    let order = [2, 0, 3, 1].map(|place: usize| shown[place]);
    let pairs = stored(dir.path());
    assert_eq!((pairs.len(), pairs[0].verdict.as_ref().unwrap().order.as_slice()), (1, &order[..]));
    drop(window);

    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::ArrowDown);
    window.settle();
    window.assert_shows("Clearly 1:3");
    let third = format!("Answer {} is worse too", order[1] + 1);
    window.click_button(&third);
    window.settle();
    let worse = stored(dir.path())[0].worse();
    assert_eq!(worse, [order[3], order[2]]);
    window.assert_shows("Clearly 1:2");
}

#[test]
fn going_through_again_shows_the_old_verdict_only_when_asked_and_tells_the_agreement() {
    let dir = tempfile::tempdir().unwrap();
    let judged = |question: &str| {
        let choice = Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly };
        let verdict = Verdict::local(choice, 1);
        Pair { verdict: Some(verdict), ..pair(question, &["at nine, I think", "at ten"]) }
    };
    let ids = project(dir.path(), [judged("When?"), judged("And back?"), judged("Sundays?")]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    begin(&mut window);
    assert!(!window.shows("So far"));
    let session = |window: &Window| window.harness.state().views().pairs.labelling.as_ref().unwrap().session.clone();
    let shown = session(&window).shown(&stored(dir.path())[0]).unwrap();
    let (same, other) = if shown.left == 0 { (Key::Num1, Key::Num2) } else { (Key::Num2, Key::Num1) };
    window.key(Key::V);
    let side = if shown.left == 0 { "left" } else { "right" };
    window.assert_shows(&format!("So far: the {side} answer is strongly better"));
    window.key(other);
    assert!(!window.shows("So far"), "the next one is blind again");
    let shown = session(&window).shown(&stored(dir.path())[1]).unwrap();
    window.key(if (shown.left == 0) == (same == Key::Num1) { same } else { other });
    window.key(Key::K);
    window.assert_shows("All done: 2 labelled in this session, 1 kept as they were");
    window.assert_shows("Of 2 that had a verdict you said the same again of 1 (50 %)");
    window.click_button("Look at the 1 pair that got another verdict");
    assert_eq!(window.harness.state().views().pairs.selected, Some(ids[0]));
    window.assert_shows("Showing 1 pair that got another verdict");
}

#[test]
fn the_end_of_a_session_leads_on() {
    for (button, leads) in
        [("Train with these labels", Screen::Train), ("Have a model write the next pairs", Screen::Pairs)]
    {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), [pair("When?", &["at nine", "at ten"])]);
        let mut window = Window::open(dir.path(), Screen::Pairs);
        begin(&mut window);
        window.key(Key::T);
        window.click_button(button);
        assert_eq!(window.harness.state().views().screen, leads);
        assert!(window.harness.state().views().pairs.labelling.is_none());
    }
}

#[test]
fn an_edit_keeps_the_original_and_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let ids = project(dir.path(), [pair("When?", &["at nine", "at ten"])]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    begin(&mut window);
    window.key(Key::E);
    window.focus(Role::MultilineTextInput, "Left answer");
    window.keys(Modifiers::COMMAND, Key::A);
    window.type_text("at noon");
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.settle();
    let edited = |answer: &&Answer| matches!(answer.origin, Origin::Edited { .. });
    let pairs = stored(dir.path());
    let answer = pairs[0].answers.iter().find(edited).unwrap();
    let Origin::Edited { from, text } = &answer.origin else { unreachable!() };
    assert_eq!(answer.text, "at noon");
    assert_eq!(**from, Origin::Model("start model, seed 1".to_owned()));
    assert!(["at nine", "at ten"].contains(&text.as_str()));
    window.key(Key::Escape);
    assert_eq!(window.harness.state().views().pairs.selected, Some(ids[0]));
    window.settle();
    window.assert_shows("edited, from start model, seed 1");
    let name = format!(
        "Put back the original of Answer {}",
        pairs[0].answers.iter().position(|one| edited(&one)).unwrap() + 1
    );
    window.click_button(&name);
    window.settle();
    assert!(!stored(dir.path())[0].answers.iter().any(|answer| edited(&answer)));
}

#[test]
fn sessions_look_as_they_did() {
    let mut results = SnapshotResults::new();
    let ask = || {
        pair(
            "What should I eat at the Merry Cork?",
            &[
                "The Merry Cork serves pickled herring, and bread with it.",
                "How kind of you to ask! The Merry Cork will serve you a lovely pickled herring.",
                "Herring.",
                "I would have the soup, if there is any left.",
            ],
        )
    };
    for (name, theme, size) in
        [("order_light", egui::Theme::Light, [1280.0, 800.0]), ("order_dark_small", egui::Theme::Dark, [900.0, 600.0])]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut first = ask();
        first.tags = vec!["food".to_owned()];
        project(dir.path(), [first, ask()]);
        let mut window = Window::open_sized(dir.path(), Screen::Pairs, size, theme);
        // The sides are always the same.
        window.begin_labelling();
        let queue = window.harness.state().workspace().pairs.ids.to_vec();
        let session = nudge::state::labelling::Labelling::start(queue, 7, window.harness.state().workspace().now_ms);
        window.harness.state_mut().views_mut().pairs.labelling = Some(nudge::state::pairs::LabelView::new(session));
        window.settle();
        window.key(Key::O);
        window.key(Key::Num2);
        window.picture(name, &mut results);
    }
}
