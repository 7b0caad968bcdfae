//! The frontier: KL drift across, held-out accuracy up, each run a path from its start to where it stands.

use data::{
    Scale,
    metrics::{self, judged},
};
use egui::{FontId, Rangef, Role, Ui, WidgetInfo};
use egui_plot::{AxisHints, Line, MarkerShape, Plot, PlotPoints, Points};
use state::{
    compare::{DRIFT, frontier},
    metric,
    runs::Runs,
    series::Point,
};
use store::RunRecord;

use super::list::look;
use crate::{
    chart, parts,
    theme::{self, size},
};

const HEIGHT: f32 = 210.0;
/// Free room around the paths, as a share of an axis.
const MARGIN: f64 = 0.05;

/// `learned`: what is shown upwards.
pub fn ui(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], learned: &str) {
    let paths: Vec<(&RunRecord, Vec<Point>)> = shown
        .iter()
        .filter_map(|record| {
            let path = frontier(runs.history(record.id)?, learned);
            (!path.is_empty()).then_some((*record, path))
        })
        .collect();
    if paths.is_empty() {
        return;
    }
    let palette = parts::palette(ui);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Learned against drifted");
        parts::caption(
            ui,
            format!(
                "Upwards: {}; across: kl/ref. One point an evaluation; the diamond is where a run stands. Drag moves, Ctrl + wheel zooms, double click shows all",
                metrics::caption(learned)
            ),
        );
        let axis = |axis: AxisHints<'static>, name: String| {
            axis.tick_label_font(FontId::proportional(size::SMALL - 1.0))
                .tick_label_color(palette.weak)
                .label_spacing(Rangef::new(8.0, 12.0))
                .formatter(move |mark, _| metric::value(&name, mark.value))
        };
        let points = || paths.iter().flat_map(|(_, path)| path);
        let across = chart::axis_of(points().map(|point| point[0]), DRIFT, Scale::Linear).padded(MARGIN);
        let up = chart::axis_of(points().map(|point| point[1]), learned, Scale::Linear).padded(MARGIN);
        let columns = (ui.available_width() / 80.0) as usize;
        let response = Plot::new("frontier")
            .height(HEIGHT)
            .show_background(false)
            .grid_color(palette.hairline)
            .custom_x_axes(vec![axis(AxisHints::new_x(), DRIFT.to_owned())])
            .custom_y_axes(vec![axis(AxisHints::new_y(), learned.to_owned()).min_thickness(38.0)])
            .x_grid_spacer(move |grid| chart::round_marks(grid, columns))
            .y_grid_spacer(|grid| chart::round_marks(grid, 6))
            .show_x(false)
            .show_y(false)
            .show_crosshair(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .set_margin_fraction(egui::Vec2::ZERO)
            .include_x(across.low)
            .include_x(across.high)
            .include_y(up.low)
            .include_y(up.high)
            .show(ui, |plot| {
                for (record, path) in &paths {
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
        let name = spoken(&paths, learned);
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
    });
}

/// Where each run stands, in words.
fn spoken(paths: &[(&RunRecord, Vec<Point>)], learned: &str) -> String {
    let what = judged::rule(learned).unwrap_or("accuracy");
    let ends: Vec<String> = paths
        .iter()
        .filter_map(|(record, path)| {
            let [drift, accuracy] = path.last()?;
            Some(format!(
                "{}: {what} {}, drift {}",
                record.name,
                metric::value(learned, *accuracy),
                metric::value(DRIFT, *drift)
            ))
        })
        .collect();
    format!("Frontier chart; {}", ends.join("; "))
}
