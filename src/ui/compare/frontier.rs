//! The frontier: what was learnt upwards, what it took across, each run a path from its start to where it stands.

use data::{
    Scale,
    metrics::{self, judged},
};
use egui::{ComboBox, FontId, Rangef, Role, Ui, WidgetInfo};
use egui_plot::{AxisHints, Line, MarkerShape, Plot, PlotPoints, Points};
use state::{
    Command, Commands,
    actions::{Action, key_of},
    compare::{
        board::Board,
        frontier::{ACCURACY, Across, DRIFT, frontier, hangs_from, learnable},
    },
    metric,
    runs::Runs,
    series::Point,
    train::RunCommand,
};
use store::RunRecord;

use super::list::look;
use crate::{
    chart, parts,
    theme::{self, size},
};

const HEIGHT: f32 = 210.0;
/// Narrower than this, the title and the choices of both axes have a row each.
const ONE_ROW: f32 = 640.0;
/// Free room around the paths, as a share of an axis.
const MARGIN: f64 = 0.05;

pub fn ui(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], board: &mut Board, present: &[String], commands: &Commands) {
    let choices = learnable(present);
    let up = choices.iter().find(|name| **name == board.up).or(choices.first()).cloned();
    let Some(up) = up else { return };
    let across = board.across;
    if across == Across::Seconds {
        for record in shown {
            if let Some(to) = runs.history(record.id).and_then(|history| history.times_wanted(&up)) {
                commands.push(Command::Runs(RunCommand::ReadTimes(record.id, to)));
            }
        }
    }
    let path = |record: &RunRecord| {
        let path = frontier(runs.history(record.id)?, across, &up, hangs_from(record, shown));
        (!path.is_empty()).then_some(path)
    };
    let paths: Vec<(&RunRecord, Vec<Point>)> =
        shown.iter().filter_map(|record| Some((*record, path(record)?))).collect();
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        if ui.available_width() < ONE_ROW {
            parts::heading(ui, "What it took to learn");
            ui.horizontal(|ui| upwards(ui, board, &up, &choices));
            ui.horizontal(|ui| sideways(ui, board));
        } else {
            ui.horizontal_wrapped(|ui| {
                parts::heading(ui, "What it took to learn");
                upwards(ui, board, &up, &choices);
                sideways(ui, board);
            });
        }
        if paths.is_empty() {
            let text = match across {
                Across::Drift => "None of these runs has measured how far it drifted: that needs reference answers",
                Across::Seconds => "Reading the times…",
                Across::Steps => "None of these runs has been evaluated yet",
            };
            parts::caption(ui, text);
            return;
        }
        parts::caption(
            ui,
            "One point an evaluation; the diamond is where a run stands. Drag moves, Ctrl + wheel zooms, double click shows all",
        );
        plot(ui, &paths, across, &up);
    });
}

/// What stands on the axis upwards.
fn upwards(ui: &mut Ui, board: &mut Board, up: &str, choices: &[String]) {
    let label = parts::caption(ui, "Upwards");
    ComboBox::from_id_salt("frontier up")
        .selected_text(metrics::caption(up))
        .width(150.0)
        .height(420.0)
        .truncate()
        .show_ui(ui, |ui| {
            for name in choices {
                if ui.selectable_label(name == up, metrics::caption(name)).clicked() {
                    board.up.clone_from(name);
                }
            }
        })
        .response
        .labelled_by(label.id);
}

/// What stands on the axis across.
fn sideways(ui: &mut Ui, board: &mut Board) {
    parts::caption(ui, "across").on_hover_text(key_of(Action::FrontierAcross));
    parts::segmented(ui, &mut board.across, &Across::ALL.map(|across| (across, across.word(), across.about())));
}

fn plot(ui: &mut Ui, paths: &[(&RunRecord, Vec<Point>)], across: Across, learned: &str) {
    let palette = parts::palette(ui);
    let axis = |axis: AxisHints<'static>| {
        axis.tick_label_font(FontId::proportional(size::SMALL - 1.0))
            .tick_label_color(palette.weak)
            .label_spacing(Rangef::new(8.0, 12.0))
    };
    let x_axis = axis(AxisHints::new_x()).formatter(move |mark, _| across.value(mark.value));
    let name = learned.to_owned();
    let y_axis = axis(AxisHints::new_y()).formatter(move |mark, _| metric::value(&name, mark.value));
    let points = || paths.iter().flat_map(|(_, path)| path);
    let scale = if across == Across::Drift { DRIFT } else { "" };
    let extent = chart::axis_of(points().map(|point| point[0]), scale, Scale::Linear).padded(MARGIN);
    let up = chart::axis_of(points().map(|point| point[1]), learned, Scale::Linear).padded(MARGIN);
    let columns = (ui.available_width() / 80.0) as usize;
    // Another axis is another view.
    let response = Plot::new(("frontier", across.word(), learned))
        .height(HEIGHT)
        .show_background(false)
        .grid_color(palette.hairline)
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis.min_thickness(38.0)])
        .x_grid_spacer(move |grid| chart::round_marks(grid, columns))
        .y_grid_spacer(|grid| chart::round_marks(grid, 6))
        .show_x(false)
        .show_y(false)
        .show_crosshair(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .set_margin_fraction(egui::Vec2::ZERO)
        .include_x(extent.low)
        .include_x(extent.high)
        .include_y(up.low)
        .include_y(up.high)
        .show(ui, |plot| {
            for (record, path) in paths {
                let look = look(record.id);
                let color = theme::series_color(palette, look);
                plot.line(
                    Line::new("", PlotPoints::new(path.clone()))
                        .id(record.id.0)
                        .color(color)
                        .width(1.7)
                        .style(theme::series_pattern(look))
                        .allow_hover(false),
                );
                if let Some(end) = path.last() {
                    plot.points(
                        Points::new("", PlotPoints::new(vec![*end]))
                            .id((record.id.0, "end"))
                            .shape(MarkerShape::Diamond)
                            .radius(5.0)
                            .color(color)
                            .allow_hover(false),
                    );
                }
            }
        })
        .response;
    let name = spoken(paths, across, learned);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
}

/// Where each run stands, in words.
fn spoken(paths: &[(&RunRecord, Vec<Point>)], across: Across, learned: &str) -> String {
    let caption = metrics::caption(learned);
    let what = if learned == ACCURACY { "accuracy" } else { judged::rule(learned).unwrap_or(&caption) };
    let took = match across {
        Across::Drift => "drift",
        Across::Seconds => "time",
        Across::Steps => "steps",
    };
    let ends: Vec<String> = paths
        .iter()
        .filter_map(|(record, path)| {
            let [place, value] = path.last()?;
            let (value, place) = (metric::value(learned, *value), across.value(*place));
            Some(format!("{}: {what} {value}, {took} {place}", record.name))
        })
        .collect();
    format!("Frontier chart; {}", ends.join("; "))
}
