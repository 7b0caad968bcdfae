//! The plot of a chart: its axes, lines, band, levels and marks.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use data::{Across, Extent, metrics};
use egui::{Id, Stroke, Ui};
use egui_plot::{
    AxisHints, FilledArea, GridInput, GridMark, HLine, LineStyle, MarkerShape, Plot, PlotPoints, PlotUi, Points, Span,
    VLine,
};
use state::{compare::Zoom, series::Point};

use super::{
    Chart, Line,
    axis::{MARGIN, looks},
    brush,
    curves::{Look, PlottedLines},
    thinned::{Thinned, ThinnedLine},
    zoom_id,
};
use crate::theme::{self, Palette};

/// More points than this in a line are not marked one by one, nor more than that in all lines of a chart.
const FEW_POINTS: usize = 200;
const MANY_POINTS: usize = 600;
/// So many lines more, and a bucket of points is a pixel wider, up to so many.
const MANY_LINES: usize = 8;
const COARSEST: usize = 6;

impl Line<'_> {
    /// What of the series is drawn in this range.
    pub(super) fn own_part(&self, range: &RangeInclusive<f64>, buckets: usize) -> Vec<Point> {
        let mut points = self.series.visible(range, buckets);
        if let Some(from) = self.from {
            let places = self.series.points();
            let hinge = places.partition_point(|point| point[0] <= from).saturating_sub(1);
            let first = places.get(hinge).map_or(from, |point| point[0]);
            let before = points.len();
            points.retain(|point| point[0] >= first);
            // Where points are thinned the one that it hangs from may be among those left out.
            let is_cut = points.len() < before && first <= *range.end();
            if is_cut && points.first().is_none_or(|point| point[0] > first) {
                points.splice(0..0, places.get(hinge).copied());
            }
        }
        points
    }
}

impl Chart<'_> {
    /// Draws the plot; inside the answer: whether it shows a part of the steps only.
    pub(super) fn plot(
        &self,
        ui: &mut Ui,
        palette: &Palette,
        at: Option<f64>,
        height: f32,
    ) -> egui_plot::PlotResponse<bool> {
        let (scale, name, nothing) = (self.scale, self.metric, self.why_empty().is_some());
        let across = self.across;
        let rows = (height / 26.0) as usize;
        let columns = (ui.available_width() / 64.0) as usize;
        let x_axis = looks(AxisHints::new_x(), palette).formatter(move |mark, _| across.tick(mark.value));
        let y_axis = looks(AxisHints::new_y(), palette).min_thickness(34.0).formatter(move |mark, _| {
            if nothing { String::new() } else { metrics::value(name, scale.value(mark.value)) }
        });
        let brushed = brush::shown(ui, self.group);
        // The first chart of the group takes it up; the others follow it.
        let zoom = ui.data_mut(|data| data.remove_temp::<Zoom>(zoom_id(self.group)));
        // Another axis is another view.
        let axis = (self.group, across.name());
        Plot::new((axis, self.id))
            .height(height)
            .link_axis(Id::unique(("steps of charts", axis)), [true, false])
            .show_background(false)
            .show_grid([false, true])
            .grid_color(palette.hairline)
            .x_grid_spacer(move |grid| round_marks(grid, columns))
            .y_grid_spacer(move |grid| round_marks(grid, rows))
            .custom_x_axes(vec![x_axis])
            .custom_y_axes(vec![y_axis])
            .show_x(false)
            .show_y(false)
            .show_crosshair(false)
            .allow_scroll(false)
            .allow_zoom([true, false])
            .allow_drag([!brush::is_meant(ui, self.group), false])
            .allow_axis_zoom_drag([true, false])
            .allow_boxed_zoom(false)
            .set_margin_fraction(egui::vec2(0.01, 0.0))
            .include_x(0.0)
            .include_x(if across == Across::Steps { self.last_step.max(1.0) } else { self.last_step })
            .show(ui, |plot| {
                let asked_for_all = zoom.is_some_and(|zoom| self.zoom(plot, zoom));
                if let Some(stretch) = brushed {
                    plot.span(Span::new("", stretch).fill(palette.accent_soft).border_width(0.0));
                }
                self.draw(plot, palette, at);
                !asked_for_all && !plot.auto_bounds().x
            })
    }

    /// Whether all of it is to be shown again.
    fn zoom(&self, plot: &mut PlotUi<'_>, zoom: Zoom) -> bool {
        let range = plot.plot_bounds().range_x();
        let shown = [range.start().max(0.0), range.end().min(self.last_step.max(*range.start()))];
        let part = zoom.of(shown, self.last_step);
        plot.set_auto_bounds([part.is_none(), true]);
        if let Some([low, high]) = part {
            plot.set_plot_bounds_x(low..=high);
        }
        part.is_none()
    }

    fn draw(&self, plot: &mut PlotUi<'_>, palette: &Palette, at: Option<f64>) {
        // While the view follows the data all of it is drawn: its extent is what the view follows.
        let range: RangeInclusive<f64> =
            if plot.auto_bounds().x { f64::NEG_INFINITY..=f64::INFINITY } else { plot.plot_bounds().range_x() };
        // Among many lines nobody follows one from pixel to pixel, and all corners are handed over at every frame.
        let pixels = (self.lines.len() / MANY_LINES + 2).min(COARSEST);
        let buckets = plot.response().rect.width().max(64.0) as usize / pixels;
        let thinned = self.thinned(plot.ctx(), &range, buckets);
        let extent = thinned.extent;
        plot.set_plot_bounds_y(extent.low..=extent.high);

        self.draw_levels(plot, palette);
        self.draw_marks(plot, palette);
        for (band, places) in self.bands.iter().zip(&thinned.bands) {
            draw_band(plot, theme::series_color(palette, band.look), places);
        }
        plot.add(PlottedLines::new(Arc::clone(&thinned), self.looks(palette, &thinned)));
        for (line, thinned) in self.lines.iter().zip(&thinned.lines).filter(|(line, _)| !line.faint) {
            let color = line.drawn_color(palette);
            draw_faults(plot, &thinned.faults, extent, color);
            if self.clip {
                draw_clipped(plot, &thinned.beyond, extent, color);
            }
        }
        if let Some(step) = at {
            plot.vline(VLine::new("", step).stroke(Stroke::new(1.0, palette.weak)).allow_hover(false));
        }
    }

    fn draw_marks(&self, plot: &mut PlotUi<'_>, palette: &Palette) {
        // A controller turns its knob at every evaluation: what lies on one pixel is drawn once.
        let pixel = 1.0 / plot.transform().dpos_dvalue_x().abs();
        let mut last = BTreeMap::new();
        for mark in &self.marks {
            let before = last.insert(mark.look, mark.place);
            if before.is_some_and(|before: f64| (mark.place - before).abs() < pixel) {
                continue;
            }
            let color = mark.look.map_or(palette.warning, |look| theme::series_color(palette, look));
            plot.vline(
                VLine::new("", mark.place)
                    .stroke(Stroke::new(1.0, color))
                    .style(LineStyle::dotted_dense())
                    .allow_hover(false),
            );
        }
    }

    fn looks(&self, palette: &Palette, thinned: &Thinned) -> Vec<Look> {
        let points: usize = thinned.lines.iter().map(|line| line.places.len()).sum();
        let look = |(line, thinned): (&Line<'_>, &ThinnedLine)| {
            let (share, width) = match (line.faint, line.thin) {
                (true, _) => (0.32, 1.0),
                (false, true) => (0.75, 1.0),
                (false, false) => (1.0, 1.7),
            };
            let color = line.drawn_color(palette);
            Look {
                color: if share < 1.0 { color.gamma_multiply(share) } else { color },
                width,
                pattern: line.pattern(),
                marked: line.points && thinned.places.len() < FEW_POINTS && points < MANY_POINTS,
            }
        };
        self.lines.iter().zip(&thinned.lines).map(look).collect()
    }

    fn draw_levels(&self, plot: &mut PlotUi<'_>, palette: &Palette) {
        let line = |value: f64, color| {
            let place = self.scale.place(value);
            (!place.is_nan()).then(|| HLine::new("", place).stroke(Stroke::new(1.0, color)).allow_hover(false))
        };
        for value in metrics::levels(self.metric) {
            plot_line(plot, line(*value, palette.hairline));
        }
        for level in &self.levels {
            plot_line(plot, line(level.value, palette.weak).map(|line| line.style(LineStyle::dashed_dense())));
        }
    }
}

fn draw_band(plot: &mut PlotUi<'_>, color: egui::Color32, places: &[[f64; 3]]) {
    let column = |at: usize| places.iter().map(|place| place[at]).collect::<Vec<f64>>();
    if places.len() > 1 {
        let fill = color.gamma_multiply(0.16);
        plot.add(FilledArea::new("", &column(0), &column(1), &column(2)).fill_color(fill).allow_hover(false));
    }
}

/// An arrow at the edge for each value that lies beyond it.
fn draw_clipped(plot: &mut PlotUi<'_>, [above, below]: &[Vec<f64>; 2], extent: Extent, color: egui::Color32) {
    let edge = extent.length() * MARGIN / 2.0;
    for (shape, place, steps) in
        [(MarkerShape::Up, extent.high - edge, above), (MarkerShape::Down, extent.low + edge, below)]
    {
        if !steps.is_empty() {
            let arrows: Vec<Point> = steps.iter().map(|step| [*step, place]).collect();
            let arrows = Points::new("", PlotPoints::new(arrows)).shape(shape);
            plot.points(arrows.radius(3.0).color(color).allow_hover(false));
        }
    }
}

fn plot_line(plot: &mut PlotUi<'_>, line: Option<HLine>) {
    if let Some(line) = line {
        plot.hline(line);
    }
}

/// A cross at the foot of the plot for each step that was measured and is not a number.
fn draw_faults(plot: &mut PlotUi<'_>, steps: &[f64], extent: Extent, color: egui::Color32) {
    let foot = extent.low + extent.length() * MARGIN / 2.0;
    if !steps.is_empty() {
        let crosses: Vec<Point> = steps.iter().map(|step| [*step, foot]).collect();
        let crosses = Points::new("", PlotPoints::new(crosses)).shape(MarkerShape::Cross);
        plot.points(crosses.radius(3.5).color(color).allow_hover(false));
    }
}

/// At most about `count` marks at round numbers: 1, 2 or 5 times a power of ten apart.
pub fn round_marks(grid: GridInput, count: usize) -> Vec<GridMark> {
    let (low, high) = grid.bounds;
    let raw = (high - low) / count.max(1) as f64;
    if !raw.is_finite() || raw <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(raw.log10().floor());
    let step_size =
        [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= raw).unwrap_or(power * 10.0);
    let first = (low / step_size).ceil() as i64;
    let last = (high / step_size).floor() as i64;
    (first..=last).map(|n| GridMark { value: n as f64 * step_size, step_size }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::series::Series;

    fn marks(low: f64, high: f64, count: usize) -> Vec<f64> {
        let grid = GridInput { bounds: (low, high), base_step_size: 1.0 };
        round_marks(grid, count).iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        assert_eq!(marks(0.0, 400.0, 5), [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!(marks(-80.0, 80.0, 5), [-50.0, 0.0, 50.0]);
        assert_eq!(marks(0.1, 0.9, 4), [0.2, 0.4, 0.6000000000000001, 0.8]);
    }

    #[test]
    fn a_line_that_hangs_on_another_begins_on_it() {
        let series = Series::from_points((0..=10).map(|step| [f64::from(step) * 10.0, 1.0]));
        let drawn = |from| {
            let line = Line::new("fork", &series, 0).hanging_from(from);
            line.own_part(&(f64::NEG_INFINITY..=f64::INFINITY), 64).first().map(|point| point[0])
        };
        assert_eq!(drawn(None), Some(0.0));
        assert_eq!(drawn(Some(30.0)), Some(30.0));
        assert_eq!(drawn(Some(35.0)), Some(30.0), "the last evaluation that both have");
        let line = Line::new("fork", &series, 0).hanging_from(Some(30.0));
        assert_eq!(line.own_part(&(0.0..=15.0), 64), Vec::<Point>::new(), "all of it lies later");
        let long = Series::from_points((0..10_000).map(|step| [f64::from(step), 1.0]));
        let line = Line::new("fork", &long, 0).hanging_from(Some(4321.0));
        let drawn = line.own_part(&(f64::NEG_INFINITY..=f64::INFINITY), 20);
        assert!(drawn[0][0] == 4321.0 && drawn.len() < 100, "{} points", drawn.len());
    }

    #[test]
    fn a_view_without_extent_has_no_marks() {
        assert!(marks(1.0, 1.0, 4).is_empty());
        assert!(marks(f64::NAN, 1.0, 4).is_empty());
    }
}
