//! The Train screen: launch sheet, pre-flight sheet, live run.

mod alarms;
mod came_to;
mod charts;
mod controls;
mod fork;
mod knobs;
mod launch;
mod lens;
mod log;
mod preflight;
mod questions;
mod queue;
mod rollout;
mod run;
mod sandbox;
mod scores;
mod seen;
mod waited;

pub use charts::GROUP;
pub use launch::follow;
pub use run::{branch, status_word};

use egui::{Align, Layout, Ui};
use state::{
    Commands, Views, Workspace,
    guide::Milestone,
    lens::LensMove,
    rollouts::RolloutMove,
    train::{Sheet, TrainView},
};

use crate::{icon::Pen, parts, theme::space};

/// A loss that falls.
pub(crate) fn icon(pen: &Pen<'_>) {
    pen.line(&[(0.06, 0.16), (0.26, 0.58), (0.44, 0.48), (0.66, 0.78), (0.94, 0.84)], 1.8);
    pen.dot((0.94, 0.84), 2.2);
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let view = &mut views.train;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let line = match view.sheet {
                Sheet::Launch => "Choose a method and its settings, check them, start",
                Sheet::Run => "Watch a run and steer it",
            };
            parts::title(ui, "Train", line);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            // Right to left: the last one comes first.
            parts::segmented(
                ui,
                &mut view.sheet,
                &[
                    (Sheet::Run, "Watch", "Charts of a run (W)"),
                    (Sheet::Launch, "Set up", "Settings of the next run (U)"),
                ],
            );
        });
    });
    ui.add_space(space::S);
    waited::ui(ui, workspace, commands);
    match view.sheet {
        Sheet::Launch => launch::ui(ui, workspace, view, commands),
        Sheet::Run => run::ui(ui, workspace, view, !views.guide.is_gone(Milestone::Watch), commands),
    }
}

/// What a key asks of the pair lens.
pub fn move_lens(to: LensMove, workspace: &Workspace, view: &mut TrainView) {
    let Some(run) = workspace.runs.shown(view.shown) else { return };
    view.sheet = Sheet::Run;
    let last = workspace.runs.history(run).map_or(0, |history| history.last_step() as u64);
    let listed = std::sync::Arc::clone(&view.lens.listed.pairs);
    view.lens.go(to, run, last, &listed);
}

/// What a key asks of the answers that a run learns from.
pub fn move_rollout(to: RolloutMove, workspace: &Workspace, view: &mut TrainView) {
    let Some(run) = workspace.runs.shown(view.shown) else { return };
    view.sheet = Sheet::Run;
    view.rollout.go(to, run, workspace.rollouts.of(run));
}
