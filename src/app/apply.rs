//! The one place that carries commands out.

use super::App;
use crate::state::Command;

impl App {
    /// Applies what dialogs and the last frame asked for.
    pub(super) fn apply_pending(&mut self, ctx: &egui::Context, frame: &eframe::Frame) {
        let mut commands = self.dialogs.collect();
        commands.extend(self.commands.take());
        for command in commands {
            self.apply(command, ctx, frame);
        }
    }

    fn apply(&mut self, command: Command, _ctx: &egui::Context, frame: &eframe::Frame) {
        match command {
            Command::OpenProject(dir) => {
                self.views.last_project = Some(dir);
            }
            Command::PickProject => {
                self.dialogs
                    .pick_folder(frame, "Open a project", Command::OpenProject);
            }
            Command::Dismiss(id) => self.workspace.notices.dismiss(id),
            Command::Pairs(command) => match command {},
            Command::Answers(command) => match command {},
        }
    }
}
