//! The Train screen: launch sheet, pre-flight sheet, live run.

use egui::Ui;

use super::parts;
use crate::state::{Commands, Views, Workspace};

pub fn ui(ui: &mut Ui, _workspace: &Workspace, _views: &mut Views, _commands: &Commands) {
    parts::title(ui, "Train", "");
}
