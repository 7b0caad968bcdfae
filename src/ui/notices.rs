//! Notices in strips above the status strip: no modal dialog ever.

use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};

use super::{parts, theme::space};
use crate::state::{Command, Commands, Level, Workspace};

/// How many are shown at once; the rest waits behind them.
const SHOWN: usize = 3;

pub fn ui(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    if workspace.notices.is_empty() {
        return;
    }
    let palette = parts::palette(ui);
    let frame = Frame::NONE.fill(palette.ground).inner_margin(Margin::symmetric(space::XL as i8, space::S as i8));
    Panel::bottom("notices").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        for (id, notice) in workspace.notices.iter().rev().take(SHOWN) {
            let (fill, color) = match notice.level {
                Level::Info => (palette.accent_soft, palette.accent),
                Level::Warning => (palette.warning_soft, palette.warning),
                Level::Error => (palette.error_soft, palette.error),
            };
            ui.push_id(id.0, |ui| {
                parts::strip(ui, fill, |ui| {
                    ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                        let dismiss = ui.small_button("Dismiss");
                        if dismiss.clicked() {
                            commands.push(Command::Dismiss(*id));
                        }
                        ui.with_layout(Layout::top_down(Align::Min), |ui| {
                            ui.horizontal_wrapped(|ui| {
                                ui.label(RichText::new(notice.level.word()).color(color));
                                ui.label(RichText::new(&notice.summary).color(palette.strong));
                            });
                            if !notice.details.is_empty() {
                                ui.label(RichText::new(&notice.details).color(palette.text));
                            }
                        });
                    });
                });
            });
        }
    });
}
