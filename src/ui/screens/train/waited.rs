//! The queue of the last time: runs whose turn had not come when the program ended.

use data::counted;
use egui::{Label, RichText, Ui};
use state::{Command, Commands, Workspace, train::RunCommand};

use crate::{parts, theme::space};

pub fn ui(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let waited = workspace.runs.waited();
    let names: Vec<&str> = waited.iter().map(|record| record.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let palette = parts::palette(ui);
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.set_width(ui.available_width());
        let word = counted(names.len(), "run", "runs");
        let text = format!("{word} waited when the program ended: {}", names.join(", "));
        ui.add(Label::new(RichText::new(text).color(palette.strong)).wrap());
        ui.horizontal_wrapped(|ui| {
            if ui.button("Queue again").on_hover_text("In the order in which they stood").clicked() {
                for record in &waited {
                    commands.push(Command::Runs(RunCommand::Continue(record.id)));
                }
            }
            if ui.button("Leave them").on_hover_text("They stay among the runs and can be started one by one").clicked()
            {
                commands.push(Command::Runs(RunCommand::LeaveWaited));
            }
        });
    });
    ui.add_space(space::S);
}
