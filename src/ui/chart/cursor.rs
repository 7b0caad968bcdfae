//! The step that all charts of a group are read at: where the pointer is, or where keys have led it.

use data::Across;
use egui::{Id, Ui};
use egui_plot::PlotResponse;

use super::Chart;

/// What is pointed at, and by which chart; keys are none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cursor {
    step: f64,
    owner: Option<Id>,
}

fn id(group: &str) -> Id {
    Id::unique(("cursor of charts", group))
}

fn asked_id(group: &str) -> Id {
    Id::unique(("asked to move the cursor of charts", group))
}

/// Moves the cursor of a group to the next step that its first chart has, or to the one before, at its next frame.
pub fn ask_cursor(ui: &Ui, group: &str, later: bool) {
    ui.data_mut(|data| data.insert_temp(asked_id(group), later));
}

fn get(ui: &Ui, group: &str) -> Option<Cursor> {
    ui.data(|data| data.get_temp(id(group)))
}

fn set(ui: &Ui, group: &str, cursor: Option<Cursor>) {
    ui.data_mut(|data| match cursor {
        Some(cursor) => {
            data.insert_temp(id(group), cursor);
        }
        None => {
            data.remove::<Cursor>(id(group));
        }
    });
    ui.request_repaint();
}

impl Chart<'_> {
    /// Where the group is read, moved as it was asked. Beyond the last step that is measured it is read at its end again.
    pub(super) fn cursor(&self, ui: &Ui) -> Option<f64> {
        let at = get(ui, self.group).map(|cursor| cursor.step);
        if self.lines.is_empty() {
            return at;
        }
        let asked: Option<bool> = ui.data_mut(|data| data.remove_temp(asked_id(self.group)));
        let Some(later) = asked else { return at };
        let next = self.next_step(at, later);
        set(ui, self.group, next.map(|step| Cursor { step, owner: None }));
        next
    }

    fn next_step(&self, at: Option<f64>, later: bool) -> Option<f64> {
        let points = || self.shown_lines().filter(|line| !line.series.is_empty()).map(|line| line.series.points());
        match (at, later) {
            (None, true) => points().map(|points| points[0][0]).reduce(f64::min),
            (None, false) => points().filter_map(|points| points.last()).map(|point| point[0]).reduce(f64::max),
            (Some(at), true) => {
                let next =
                    |points: &[[f64; 2]]| points.get(points.partition_point(|point| point[0] <= at)).map(|p| p[0]);
                points().filter_map(next).reduce(f64::min)
            }
            (Some(at), false) => {
                let before = |points: &[[f64; 2]]| {
                    points.partition_point(|point| point[0] < at).checked_sub(1).map(|place| points[place][0])
                };
                points().filter_map(before).reduce(f64::max).or(Some(at))
            }
        }
    }

    /// It belongs to the chart under the pointer, and goes when that leaves.
    pub(super) fn follow_pointer(&self, ui: &Ui, plot: &PlotResponse<bool>) {
        let owner = Some(Id::unique((self.group, self.id)));
        let hovered = plot
            .response
            .hover_pos()
            .map(|pos| plot.transform.value_from_position(pos).x)
            // Whole steps; seconds as they are.
            .map(|place| if self.across == Across::Seconds { place } else { place.round() })
            .filter(|step| *step >= 0.0)
            .map(|step| Cursor { step, owner });
        // A pointer that lies still leaves the cursor to the keys.
        let hovered =
            hovered.filter(|_| ui.input(|input| input.pointer.is_moving()) || !is_led_by_keys(ui, self.group));
        let known = get(ui, self.group);
        let mine = known.is_some_and(|cursor| cursor.owner == owner);
        if hovered != known && (hovered.is_some() || mine) {
            set(ui, self.group, hovered);
        }
    }
}

fn is_led_by_keys(ui: &Ui, group: &str) -> bool {
    get(ui, group).is_some_and(|cursor| cursor.owner.is_none())
}
