//! The Compare screen: runs laid over each other.

use egui::Ui;

use super::parts;
use crate::state::{Commands, Views, Workspace};

pub fn ui(ui: &mut Ui, _workspace: &Workspace, _views: &mut Views, _commands: &Commands) {
    parts::title(ui, "Compare", "");
}
