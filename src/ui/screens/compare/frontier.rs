//! The frontier: what was learnt upwards, what it took across, each run a path from its start to where it stands.

use data::{Across, Scale, metrics};
use egui::{ComboBox, Ui};
use state::{
    Command, Commands,
    actions::{Action, key_of},
    compare::{CompareView, board::Board, frontier::learnable},
    runs::Runs,
    train::RunCommand,
};
use store::RunRecord;

use super::paths::{self, Axes};
use crate::{chart, parts};

const HEIGHT: f32 = 210.0;
/// Narrower than this, the title and the choices of both axes have a row each.
const ONE_ROW: f32 = 760.0;

pub fn ui(
    ui: &mut Ui,
    runs: &Runs,
    shown: &[&RunRecord],
    view: &mut CompareView,
    present: &[String],
    commands: &Commands,
) {
    let CompareView { board, paths: known, .. } = view;
    let choices = learnable(present);
    let up = choices.iter().find(|name| **name == board.up).or(choices.first()).cloned();
    let Some(up) = up else { return };
    let across = board.across;
    if across == Across::Seconds {
        for record in shown {
            if let Some(to) = runs.history(record.id).and_then(|history| history.times_wanted(&up)) {
                commands.push(Command::Runs(RunCommand::ReadTimes(record.id, to)));
            }
        }
    }
    let paths = paths::of(runs, shown, known, across, &up);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        if ui.available_width() < ONE_ROW {
            parts::heading(ui, "What it took to learn");
            ui.horizontal(|ui| upwards(ui, board, &up, &choices));
            ui.horizontal(|ui| sideways(ui, board));
        } else {
            ui.horizontal_wrapped(|ui| {
                parts::heading(ui, "What it took to learn");
                upwards(ui, board, &up, &choices);
                sideways(ui, board);
            });
        }
        if paths.is_empty() {
            parts::caption(ui, paths::why_none(across));
            return;
        }
        parts::caption(
            ui,
            "One point an evaluation; the diamond is where a run stands. Drag moves, Ctrl + wheel zooms, double click shows all",
        );
        let axes = Axes { of: paths::FRONTIER, across, up: &up, scale: Scale::Linear, height: HEIGHT };
        paths::plot(ui, &paths, &axes, chart::step_cursor(ui, super::GROUP));
    });
}

/// What stands on the axis upwards.
fn upwards(ui: &mut Ui, board: &mut Board, up: &str, choices: &[String]) {
    let label = parts::caption(ui, "Upwards");
    ComboBox::from_id_salt("frontier up")
        .selected_text(metrics::caption(up))
        .width(150.0)
        .height(420.0)
        .truncate()
        .show_ui(ui, |ui| {
            for name in choices {
                if ui.selectable_label(name == up, metrics::caption(name)).clicked() {
                    board.up.clone_from(name);
                }
            }
        })
        .response
        .labelled_by(label.id);
}

/// What stands on the axis across.
fn sideways(ui: &mut Ui, board: &mut Board) {
    parts::caption(ui, "across").on_hover_text(key_of(Action::FrontierAcross));
    parts::segmented(ui, &mut board.across, &Across::ALL.map(|across| (across, across.word(), across.about())));
}
