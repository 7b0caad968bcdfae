//! What rules count, where it is drawn: bands in the charts of a run, and the row of what was before.

use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::config::Method,
    judge::Share,
    state::{runs::Loaded, train::Sheet},
    store::{NewRun, Project, RunId, RunStatus},
};

use crate::stage::{Stage, past_run};

const RULES: &str = "[[group]]\nname = \"piers\"\nprompts = [\"When is high water?\"]\n\
    [[rule]]\nname = \"polite\"\nbetter = \"more\"\nwhen = { words = [\"please\"] }\n\
    [[rule]]\nname = \"long-winded\"\nbetter = \"less\"\nwhen = { min_words = 12 }\n";

/// Two runs whose answers, two to each of 24 prompts, were judged before the first step and at every thirtieth.
fn judged_runs(project: &mut Project) {
    std::fs::write(project.dir().join("judge.toml"), RULES).unwrap();
    let runs = [
        (Method::Mpo, [10, 30, 40, 44, 45], [20, 18, 19, 20, 21]),
        (Method::Dpo, [10, 34, 43, 45, 46], [20, 24, 30, 33, 36]),
    ];
    for (method, polite, long) in runs {
        let run = past_run(project, method, 0.1, 30.0);
        for (place, (polite, long)) in polite.into_iter().zip(long).enumerate() {
            judge(project, run, 30 * place as u64, &[("polite", polite), ("long-winded", long)]);
        }
    }
}

fn judge(project: &mut Project, run: RunId, step: u64, counted: &[(&str, usize)]) {
    let mut metrics = Vec::new();
    for (rule, counted) in counted {
        let prompts: Vec<(usize, usize)> = (0..24).map(|prompt| ((*counted + 23 - prompt) / 24, 2)).collect();
        let share = Share::of(&prompts).unwrap();
        let name = format!("judged/{rule}");
        metrics.extend([(format!("{name}/low"), share.low), (format!("{name}/high"), share.high)]);
        metrics.push((name, share.share()));
    }
    project.append_step(run, step, step * 300, &metrics).unwrap();
}

/// Scrolls down, then to the right, until the first thing whose label has this text in it is in sight as a whole.
fn scroll_to(stage: &mut Stage, [width, height]: [f32; 2], label: &str) {
    let place = |stage: &Stage| {
        let there = stage.harness.query_all_by_label_contains(label).map(|node| node.rect());
        let seen = there.into_iter().find(|rect| rect.bottom() < height - 80.0);
        seen.map(|rect| rect.right() < width - 30.0)
    };
    for _ in 0..80 {
        let delta = match place(stage) {
            Some(true) => break,
            Some(false) => egui::vec2(-60.0, 0.0),
            None => egui::vec2(0.0, -60.0),
        };
        stage.harness.hover_at(egui::pos2(0.85 * width, 0.8 * height));
        stage.harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta,
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        stage.harness.run();
    }
    assert_eq!(place(stage), Some(true), "{label} is nowhere");
    stage.harness.hover_at(egui::pos2(1.0, 1.0));
    stage.harness.run();
}

const SMALL: [f32; 2] = [900.0, 600.0];
const LARGE: [f32; 2] = [1280.0, 800.0];

fn watch(theme: egui::Theme, size: [f32; 2]) -> Stage {
    let mut stage = Stage::with(theme, size, judged_runs);
    stage.click("Watch");
    assert_eq!(stage.harness.state().views().train.sheet, Sheet::Run);
    stage.until("the history is here", |app| app.workspace().runs.history.values().any(|it| !it.series.is_empty()));
    stage
}

fn compare(theme: egui::Theme, size: [f32; 2]) -> Stage {
    let mut stage = Stage::with(theme, size, judged_runs);
    stage.go("Compare");
    stage.until("the histories are here", |app| {
        app.workspace().runs.history.values().filter(|it| !it.series.is_empty()).count() == 2
    });
    stage
}

#[test]
fn shares_are_drawn_with_their_intervals_and_told_beside_what_was_before() {
    let stage = watch(egui::Theme::Light, LARGE);
    assert!(stage.says("95.8 % of the answers count as polite"), "of the newest run");
    assert!(stage.says("; 20.8 % at the start"), "what was before the first step");
    let stage = compare(egui::Theme::Light, LARGE);
    assert!(stage.says("Before"), "the row of the start model");
    assert!(stage.says("20.8 % ("), "with its interval");
}

#[test]
fn an_ended_run_says_what_it_came_to_above_its_charts() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(egui::Theme::Dark, SMALL, "came_to_dark_small"), (egui::Theme::Light, LARGE, "came_to_light")]
    {
        let mut stage = watch(theme, size);
        stage.until("it is here as a whole", |app| {
            app.workspace().runs.history.values().any(|it| it.last_step() >= 120.0)
        });
        assert!(
            stage.says("Held-out accuracy 96.1 %; guessing has 50 %. Moved 0.0482 nats"),
            "nothing without an interval is claimed"
        );
        stage.harness.get_by_label("polite 21 % → 96 % better");
        stage.harness.get_by_label("long-winded 42 % → 75 % worse");
        assert!(stage.says("Next: Again… with more care"), "what became worse decides what is next");
        let chart = stage.harness.query_all_by_label_contains("Loss chart").next().unwrap().rect();
        assert!(chart.top() < 0.7 * size[1], "the charts are out of sight: {chart}");
        stage.picture(name, &mut results);
    }
    let mut stage = watch(egui::Theme::Light, LARGE);
    let polite = stage.harness.get_by_label("polite 21 % → 96 % better").rect().center();
    stage.harness.hover_at(polite);
    stage.harness.run();
    assert!(stage.says("polite 20.8 % (12 to 34 %) at step 0, 95.8 % (86 to 99 %) at step 120. More is better"));
}

#[test]
fn a_chart_that_an_ended_run_has_nothing_for_is_named_and_not_drawn() {
    let mut stage = Stage::with(egui::Theme::Light, LARGE, |project| {
        let run = project.create_run(&NewRun { name: "Away".to_owned(), ..NewRun::default() }).unwrap();
        project.set_away(run, "c0ffee").unwrap();
        for step in 1..=4 {
            project.append_step(run, step, step * 300, &[("loss".to_owned(), 0.5)]).unwrap();
        }
        project.set_run_status(run, RunStatus::Completed, None).unwrap();
        let run = project.create_run(&NewRun { name: "Failed".to_owned(), ..NewRun::default() }).unwrap();
        project.set_run_status(run, RunStatus::Failed, Some("The model is gone")).unwrap();
    });
    stage.click("Watch");
    stage
        .until("the history is here", |app| app.workspace().runs.history.values().any(|it| it.loaded == Loaded::Ready));
    assert!(stage.says("It ended before anything was measured"));
    assert!(!stage.says("nothing measured yet"));
    let away = stage.harness.state().workspace().runs.records[0].id;
    stage.harness.state_mut().views_mut().train.shown = Some(away);
    stage.harness.run();
    stage
        .until("the history is here", |app| app.workspace().runs.history.values().all(|it| it.loaded == Loaded::Ready));
    assert!(stage.says("Loss chart, latest 0.5 at step 4"));
    assert!(stage.says("Not measured where it was trained: Margin, Preference accuracy, Who moved"));
    assert!(!stage.says("nothing measured yet"));
}

#[test]
fn judged_pictures() {
    use egui::Theme::{Dark, Light};

    let mut results = SnapshotResults::new();
    let mut bands = watch(Light, LARGE);
    bands.picture("judged_bands_light", &mut results);
    for (theme, name) in [(Dark, "judged_bands_dark_small"), (Light, "judged_bands_light_small")] {
        let mut stage = watch(theme, SMALL);
        scroll_to(&mut stage, SMALL, "Judged: long-winded chart");
        stage.picture(name, &mut results);
    }
    for (theme, name) in [(Dark, "judged_before_dark_small"), (Light, "judged_before_light_small")] {
        let mut stage = compare(theme, SMALL);
        scroll_to(&mut stage, SMALL, "20.8 % (");
        stage.picture(name, &mut results);
    }
}
