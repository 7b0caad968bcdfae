//! The step that all charts of a group are read at: where the pointer is, or where keys have led it.

use data::Across;
use egui::{Id, Pos2, Response, Ui};
use egui_plot::PlotResponse;
use state::series::Point;

use super::Chart;

/// A point of a path so near to the pointer is pointed at.
const REACH: f32 = 24.0;

/// What is pointed at, and by which chart; keys are none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cursor {
    step: f64,
    owner: Option<Id>,
}

/// Each axis has a cursor of its own; a path over drift is read at steps, as curves over steps are.
fn id(group: &str, across: Across) -> Id {
    let across = if across == Across::Drift { Across::Steps } else { across };
    Id::unique(("cursor of charts", group, across.name()))
}

fn asked_id(group: &str) -> Id {
    Id::unique(("asked to move the cursor of charts", group))
}

/// Moves the cursor of a group to the next step that its first chart has, or to the one before, at its next frame.
pub fn ask_cursor(ui: &Ui, group: &str, later: bool) {
    ui.data_mut(|data| data.insert_temp(asked_id(group), later));
}

fn get(ui: &Ui, group: &str, across: Across) -> Option<Cursor> {
    ui.data(|data| data.get_temp(id(group, across)))
}

fn chosen_id(group: &str, across: Across) -> Id {
    Id::unique(("chosen in charts", id(group, across)))
}

/// Where the group is read while nothing is pointed at: where keys or a click have led it.
fn chosen(ui: &Ui, group: &str, across: Across) -> Option<f64> {
    ui.data(|data| data.get_temp(chosen_id(group, across)))
}

fn choose(ui: &Ui, group: &str, across: Across, step: Option<f64>) {
    ui.data_mut(|data| match step {
        Some(step) => {
            data.insert_temp(chosen_id(group, across), step);
        }
        None => {
            data.remove::<f64>(chosen_id(group, across));
        }
    });
    set(ui, group, across, step.map(|step| Cursor { step, owner: None }));
}

/// The step that somebody has led charts over steps or drift to.
pub fn chosen_step(ui: &Ui, group: &str) -> Option<u64> {
    chosen(ui, group, Across::Steps).map(|step| step as u64)
}

/// Leads them there, or back to their ends.
pub fn choose_step(ui: &Ui, group: &str, step: Option<u64>) {
    choose(ui, group, Across::Steps, step.map(|step| step as f64));
}

fn set(ui: &Ui, group: &str, across: Across, cursor: Option<Cursor>) {
    ui.data_mut(|data| match cursor {
        Some(cursor) => {
            data.insert_temp(id(group, across), cursor);
        }
        None => {
            data.remove::<Cursor>(id(group, across));
        }
    });
    ui.request_repaint();
}

/// The step that charts of a group over steps or drift are read at.
pub fn step_cursor(ui: &Ui, group: &str) -> Option<f64> {
    get(ui, group, Across::Steps).map(|cursor| cursor.step)
}

/// The same for charts over drift, moved as it was asked; `steps` are those of each path.
pub fn cursor_of_paths(ui: &Ui, group: &str, steps: &[&[Point]]) -> Option<f64> {
    let at = step_cursor(ui, group);
    let asked: Option<bool> = ui.data_mut(|data| data.remove_temp(asked_id(group)));
    let Some(later) = asked else { return at };
    let next = next_step(at, later, || steps.iter().copied().filter(|steps| !steps.is_empty()));
    choose(ui, group, Across::Drift, next);
    next
}

/// The cursor belongs to the path under the pointer. `points`: steps, and where they are on the screen.
pub fn point_at_paths(ui: &Ui, group: &str, chart: &str, plot: &Response, points: impl Iterator<Item = (f64, Pos2)>) {
    let away = |at: Pos2| points.map(move |(step, point)| (step, point.distance(at)));
    let nearest = plot.hover_pos().and_then(|at| away(at).min_by(|one, other| one.1.total_cmp(&other.1)));
    let step = nearest.filter(|(_, away)| *away < REACH).map(|(step, _)| step);
    follow(ui, group, Across::Drift, Id::unique((group, chart)), plot, step);
}

/// The cursor goes where the pointer is, and a click leaves it there; a second one leads back.
fn follow(ui: &Ui, group: &str, across: Across, owner: Id, plot: &Response, step: Option<f64>) {
    if plot.double_clicked() {
        choose(ui, group, across, None);
        return;
    }
    if plot.clicked() && step.is_some() {
        choose(ui, group, across, step);
        return;
    }
    let known = get(ui, group, across);
    let is_led_by_keys = known.is_some_and(|cursor| cursor.owner.is_none());
    // A pointer that lies still leaves the cursor to the keys.
    let hovered = step.filter(|_| ui.input(|input| input.pointer.is_moving()) || !is_led_by_keys);
    let hovered = hovered.map(|step| Cursor { step, owner: Some(owner) });
    let mine = known.is_some_and(|cursor| cursor.owner == Some(owner));
    if hovered != known && (hovered.is_some() || mine) {
        let left = || chosen(ui, group, across).map(|step| Cursor { step, owner: None });
        set(ui, group, across, hovered.or_else(left));
    }
}

/// The next step that a line has, or the one before.
fn next_step<'p, I: Iterator<Item = &'p [Point]>>(at: Option<f64>, later: bool, lines: impl Fn() -> I) -> Option<f64> {
    match (at, later) {
        (None, true) => lines().map(|points| points[0][0]).reduce(f64::min),
        (None, false) => lines().filter_map(|points| points.last()).map(|point| point[0]).reduce(f64::max),
        (Some(at), true) => {
            let next = |points: &[Point]| points.get(points.partition_point(|point| point[0] <= at)).map(|p| p[0]);
            lines().filter_map(next).reduce(f64::min)
        }
        (Some(at), false) => {
            let before = |points: &[Point]| {
                points.partition_point(|point| point[0] < at).checked_sub(1).map(|place| points[place][0])
            };
            lines().filter_map(before).reduce(f64::max).or(Some(at))
        }
    }
}

impl Chart<'_> {
    /// Where the group is read, moved as it was asked. Beyond the last step that is measured it is read at its end
    /// again.
    pub(super) fn cursor(&self, ui: &Ui) -> Option<f64> {
        let at = get(ui, self.group, self.across).map(|cursor| cursor.step);
        if self.lines.is_empty() {
            return at;
        }
        let asked: Option<bool> = ui.data_mut(|data| data.remove_temp(asked_id(self.group)));
        let Some(later) = asked else { return at };
        let lines = || self.shown_lines().map(|line| line.series.points()).filter(|points| !points.is_empty());
        let next = next_step(at, later, lines);
        choose(ui, self.group, self.across, next);
        next
    }

    /// It belongs to the chart under the pointer, and goes when that leaves.
    pub(super) fn follow_pointer(&self, ui: &Ui, plot: &PlotResponse<bool>) {
        let place = plot
            .response
            .hover_pos()
            .map(|pos| plot.transform.value_from_position(pos).x)
            // Whole steps; seconds as they are.
            .map(|place| if self.across == Across::Seconds { place } else { place.round() })
            .filter(|step| *step >= 0.0);
        follow(ui, self.group, self.across, Id::unique((self.group, self.id)), &plot.response, place);
    }
}
