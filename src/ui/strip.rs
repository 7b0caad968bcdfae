//! The status strip: the run that is going, and whether everything is saved.

use egui::{Align, Frame, Layout, Margin, Panel, Ui};

use super::{parts, theme::space};
use crate::state::{Commands, Views, Workspace};

pub fn ui(ui: &mut Ui, workspace: &Workspace, _views: &mut Views, _commands: &Commands) {
    let palette = parts::palette(ui);
    let frame = Frame::NONE
        .fill(palette.rail)
        .inner_margin(Margin::symmetric(space::M as i8, 5));
    Panel::bottom("status")
        .resizable(false)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                saving(ui, workspace);
            });
        });
}

fn saving(ui: &mut Ui, workspace: &Workspace) {
    let palette = parts::palette(ui);
    let (word, color) = if workspace.saving.failed {
        ("Not saved", palette.error)
    } else if workspace.saving.under_way > 0 {
        ("Saving…", palette.text)
    } else {
        ("Saved", palette.weak)
    };
    ui.label(egui::RichText::new(word).small().color(color));
}
