//! A line chart as this program draws it: a card with a caption, a legend that doubles as the numeric read-out, a shared
//! cursor over all charts of a group, and a name that a screen reader can say.

use std::ops::RangeInclusive;

use egui::{Id, Rangef, Response, RichText, Role, Stroke, Ui, WidgetInfo};
use egui_plot::{
    AxisHints, FilledArea, GridInput, GridMark, HLine, LineStyle, Plot, PlotPoints, PlotUi, Points, VLine,
};

use super::{
    legend, parts,
    theme::{self, Palette, size, space},
};
use crate::state::{
    metric,
    runs::Mark,
    series::{self, Series},
};

/// A plot is never lower than this.
const LOWEST: f32 = 72.0;

/// One line of a chart.
pub struct Line<'a> {
    pub name: String,
    pub series: &'a Series,
    /// Place in the colour and pattern tables.
    pub look: usize,
    /// Chosen and rejected have colours of their own.
    pub color: Option<egui::Color32>,
    /// Measured rarely: each point is marked.
    pub points: bool,
    pub solid: bool,
    pub thin: bool,
    /// The raw trace behind a smoothed one: thin, faint, not in the legend.
    pub faint: bool,
}

impl<'a> Line<'a> {
    pub fn new(name: impl Into<String>, series: &'a Series, look: usize) -> Self {
        Self { name: name.into(), series, look, color: None, points: false, solid: false, thin: false, faint: false }
    }

    pub fn color(mut self, color: egui::Color32) -> Self {
        self.color = Some(color);
        self
    }

    /// Noisy by nature: drawn thin, so that the calm lines lead.
    pub fn thin(mut self) -> Self {
        self.thin = true;
        self
    }

    /// Alone on its chart: no pattern is needed to tell it apart.
    pub fn solid(mut self) -> Self {
        self.solid = true;
        self
    }

    fn drawn_color(&self, palette: &Palette) -> egui::Color32 {
        self.color.unwrap_or_else(|| theme::series_color(palette, self.look))
    }

    fn pattern(&self) -> LineStyle {
        if self.solid || self.faint { LineStyle::Solid } else { theme::series_pattern(self.look) }
    }

    pub fn with_points(mut self) -> Self {
        self.points = true;
        self
    }

    pub fn faint(mut self) -> Self {
        self.faint = true;
        self
    }
}

/// A level worth knowing, drawn across: zero, IPO's target.
pub struct Level {
    pub value: f64,
    /// Empty = drawn, not named.
    pub name: String,
}

pub struct Chart<'a> {
    /// Unique on its screen.
    pub id: &'a str,
    pub title: String,
    pub lines: Vec<Line<'a>>,
    pub band: Option<(&'a Series, &'a Series, String)>,
    pub levels: Vec<Level>,
    pub marks: &'a [Mark],
    /// Charts of one group share their steps and the cursor.
    pub group: &'a str,
    /// The x axis runs at least to here.
    pub last_step: f64,
    /// Of the whole card: cards of a row end at one line, whatever their legends and notes need.
    pub height: f32,
    pub log_y: bool,
    /// How a value is written; gets the metric's caption rules.
    pub metric: &'a str,
    /// One sentence under the chart.
    pub note: String,
}

/// What the pointer points at, shared by a group of charts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cursor {
    step: f64,
    owner: Id,
}

impl Chart<'_> {
    pub fn show(self, ui: &mut Ui) -> Response {
        let palette = parts::palette(ui);
        let cursor_id = Id::unique(("cursor of charts", self.group));
        let cursor: Option<Cursor> = ui.data(|data| data.get_temp(cursor_id));
        let at = cursor.map(|cursor| cursor.step);
        let frame = parts::card_frame(ui).inner_margin(egui::Margin::same(space::M as i8));
        frame
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing.y = space::XS;
                let top = ui.cursor().top();
                self.header(ui, palette, at);
                let note = self.note_galley(ui, palette);
                let used = ui.cursor().top() - top + note.size().y + 2.0 * space::M;
                let height = (self.height - used).max(LOWEST);
                let response = if self.lines.is_empty() {
                    nothing_yet(ui, palette, height)
                } else {
                    let plot = self.plot(ui, palette, at, height);
                    self.remember_cursor(ui, cursor_id, cursor, &plot);
                    plot.response
                };
                if !self.note.is_empty() {
                    ui.label(note);
                }
                let name = self.spoken();
                response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
                response
            })
            .inner
    }

    /// Caption, then the legend with the value at the cursor, or the newest one.
    fn header(&self, ui: &mut Ui, palette: &Palette, at: Option<f64>) {
        ui.horizontal(|ui| {
            ui.label(RichText::new(&self.title).color(palette.strong));
            let newest = || self.shown_lines().find_map(|l| l.series.last_step());
            let step = at.filter(|_| !self.lines.is_empty()).or_else(newest);
            if let Some(step) = step {
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let mark = self.marks.iter().find(|m| at == Some(m.step as f64));
                    let text = match mark {
                        Some(mark) => format!("step {step:.0}: {}", mark.text),
                        None => format!("step {step:.0}"),
                    };
                    parts::caption(ui, text);
                });
            }
        });
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::vec2(space::M, 2.0);
            ui.spacing_mut().interact_size.y = size::SMALL;
            for line in self.shown_lines() {
                let value = match at {
                    Some(step) => line.series.nearest(step),
                    None => line.series.latest(),
                };
                let value = value.map_or_else(|| "–".to_owned(), |point| metric::value(self.metric, point[1]));
                let look = (line.drawn_color(palette), line.pattern());
                legend::entry(ui, Some(look), &line.name, &value);
                if line.series.not_finite() > 0 {
                    let text = format!("{} not a number", line.series.not_finite());
                    ui.label(RichText::new(text).size(size::SMALL).color(palette.error));
                }
            }
            for level in self.levels.iter().filter(|level| !level.name.is_empty()) {
                let look = (palette.weak, LineStyle::dashed_dense());
                legend::entry(ui, Some(look), &level.name, "");
            }
            if let Some((_, _, name)) = &self.band {
                legend::entry(ui, None, name, "");
            }
        });
    }

    fn note_galley(&self, ui: &Ui, palette: &Palette) -> std::sync::Arc<egui::Galley> {
        let font = egui::FontId::proportional(size::SMALL);
        ui.painter().layout(self.note.clone(), font, palette.weak, ui.available_width())
    }

    fn shown_lines(&self) -> impl Iterator<Item = &Line<'_>> {
        self.lines.iter().filter(|line| !line.faint)
    }

    fn plot(&self, ui: &mut Ui, palette: &Palette, at: Option<f64>, height: f32) -> egui_plot::PlotResponse<()> {
        let font = egui::FontId::proportional(size::SMALL - 1.0);
        let (log, name) = (self.log_y, self.metric);
        let rows = (height / 26.0) as usize;
        let columns = (ui.available_width() / 64.0) as usize;
        let x_axis = AxisHints::new_x()
            .tick_label_font(font.clone())
            .tick_label_color(palette.weak)
            .label_spacing(Rangef::new(8.0, 12.0))
            .formatter(|mark, _| {
                if mark.value < 0.0 || mark.value.fract() != 0.0 { String::new() } else { format!("{}", mark.value) }
            });
        let y_axis = AxisHints::new_y()
            .tick_label_font(font)
            .tick_label_color(palette.weak)
            .label_spacing(Rangef::new(8.0, 12.0))
            .min_thickness(34.0)
            .formatter(move |mark, _| {
                let value = if log { 10f64.powf(mark.value) } else { mark.value };
                metric::value(name, value)
            });
        Plot::new((self.group, self.id))
            .height(height)
            .link_axis(Id::unique(("steps of charts", self.group)), [true, false])
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
            .allow_drag([true, false])
            .allow_axis_zoom_drag([true, false])
            .allow_boxed_zoom(false)
            .set_margin_fraction(egui::vec2(0.01, 0.08))
            .include_x(0.0)
            .include_x(self.last_step.max(1.0))
            .show(ui, |plot| self.draw(plot, palette, at))
    }

    fn draw(&self, plot: &mut PlotUi<'_>, palette: &Palette, at: Option<f64>) {
        let bounds = plot.plot_bounds();
        // While the view follows the data all of it is drawn: its extent is what the view follows.
        let range: RangeInclusive<f64> =
            if plot.auto_bounds().x { f64::NEG_INFINITY..=f64::INFINITY } else { bounds.range_x() };
        let buckets = plot.response().rect.width().max(64.0) as usize / 2;
        for level in &self.levels {
            let line = HLine::new("", self.y(level.value)).stroke(Stroke::new(1.0, palette.weak)).allow_hover(false);
            plot.hline(if level.name.is_empty() {
                line.color(palette.hairline)
            } else {
                line.style(LineStyle::dashed_dense())
            });
        }
        for mark in self.marks {
            plot.vline(
                VLine::new("", mark.step as f64)
                    .stroke(Stroke::new(1.0, palette.warning))
                    .style(LineStyle::dotted_dense())
                    .allow_hover(false),
            );
        }
        if let Some((lower, upper, _)) = &self.band {
            let band = series::band(lower, upper, &range, buckets);
            let column = |at: usize| band.iter().map(|p| p[at]).collect::<Vec<f64>>();
            if band.len() > 1 {
                let fill = theme::series_color(palette, 0).gamma_multiply(0.16);
                plot.add(FilledArea::new("", &column(0), &column(1), &column(2)).fill_color(fill).allow_hover(false));
            }
        }
        for line in &self.lines {
            self.draw_line(plot, line, palette, &range, buckets);
        }
        if let Some(step) = at {
            plot.vline(VLine::new("", step).stroke(Stroke::new(1.0, palette.weak)).allow_hover(false));
        }
    }

    fn draw_line(
        &self,
        plot: &mut PlotUi<'_>,
        line: &Line<'_>,
        palette: &Palette,
        range: &RangeInclusive<f64>,
        buckets: usize,
    ) {
        let points: Vec<[f64; 2]> =
            line.series.visible(range, buckets).into_iter().map(|[step, value]| [step, self.y(value)]).collect();
        let color = line.drawn_color(palette);
        if line.points && points.len() < 200 {
            plot.points(Points::new("", PlotPoints::new(points.clone())).radius(2.6).color(color).allow_hover(false));
        }
        let (color, width) = match (line.faint, line.thin) {
            (true, _) => (color.gamma_multiply(0.32), 1.0),
            (false, true) => (color.gamma_multiply(0.75), 1.0),
            (false, false) => (color, 1.7),
        };
        let pattern = line.pattern();
        plot.line(
            egui_plot::Line::new("", PlotPoints::new(points))
                .id((self.id, &line.name, line.faint))
                .color(color)
                .width(width)
                // The points are thinned already; a band of them would fill the room between two of them.
                .allow_band(false)
                .style(pattern)
                .allow_hover(false),
        );
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.log_y { value.log10() } else { value };
        // An infinite value would stretch the axis beyond all others: like NaN it breaks the line.
        if value.is_finite() { value } else { f64::NAN }
    }

    /// The cursor belongs to the chart under the pointer; it goes when the pointer leaves.
    fn remember_cursor(&self, ui: &Ui, cursor_id: Id, cursor: Option<Cursor>, plot: &egui_plot::PlotResponse<()>) {
        let owner = Id::unique((self.group, self.id));
        let hovered = plot
            .response
            .hover_pos()
            .map(|pos| plot.transform.value_from_position(pos).x.round())
            .filter(|step| *step >= 0.0)
            .map(|step| Cursor { step, owner });
        let mine = cursor.is_some_and(|cursor| cursor.owner == owner);
        if hovered != cursor && (hovered.is_some() || mine) {
            ui.data_mut(|data| match hovered {
                Some(cursor) => {
                    data.insert_temp(cursor_id, cursor);
                }
                None => {
                    data.remove::<Cursor>(cursor_id);
                }
            });
            ui.request_repaint();
        }
    }

    /// "Loss chart, latest 0.42 at step 120", and the other lines after it.
    fn spoken(&self) -> String {
        let mut lines = self.shown_lines().filter_map(|line| Some((line, line.series.latest()?)));
        let Some((_, [step, value])) = lines.next() else {
            return format!("{} chart, nothing measured yet", self.title);
        };
        let mut text = format!("{} chart, latest {} at step {step:.0}", self.title, metric::value(self.metric, value));
        for (line, [_, value]) in lines {
            let value = metric::value(self.metric, value);
            text = format!("{text}; {} {value}", line.name);
        }
        for level in self.levels.iter().filter(|level| !level.name.is_empty()) {
            text = format!("{text}; {}", level.name);
        }
        text
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

/// An empty chart says so, instead of showing axes of nothing.
fn nothing_yet(ui: &mut Ui, palette: &Palette, height: f32) -> Response {
    let room = egui::vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(room, egui::Sense::hover());
    ui.painter().text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        "Nothing measured yet",
        egui::FontId::proportional(size::SMALL),
        palette.weak,
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_view_without_extent_has_no_marks() {
        assert!(marks(1.0, 1.0, 4).is_empty());
        assert!(marks(f64::NAN, 1.0, 4).is_empty());
    }
}
