//! Keys, the sheet that lists them and the command palette; the hints of the first minutes. All of it by keyboard.

use std::path::Path;

use egui::{Key, Modifiers};
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::{Change, Choice, Edit, Pair, PairId, Prompt, Verdict, config::Method},
    engine::protocol::{Event, Outcome, Request},
    state::{
        Screen, ThemeChoice,
        guide::{Guide, Milestone},
        keyboard::Over,
        projects::Making,
        train::Sheet,
    },
    store::{Project, ProjectSettings, demo},
};

use crate::{
    runs_window::start,
    stage::{Stage, arithmetic, past_run},
    window::Window,
};

const SMALL: [f32; 2] = [900.0, 600.0];

fn project(dir: &Path, pairs: usize) {
    let settings = ProjectSettings { name: "Islands".to_owned(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let pair = |n| Pair::new(PairId::NEW, Prompt::Text(format!("Question {n}")), &["one", "two"]);
    project.apply(&Change::new("Import", (0..pairs).map(pair).map(Edit::add).collect())).unwrap();
}

#[test]
fn a_command_is_found_by_a_few_letters_and_carried_out_with_enter() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.keys(Modifiers::COMMAND, Key::K);
    window.type_text("go comp");
    window.key(Key::Enter);
    assert_eq!(window.harness.state().views().screen, Screen::Compare);
    assert_eq!(window.harness.state().views().keyboard.over, Over::Nothing, "it has closed");

    // Arrows choose; what belongs to another place leads there.
    window.keys(Modifiers::COMMAND, Key::K);
    window.type_text("colours");
    window.key(Key::ArrowDown);
    window.key(Key::Enter);
    assert_eq!(window.harness.state().views().theme, ThemeChoice::Dark);
    window.keys(Modifiers::COMMAND, Key::K);
    window.type_text("new pair");
    window.key(Key::Enter);
    assert_eq!(window.harness.state().views().screen, Screen::Pairs);
    window.assert_shows("0 of 4 labelled");
}

#[test]
fn the_list_grows_again_with_what_the_letters_find() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.keys(Modifiers::COMMAND, Key::K);
    window.settle();
    let height = |window: &Window| {
        let sheet = egui::Id::unique("command palette");
        window.harness.ctx.memory(|memory| memory.area_rect(sheet)).unwrap().height()
    };
    let all = height(&window);
    window.type_text("zzz");
    window.settle();
    assert!(height(&window) < all / 2.0, "nothing is found");
    for _ in 0..3 {
        window.key(Key::Backspace);
    }
    window.settle();
    assert_eq!(height(&window), all);
}

#[test]
fn what_cannot_be_done_now_is_listed_with_its_reason_and_not_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Train);
    window.keys(Modifiers::COMMAND, Key::K);
    window.type_text("stop the run");
    window.assert_shows("Stop the run. No run is going");
    window.key(Key::Enter);
    assert_ne!(window.harness.state().views().keyboard.over, Over::Nothing, "nothing to carry out, so it stays");
    window.key(Key::Escape);
    assert_eq!(window.harness.state().views().keyboard.over, Over::Nothing);
}

#[test]
fn letters_typed_into_the_palette_are_no_commands() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.keys(Modifiers::COMMAND, Key::K);
    for (key, text) in [(Key::N, "n"), (Key::L, "l")] {
        window.harness.key_press(key);
        window.type_text(text);
    }
    window.key(Key::Escape);
    window.assert_shows("0 of 3 labelled");
    assert!(window.harness.state().views().pairs.labelling.is_none());
}

#[test]
fn the_sheet_of_keys_lists_those_of_this_place_and_lets_nothing_through() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open(dir.path(), Screen::Pairs);
    window.key(Key::Questionmark);
    for text in ["Delete the pair", "Ctrl Z", "Move through the table", "Find a command"] {
        window.assert_shows(text);
    }
    window.key(Key::N);
    window.key(Key::Escape);
    assert_eq!(window.harness.state().views().keyboard.over, Over::Nothing);
    window.assert_shows("0 of 3 labelled");

    window.begin_labelling();
    window.key(Key::F1);
    window.assert_shows("Left is clearly better");
    window.key(Key::Num1);
    window.key(Key::Questionmark);
    window.assert_shows("0 of 3");
}

#[test]
fn a_run_is_started_with_keys_only() {
    let mut stage = Stage::new();
    stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    stage.harness.run();
    stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    stage.until("it waits for the engine", |app| app.workspace().runs.live.is_some());
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Train { .. })));
    let views = stage.harness.state().views();
    assert_eq!((views.screen, views.train.sheet), (Screen::Train, Sheet::Run));
}

#[test]
fn a_run_is_made_longer_with_keys_only() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run = past_run(project, Method::Mpo, 0.1, 30.0);
        std::fs::create_dir_all(project.run(run).unwrap().checkpoints[0].join("step-000120")).unwrap();
    });
    let type_text = |stage: &mut Stage, text: &str| {
        stage.harness.event(egui::Event::Text(text.to_owned()));
        stage.harness.run();
    };
    let key = |stage: &mut Stage, modifiers, key| {
        stage.harness.key_press_modifiers(modifiers, key);
        stage.harness.run();
    };
    key(&mut stage, Modifiers::COMMAND, Key::K);
    type_text(&mut stage, "extend the run");
    key(&mut stage, Modifiers::NONE, Key::Enter);
    type_text(&mut stage, "90");
    key(&mut stage, Modifiers::NONE, Key::Enter);
    assert!(stage.says("It has done 120; Steps must be 121 or more"), "what was offered is replaced");
    type_text(&mut stage, "0");
    key(&mut stage, Modifiers::NONE, Key::Enter);
    let run = stage.asked_to_train();
    let config = Project::open(&stage.dir).unwrap().run(run).unwrap().config_toml;
    assert!(config.contains("steps = 900"), "{config}");
}

#[test]
fn the_sheet_is_filled_and_compared_from_the_palette() {
    let mut stage = Stage::new();
    let mut command = |words: &str| {
        stage.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
        stage.harness.run();
        stage.harness.event(egui::Event::Text(words.to_owned()));
        stage.harness.run();
        stage.harness.key_press_modifiers(Modifiers::NONE, Key::Enter);
        stage.harness.run();
        let views = stage.harness.state().views();
        (views.train.launch.text("objective.reference_weight").to_owned(), views.screen)
    };
    assert_eq!(command("careful"), ("1".to_owned(), Screen::Train));
    assert_eq!(command("quick look").0, "");
    assert_eq!(command("judged answers").1, Screen::Answers);
    assert_eq!(command("compare the methods").1, Screen::Train);
    let requests = stage.requests.clone();
    stage.until("three runs are asked for", move |_| requests.len() == 3);
}

/// The demo as it comes, and a window that has never been open.
fn first_start(size: [f32; 2], theme: egui::Theme) -> (tempfile::TempDir, Window) {
    let dir = tempfile::tempdir().unwrap();
    let demo = demo::open_demo(Some(&dir.path().join("demo"))).unwrap();
    let mut window = Window::open_sized(&demo, Screen::Train, size, theme);
    window.harness.state_mut().views_mut().guide = Guide::default();
    window.harness.step();
    window.settle();
    (dir, window)
}

#[test]
fn the_first_start_says_what_this_is_and_what_to_press() {
    let (_dir, mut window) = first_start(SMALL, egui::Theme::Light);
    window.assert_shows("Next: start a run");
    // In a low window the story is its first sentence, so that the questions are in sight.
    let lowest = window.harness.get_by_label("How long").rect().bottom();
    assert!(lowest < 400.0, "the questions are out of sight: {lowest}");
    window.assert_shows("teaches a language model your preferences");
    assert!(!window.shows("This demo is a small model"));
    window.click_button("More about it");
    window.assert_shows("This demo is a small model");
    window.click_button("Less");
    // What begins a run has one name, wherever it stands.
    window.harness.get_by_label("Start run");
    window.harness.get_by_label("Next: Start run");
    // By keyboard, too: every place has its own next thing.
    for (key, text) in [
        (Key::Num1, "Next: say which of two answers is better"),
        (Key::Num3, "Next: start a run, then one more"),
        (Key::Num4, "Next: ask the model something now"),
        (Key::Num5, "Next: make it yours"),
    ] {
        window.keys(Modifiers::COMMAND, key);
        window.assert_shows(text);
    }
    window.click_button("Next: New project");
    assert_eq!(window.harness.state().views().screen, Screen::Projects);
}

#[test]
fn the_first_start_shows_one_method_and_several_without_scrolling() {
    // As much as a desktop's own bars leave of 1280×800.
    let (_dir, window) = first_start([1260.0, 745.0], egui::Theme::Light);
    let bottom = |label: &str| window.harness.get_by_label(label).rect().bottom();
    // Above the bar that the button stands in.
    let edge = window.harness.get_by_label("Start run").rect().top() - 16.0;
    for label in ["Reward model", "Compare MPO", "Compare the methods"] {
        assert!(bottom(label) < edge, "{label} is out of sight");
    }
}

#[test]
fn a_hint_goes_for_good_when_it_was_followed_or_put_away() {
    let (_dir, mut window) = first_start([1280.0, 800.0], egui::Theme::Light);
    let turns_to = |window: &Window| window.harness.get_by_label("Watch").rect();
    let before = turns_to(&window);
    window.click_button("Put this hint away");
    assert!(!window.shows("Next: start a run"));
    assert_eq!(turns_to(&window), before, "what can be pressed stays where it is");
    window.keys(Modifiers::COMMAND, Key::Num1);
    window.click("Relabel");
    window.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    window.settle();
    window.key(Key::Num1);
    window.key(Key::Escape);
    assert!(!window.shows("Next: "), "a pair was labelled");
    let guide = &window.harness.state().views().guide;
    assert!(guide.is_gone(Milestone::Label) && guide.is_gone(Milestone::Start) && !guide.is_gone(Milestone::Ask));
}

#[test]
fn a_project_of_ones_own_shows_the_way_to_its_first_run() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 0);
    let mut window = Window::open(dir.path(), Screen::Models);
    window.harness.state_mut().views_mut().guide = Guide::default();
    window.harness.step();
    window.settle();
    window.assert_shows("To a run of your own: ✔ a model  ·  pairs");
    window.click_button("Next: Import pairs");
    assert_eq!(window.harness.state().views().screen, Screen::Pairs);
    window.assert_shows("Import file");
    window.key(Key::Escape);
    window.click_button("New pair");
    window.assert_shows("✔ a model  ·  ✔ pairs  ·  labels");
}

#[test]
fn nobody_is_asked_to_label_where_nothing_is_left_to_label() {
    let asks = |open: usize| {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), open);
        let mut project = Project::open(dir.path()).unwrap();
        let mut pair = Pair::new(PairId::NEW, Prompt::Text("Labelled".to_owned()), &["one", "two"]);
        pair.verdict = Some(Verdict::imported(Choice::Tie, 0));
        project.apply(&Change::new("Import", vec![Edit::add(pair)])).unwrap();
        past_run(&mut project, Method::Mpo, 0.1, 30.0);
        drop(project);
        let mut window = Window::open(dir.path(), Screen::Pairs);
        window.harness.state_mut().views_mut().guide = Guide::default();
        window.harness.step();
        window.shows("Next: say which of two answers is better")
    };
    assert!(asks(1) && !asks(0));
}

#[test]
fn the_longest_button_of_a_hint_covers_no_words() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open_sized(dir.path(), Screen::Pairs, SMALL, egui::Theme::Light);
    window.harness.state_mut().views_mut().guide = Guide::default();
    window.begin_labelling();
    window.key(Key::Num1);
    window.key(Key::Escape);
    window.settle();
    let words = window.harness.get_by_label_contains("To a run of your own").rect();
    let button = window.harness.get_by_label("Next: Have the model write reference answers").rect();
    assert!(words.right() <= button.left(), "{words} under {button}");
}

#[test]
fn pictures_of_the_palette_and_the_keys() {
    let mut results = SnapshotResults::new();
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 3);
    let mut window = Window::open_sized(dir.path(), Screen::Pairs, [1280.0, 800.0], egui::Theme::Light);
    window.keys(Modifiers::COMMAND, Key::K);
    window.type_text("pair");
    window.picture("palette_light", &mut results);
    let mut window = Window::open_sized(dir.path(), Screen::Pairs, SMALL, egui::Theme::Dark);
    window.begin_labelling();
    window.key(Key::Questionmark);
    window.picture("keys_dark_small", &mut results);
}

#[test]
fn a_run_that_hinders_a_new_project_is_named_as_long_as_it_goes() {
    let mut stage = Stage::new();
    let run = start(&mut stage);
    stage.say([Event::Started { run, first_step: 1, total_steps: 400, arithmetic: arithmetic() }]);
    stage.keys(Modifiers::COMMAND, Key::N);
    stage.enter("Name", "Mine");
    stage.enter("Model to tune", "/models/mine");
    stage.click("Make the project");
    stage.until("it is not made", |app| app.workspace().projects.making == Making::WhileARunGoes);
    assert!(stage.says("Stop the run first"));
    stage.say([Event::Finished { run, outcome: Outcome::Completed }]);
    assert!(!stage.says("Stop the run first"), "nothing hinders it now");
    assert!(stage.says("Next: import or write pairs"));
}
