//! The token inspector as a user meets it: under a pair, and in the check before a run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    app::App,
    data::{Change, Choice, Edit, Flaw, Pair, PairId, Prompt, Role, Strength, Turn, Verdict},
    engine::protocol::{Event, Fates, Lengths, PairFinding, PreflightReport, Request},
    state::{Screen, tokens::Spot},
    store::{Project, ProjectSettings},
};

use crate::window::Window;

fn project(dir: &Path, answers: &[&str]) -> PairId {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let settings = ProjectSettings {
        name: "Islands".to_owned(),
        model: fixtures.join("qwen2_bias"),
        run_toml: "[data]\nmax_answer_tokens = 24\n".to_owned(),
    };
    let mut project = Project::create(dir, &settings).unwrap();
    let prompt = Prompt::chat(vec![Turn::new(Role::User, "Où est le café? Is it open?")]);
    let mut pair = Pair::new(PairId::NEW, prompt, answers);
    pair.verdict = Some(Verdict::local(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly }, 0));
    let change = Change::new("Import", vec![Edit::add(pair)]);
    project.apply(&change).unwrap().pairs[0]
}

const ANSWERS: [&str; 2] = [
    "It is open until nine.",
    "I do not know whether the café is open, but the library behind the old bridge is, and it has tea.\nAsk there.",
];

fn is_read(app: &App) -> bool {
    matches!(app.workspace().tokens.shown(Spot::Pair), Ok(Some(_)))
}

#[test]
fn the_inspector_says_what_is_trained_and_what_is_cut() {
    let mut results = SnapshotResults::new();
    for (theme, name) in [(egui::Theme::Light, "tokens_light"), (egui::Theme::Dark, "tokens_dark")] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), &ANSWERS);
        let mut window = Window::open_sized(dir.path(), Screen::Pairs, [1280.0, 1000.0], theme);
        window.click("Tokens");
        window.until("the tokens are read", is_read);
        window.settle();
        window.assert_shows("ends with EOS: yes, trained on: yes");
        window.assert_shows("ends with EOS: yes, trained on: no");
        window.assert_shows("is cut, so its end is not trained");
        window.assert_shows("Tokens of Rejected");
        results.add(window.harness.try_snapshot(name));
    }
}

#[test]
fn ten_thousand_tokens_are_no_burden() {
    let dir = tempfile::tempdir().unwrap();
    let long = "The old captain forgets the answer, again. ".repeat(1000);
    project(dir.path(), &[&long, "No."]);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    // The button is below the answer, out of sight.
    window.key(egui::Key::I);
    window.until("the tokens are read", is_read);
    let tokens = {
        let workspace = window.harness.state().workspace();
        let inspection = workspace.tokens.shown(Spot::Pair).unwrap().unwrap();
        inspection.answers[0].tokens.len()
    };
    assert!(tokens > 5000, "{tokens}");
    // Only what is on the screen is drawn, however long the answer is.
    window.harness.step();
    let shapes = window.harness.output().shapes.len();
    assert!(shapes < 4000, "{shapes} shapes for {tokens} tokens");
}

#[test]
fn a_doubled_bos_holds_up_the_start_until_it_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let pair = project(dir.path(), &ANSWERS);
    let mut window = Window::open(dir.path(), Screen::Train);
    window.click("Check first");
    let Ok(Request::Preflight { request, .. }) = window.requests.try_recv() else {
        panic!("nothing was asked");
    };
    let report = PreflightReport {
        train_pairs: 1,
        fates: Fates { fit: 1, ..Fates::default() },
        lengths: Lengths { answers: vec![3, 5, 1], bin: 10, longest: 27, cut_at: 24 },
        findings: vec![PairFinding {
            flaw: Flaw::DoubledBos,
            text: "BOS stands twice in a row".to_owned(),
            pairs: vec![pair],
        }],
        ..PreflightReport::default()
    };
    let report = Box::new(report);
    window.events.send(Event::Preflight { request, report }).unwrap();
    window.settle();
    window.assert_shows("1 pair: BOS stands twice in a row");
    // Alone, it is the reason beside the button.
    let is_refused = |window: &Window| window.harness.query_all_by_label("BOS stands twice in a row").next().is_some();
    assert!(is_refused(&window));
    window.assert_shows("cut at 24");
    window.click("Train although BOS is doubled");
    assert!(!is_refused(&window));
    let launch = &mut window.harness.state_mut().views_mut().train.launch;
    assert_eq!(launch.checked().problems, BTreeMap::new(), "nothing stands in the way of a start");
    assert!(launch.checked().config.data.allow_doubled_bos);
    // From the finding to the pair.
    window.click(&format!("Pair {}", pair.0));
    window.until("the tokens are read", is_read);
    assert_eq!(window.harness.state().views().pairs.selected, Some(pair));
}

#[test]
fn answers_that_are_cut_are_shown_together_or_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    let pair = project(dir.path(), &ANSWERS);
    let mut window = Window::open(dir.path(), Screen::Train);
    window.click("Check first");
    let Ok(Request::Preflight { request, .. }) = window.requests.try_recv() else {
        panic!("nothing was asked");
    };
    let pairs = vec![pair, PairId(pair.0 + 1000)];
    let report = PreflightReport {
        train_pairs: 1,
        fates: Fates { answer_cut: 2, ..Fates::default() },
        lengths: Lengths { answers: vec![3, 5, 1], bin: 1000, longest: 2700, cut_at: 1024 },
        findings: vec![PairFinding {
            flaw: Flaw::Cut,
            text: "An answer loses its end".to_owned(),
            pairs: pairs.clone(),
        }],
        ..PreflightReport::default()
    };
    window.events.send(Event::Preflight { request, report: Box::new(report) }).unwrap();
    window.settle();
    window.click("Keep answers of up to 2700 tokens whole");
    let launch = &mut window.harness.state_mut().views_mut().train.launch;
    assert_eq!(launch.checked().config.data.max_answer_tokens, 2700);
    window.click("Show them all");
    window.assert_shows("Showing 2 pairs: An answer loses its end");
    let only = window.harness.state().views().pairs.only.clone().unwrap();
    assert_eq!(*only.ids, pairs);
}
