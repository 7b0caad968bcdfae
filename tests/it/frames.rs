//! What a frame of Compare costs with more runs and steps than anybody has: drawn from made-up state, without a card.
//!
//! `cargo test --release -p nudge --test it -- --ignored --nocapture frames::` measures.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nudge::{
    data::{Across, config::RunConfig, metrics::METRICS},
    state::{
        Commands, ProjectSummary, Screen, Views, Workspace,
        compare::metrics_present,
        guide::{About, Guide},
        runs::{History, Loaded},
        series::Series,
    },
    store::{Counts, Revision, RunId, RunMarks, RunRecord, RunStatus},
    ui,
};

const SIZE: [f32; 2] = [1920.0, 3200.0];

fn record(id: i64) -> RunRecord {
    let mut config = RunConfig::default();
    config.objective.beta = 0.05 * id as f64;
    RunRecord {
        id: RunId(id),
        name: format!("Run {id}"),
        method: "MPO anchored-sum".to_owned(),
        status: RunStatus::Completed,
        created_ms: 0,
        config_toml: config.to_toml().unwrap(),
        revision: Revision(1),
        parent: None,
        parent_step: None,
        left_out: None,
        marks: RunMarks::default(),
        day_ms: 0,
        step: 100_000,
        total_steps: 100_000,
        message: None,
        arithmetic: None,
        dir: "runs".into(),
        checkpoints: Vec::new(),
    }
}

/// So many runs, each with every metric of a step and of held-out pairs; all of them charted and ticked.
fn scene(runs: i64, steps: usize) -> (Workspace, Views) {
    let (mut workspace, mut views) = (Workspace::default(), Views::default());
    workspace.project = Some(ProjectSummary {
        dir: "project".into(),
        name: "Many runs".to_owned(),
        model: "model".into(),
        counts: Counts::default(),
        config: RunConfig::default(),
        chosen: BTreeSet::new(),
        parameters: None,
        read_only: false,
        references: 0,
        about: About::default(),
    });
    workspace.runs.set_records((1..=runs).map(record).collect());
    let names: Vec<String> =
        METRICS.iter().take(8).flat_map(|metric| [Some(metric.key.to_owned()), metric.evaluated()]).flatten().collect();
    for run in 1..=runs {
        let mut history = History { loaded: Loaded::Ready, ..History::default() };
        for (place, name) in names.iter().enumerate() {
            let noise = |step: usize| ((step * (place + 3) + run as usize * 7919) as f64 * 0.7).sin();
            let every = if nudge::data::metrics::is_rare(name) { 20 } else { 1 };
            let points = (1..=steps / every)
                .map(|step| [(step * every) as f64, (-(step as f64) / 4e4).exp() + 0.1 * noise(step)]);
            history.series.insert(name.clone(), Series::from_points(points));
        }
        let count = (1..=steps).map(|step| [step as f64, 512.0]);
        history.series.insert("tokens".to_owned(), Series::from_points(count));
        workspace.runs.history.insert(RunId(run), history);
    }
    let board = &mut views.compare.board;
    board.picked = Some((1..=runs).map(RunId).collect());
    board.columns = 3;
    let shown: Vec<&RunRecord> = workspace.runs.records.iter().collect();
    board.metrics = metrics_present(&workspace.runs, &shown);
    views.compare.kept = views.compare.board.clone();
    views.screen = Screen::Compare;
    views.guide = Guide::finished();
    (workspace, views)
}

struct Frames {
    ctx: egui::Context,
    workspace: Workspace,
    views: Views,
    commands: Commands,
    now: f64,
}

impl Frames {
    fn new((workspace, views): (Workspace, Views)) -> Self {
        let ctx = egui::Context::default();
        ui::theme::install(&ctx);
        Self { ctx, workspace, views, commands: Commands::new(|| {}), now: 0.0 }
    }

    /// Draws one, up to the triangles; gives what that took and how many corners they have.
    fn draw(&mut self, pointer: [f32; 2]) -> (Duration, usize) {
        self.now += 1.0 / 60.0;
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, SIZE.into())),
            time: Some(self.now),
            events: vec![egui::Event::PointerMoved(pointer.into())],
            ..egui::RawInput::default()
        };
        let started = Instant::now();
        let Self { ctx, workspace, views, commands, .. } = self;
        let mut output = ctx.run_ui(input, |ui| ui::shell(ui, workspace, views, commands));
        output.textures_delta.clear();
        let primitives = ctx.tessellate(output.shapes, output.pixels_per_point);
        let took = started.elapsed();
        let corners = primitives.iter().map(|primitive| match &primitive.primitive {
            egui::epaint::Primitive::Mesh(mesh) => mesh.vertices.len(),
            egui::epaint::Primitive::Callback(_) => 0,
        });
        let corners = corners.sum();
        self.commands.take();
        (took, corners)
    }
}

#[test]
fn what_is_drawn_does_not_grow_with_the_steps() {
    let corners = |steps| {
        let mut frames = Frames::new(scene(4, steps));
        (0..4).map(|_| frames.draw([900.0, 500.0]).1).last().unwrap()
    };
    let (few, many) = (corners(3_000), corners(40_000));
    assert!(many < few * 2, "{few} corners for 3000 steps, {many} for 40000");
}

#[test]
#[ignore = "a measurement, not a check"]
fn frames_with_twenty_runs_of_a_hundred_thousand_steps() {
    for (runs, steps, across, smoothing) in [
        (20, 100_000, Across::Steps, 0.0),
        (20, 100_000, Across::Steps, 0.6),
        (20, 100_000, Across::Tokens, 0.0),
        (50, 20_000, Across::Steps, 0.0),
    ] {
        let mut frames = Frames::new(scene(runs, steps));
        (frames.views.compare.board.x, frames.views.compare.board.smoothing) = (across, smoothing);
        let first = frames.draw([900.0, 500.0]).0;
        for _ in 0..10 {
            frames.draw([900.0, 500.0]);
        }
        // The cursor moves through a chart, as where a person reads values.
        let mut took: Vec<(Duration, usize)> =
            (0..60).map(|at| frames.draw([700.0 + at as f32 * 4.0, 400.0])).collect();
        took.sort();
        let charts = frames.views.compare.board.metrics.len();
        println!(
            "{runs} runs, {steps} steps, {charts} charts over {}, smoothing {smoothing}: {:.1} ms a frame, slowest {:.1}, first {:.0}; {} corners",
            across.name(),
            took[30].0.as_secs_f64() * 1e3,
            took[59].0.as_secs_f64() * 1e3,
            first.as_secs_f64() * 1e3,
            took[30].1,
        );
    }
}
