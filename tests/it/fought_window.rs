//! Compare tells which pairs fought back in which runs, and leads to them; what happened on the way stands on its
//! charts; and the step that is read is one for charts, answers and tokens.

use egui::Key;
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Across, PairId, config::Method},
    state::Screen,
    store::{LogLevel, PairVisit, Project, RunId, Sample},
};

use crate::stage::{Stage, past_run};

/// Two methods that met the ten labelled pairs six times. In both pair 3 fell while the others rose, in the second pair
/// 8 too.
fn fought(project: &mut Project) {
    for (method, slowness, lost) in [(Method::Mpo, 30.0, &[3][..]), (Method::Dpo, 50.0, &[3, 8])] {
        let run = past_run(project, method, 0.1, slowness);
        for step in 1..=30_u64 {
            let visits: Vec<PairVisit> = (0..2).map(|place| visit(step, place, lost)).collect();
            project.append_pair_visits(run, step, &visits).unwrap();
        }
        for (step, answer) in [(0, "At nine."), (60, "At ten."), (120, "At noon.")] {
            let prompt = nudge::data::Prompt::Text("When does the ferry leave?".to_owned());
            let sample = Sample { prompt, answer: answer.to_owned(), tokens: 3, ended: true, drawn: Vec::new() };
            project.append_sample(run, step, 0, &sample).unwrap();
        }
        project.append_mark(run, 40, LogLevel::Info, "β 0.1 → 0.2").unwrap();
    }
}

fn visit(step: u64, place: u64, lost: &[i64]) -> PairVisit {
    let (epoch, pair) = ((step - 1) / 5, ((step - 1) % 5 * 2 + place + 1) as i64);
    let rise = if lost.contains(&pair) { -0.8 } else { 1.0 };
    PairVisit { pair: PairId(pair), margin: (epoch as f32).mul_add(rise, 0.1 * pair as f32), push: 0.1 }
}

fn compare(theme: egui::Theme, size: [f32; 2]) -> Stage {
    let mut stage = Stage::with(theme, size, fought);
    stage.go("Compare");
    stage.until("the histories are here", |app| {
        app.workspace().runs.history.values().filter(|history| !history.series.is_empty()).count() == 2
    });
    stage.until("their pairs are read", |app| !app.workspace().pairs.rows.is_empty());
    stage
}

#[test]
fn pairs_that_fought_back_are_told_by_run_and_lead_to_pairs_by_click_and_key() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 2400.0]);
    assert!(stage.says("2 of 10 pairs were behind in the end"));
    let name = stage.harness.state().workspace().runs.records[1].name.clone();
    for what in ["1 pair that fought back in every run", &format!("1 pair that fought back only in {name}")] {
        assert!(stage.says(what), "{what}");
    }
    stage.click(&format!("1 pair that fought back only in {name}"));
    let shown = |stage: &Stage| stage.harness.state().views().pairs.only.as_ref().unwrap().ids.to_vec();
    assert_eq!((stage.harness.state().views().screen, shown(&stage)), (Screen::Pairs, vec![PairId(8)]));
    stage.go("Compare");
    stage.key(Key::F);
    assert_eq!((stage.harness.state().views().screen, shown(&stage)), (Screen::Pairs, vec![PairId(3), PairId(8)]));
    stage.go("Compare");
    let row = stage.harness.state().workspace().pairs.rows.get(PairId(8)).unwrap().prompt.clone();
    stage.click(&format!("Open pair 8: {row}"));
    assert_eq!(stage.harness.state().views().pairs.selected, Some(PairId(8)));
    stage.assert_no_id_clash();
}

#[test]
fn charts_of_compare_tell_what_happened_at_the_cursor_also_over_drift() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0]);
    for _ in 0..4 {
        stage.key(Key::Period);
    }
    // Evaluations of the first chart: 10, 20, 30, 40.
    assert!(stage.says("step 40: β 0.1 → 0.2 (MPO anchored-sum β 0.1)"));
    stage.harness.state_mut().views_mut().compare.board.x = Across::Drift;
    stage.harness.run();
    assert!(stage.says("step 40"), "a path is read at the same step");
    stage.key(Key::Period);
    assert!(stage.says("step 50") && !stage.says("step 40"));
}

#[test]
fn charts_and_answers_are_read_at_one_step() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0]);
    for _ in 0..6 {
        stage.key(Key::Period);
    }
    assert!(stage.says("step 60"));
    stage.go("Answers");
    stage.until("the answers are here", |app| {
        app.workspace().answers.grid(RunId(2)).is_some_and(|grid| !grid.is_empty())
    });
    assert!(stage.says("At ten.") && !stage.says("At noon."));
    stage.key(Key::Comma);
    assert!(!stage.says("At ten."), "the first answers alone");
    stage.key(Key::Period);
    stage.key(Key::Period);
    assert!(stage.says("At noon."));
    stage.key(Key::Comma);
    stage.go("Compare");
    assert!(stage.says("step 60"), "the charts have followed");
}

#[test]
fn pictures_of_pairs_that_fought_back() {
    let mut results = SnapshotResults::new();
    let mut stage = compare(egui::Theme::Dark, [1280.0, 1700.0]);
    for _ in 0..4 {
        stage.key(Key::Period);
    }
    stage.picture("compare_fought_dark", &mut results);
}
