//! Labels made while a run goes, in the window: how many wait, asked for with a key, told when they joined.

use egui::Key;
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Change, Edit, Pair, PairId},
    engine::protocol::{Event, LogLevel, Outcome},
    state::Screen,
    store::{LabelChanges, Project, RunId, TakeIn},
};

use crate::{
    hot,
    stage::{self, Stage},
    toy::{Toy, labelled},
    window::Window,
};

/// A run at step 40 of 90, in its third epoch of thirty steps and a bit.
pub fn live(stage: &mut Stage) -> RunId {
    stage.click("Start run");
    let run = stage.asked_to_train();
    stage.say([Event::Started { run, first_step: 1, total_steps: 90, arithmetic: stage::arithmetic() }]);
    stage.say((1..=40).map(|n| {
        let mut metrics = stage::metrics(n, 60.0);
        metrics.push(("epoch".to_owned(), n as f64 / 30.5));
        Event::Step { run, step: n, total_steps: 90, metrics, eta_secs: Some((90 - n) as f64) }
    }));
    run
}

/// Labels two pairs and deletes one, as another window would.
fn edit(stage: &Stage) {
    let mut project = Project::open(&stage.dir).unwrap();
    let pairs = project.pairs(&[PairId(1), PairId(11), PairId(12)]).unwrap();
    let labelled = |pair: &Pair| {
        let verdict = labelled("", "", "").verdict;
        Edit::replace(pair.clone(), Pair { verdict, ..pair.clone() })
    };
    let edits = vec![Edit::delete(pairs[0].clone()), labelled(&pairs[1]), labelled(&pairs[2])];
    project.apply(&Change::new("Meanwhile", edits)).unwrap();
}

#[test]
fn new_labels_are_counted_asked_for_by_key_and_marked() {
    let mut stage = Stage::new();
    let run = live(&mut stage);
    assert!(stage.says("Data revision 1"));
    edit(&stage);
    stage.until("the labels are counted", |app| {
        app.workspace().runs.joining.of(RunId(1)).is_some_and(|l| !l.waiting.is_none())
    });
    assert!(stage.says("Not in this run yet: 3 labels (2 new, 1 removed)"));

    stage.harness.key_press(Key::T);
    stage.harness.run();
    stage.until("it is asked", |app| app.workspace().runs.joining.of(RunId(1)).is_some_and(|labels| labels.asked));
    assert!(Project::open(&stage.dir).unwrap().is_asked_to_take_in(run).unwrap());
    assert!(stage.says("Taken in after step 61, where this epoch ends"));
    stage.click("Not yet");
    stage.until("it is taken back", |app| app.workspace().runs.joining.of(RunId(1)).is_some_and(|l| !l.asked));

    // What the run does at the border.
    let project = Project::open(&stage.dir).unwrap();
    let labels = LabelChanges { added: 2, changed: 0, removed: 1 };
    let revision = project.revision().unwrap();
    project.record_take_in(run, &TakeIn { step: 61, revision, labels }).unwrap();
    let text = format!("Takes in {labels}: data revision 1 → 2");
    stage.say([Event::Logged { run, step: 62, level: LogLevel::Info, text, mark: true }]);
    stage.until("it is read", |app| app.workspace().runs.joining.of(RunId(1)).is_some_and(|l| l.waiting.is_none()));
    assert!(stage.says("Data revision 1; 2 from step 62 on"));
    assert!(!stage.says("Not in this run"));
}

#[test]
fn each_checkpoint_lists_the_labels_it_has_seen_and_what_came_later() {
    let mut results = SnapshotResults::new();
    let toy = Toy::new();
    let run = hot::asked(&toy, &hot::config());
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let border = toy.open().take_ins(run).unwrap()[0].step;
    hot::edit_once_more(&toy);
    for (theme, size, name) in [
        (egui::Theme::Light, [1280.0, 800.0], "labels_seen_light"),
        (egui::Theme::Dark, [900.0, 600.0], "labels_seen_dark_small"),
    ] {
        let mut window = Window::open_sized(&toy.project, Screen::Train, size, theme);
        window.key(Key::L);
        window.until("it is read", |app| app.workspace().runs.seen.of(run).is_some());
        let seen = |step: u64| {
            let known = window.harness.state().workspace().runs.seen.of(run).unwrap();
            let seen = known.iter().find(|seen| seen.step == step).unwrap();
            (seen.count(), seen.revisions.clone(), seen.of.later.to_string())
        };
        let first = "7 labels (4 new, 1 changed, 2 removed)";
        assert_eq!(seen(2), ("20 labels".to_owned(), "1".to_owned(), first.to_owned()));
        let revisions = format!("1; 2 from step {} on", border + 1);
        assert_eq!(seen(14), ("21 labels".to_owned(), revisions, "1 new label".to_owned()));
        window.picture(name, &mut results);
        window.click_button("Show 1 new label labelled since step 14");
        window.until("the pairs are shown", |app| app.views().screen == Screen::Pairs);
        window.settle();
        let pairs = &window.harness.state().views().pairs;
        assert_eq!(pairs.list(&window.harness.state().workspace().pairs).as_slice(), [PairId(24)]);
        window.assert_shows(
            "Showing 1 pair whose labels came later than what the checkpoint of step 14 of toy run has seen",
        );
        window.harness.state_mut().views_mut().screen = Screen::Train;
        window.key(Key::L);
        assert!(!window.harness.state().views().train.seen_open);
        window.key(Key::L);
        window.click_button("Show 21 labels seen by step 14");
        window.until("the pairs are shown", |app| app.views().screen == Screen::Pairs);
        assert_eq!(window.harness.state().views().pairs.only.as_ref().unwrap().ids.len(), 21);
    }
}

#[test]
fn pictures_of_labels_that_wait() {
    use egui::Theme::{Dark, Light};
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Light, [1280.0, 800.0], "live_labels_light"), (Dark, [900.0, 600.0], "live_labels_dark_small")]
    {
        let mut stage = Stage::with(theme, size, |_| {});
        live(&mut stage);
        edit(&stage);
        stage.until("the labels are counted", |app| {
            app.workspace().runs.joining.of(RunId(1)).is_some_and(|labels| !labels.waiting.is_none())
        });
        stage.picture(name, &mut results);
    }
}
