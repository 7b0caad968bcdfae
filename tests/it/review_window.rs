//! Labels that a run argues against, in the window: found, gone through with one key each, undone.

use egui::{Key, accesskit::Role};
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::{Choice, Pair, PairId, config::Method},
    state::actions::Scope,
    store::{PairVisit, Project},
};

use crate::stage::{Stage, past_run};

/// A run that met the ten labelled pairs six times; the margins of pairs 3 and 8 fell while the others rose.
fn argued_with(project: &mut Project) {
    let run = past_run(project, Method::Mpo, 0.1, 30.0);
    for step in 1..=30_u64 {
        let epoch = (step - 1) / 5;
        let visits: Vec<PairVisit> = (0..2)
            .map(|place| {
                let pair = ((step - 1) % 5 * 2 + place + 1) as i64;
                let rise = if [3, 8].contains(&pair) { -0.8 } else { 1.0 };
                let margin = (epoch as f32).mul_add(rise, 0.1 * pair as f32);
                PairVisit { pair: PairId(pair), margin, push: 0.1 }
            })
            .collect();
        project.append_pair_visits(run, step, &visits).unwrap();
    }
}

fn pair(stage: &Stage, id: i64) -> Pair {
    Project::open(&stage.dir).unwrap().pair(PairId(id)).unwrap().unwrap()
}

fn open_review(stage: &mut Stage) {
    stage.go("Pairs");
    stage.until("the pairs are here", |app| app.workspace().pairs.counts.total() > 0);
    stage.key(Key::S);
    stage.until("the suspects are found", |app| app.views().pairs.review.is_some());
    stage.until("the pair is read", |app| app.workspace().pairs.pairs.get(PairId(3)).is_some());
}

#[test]
fn suspects_are_flipped_kept_or_dropped_by_one_key_and_undone() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], argued_with);
    open_review(&mut stage);
    assert!(Scope::of(stage.harness.state().views()) == Scope::Reviewing);
    assert!(stage.says("0 of 2"));
    assert!(stage.says("met 10 labels twice or more"));
    let before = pair(&stage, 3);
    stage.key(Key::F);
    stage.until("it is saved", |app| app.workspace().saving.under_way == 0);
    let Some(Choice::Better { chosen, rejected, .. }) = before.choice() else {
        panic!("it has a label");
    };
    let flipped = pair(&stage, 3).choice();
    assert!(matches!(flipped, Some(Choice::Better { chosen: c, rejected: r, .. }) if (c, r) == (rejected, chosen)));
    assert!(stage.says("1 flipped, 0 kept, 0 dropped"));

    stage.key(Key::X);
    stage.until("it is saved", |app| app.workspace().saving.under_way == 0);
    assert_eq!(pair(&stage, 8).choice(), Some(Choice::Skip));
    assert!(stage.says("All done: 1 flipped, 0 kept, 1 dropped"));

    stage.key(Key::U);
    stage.until("it is undone", |app| app.workspace().saving.under_way == 0);
    assert!(matches!(pair(&stage, 8).choice(), Some(Choice::Better { .. })));
    stage.until("the pair is there again", |app| app.workspace().pairs.pairs.get(PairId(8)).is_some());
    stage.harness.get_by_role_and_label(Role::Button, "Keep").click();
    stage.harness.run();
    stage.until("it is saved", |app| app.workspace().saving.under_way == 0);
    assert!(stage.says("1 flipped, 1 kept, 0 dropped"));
    stage.key(Key::Escape);

    // Judged since the run began: it does not ask again.
    stage.key(Key::S);
    stage.until("there is nothing to ask", |app| !app.workspace().notices.is_empty());
    assert!(stage.says("argues against none of them"));
}

#[test]
fn a_review_takes_the_place_of_the_reference_answers_and_hears_no_press_unseen() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], argued_with);
    stage.go("Pairs");
    stage.until("the pairs are here", |app| app.workspace().pairs.counts.total() > 0);
    let before = pair(&stage, 3);
    // The suspects are still being looked for when the reference answers are opened.
    stage.keys_at_once(&[Key::S, Key::R]);
    stage.until("the suspects are found", |app| app.views().pairs.review.is_some());
    assert!(!stage.harness.state().views().pairs.references.open && stage.says("0 of 2"));
    stage.until("the pair is read", |app| app.workspace().pairs.pairs.get(PairId(3)).is_some());
    stage.key(Key::F);
    stage.until("it is saved", |app| app.workspace().saving.under_way == 0);
    assert_ne!(pair(&stage, 3).choice(), before.choice(), "what is seen is what the key is about");
    assert!(stage.says("1 flipped, 0 kept, 0 dropped"));
}

#[test]
fn without_a_run_that_met_labels_twice_there_is_a_sentence() {
    let mut stage = Stage::new();
    stage.go("Pairs");
    stage.until("the pairs are here", |app| app.workspace().pairs.counts.total() > 0);
    stage.key(Key::S);
    stage.until("it is said", |app| !app.workspace().notices.is_empty());
    assert!(stage.says("No run has met a label of today twice: train for two epochs or more"));
}

#[test]
fn pictures_of_suspect_labels() {
    use egui::Theme::{Dark, Light};
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Light, [1280.0, 800.0], "suspects_light"), (Dark, [900.0, 600.0], "suspects_dark_small")]
    {
        let mut stage = Stage::with(theme, size, argued_with);
        open_review(&mut stage);
        stage.picture(name, &mut results);
        stage.assert_no_id_clash();
    }
}
