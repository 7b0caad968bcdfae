//! The Compare screen: charts that are chosen and put in order, groups of seeds, forks, the axes of the frontier.

use egui::accesskit::Role;
use egui_kittest::{
    SnapshotResults,
    kittest::{NodeT as _, Queryable as _},
};
use nudge::{
    data::{
        Across, Scale,
        config::{Method, RunConfig},
        metrics,
    },
    state::compare::board,
    store::{NewRun, Project, RunId, RunStatus},
};

use crate::stage::{Stage, held_out, metrics, past_run};

/// Three seeds of one method that went unlike, and a fork of the first.
fn seeds_and_a_fork(project: &mut Project) {
    let mut config = RunConfig::default();
    let runs: Vec<RunId> = (0..3)
        .map(|seed| {
            config.train.shuffle_seed = seed;
            let new = NewRun {
                name: format!("MPO seed {seed}"),
                config_toml: config.to_toml().unwrap(),
                method: "MPO anchored-sum".to_owned(),
                revision: project.revision().unwrap(),
                parent: None,
            };
            let run = project.create_run(&new).unwrap();
            measure(project, run, 1, 120, 30.0 + 8.0 * seed as f64);
            run
        })
        .collect();
    config.train.shuffle_seed = 0;
    config.objective.beta = 0.3;
    let new = NewRun {
        name: "Fork with β 0.3".to_owned(),
        config_toml: config.to_toml().unwrap(),
        method: "MPO anchored-sum".to_owned(),
        revision: project.revision().unwrap(),
        parent: Some(runs[0]),
    };
    let fork = project.fork_run(&new, 60, None).unwrap();
    measure(project, fork, 61, 120, 18.0);
}

fn measure(project: &mut Project, run: RunId, from: u64, to: u64, slowness: f64) {
    project.set_total_steps(run, to).unwrap();
    for step in from..=to {
        let mut all = metrics(step, slowness);
        all.extend([("pairs", 4.0), ("tokens", 512.0)].map(|(name, value)| (name.to_owned(), value)));
        if step % 10 == 0 {
            all.extend(held_out(step, slowness));
        }
        project.append_step(run, step, step * 450, &all).unwrap();
    }
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
}

fn compare(theme: egui::Theme, size: [f32; 2], fill: fn(&mut Project), runs: usize) -> Stage {
    let mut stage = Stage::with(theme, size, fill);
    stage.go("Compare");
    stage.until("the histories are here", move |app| {
        app.workspace().runs.history.values().filter(|history| !history.series.is_empty()).count() == runs
    });
    stage
}

fn two_methods(project: &mut Project) {
    past_run(project, Method::Mpo, 0.1, 30.0);
    past_run(project, Method::Dpo, 0.1, 50.0);
}

/// The charts of the grid from the first to the last, by their names.
fn charts(stage: &Stage) -> Vec<String> {
    let pictures = stage.harness.root().children_recursive().filter_map(|node| node.accesskit_node().label());
    let charts = pictures.filter_map(|name| name.split_once(" chart, latest").map(|(title, _)| title.to_owned()));
    charts.collect()
}

#[test]
fn charts_are_chosen_put_in_order_and_kept_with_the_project() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], two_methods, 2);
    let usual = charts(&stage);
    assert_eq!(usual.len(), 4, "{usual:?}");
    assert!(usual[0].starts_with("Preference accuracy") && usual[1].starts_with("KL(ref"), "{usual:?}");

    stage.harness.key_press(egui::Key::C);
    stage.harness.run();
    stage.click(&format!("Later: {}", usual[0]));
    stage.click(&format!("Remove: {}", usual[2]));
    stage.click("Add a chart");
    stage.click(&metrics::caption("grad_norm"));
    stage.click("Done");
    let chosen = charts(&stage);
    assert_eq!(chosen, [&usual[1], &usual[0], &usual[3], &metrics::caption("grad_norm")].map(Clone::clone));

    let dir = stage.dir.clone();
    let kept = move || Project::open(&dir).unwrap().setting(board::KEY).unwrap().unwrap_or_default();
    stage.until("the arrangement is in the project", |_| kept().contains("grad_norm"));
    // Another start of the window, with no memory of its own.
    let path = stage.dir.display().to_string();
    stage.click("Project Tide tables");
    stage.click("Open a project…");
    stage.enter("Folder of a project", &path);
    stage.click("Open");
    stage.until("it is open again", |app| app.workspace().opened == 2);
    stage.go("Compare");
    stage.until("the histories are here again", |app| app.workspace().runs.history.len() == 2);
    stage.until("the charts are drawn", |app| app.workspace().runs.history.values().all(|h| !h.series.is_empty()));
    assert_eq!(charts(&stage), chosen);
}

#[test]
fn a_chart_is_dragged_by_its_title() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], two_methods, 2);
    let before = charts(&stage);
    let title = |stage: &Stage, name: &str| stage.harness.get_by_role_and_label(Role::Label, name).rect().center();
    let (from, to) = (title(&stage, &before[1]), title(&stage, &before[0]));
    stage.drag(from, to);
    assert_eq!(charts(&stage)[..2], [before[1].clone(), before[0].clone()]);
}

#[test]
fn keys_set_columns_scale_and_the_frontiers_axis() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], two_methods, 2);
    let press = |stage: &mut Stage, key| {
        stage.harness.key_press(key);
        stage.harness.run();
    };
    press(&mut stage, egui::Key::CloseBracket);
    press(&mut stage, egui::Key::L);
    let board = stage.harness.state().views().compare.board.clone();
    assert_eq!((board.columns, board.scale, board.across), (3, Scale::Log, Across::Drift));
    press(&mut stage, egui::Key::X);
    assert!(stage.says("accuracy 96.1 %, steps 120"));
    press(&mut stage, egui::Key::X);
    press(&mut stage, egui::Key::X);
    assert!(stage.says("None of these runs has counted its tokens"));
    press(&mut stage, egui::Key::X);
    stage.until("the times are read", |app| app.workspace().runs.history.values().all(|h| !h.times.is_empty()));
    // 120 steps of 300 ms.
    assert!(stage.says("Frontier chart; MPO anchored-sum β 0.1: accuracy 96.1 %, time 36 s"), "{:?}", charts(&stage));
    stage.harness.state_mut().views_mut().compare.board.up = metrics::HELD_OUT_MARGIN.to_owned();
    stage.harness.run();
    assert!(stage.says("MPO anchored-sum β 0.1: Reward margin, held out 1."));
}

fn press(stage: &mut Stage, key: egui::Key) {
    stage.harness.key_press(key);
    stage.harness.run();
}

#[test]
fn charts_have_steps_pairs_tokens_time_and_drift_across() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], seeds_and_a_fork, 4);
    assert!(stage.says("at step 120"));
    press(&mut stage, egui::Key::A);
    assert!(stage.says("at 480 pairs") && stage.says("are one line, their mean"));
    press(&mut stage, egui::Key::A);
    assert!(stage.says("at 61.44k tokens"), "{:?}", charts(&stage));
    press(&mut stage, egui::Key::A);
    stage.until("the times are read", |app| app.workspace().runs.history.values().all(|h| !h.times.is_empty()));
    assert!(stage.says("at 54 s"));
    assert!(!stage.says("are one line, their mean"), "seeds take unlike long");
    press(&mut stage, egui::Key::A);
    assert!(stage.says("Reward margin, held out chart; MPO seed 0: Reward margin, held out 1."));
    press(&mut stage, egui::Key::A);
    assert!(stage.says("at step 120"));
    stage.assert_no_id_clash();
}

#[test]
fn charts_are_zoomed_and_moved_by_keys() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], two_methods, 2);
    assert!(!stage.says("Show all"));
    press(&mut stage, egui::Key::Plus);
    assert!(stage.says("Show all"));
    press(&mut stage, egui::Key::ArrowRight);
    press(&mut stage, egui::Key::Num0);
    stage.harness.run();
    assert!(!stage.says("Show all"));
}

#[test]
fn what_is_said_about_a_run_is_kept_with_it_and_taken_back() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], two_methods, 2);
    let name = stage.harness.state().workspace().runs.records[1].name.clone();
    stage.click(&format!("Edit {name}"));
    stage.click("Colour 5");
    stage.enter("Tags, between commas", "short, keep");
    stage.harness.get_by_role_and_label(Role::MultilineTextInput, "Note").focus();
    stage.harness.run();
    stage.harness.get_by_role_and_label(Role::MultilineTextInput, "Note").type_text("answers end sooner");
    stage.harness.run();
    stage.click("Pinned");
    stage.click("Save");
    let dir = stage.dir.clone();
    let kept = move || Project::open(&dir).unwrap().runs().unwrap().remove(1);
    let marks = kept.clone();
    stage.until("it is in the project", move |_| marks().marks.pinned);
    let run = kept();
    assert_eq!((run.marks.colour, run.look()), (Some(4), 4));
    assert_eq!(
        (run.marks.tags, run.marks.note.as_str()),
        (vec!["short".to_owned(), "keep".to_owned()], "answers end sooner")
    );
    assert!(stage.says("short") && stage.says("answers end sooner"));

    stage.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    stage.harness.run();
    let marks = kept.clone();
    stage.until("it is taken back", move |_| !marks().marks.pinned);
    assert_eq!(kept().marks, nudge::store::RunMarks::default());

    stage.click(&format!("Edit {name}"));
    stage.click("Archived");
    stage.click("Save");
    stage.until("it is put away", move |_| kept().marks.archived);
    assert!(stage.says("Archived too (1)") && !stage.says(&format!("Edit {name}")));
    stage.click("Archived too (1)");
    assert!(stage.says(&format!("Edit {name}")));
}

/// Runs with these β, none of which is shown yet but the newest four.
fn six_runs(project: &mut Project) {
    for (place, beta) in [0.05, 0.1, 0.2, 0.3, 0.4, 0.5].into_iter().enumerate() {
        past_run(project, if place % 2 == 0 { Method::Mpo } else { Method::Dpo }, beta, 20.0 + 10.0 * place as f64);
    }
}

#[test]
fn all_runs_stand_in_a_table_that_is_filtered_and_sorted() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 800.0], six_runs, 4);
    press(&mut stage, egui::Key::T);
    // Of the two oldest runs no curve is here.
    stage.until("their cells are read", |app| {
        let (runs, board) = (&app.workspace().runs, &app.views().compare.board);
        nudge::state::compare::table::unread(runs, &board.table).is_empty()
    });
    assert_eq!(stage.harness.state().workspace().runs.history.len(), 4);
    assert!(stage.says("6 runs"));
    let rows = |stage: &Stage| -> Vec<String> {
        let nodes = stage.harness.root().children_recursive();
        nodes.filter_map(|node| node.accesskit_node().label()?.strip_prefix("Edit ").map(str::to_owned)).collect()
    };
    stage.click("Sort by Held-out accuracy");
    let sorted = rows(&stage);
    assert_eq!(sorted.len(), 6);
    assert!(sorted[0].starts_with("MPO") && sorted[0].ends_with("0.05"), "the quickest learner first: {sorted:?}");
    stage.click("Sorted by Held-out accuracy");
    assert_eq!(rows(&stage)[0], sorted[5]);

    press(&mut stage, egui::Key::Slash);
    let field = stage.harness.get_by_role_and_label(Role::TextInput, "Filter runs");
    field.type_text("dpo objective.beta>0.2");
    stage.harness.run();
    assert!(stage.says("2 of 6 runs"));
    assert!(rows(&stage).iter().all(|name| name.starts_with("DPO")));
    stage.assert_no_id_clash();
}

#[test]
fn five_runs_have_parallel_coordinates() {
    let mut stage = compare(egui::Theme::Light, [1280.0, 1400.0], six_runs, 4);
    assert!(!stage.says("Parallel coordinates"), "four are told by a table");
    let runs = stage.harness.state().workspace().runs.records.iter().map(|record| record.id).collect();
    stage.harness.state_mut().views_mut().compare.board.picked = Some(runs);
    stage.harness.run();
    stage.until("all histories are here", |app| {
        app.workspace().runs.history.values().filter(|history| !history.series.is_empty()).count() == 6
    });
    assert!(stage.says("Parallel coordinates chart of 6 runs") && stage.says("β 0.05"));
    // All of it by keyboard: an axis is chosen, its lowest run is left out and taken in again.
    let marked = |stage: &Stage| stage.harness.state().views().compare.marked.clone();
    let hold = |stage: &mut Stage, key| {
        stage.harness.key_press_modifiers(egui::Modifiers::SHIFT, key);
        stage.harness.run();
    };
    press(&mut stage, egui::Key::ArrowUp);
    assert!(marked(&stage).stretches.is_empty(), "no axis is chosen");
    hold(&mut stage, egui::Key::ArrowRight);
    press(&mut stage, egui::Key::ArrowUp);
    assert!(stage.says("pass everywhere") && stage.says(", marked: "), "{:?}", marked(&stage));
    assert_eq!(marked(&stage).stretches.len(), 1);
    hold(&mut stage, egui::Key::ArrowDown);
    assert!(marked(&stage).stretches.is_empty());
    press(&mut stage, egui::Key::Escape);
    assert_eq!(marked(&stage).at, None);
    stage.assert_no_id_clash();
}

/// More than fit the screen, with hardly a step each.
fn thirty_runs(project: &mut Project) {
    for beta in 1..=30 {
        let mut config = RunConfig::default();
        config.objective.beta = f64::from(beta) / 100.0;
        let new = NewRun {
            name: format!("β {}", config.objective.beta),
            config_toml: config.to_toml().unwrap(),
            method: "MPO anchored-sum".to_owned(),
            revision: project.revision().unwrap(),
            parent: None,
        };
        let run = project.create_run(&new).unwrap();
        measure(project, run, 9, 10, f64::from(beta));
    }
}

/// The table of runs, scrolled down.
fn scrolled_table(theme: egui::Theme, size: [f32; 2]) -> Stage {
    let mut stage = compare(theme, size, thirty_runs, 4);
    press(&mut stage, egui::Key::T);
    stage.until("their cells are read", |app| {
        let (runs, board) = (&app.workspace().runs, &app.views().compare.board);
        nudge::state::compare::table::unread(runs, &board.table).is_empty()
    });
    stage.harness.hover_at(egui::pos2(size[0] / 2.0, size[1] / 2.0));
    stage.harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(0.0, -200.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: egui::Modifiers::NONE,
    });
    stage.harness.run();
    stage
}

#[test]
fn the_heads_of_the_table_stay_in_sight_and_are_not_clicked_through() {
    let mut stage = scrolled_table(egui::Theme::Light, [900.0, 600.0]);
    let newest = stage.harness.query_by_role_and_label(Role::Button, "Edit β 0.3").unwrap().rect();
    let head = stage.harness.get_by_role_and_label(Role::Button, "Sort by Run").rect();
    assert!(newest.bottom() < head.top(), "the newest run is scrolled away: {newest} {head}");
    let under = |stage: &Stage| {
        let ticks = stage.harness.get_all_by_role(Role::CheckBox);
        ticks.filter(|tick| tick.rect().intersects(head.expand2(egui::vec2(30.0, 0.0)))).count()
    };
    assert!(under(&stage) > 0, "a row lies under the heads");
    let picked = stage.harness.state().views().compare.board.picked.clone();
    stage.harness.get_by_role_and_label(Role::Button, "Sort by Run").click();
    stage.harness.run();
    let board = &stage.harness.state().views().compare.board;
    assert_eq!((&board.sort, &board.picked), (&board::SortRunsBy::Name, &picked));
}

#[test]
fn every_chart_is_named_with_its_newest_value() {
    let stage = compare(egui::Theme::Light, [1280.0, 1400.0], two_methods, 2);
    let board = &stage.harness.state().views().compare.board;
    let runs = &stage.harness.state().workspace().runs;
    let shown = stage.harness.state().views().compare.shown(runs);
    let charts = board.charts(&nudge::state::compare::metrics_present(runs, &shown));
    assert!(charts.len() >= 4);
    for name in charts {
        let newest = |run: usize| {
            let newest = runs.history(shown[run].id).unwrap().latest(&name).unwrap();
            format!("{} {}", shown[run].name, metrics::value(&name, newest))
        };
        let said = format!("{} chart, latest {} at step 120; {}", metrics::caption(&name), newest(0), newest(1));
        assert!(stage.says(&said), "{said}");
    }
    assert!(stage.says("Frontier chart; "));
}

#[test]
fn seeds_are_one_line_and_a_fork_hangs_on_its_parent() {
    let stage = compare(egui::Theme::Light, [1280.0, 800.0], seeds_and_a_fork, 4);
    assert!(stage.says("MPO, mean of 3 seeds"));
    assert!(stage.says("in a band from lowest to highest"));
    assert!(!stage.says("MPO seed 1 9"), "its line is the group's");
}

#[test]
fn pictures_of_compare_with_seeds_and_choices() {
    use egui::Theme::{Dark, Light};
    let mut results = SnapshotResults::new();
    let mut stage = compare(Light, [1280.0, 800.0], seeds_and_a_fork, 4);
    stage.picture("compare_seeds_light", &mut results);
    press(&mut stage, egui::Key::A);
    press(&mut stage, egui::Key::A);
    stage.harness.state_mut().views_mut().compare.board.clip = true;
    stage.picture("compare_tokens_light", &mut results);
    let mut stage = compare(Light, [1280.0, 800.0], six_runs, 4);
    press(&mut stage, egui::Key::T);
    stage.until("their cells are read", |app| {
        let (runs, board) = (&app.workspace().runs, &app.views().compare.board);
        nudge::state::compare::table::unread(runs, &board.table).is_empty()
    });
    stage.click("Sort by Held-out accuracy");
    stage.picture("compare_table_light", &mut results);
    let mut stage = compare(Dark, [1280.0, 1900.0], six_runs, 4);
    let runs = stage.harness.state().workspace().runs.records.iter().map(|record| record.id).collect();
    stage.harness.state_mut().views_mut().compare.board.picked = Some(runs);
    stage.harness.run();
    stage.until("all histories are here", |app| {
        app.workspace().runs.history.values().filter(|history| !history.series.is_empty()).count() == 6
    });
    stage.harness.key_press_modifiers(egui::Modifiers::SHIFT, egui::Key::ArrowRight);
    press(&mut stage, egui::Key::ArrowUp);
    stage.picture("compare_parallel_dark", &mut results);
    scrolled_table(Dark, [900.0, 600.0]).picture("compare_table_dark_small", &mut results);
    let mut stage = compare(Dark, [900.0, 600.0], two_methods, 2);
    stage.picture("compare_dark_small", &mut results);
    press(&mut stage, egui::Key::V);
    stage.harness.key_press(egui::Key::C);
    stage.harness.run();
    stage.picture("compare_choose_dark_small", &mut results);
    stage.assert_no_id_clash();
}
