//! The Answers screen: how answers to fixed prompts change, what rules count of them, a box to ask any
//! weights, and a blind duel between two.

mod ask;
mod duel;
mod grid;
mod judged;
mod rules;
mod settings;
pub(crate) mod source;

use egui::{Align, Layout, Ui};
use state::{Commands, Views, Workspace, answers::Tab};

use crate::{icon::Pen, parts, theme::space};

/// What somebody says.
pub(crate) fn icon(pen: &Pen<'_>) {
    pen.outline((0.06, 0.14), (0.94, 0.7), 3.0);
    pen.line(&[(0.28, 0.7), (0.28, 0.92), (0.5, 0.7)], 1.5);
    pen.painter.line_segment([pen.at(0.26, 0.42), pen.at(0.72, 0.42)], pen.stroke(1.5));
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let view = &mut views.answers;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let line = match view.tab {
                Tab::Probes => "The same prompts at every step of a run",
                Tab::Judged => "What the rules count, to be read",
                Tab::Duel => "Judge answers without knowing whose they are",
                Tab::Ask => "Ask one or two sets of weights the same thing",
            };
            parts::title(ui, "Answers", line);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            // Laid out from the right.
            parts::segmented(
                ui,
                &mut view.tab,
                &[
                    (Tab::Duel, "Blind duel", "Two sets of weights; whose answer is whose comes out at the end"),
                    (Tab::Ask, "Ask", "Your own prompt to one or two sets of weights"),
                    (Tab::Judged, "Judged", "Answers that the project's rules have judged at every evaluation"),
                    (Tab::Probes, "Probe prompts", "Fixed prompts, answered as a run goes on"),
                ],
            );
        });
    });
    ui.add_space(space::S);
    match view.tab {
        Tab::Probes => grid::ui(ui, workspace, view, commands),
        Tab::Judged => judged::ui(ui, workspace, view, commands),
        Tab::Duel => duel::ui(ui, workspace, view, commands),
        Tab::Ask => ask::ui(ui, workspace, view, commands),
    }
}
