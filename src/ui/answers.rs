//! The Answers screen: how answers to fixed prompts change, what rules count of them, a box to ask any
//! weights, and a blind duel between two.

mod ask;
mod duel;
mod grid;
mod judged;
mod rules;
mod settings;
mod source;

use egui::{Align, Layout, Ui};
use state::{
    Commands, Workspace,
    answers::{AnswersView, Tab},
};

use super::{parts, theme::space};

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
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
