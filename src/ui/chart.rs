//! A line chart as this program draws it: a card with a caption, a legend that doubles as the numeric read-out, a shared
//! cursor over all charts of a group, and a name that a screen reader can say.

use std::ops::RangeInclusive;

use egui::{Id, Rangef, Response, RichText, Role, Stroke, Ui, WidgetInfo};
use egui_plot::{AxisHints, FilledArea, HLine, LineStyle, Plot, PlotPoints, PlotUi, Points, VLine};

use super::{
    parts,
    theme::{self, Palette, size, space},
};
use crate::state::{
    metric,
    runs::Mark,
    series::{self, Series},
};

/// One line of a chart.
pub struct Line<'a> {
    pub name: String,
    pub series: &'a Series,
    /// Place in the colour and pattern tables.
    pub look: usize,
    /// Chosen and rejected have colours of their own.
    pub color: Option<egui::Color32>,
    /// Values are drawn times this.
    pub scale: f64,
    /// Measured rarely: each point is marked.
    pub points: bool,
    /// The raw trace behind a smoothed one: thin, faint, not in the legend.
    pub faint: bool,
}

impl<'a> Line<'a> {
    pub fn new(name: impl Into<String>, series: &'a Series, look: usize) -> Self {
        Self {
            name: name.into(),
            series,
            look,
            color: None,
            scale: 1.0,
            points: false,
            faint: false,
        }
    }

    pub fn color(mut self, color: egui::Color32) -> Self {
        self.color = Some(color);
        self
    }

    pub fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
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
                self.header(ui, palette, at);
                let response = self.plot(ui, palette, at);
                self.remember_cursor(ui, cursor_id, cursor, &response);
                if !self.note.is_empty() {
                    parts::caption(ui, self.note.as_str());
                }
                let name = self.spoken();
                response
                    .response
                    .widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
                response.response
            })
            .inner
    }

    /// Caption, then the legend with the value at the cursor, or the newest one.
    fn header(&self, ui: &mut Ui, palette: &Palette, at: Option<f64>) {
        ui.horizontal(|ui| {
            ui.label(RichText::new(&self.title).color(palette.strong));
            let step = at.or_else(|| self.shown_lines().find_map(|l| l.series.last_step()));
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
            ui.spacing_mut().item_spacing.x = space::XS;
            for line in self.shown_lines() {
                let color = self.color(line, palette);
                sample(ui, color, theme::series_pattern(line.look));
                ui.label(
                    RichText::new(&line.name)
                        .size(size::SMALL)
                        .color(palette.weak),
                );
                let value = match at {
                    Some(step) => line.series.nearest(step),
                    None => line.series.latest(),
                };
                let text = value.map_or_else(
                    || "–".to_owned(),
                    |point| metric::value(self.metric, point[1] * line.scale),
                );
                ui.label(RichText::new(text).size(size::SMALL).color(palette.strong));
                if line.series.not_finite() > 0 {
                    let text = format!("{} not a number", line.series.not_finite());
                    ui.label(RichText::new(text).size(size::SMALL).color(palette.error));
                }
                ui.add_space(space::S);
            }
            for level in self.levels.iter().filter(|level| !level.name.is_empty()) {
                sample(ui, palette.weak, LineStyle::dashed_dense());
                parts::caption(ui, level.name.as_str());
                ui.add_space(space::S);
            }
            if let Some((_, _, name)) = &self.band {
                parts::caption(ui, name.as_str());
            }
        });
    }

    fn shown_lines(&self) -> impl Iterator<Item = &Line<'_>> {
        self.lines.iter().filter(|line| !line.faint)
    }

    fn color(&self, line: &Line<'_>, palette: &Palette) -> egui::Color32 {
        line.color
            .unwrap_or_else(|| theme::series_color(palette, line.look))
    }

    fn plot(&self, ui: &mut Ui, palette: &Palette, at: Option<f64>) -> egui_plot::PlotResponse<()> {
        let font = egui::FontId::proportional(size::SMALL - 1.0);
        let log = self.log_y;
        let x_axis = AxisHints::new_x()
            .tick_label_font(font.clone())
            .tick_label_color(palette.weak)
            .label_spacing(Rangef::new(30.0, 50.0))
            .formatter(|mark, _| {
                if mark.value < 0.0 || mark.value.fract() != 0.0 {
                    String::new()
                } else {
                    format!("{}", mark.value)
                }
            });
        let y_axis = AxisHints::new_y()
            .tick_label_font(font)
            .tick_label_color(palette.weak)
            .label_spacing(Rangef::new(14.0, 22.0))
            .min_thickness(34.0)
            .formatter(move |mark, _| {
                metric::number(if log {
                    10f64.powf(mark.value)
                } else {
                    mark.value
                })
            });
        Plot::new((self.group, self.id))
            .height(self.height)
            .link_axis(Id::unique(("steps of charts", self.group)), [true, false])
            .show_background(false)
            .show_grid([false, true])
            .grid_color(palette.hairline)
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
        let range: RangeInclusive<f64> = if plot.auto_bounds().x {
            f64::NEG_INFINITY..=f64::INFINITY
        } else {
            bounds.range_x()
        };
        let buckets = plot.response().rect.width().max(64.0) as usize / 2;
        for level in &self.levels {
            let line = HLine::new("", self.y(level.value))
                .stroke(Stroke::new(1.0, palette.weak))
                .allow_hover(false);
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
                plot.add(
                    FilledArea::new("", &column(0), &column(1), &column(2))
                        .fill_color(fill)
                        .allow_hover(false),
                );
            }
        }
        for line in &self.lines {
            self.draw_line(plot, line, palette, &range, buckets);
        }
        if let Some(step) = at {
            plot.vline(
                VLine::new("", step)
                    .stroke(Stroke::new(1.0, palette.weak))
                    .allow_hover(false),
            );
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
        let points: Vec<[f64; 2]> = line
            .series
            .visible(range, buckets)
            .into_iter()
            .map(|[step, value]| [step, self.y(value * line.scale)])
            .collect();
        let color = self.color(line, palette);
        if line.points && points.len() < 200 {
            plot.points(
                Points::new("", PlotPoints::new(points.clone()))
                    .radius(2.6)
                    .color(color)
                    .allow_hover(false),
            );
        }
        let (color, width) = if line.faint {
            (color.gamma_multiply(0.32), 1.0)
        } else {
            (color, 1.7)
        };
        let pattern = if line.faint {
            LineStyle::Solid
        } else {
            theme::series_pattern(line.look)
        };
        plot.line(
            egui_plot::Line::new("", PlotPoints::new(points))
                .id((self.id, &line.name, line.faint))
                .color(color)
                .width(width)
                .style(pattern)
                .allow_hover(false),
        );
    }

    fn y(&self, value: f64) -> f64 {
        if self.log_y { value.log10() } else { value }
    }

    /// The cursor belongs to the chart under the pointer; it goes when the pointer leaves.
    fn remember_cursor(
        &self,
        ui: &Ui,
        cursor_id: Id,
        cursor: Option<Cursor>,
        plot: &egui_plot::PlotResponse<()>,
    ) {
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
        let mut lines = self
            .shown_lines()
            .filter_map(|line| Some((line, line.series.latest()?)));
        let Some((first, [step, value])) = lines.next() else {
            return format!("{} chart, nothing measured yet", self.title);
        };
        let mut text = format!(
            "{} chart, latest {} at step {step:.0}",
            self.title,
            metric::value(self.metric, value * first.scale)
        );
        for (line, [_, value]) in lines {
            let value = metric::value(self.metric, value * line.scale);
            text.push_str(&format!("; {} {value}", line.name));
        }
        text
    }
}

/// A short piece of a line, for legends: colour and pattern as in the chart.
pub fn sample(ui: &mut Ui, color: egui::Color32, pattern: LineStyle) {
    let (rect, _) = ui.allocate_exact_size(egui::vec2(20.0, 10.0), egui::Sense::hover());
    let ends = [rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.0, color);
    let painter = ui.painter();
    match pattern {
        LineStyle::Solid => {
            painter.line_segment(ends, stroke);
        }
        LineStyle::Dashed { length } => {
            let length = length.min(6.0);
            painter.extend(egui::Shape::dashed_line(
                &ends,
                stroke,
                length,
                length * 0.6,
            ));
        }
        LineStyle::Dotted { .. } => {
            painter.extend(egui::Shape::dotted_line(&ends, color, 4.0, 1.3));
        }
    }
}
