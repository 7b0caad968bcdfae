//! Parallel coordinates: an axis a setting that differs and a column of the table, a line a run.

use std::sync::Arc;

use data::counted;
use egui::{
    Align, Color32, CursorIcon, EventFilter, FontId, Galley, Pos2, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2,
    text::LayoutJob, vec2,
};
use state::{
    actions::{Action, key_of},
    compare::{
        CompareView,
        parallel::{Axis, AxisMove, End, Marked, axes, nearest, spoken},
    },
    runs::Runs,
};
use store::RunRecord;

use crate::{
    parts,
    theme::{self, Palette, size, space},
};

const HEIGHT: f32 = 226.0;
/// An axis needs so much for its title.
const NARROWEST: f32 = 120.0;
/// Over the axes: two rows of a title. And over and under them: what stands at their ends.
const TITLE: f32 = 32.0;
const END: f32 = 18.0;
/// Words along an axis are at least so far apart.
const APART: f32 = 14.0;
/// How near the pointer has to be to a line, as a share of the height.
const REACH: f64 = 0.06;
/// Half the width of the grip of an axis.
const GRIP: f32 = 9.0;

pub fn ui(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], view: &mut CompareView) {
    let palette = parts::palette(ui);
    let mut all = axes(runs, shown, &view.differing.of(runs, shown), &view.board.table);
    let marked = &mut view.marked;
    let fit = ((ui.available_width() - 2.0 * space::L) / NARROWEST) as usize;
    let left_out = all.len().saturating_sub(fit.max(2));
    all.truncate(fit.max(2));
    if all.len() > 1 {
        marked.drawn = all.iter().map(|axis| axis.column.clone()).collect();
    }
    marked.stretches.retain(|column, _| marked.drawn.contains(column));
    marked.at.take_if(|column| !marked.drawn.contains(column));
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            parts::heading(ui, "What was set, and what came of it");
            if !marked.stretches.is_empty() && parts::quiet(ui, true, "Show all runs").clicked() {
                marked.stretches.clear();
            }
        });
        if all.len() < 2 {
            parts::caption(ui, "Too little differs between these runs");
            return;
        }
        let more = match left_out {
            0 => String::new(),
            more => format!(" · {} a wider window", counted(more, "more axis needs", "more axes need")),
        };
        parts::caption(
            ui,
            format!(
                "A line a run · Drag along an axis keeps the runs that pass there, a click on it lets all pass · {keys} chooses one for the keys{more}",
                keys = key_of(Action::Axis(AxisMove::Next))
            ),
        );
        chosen(ui, &all, shown, marked);
        draw(ui, palette, &all, shown, marked);
    });
}

/// What is marked on the axis that keys mark on, and what they do.
fn chosen(ui: &mut Ui, axes: &[Axis], shown: &[&RunRecord], marked: &Marked) {
    let Some(axis) = axes.iter().find(|axis| Some(&axis.column) == marked.at.as_ref()) else { return };
    let there = axis.told(marked).unwrap_or_else(|| "all runs pass".to_owned());
    let kept = (0..shown.len()).filter(|run| marked.holds(axes, *run)).count();
    let key = |to| key_of(Action::Axis(to));
    parts::caption(
        ui,
        format!(
            "{}: {there} · {kept} of {} pass everywhere · {} and {} leave out, {} and {} take in, {} lets all pass",
            axis.title,
            counted(shown.len(), "run", "runs"),
            key(AxisMove::LeaveOut(End::Lowest)),
            key(AxisMove::LeaveOut(End::Highest)),
            key(AxisMove::TakeIn(End::Highest)),
            key(AxisMove::TakeIn(End::Lowest)),
            key(AxisMove::PassAll),
        ),
    );
}

fn draw(ui: &mut Ui, palette: &'static Palette, axes: &[Axis], shown: &[&RunRecord], marked: &mut Marked) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, spoken(axes, shown)));
    let side = NARROWEST / 2.0;
    let inner = Rect::from_min_max(rect.min + vec2(side, TITLE + END), rect.max - vec2(side, END));
    let gap = inner.width() / (axes.len() - 1) as f32;
    let x = |axis: usize| inner.left() + gap * axis as f32;
    let y = |place: f64| inner.bottom() - inner.height() * place as f32;
    for (index, axis) in axes.iter().enumerate() {
        grip(ui, palette, (x(index), inner), axis, marked);
    }
    let pointed = response.hover_pos().filter(|at| inner.expand(GRIP).contains(*at)).and_then(|at| {
        let between = (((at.x - inner.left()) / gap).floor().max(0.0) as usize).min(axes.len() - 2);
        let along = f64::from((at.x - x(between)) / gap);
        nearest(axes, shown, (between, along, f64::from((inner.bottom() - at.y) / inner.height())), REACH)
    });
    let painter = ui.painter();
    for (run, record) in shown.iter().enumerate() {
        let color = theme::series_color(palette, record.look());
        let (width, share) = match (pointed, marked.holds(axes, run)) {
            (Some(pointed), _) if pointed == record.id => (2.6, 1.0),
            (_, false) => (1.0, 0.15),
            (Some(_), true) => (1.2, 0.45),
            (None, true) => (1.6, 0.9),
        };
        let stroke = Stroke::new(width, color.gamma_multiply(share));
        // A run that has nothing on an axis has a gap there.
        let at = |axis: usize| axes[axis].places[run].map(|place| pos2(x(axis), y(place)));
        for axis in 0..axes.len() {
            let Some(here) = at(axis) else { continue };
            painter.circle_filled(here, width + 0.8, stroke.color);
            if let Some(next) = (axis + 1 < axes.len()).then(|| at(axis + 1)).flatten() {
                painter.line_segment([here, next], stroke);
            }
        }
    }
    for (index, axis) in axes.iter().enumerate() {
        between(ui, palette, (x(index), inner), axis);
    }
    if let Some((run, record)) = shown.iter().enumerate().find(|(_, record)| Some(record.id) == pointed) {
        let lines = axes.iter().map(|axis| format!("{}: {}", axis.title, axis.words[run]));
        let text = std::iter::once(record.name.clone()).chain(lines).collect::<Vec<_>>().join("\n");
        response.on_hover_text_at_pointer(text);
    }
}

/// An axis with its title and its ends; dragging along it marks a stretch.
fn grip(ui: &mut Ui, palette: &Palette, (x, inner): (f32, Rect), axis: &Axis, marked: &mut Marked) {
    let painter = ui.painter();
    let is_chosen = marked.at.as_ref() == Some(&axis.column);
    let (color, line) = if is_chosen {
        (palette.accent, Stroke::new(2.0, palette.accent))
    } else {
        (palette.strong, Stroke::new(1.0, palette.weak))
    };
    let title = fitted(ui, &axis.title, color, 2);
    painter.galley(pos2(x, inner.top() - END - title.size().y), title, color);
    painter.line_segment([pos2(x, inner.top()), pos2(x, inner.bottom())], line);
    let y = |place: f64| inner.bottom() - inner.height() * place as f32;
    for (place, word) in axis.ticks.iter().filter(|(place, _)| is_end(*place)) {
        let word = fitted(ui, word, palette.weak, 1);
        let top = if *place == 0.0 { inner.bottom() + 3.0 } else { inner.top() - 4.0 - word.size().y };
        painter.galley(pos2(x, top), word, palette.weak);
    }
    let grip = Rect::from_min_max(pos2(x - GRIP, inner.top()), pos2(x + GRIP, inner.bottom()));
    let id = ui.scope_id().with(("axis", &axis.column.to_string()));
    let response = ui.interact(grip.expand2(vec2(0.0, 6.0)), id, Sense::click_and_drag());
    let place = |at: Pos2| f64::from(((inner.bottom() - at.y) / inner.height()).clamp(0.0, 1.0));
    if let (Some(from), Some(to)) = (ui.input(|input| input.pointer.press_origin()), response.interact_pointer_pos())
        && response.dragged()
    {
        marked.mark(&axis.column, place(from), place(to));
    }
    if response.clicked() {
        marked.stretches.remove(&axis.column);
    }
    if let Some(range) = marked.range(&axis.column) {
        let stretch = Rect::from_min_max(pos2(x - 4.0, y(*range.end())), pos2(x + 4.0, y(*range.start())));
        ui.painter().rect_filled(stretch, 2.0, palette.accent_soft);
        ui.painter().rect_stroke(stretch, 2.0, Stroke::new(1.0, palette.accent), egui::StrokeKind::Inside);
    }
    if is_chosen && std::mem::take(&mut marked.is_sought) {
        ui.scroll_to_rect(grip.expand2(vec2(0.0, TITLE + END)), None);
    }
    if response.gained_focus() {
        marked.at = Some(axis.column.clone());
    }
    if response.has_focus() {
        // Arrows mark there instead of leading on to what else can be reached.
        let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, arrows));
    }
    let name = match axis.told(marked) {
        Some(there) => format!("Axis {}, marked: {there}", axis.title),
        None => format!("Axis {}", axis.title),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let about = format!("{}\n{}", axis.title, axis.column);
    response.on_hover_cursor(CursorIcon::ResizeVertical).on_hover_text(about);
}

/// The words between the ends of an axis, on a ground that keeps the lines off them.
fn between(ui: &Ui, palette: &Palette, (x, inner): (f32, Rect), axis: &Axis) {
    let mut free_below = inner.bottom() - APART;
    for (place, word) in axis.ticks.iter().filter(|(place, _)| !is_end(*place)) {
        let middle = inner.bottom() - inner.height() * *place as f32;
        if middle > free_below || middle < inner.top() + APART {
            continue;
        }
        free_below = middle - APART;
        let word = fitted(ui, word, palette.weak, 1);
        let at = pos2(x + 6.0 + word.size().x / 2.0, middle - word.size().y / 2.0);
        let ground = word.rect.translate(at.to_vec2()).expand2(vec2(2.0, 0.0));
        ui.painter().rect_filled(ground, 2.0, palette.surface.gamma_multiply(0.85));
        ui.painter().galley(at, word, palette.weak);
    }
}

fn is_end(place: f64) -> bool {
    place == 0.0 || place == 1.0
}

/// Small letters around their middle, in so many rows of an axis.
fn fitted(ui: &Ui, text: &str, color: Color32, rows: usize) -> Arc<Galley> {
    let mut job =
        LayoutJob::simple(text.to_owned(), FontId::proportional(size::SMALL - 1.0), color, NARROWEST - space::S);
    job.wrap.max_rows = rows;
    job.wrap.break_anywhere = rows == 1;
    job.halign = Align::Center;
    ui.painter().layout_job(job)
}
