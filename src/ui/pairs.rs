//! The Pairs screen.

use egui::Ui;

use super::parts;
use crate::state::{Commands, Workspace, pairs::PairsView};

pub fn ui(ui: &mut Ui, _workspace: &Workspace, _view: &mut PairsView, _commands: &Commands) {
    parts::title(ui, "Pairs", "");
}
