//! Labels made while a run goes, in the window: how many wait, asked for with a key, told when they joined.

use egui_kittest::SnapshotResults;
use nudge::{
    data::{Change, Edit, Pair, PairId},
    engine::protocol::{Event, LogLevel, Request},
    store::{LabelChanges, Project, RunId, TakeIn},
};

use crate::{
    stage::{self, Stage},
    toy::labelled,
};

/// A run at step 40 of 90, in its third epoch of thirty steps and a bit.
fn live(stage: &mut Stage) -> RunId {
    stage.click("Start run");
    let requests = stage.requests.clone();
    stage.until("the engine is asked to train", move |_| !requests.is_empty());
    let Ok(Request::Train { run, .. }) = stage.requests.try_recv() else {
        panic!("a run was asked for");
    };
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

    stage.harness.key_press(egui::Key::T);
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
