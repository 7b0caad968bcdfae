//! Runs as paths through a plane: what it took them across, what came of it upwards.

use data::{
    Across, Scale,
    metrics::{self, judged},
};
use egui::{Rect, Role, Sense, Ui, WidgetInfo};
use egui_plot::{AxisHints, Line, MarkerShape, Plot, PlotPoint, PlotPoints, Points};
use state::{
    compare::{
        CompareView,
        frontier::{ACCURACY, DRIFT, FrontierPath, Paths, hangs_from},
    },
    runs::Runs,
    series::Point,
};
use store::RunRecord;

use super::GROUP;
use crate::{
    chart, legend, parts,
    theme::{self, space},
};

/// Free room around the paths, as a share of an axis.
const MARGIN: f64 = 0.05;
/// A plot is never lower than this.
const LOWEST: f32 = 72.0;
/// So many runs have a legend.
const FEW: usize = 5;
/// The card below the charts.
pub const FRONTIER: &str = "frontier";

/// What paths are drawn in.
pub struct Axes<'a> {
    /// [`FRONTIER`], or one of the charts.
    pub of: &'a str,
    pub across: Across,
    /// The metric upwards.
    pub up: &'a str,
    pub scale: Scale,
    pub height: f32,
}

/// A run, and the way it went.
type Path<'r> = (&'r RunRecord, FrontierPath);

/// Those of these runs that have any.
pub fn of<'r>(runs: &Runs, shown: &[&'r RunRecord], known: &mut Paths, across: Across, up: &str) -> Vec<Path<'r>> {
    let path = |record: &&'r RunRecord| {
        let path = known.of(record.id, runs.history(record.id)?, across, up, hangs_from(record, shown));
        (!path.points.is_empty()).then_some((*record, path))
    };
    shown.iter().filter_map(path).collect()
}

/// Draws the paths and says where they end. `at`: the step that is read, marked on each of them.
pub fn plot(ui: &mut Ui, paths: &[Path<'_>], axes: &Axes<'_>, at: Option<f64>) {
    let &Axes { of, across, up: learned, scale, height } = axes;
    let room = egui::vec2(ui.available_width(), height);
    if !ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, room)) {
        // Scrolled out of sight it keeps its place and its name.
        let (_, response) = ui.allocate_exact_size(room, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, spoken(paths, axes)));
        return;
    }
    let palette = parts::palette(ui);
    let x_axis = chart::looks(AxisHints::new_x(), palette).formatter(move |mark, _| across.tick(mark.value));
    let name = learned.to_owned();
    let y_axis = chart::looks(AxisHints::new_y(), palette)
        .formatter(move |mark, _| metrics::value(&name, scale.value(mark.value)));
    let points = || paths.iter().flat_map(|(_, path)| path.points.iter());
    let read_as = if across == Across::Drift { DRIFT } else { "" };
    let extent = chart::axis_of(points().map(|point| point[0]), read_as, Scale::Linear).padded(MARGIN);
    let up = chart::axis_of(points().map(|point| point[1]), learned, scale).padded(MARGIN);
    let columns = (ui.available_width() / 80.0) as usize;
    // Another axis is another view.
    let response = Plot::new((of, across.word(), learned, scale.name()))
        .height(height)
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
                let look = record.look();
                let placed = |[place, value]: Point| Some([place, scale.place(value)]).filter(|at| !at[1].is_nan());
                let read = at.and_then(|step| placed(path.at(step)?));
                let path: Vec<Point> = path.points.iter().copied().filter_map(placed).collect();
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
                if let Some(read) = read {
                    plot.points(
                        Points::new("", PlotPoints::new(vec![read]))
                            .id((record.id.0, "read"))
                            .shape(MarkerShape::Circle)
                            .filled(false)
                            .radius(6.0)
                            .color(palette.strong)
                            .allow_hover(false),
                    );
                }
            }
        });
    if of != FRONTIER {
        let steps = paths.iter().map(|(_, path)| path).flat_map(|path| path.steps.iter().zip(path.points.iter()));
        let on_screen =
            |point: &Point| response.transform.position_from_point(&PlotPoint::new(point[0], scale.place(point[1])));
        chart::point_at_paths(
            ui,
            GROUP,
            learned,
            &response.response,
            steps.map(|(at, point)| (at[0], on_screen(point))),
        );
    }
    let response = response.response;
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, spoken(paths, axes)));
}

/// Where each run stands, in words.
fn spoken(paths: &[Path<'_>], axes: &Axes<'_>) -> String {
    let &Axes { of, across, up: learned, .. } = axes;
    let caption = metrics::caption(learned);
    let what = if learned == ACCURACY { "accuracy" } else { judged::rule(learned).unwrap_or(&caption) };
    let took = match across {
        Across::Drift => "drift",
        Across::Seconds => "time",
        Across::Tokens => "tokens",
        Across::Pairs => "pairs",
        Across::Steps => "steps",
    };
    let ends: Vec<String> = paths
        .iter()
        .filter_map(|(record, path)| {
            let [place, value] = path.points.last()?;
            let (value, place) = (metrics::value(learned, *value), across.tick(*place));
            Some(format!("{}: {what} {value}, {took} {place}", record.name))
        })
        .collect();
    let title = if of == FRONTIER { "Frontier".to_owned() } else { caption.clone() };
    format!("{title} chart; {}", ends.join("; "))
}

/// Why no run has a path.
pub fn why_none(across: Across) -> &'static str {
    match across {
        Across::Drift => "None of these runs has kl/ref, the drift that is measured on reference answers",
        Across::Seconds => "Reading the times…",
        Across::Tokens => "None of these runs has counted its tokens and was evaluated",
        Across::Pairs => "None of these runs has counted its pairs and was evaluated",
        Across::Steps => "None of these runs has been evaluated yet",
    }
}

/// A metric over how far runs had drifted: a card like that of a chart over steps.
pub fn chart(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], view: &mut CompareView, metric: &str, height: f32) {
    let CompareView { board, paths: known, .. } = view;
    let paths = of(runs, shown, known, board.x, metric);
    let palette = parts::palette(ui);
    let steps: Vec<&[Point]> = paths.iter().map(|(_, path)| &*path.steps).collect();
    let at = chart::cursor_of_paths(ui, GROUP, &steps);
    parts::card_frame(ui).inner_margin(egui::Margin::same(space::M as i8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        let top = ui.cursor().top();
        ui.horizontal(|ui| {
            chart::movable_title(ui, &metrics::caption(metric), metric);
            if let Some(step) = at {
                parts::at_right(ui, "read at", |ui| {
                    parts::caption(ui, Across::Steps.place(step));
                });
            }
        });
        parts::small_row(ui, |ui| {
            // Many runs are told apart by the list beside the charts.
            for (record, path) in paths.iter().filter(|_| paths.len() <= FEW) {
                let look = (theme::series_color(palette, record.look()), theme::series_pattern(record.look()));
                let read = at.map_or_else(|| path.points.last().copied(), |step| path.at(step));
                let value = read.map_or_else(|| "–".to_owned(), |[_, value]| metrics::value(metric, value));
                legend::entry(ui, Some(look), &record.name, &value);
            }
        });
        if paths.is_empty() {
            parts::caption(ui, why_none(board.x));
            return;
        }
        let room = (height - (ui.cursor().top() - top) - 2.0 * space::M).max(LOWEST);
        plot(ui, &paths, &Axes { of: "chart", across: board.x, up: metric, scale: board.scale, height: room }, at);
    });
}
