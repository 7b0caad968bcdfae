//! A stretch of steps that somebody brushes in the charts of a group: Shift and drag.

use std::ops::RangeInclusive;

use egui::{Id, Ui};

/// Of a group whose charts can be brushed.
#[derive(Debug, Clone, Copy, Default)]
struct Brush {
    /// What is looked at.
    shown: Option<(u64, u64)>,
    /// What is being brushed, in which chart.
    under_way: Option<(Id, f64, f64)>,
    /// What was brushed since that was asked last.
    done: Option<(u64, u64)>,
}

fn id(group: &str) -> Id {
    Id::unique(("brush of charts", group))
}

/// Lets the charts of a group be brushed and marks the steps that are looked at; gives what was brushed since.
pub fn brush(ui: &Ui, group: &str, shown: Option<(u64, u64)>) -> Option<(u64, u64)> {
    ui.data_mut(|data| {
        let brush = data.get_temp_mut_or_default::<Brush>(id(group));
        brush.shown = shown;
        brush.done.take()
    })
}

/// Whether a drag in this group brushes now instead of moving the charts.
pub fn is_meant(ui: &Ui, group: &str) -> bool {
    let brush = ui.data(|data| data.get_temp::<Brush>(id(group)));
    brush.is_some_and(|brush| brush.under_way.is_some() || ui.input(|input| input.modifiers.shift))
}

/// The steps to be marked.
pub fn shown(ui: &Ui, group: &str) -> Option<RangeInclusive<f64>> {
    let brush = ui.data(|data| data.get_temp::<Brush>(id(group)))?;
    match (brush.under_way, brush.shown) {
        (Some((_, a, b)), _) => Some(a.min(b)..=a.max(b)),
        // Half a step to either side, so that one step is seen too.
        (None, Some((from, to))) => Some(from as f64 - 0.5..=to as f64 + 0.5),
        (None, None) => None,
    }
}

/// Follows the pointer over one chart of the group.
pub fn take<R>(ui: &Ui, group: &str, chart: Id, plot: &egui_plot::PlotResponse<R>) {
    let Some(mut brush) = ui.data(|data| data.get_temp::<Brush>(id(group))) else { return };
    let response = &plot.response;
    let step = response.interact_pointer_pos().map(|at| plot.transform.value_from_position(at).x.max(0.0));
    let mine = brush.under_way.filter(|(owner, ..)| *owner == chart);
    if response.drag_started() && ui.input(|input| input.modifiers.shift) {
        brush.under_way = step.map(|step| (chart, step, step));
    } else if let Some((_, from, to)) = mine {
        let to = step.unwrap_or(to);
        if response.dragged() {
            brush.under_way = Some((chart, from, to));
        } else {
            brush.under_way = None;
            let (low, high) = (from.min(to).round() as u64, from.max(to).round() as u64);
            brush.done = Some((low, high));
            ui.request_repaint();
        }
    } else {
        return;
    }
    ui.data_mut(|data| data.insert_temp(id(group), brush));
}
