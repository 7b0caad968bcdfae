//! The Answers screen.

use egui::Ui;

use super::parts;
use crate::state::{Commands, Workspace, answers::AnswersView};

pub fn ui(ui: &mut Ui, _workspace: &Workspace, _view: &mut AnswersView, _commands: &Commands) {
    parts::title(ui, "Answers", "");
}
