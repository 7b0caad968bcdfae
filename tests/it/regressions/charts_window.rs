//! Charts of Train and Compare, as they are painted.

use egui::{Color32, Shape};
use nudge::{
    data::config::{Method, RunConfig},
    store::{NewRun, Project, RunId, RunStatus},
    ui::theme,
};

use crate::stage::{Stage, past_run};

const WIDE: [f32; 2] = [1280.0, 800.0];

/// A run that measured `value(step)` of one metric at steps 0 to `steps`.
pub(super) fn measured(
    project: &mut Project,
    name: &str,
    metric: &str,
    steps: u64,
    value: impl Fn(u64) -> f64,
) -> RunId {
    let run = project
        .create_run(&NewRun {
            name: name.to_owned(),
            config_toml: RunConfig::default().to_toml().unwrap(),
            method: "MPO anchored-sum".to_owned(),
            revision: project.revision().unwrap(),
            parent: None,
        })
        .unwrap();
    for step in 0..=steps {
        project.append_step(run, step, step * 100, &[(metric.to_owned(), value(step))]).unwrap();
    }
    project.set_total_steps(run, steps).unwrap();
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    run
}

fn shapes(stage: &Stage) -> Vec<Shape> {
    fn flat(shape: &Shape, out: &mut Vec<Shape>) {
        match shape {
            Shape::Vec(shapes) => shapes.iter().for_each(|shape| flat(shape, out)),
            other => out.push(other.clone()),
        }
    }
    let mut out = Vec::new();
    for clipped in &stage.harness.output().shapes {
        flat(&clipped.shape, &mut out);
    }
    out
}

/// Every text that is painted, axis labels too.
pub(super) fn painted(stage: &Stage) -> Vec<String> {
    let texts = shapes(stage).into_iter().filter_map(|shape| match shape {
        Shape::Text(text) => Some(text.galley.text().to_owned()),
        _ => None,
    });
    texts.collect()
}

fn compare(fill: impl FnOnce(&mut Project), metric: &str) -> Stage {
    let mut stage = Stage::with(egui::Theme::Light, WIDE, fill);
    stage.harness.state_mut().views_mut().compare.board.metrics = vec![metric.to_owned()];
    stage.go("Compare");
    stage.until("the histories are here", |app| {
        let runs = &app.workspace().runs;
        runs.history.len() == runs.records.len() && runs.history.values().all(|history| !history.series.is_empty())
    });
    stage
}

#[test]
fn g2_a_series_without_spread_is_drawn_on_an_axis_of_its_size() {
    for (metric, value, mark) in [
        ("eval_rewards/accuracies", 1.0, "100 %"),
        ("eval_rewards/accuracies", 0.7, "70 %"),
        ("push/asleep", 0.0, "0 %"),
    ] {
        let stage = compare(
            |project| {
                measured(project, "One", metric, 20, |_| value);
                measured(project, "Two", metric, 20, |_| value);
            },
            metric,
        );
        let texts = painted(&stage);
        assert!(texts.iter().any(|text| text == mark), "{texts:?}");
        let beyond = |text: &&String| {
            let share = text.strip_suffix(" %").and_then(|digits| digits.replace('−', "-").parse::<f64>().ok());
            share.is_some_and(|share| !(0.0..=100.0).contains(&share))
        };
        assert_eq!(texts.iter().find(beyond), None, "a share has no such value");
    }
}

/// The corners of each part of a mesh that hangs together.
fn islands(mesh: &egui::Mesh) -> Vec<Vec<egui::epaint::Vertex>> {
    let mut islands: Vec<Vec<egui::epaint::Vertex>> = Vec::new();
    let mut highest = None;
    for triangle in mesh.indices.chunks(3) {
        if highest < triangle.iter().min() {
            islands.push(Vec::new());
        }
        islands.last_mut().unwrap().extend(triangle.iter().map(|corner| mesh.vertices[*corner as usize]));
        highest = highest.max(triangle.iter().max());
    }
    islands
}

#[test]
fn g3_every_run_keeps_its_pattern_on_a_log_scale_and_after_a_gap() {
    // Zero at step 0 as a reward margin is, and not a number in the middle.
    let value = |step| if step == 20 { f64::NAN } else { step as f64 * 0.01 };
    let mut stage = compare(
        |project| {
            for name in ["One", "Two", "Three", "Four"] {
                measured(project, name, "rewards/margins", 40, value);
            }
        },
        "rewards/margins",
    );
    let palette = theme::palette(&egui::Visuals::light());
    // Dashes are short pieces; dots are circles. A line that goes on without its gaps is one long piece.
    let pieces = |stage: &Stage, look: usize| {
        let color: Color32 = theme::series_color(palette, look);
        let (mut count, mut longest) = (0, 0.0f32);
        for shape in shapes(stage) {
            match shape {
                Shape::Mesh(mesh) => {
                    for island in islands(&mesh).iter().filter(|island| island.iter().any(|at| at.color == color)) {
                        count += 1;
                        let extent = egui::Rect::from_points(&island.iter().map(|at| at.pos).collect::<Vec<_>>());
                        longest = longest.max(extent.size().length());
                    }
                }
                Shape::Circle(circle) if circle.fill == color => count += 1,
                _ => {}
            }
        }
        (count, longest)
    };
    for log in [false, true] {
        if log {
            stage.harness.key_press(egui::Key::L);
            stage.harness.run();
        }
        for look in 1..4 {
            let (count, longest) = pieces(&stage, look);
            assert!(count > 20, "run {look} on log {log}: {count} dashes or dots");
            assert!(longest < 30.0, "run {look} on log {log}: a dash of {longest} points");
        }
    }
    assert!(stage.says("1 of 0 or below"), "what has no place on the scale is told");
}

#[test]
fn a_value_that_is_not_a_number_is_marked_and_told() {
    let run = |project: &mut Project| {
        measured(project, "Broken", "loss", 12, |_| f64::NAN);
    };
    let mut stage = compare(run, "loss");
    assert!(stage.says("Loss chart, no value that is a number; Broken 13 not a number"));
    assert!(stage.says("13 not a number"));
    assert!(painted(&stage).iter().any(|text| text == "Not a number at any step"));
    stage.go("Train");
    stage.click("Watch");
    assert!(stage.says("Loss chart, no value that is a number"));
    assert!(!stage.says("Loss chart, nothing measured yet"));

    let stage = compare(
        |project| {
            measured(project, "Partly", "loss", 12, |step| if step == 3 { f64::INFINITY } else { 1.0 });
        },
        "loss",
    );
    assert!(stage.says("Loss chart, latest 1 at step 12; Partly 1 not a number"));
}

#[test]
fn what_can_be_done_with_a_chart_is_told() {
    let mut stage = compare(
        |project| {
            past_run(project, Method::Mpo, 0.1, 30.0);
        },
        "loss",
    );
    assert!(stage.says("How charts are drawn"));
    stage.click("How charts are drawn");
    assert!(stage.says("Drag moves along"));
    assert!(stage.says("Ctrl + wheel zooms"));
}
