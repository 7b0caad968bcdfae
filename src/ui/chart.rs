//! A line chart as this program draws it: a card with a caption, a legend that doubles as the numeric read-out, a
//! shared cursor over all charts of a group, and a name that a screen reader can say.

mod axis;
mod brush;
mod cursor;
mod curves;
mod draw;
mod thinned;

use data::{Across, Scale, metrics};
use egui::{CursorIcon, Id, Label, Rect, Response, RichText, Role, Sense, Ui, WidgetInfo};
use egui_plot::LineStyle;
use state::{compare::Zoom, runs::Mark, series::Series};

use super::{
    legend, parts,
    theme::{self, Palette, size, space},
};
pub use axis::{axis_of, looks};
pub use brush::brush;
pub use cursor::{ask_cursor, choose_step, chosen_step, cursor_of_paths, point_at_paths, step_cursor};
pub use draw::round_marks;

/// A plot is never lower than this.
const LOWEST: f32 = 72.0;

/// Of what is across: marks so near to the cursor are at it.
const NEAR: f64 = 0.004;

/// More lines than this are told by their highest and their lowest, and listed under the pointer.
const MOST_ENTRIES: usize = 5;
const MOST_LISTED: usize = 24;

/// What can be done with a chart, said once above the charts of a group.
pub const GESTURES: &str = "Point at a chart to read all of them there, a click stays · Drag moves along · Ctrl + wheel zooms · Double click shows all";

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
    /// Drawn from the last point at or before this step on; what comes before is another line's.
    pub from: Option<f64>,
}

impl<'a> Line<'a> {
    pub fn new(name: impl Into<String>, series: &'a Series, look: usize) -> Self {
        Self {
            name: name.into(),
            series,
            look,
            color: None,
            points: false,
            solid: false,
            thin: false,
            faint: false,
            from: None,
        }
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

    /// Hangs on another line from this step on.
    pub fn hanging_from(mut self, step: Option<f64>) -> Self {
        self.from = step;
        self
    }
}

/// What lies between two series that were measured together.
pub struct Band<'a> {
    pub low: &'a Series,
    pub high: &'a Series,
    /// Place in the colour table.
    pub look: usize,
    /// For the legend; empty: it belongs to a line that says so.
    pub name: String,
}

impl<'a> Band<'a> {
    /// The only one of a chart, where both its edges are there. `what`: it holds.
    pub fn shaded(edges: Option<(&'a Series, &'a Series)>, what: &str) -> Vec<Self> {
        let name = format!("shaded: {what}");
        edges.map(|(low, high)| Self { low, high, look: 0, name }).into_iter().collect()
    }
}

/// A level worth knowing, drawn across and named: IPO's target. What every value of the metric is read against is drawn
/// anyway, see [`data::metrics::levels`].
pub struct ChartLevel {
    pub value: f64,
    pub name: String,
}

/// Something that happened on the way, drawn upright and named at the cursor.
#[derive(Clone, Copy)]
pub struct ChartMark<'a> {
    /// On what is across.
    pub place: f64,
    pub text: &'a str,
    /// Of the line that it belongs to, among others.
    pub look: Option<usize>,
}

impl<'a> ChartMark<'a> {
    /// Of the only run of a chart over steps.
    pub fn all(marks: &'a [Mark]) -> Vec<Self> {
        marks.iter().map(|mark| Self { place: mark.step as f64, text: &mark.text, look: None }).collect()
    }
}

#[derive(Default)]
pub struct Chart<'a> {
    /// Unique on its screen.
    pub id: &'a str,
    pub title: String,
    pub lines: Vec<Line<'a>>,
    pub bands: Vec<Band<'a>>,
    pub levels: Vec<ChartLevel>,
    pub marks: Vec<ChartMark<'a>>,
    /// Charts of one group share their steps and the cursor.
    pub group: &'a str,
    /// What its lines are over.
    pub across: Across,
    /// The x axis runs at least to here.
    pub last_step: f64,
    /// Of the whole card: cards of a row end at one line, whatever their legends and notes need.
    pub height: f32,
    pub scale: Scale,
    /// The few values far from the others do not stretch the axis; where they lie is told at its edge.
    pub clip: bool,
    /// How a value is written; gets the metric's caption rules.
    pub metric: &'a str,
    /// One sentence under the chart: what its lines come to.
    pub note: String,
    /// What is drawn, on its title.
    pub about: &'a str,
    /// Its title can be dragged to another chart; what is carried is [`Carried`].
    pub moves: bool,
}

/// The metric of a chart on its way to another place.
pub struct Carried(pub String);

impl<'a> Chart<'a> {
    pub fn show(self, ui: &mut Ui) -> Response {
        let palette = parts::palette(ui);
        let at = self.cursor(ui);
        let frame = parts::card_frame(ui).inner_margin(egui::Margin::same(space::M as i8));
        let edge = frame.total_margin().sum().y;
        frame
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing.y = space::XS;
                let top = ui.cursor().top();
                self.header(ui, palette, at);
                let note = self.note_galley(ui, palette);
                // A text without words is a row high all the same.
                let under = if self.note.is_empty() { 0.0 } else { note.size().y + ui.spacing().item_spacing.y };
                let used = ui.cursor().top() - top + under + edge;
                let height = (self.height - used).max(LOWEST);
                let room = egui::vec2(ui.available_width(), height);
                let response = if self.lines.is_empty() {
                    nothing_yet(ui, palette, height)
                } else if !ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, room)) {
                    // Scrolled out of sight it keeps its place and its name.
                    ui.allocate_exact_size(room, Sense::hover()).1
                } else {
                    let plot = self.plot(ui, palette, at, height);
                    self.follow_pointer(ui, &plot);
                    self.remember_view(ui, &plot);
                    brush::take(ui, self.group, Id::unique((self.group, self.id)), &plot);
                    if let Some(why) = self.why_empty() {
                        words(ui, palette, plot.response.rect, why);
                    }
                    plot.response
                };
                if !self.note.is_empty() {
                    ui.label(note);
                }
                response.widget_info(|| WidgetInfo::labeled(Role::Image, true, self.spoken()));
                if self.shown_lines().count() > MOST_ENTRIES {
                    response.on_hover_ui_at_pointer(|ui| self.listed(ui, at))
                } else {
                    response
                }
            })
            .inner
    }

    /// Caption, then the legend with the value at the cursor, or the newest one.
    fn header(&self, ui: &mut Ui, palette: &Palette, at: Option<f64>) {
        ui.horizontal(|ui| {
            let title = if self.moves {
                movable_title(ui, &self.title, self.metric)
            } else {
                ui.add(Label::new(RichText::new(&self.title).color(palette.strong)))
            };
            if !self.about.is_empty() {
                title.on_hover_text(self.about);
            }
            self.all_steps(ui);
            let newest = || self.shown_lines().find_map(|l| l.series.last_step());
            let step = at.filter(|_| !self.lines.is_empty()).or_else(newest);
            if let Some(step) = step {
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let mark = at.and_then(|at| self.mark_at(at));
                    let place = self.across.place(mark.map_or(step, |mark| mark.place));
                    let text = match mark {
                        Some(mark) => format!("{place}: {}", mark.text),
                        None => place,
                    };
                    let told = Label::new(RichText::new(&text).size(size::SMALL).color(palette.weak)).truncate();
                    let told = ui.add(told);
                    if mark.is_some() {
                        told.on_hover_text(text);
                    }
                });
            }
        });
        parts::small_row(ui, |ui| {
            for (line, value) in self.in_legend(at) {
                let value = value.map_or_else(|| "–".to_owned(), |value| metrics::value(self.metric, value));
                let look = (line.drawn_color(palette), line.pattern());
                legend::entry(ui, Some(look), &line.name, &value);
                let small =
                    |text: String, color| egui::Label::new(RichText::new(text).size(size::SMALL).color(color)).extend();
                if line.series.not_finite() > 0 {
                    ui.add(small(faults(line.series), palette.error))
                        .on_hover_text("Measured, but not a number: these steps have a cross at the foot of the chart");
                }
                let left_out = self.left_out(line.series);
                if left_out > 0 {
                    ui.add(small(format!("{left_out} of 0 or below"), palette.weak))
                        .on_hover_text("They have no place on a log scale and are left out");
                }
            }
            let more = self.shown_lines().count().saturating_sub(MOST_ENTRIES);
            if more > 0 {
                let others = self.shown_lines().count() - 2;
                parts::caption(ui, format!("and {others} between"))
                    .on_hover_text("Pointing at the chart lists all of them");
            }
            for level in &self.levels {
                let look = (palette.weak, LineStyle::dashed_dense());
                legend::entry(ui, Some(look), &level.name, "");
            }
            for band in self.bands.iter().filter(|band| !band.name.is_empty()) {
                legend::entry(ui, None, &band.name, "");
            }
        });
    }

    /// What happened there; where not every place can be pointed at, so close to it that nobody could tell.
    fn mark_at(&self, at: f64) -> Option<&ChartMark<'a>> {
        let near = if self.across == Across::Steps { 0.0 } else { NEAR * self.last_step };
        let away = |mark: &&ChartMark<'_>| (mark.place - at).abs();
        let mark = self.marks.iter().min_by(|one, other| away(one).total_cmp(&away(other)))?;
        (away(&mark) <= near).then_some(mark)
    }

    /// Every line with its value at the cursor, or its newest one.
    fn values(&self, at: Option<f64>) -> Vec<(&Line<'_>, Option<f64>)> {
        let value = |line: &Line<'_>| match at {
            Some(step) => line.series.fault_at(step).or_else(|| Some(line.series.nearest(step)?[1])),
            None => line.series.latest().map(|point| point[1]),
        };
        self.shown_lines().map(|line| (line, value(line))).collect()
    }

    /// What has an entry in the legend: all lines while they are few, else the highest and the lowest of them.
    fn in_legend(&self, at: Option<f64>) -> Vec<(&Line<'_>, Option<f64>)> {
        let mut values = self.values(at);
        if values.len() > MOST_ENTRIES {
            sort_by_value(&mut values);
            values.drain(1..values.len() - 1);
        }
        values
    }

    /// All lines of a chart that has too many for its legend, the highest first.
    fn listed(&self, ui: &mut Ui, at: Option<f64>) {
        let palette = parts::palette(ui);
        let mut values = self.values(at);
        sort_by_value(&mut values);
        for (line, value) in values.iter().take(MOST_LISTED) {
            let value = value.map_or_else(|| "–".to_owned(), |value| metrics::value(self.metric, value));
            legend::entry(ui, Some((line.drawn_color(palette), line.pattern())), &line.name, &value);
        }
        if values.len() > MOST_LISTED {
            parts::caption(ui, format!("and {} below them", values.len() - MOST_LISTED));
        }
    }

    fn note_galley(&self, ui: &Ui, palette: &Palette) -> std::sync::Arc<egui::Galley> {
        let font = egui::FontId::proportional(size::SMALL);
        ui.painter().layout(self.note.clone(), font, palette.weak, ui.available_width())
    }

    /// How many values have no place on this scale although they are numbers.
    fn left_out(&self, series: &Series) -> usize {
        match self.scale {
            Scale::Linear | Scale::SymLog => 0,
            Scale::Log => series.not_positive(),
        }
    }

    /// Why a chart with lines shows none of them.
    fn why_empty(&self) -> Option<&'static str> {
        let drawable = |line: &Line<'_>| line.series.points().iter().any(|point| !self.scale.place(point[1]).is_nan());
        let measured = || self.lines.iter().any(|line| line.series.latest().is_some());
        match () {
            () if self.lines.iter().any(drawable) => None,
            () if measured() => Some("Nothing above 0, so nothing has a place on a log scale"),
            () => Some("Not a number at any step"),
        }
    }

    /// The way back from a part of the steps to all of them.
    fn all_steps(&self, ui: &mut Ui) {
        let zoomed = ui.data(|data| data.get_temp(zoomed_id(self.group))).unwrap_or(false);
        if zoomed && parts::quiet(ui, true, "Show all").on_hover_text("Or double click in a chart").clicked() {
            ask_zoom(ui, self.group, Zoom::All);
        }
    }

    fn remember_view(&self, ui: &Ui, plot: &egui_plot::PlotResponse<bool>) {
        ui.data_mut(|data| data.insert_temp(zoomed_id(self.group), plot.inner));
    }

    fn shown_lines(&self) -> impl Iterator<Item = &Line<'_>> {
        self.lines.iter().filter(|line| !line.faint)
    }

    /// "Loss chart, latest 0.42 at step 120"; of several lines each with its name, and its step where that is another.
    fn spoken(&self) -> String {
        let faulty = self.shown_lines().filter(|line| line.series.not_finite() > 0);
        let faulty: Vec<String> = faulty.map(|line| format!("{} {}", line.name, faults(line.series))).collect();
        let newest: Vec<_> = self.shown_lines().filter_map(|line| Some((line, line.series.latest()?))).collect();
        let Some((_, [first, _])) = newest.first().copied() else {
            return match &faulty[..] {
                [] => format!("{} chart, nothing measured yet", self.title),
                some => format!("{} chart, no value that is a number; {}", self.title, some.join("; ")),
            };
        };
        let told = newest.iter().enumerate().map(|(index, (line, [place, value]))| {
            let name = if newest.len() > 1 { format!("{} ", line.name) } else { String::new() };
            let value = metrics::value(self.metric, *value);
            let at = (index == 0 || place != &first).then(|| format!(" at {}", self.across.place(*place)));
            format!("{name}{value}{}", at.unwrap_or_default())
        });
        let levels = self.levels.iter().map(|level| level.name.clone());
        let told: Vec<String> = told.chain(levels).chain(faulty).collect();
        format!("{} chart, latest {}", self.title, told.join("; "))
    }
}

/// A title that can be dragged to another chart.
pub fn movable_title(ui: &mut Ui, title: &str, metric: &str) -> Response {
    let title = RichText::new(title).color(parts::palette(ui).strong);
    let title = ui.add(Label::new(title).selectable(false).sense(Sense::drag()));
    title.dnd_set_drag_payload(Carried(metric.to_owned()));
    title.on_hover_cursor(CursorIcon::Grab)
}

/// Moves the charts of a group along what they have across, at their next frame.
pub fn ask_zoom(ui: &Ui, group: &str, zoom: Zoom) {
    ui.data_mut(|data| data.insert_temp(zoom_id(group), zoom));
}

fn zoom_id(group: &str) -> Id {
    Id::unique(("asked to zoom charts", group))
}

/// Whether the charts of a group show a part of the steps.
fn zoomed_id(group: &str) -> Id {
    Id::unique(("zoomed charts", group))
}

/// The highest first; without a value last.
fn sort_by_value(values: &mut [(&Line<'_>, Option<f64>)]) {
    let key = |value: Option<f64>| value.filter(|value| value.is_finite()).unwrap_or(f64::NEG_INFINITY);
    values.sort_by(|(_, one), (_, other)| key(*other).total_cmp(&key(*one)));
}

fn faults(series: &Series) -> String {
    format!("{} not a number", series.not_finite())
}

/// An empty chart says so, instead of showing axes of nothing.
fn nothing_yet(ui: &mut Ui, palette: &Palette, height: f32) -> Response {
    let room = egui::vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(room, egui::Sense::hover());
    words(ui, palette, rect, "Nothing measured yet");
    response
}

/// A sentence in the place of lines.
fn words(ui: &Ui, palette: &Palette, rect: egui::Rect, text: &str) {
    let font = egui::FontId::proportional(size::SMALL);
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, text, font, palette.weak);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn height(chart: Chart<'_>) -> f32 {
        let mut chart = Some(chart);
        let mut height = 0.0;
        let mut output = egui::Context::default().run_ui(egui::RawInput::default(), |ui| {
            if let Some(chart) = chart.take() {
                height = ui.scope(|ui| chart.show(ui)).response.rect.height();
            }
        });
        output.textures_delta.clear();
        height
    }

    #[test]
    fn a_card_is_as_high_as_asked_whatever_stands_in_it() {
        let series = Series::from_points([[0.0, 1.0], [10.0, 2.0]]);
        let chart = |name: &str, note: &str| Chart {
            id: "loss",
            title: "Loss".to_owned(),
            lines: vec![Line::new(name, &series, 0)],
            note: note.to_owned(),
            height: 232.0,
            ..Chart::default()
        };
        let long = "A sentence that is far too long for one line of a card. ".repeat(6);
        for (name, note) in [("whole", ""), ("whole", "One line"), ("whole", &long)] {
            let height = height(chart(name, note));
            assert!((height - 232.0).abs() < 0.5, "{height} with {note:?}");
        }
        let height = height(Chart { lines: Vec::new(), ..chart("whole", "") });
        assert!((height - 232.0).abs() < 0.5, "{height} before anything is measured");
    }

    #[test]
    fn of_several_lines_each_is_said_with_its_name_and_a_step_of_its_own() {
        let [long, short] = [10.0, 5.0].map(|end| Series::from_points([[0.0, 1.0], [end, 2.0]]));
        let chart = |lines| Chart { title: "Loss".to_owned(), lines, ..Chart::default() };
        let one = || Line::new("MPO", &long, 0);
        assert_eq!(chart(vec![one()]).spoken(), "Loss chart, latest 2 at step 10");
        let said = chart(vec![one(), Line::new("DPO", &short, 1)]).spoken();
        assert_eq!(said, "Loss chart, latest MPO 2 at step 10; DPO 2 at step 5");
    }
}
