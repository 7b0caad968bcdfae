//! Verdicts that go round in a circle, drawn as a graph with the pairs that say so.

use egui::{Key, Theme};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Change, Choice, Edit, Pair, PairId, Prompt, Strength, Verdict},
    state::Screen,
    store::{Project, ProjectSettings},
};

use crate::window::Window;

/// Four answers to one question, three of them preferred in a circle, and a pair that is part of none.
fn project(dir: &std::path::Path) {
    const ANSWERS: [&str; 4] = [
        "The Merry Cork serves pickled herring, and bread with it.",
        "Herring.",
        "I would have the soup, if there is any left by the time you come.",
        "How should I know?",
    ];
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let pair = |[better, worse]: [usize; 2]| {
        let answers = [ANSWERS[worse], ANSWERS[better]];
        let mut pair =
            Pair::new(PairId::NEW, Prompt::Text("What should I eat at the Merry Cork?".to_owned()), &answers);
        let choice = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly };
        pair.verdict = Some(Verdict::local(choice, 0));
        pair
    };
    let edits = [[0, 3], [0, 1], [1, 2], [2, 0]].map(|sides| Edit::add(pair(sides)));
    project.apply(&Change::new("Import", edits.into())).unwrap();
}

#[test]
fn a_circle_is_drawn_and_leads_to_its_pairs() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Theme::Light, [1280.0, 800.0], "circles_light"), (Theme::Dark, [900.0, 600.0], "circles_dark_small")]
    {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path());
        let mut window = Window::open_sized(dir.path(), Screen::Pairs, size, theme);
        let spoken = "A circle: A over B (pair 2), B over C (pair 3), C over A (pair 4)";
        assert!(!window.shows(spoken));
        window.click_button("Data health");
        window.until("they are looked through", |app| app.workspace().pairs.health.found().is_some());
        window.click_button("3 pairs go round in circles");
        window.assert_shows(spoken);
        window.click_button("Pair 3: B over C");
        assert_eq!(window.harness.state().views().pairs.selected, Some(PairId(3)));
        window.assert_shows("A  The Merry Cork serves pickled herring");
        window.picture(name, &mut results);
        // A pair of the circle tells of it wherever it is met; others do not.
        window.click_button("Show all");
        window.assert_shows(spoken);
        window.key(Key::Home);
        assert!(!window.shows(spoken), "pair 1 is part of none");
    }
}
