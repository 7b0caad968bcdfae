//! Notices in one strip above the status strip, the newest first: no modal dialog ever.

use egui::{Align, Color32, Frame, Id, Label, Layout, Margin, Panel, RichText, ScrollArea, Ui};
use state::{
    Command, Commands, Level, Notice, UndoOffer, Workspace,
    notice::{self, NoticeId},
    pairs::PairsCommand,
};

use super::{parts, theme::space};

/// Height of the strip when all notices are shown.
const OPEN: f32 = 240.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let notices = &workspace.notices;
    let Some(newest) = notices.iter().next_back() else {
        return;
    };
    let palette = parts::palette(ui);
    let open_id = Id::unique("all notices are shown");
    let mut open = notices.len() > 1 && ui.data(|data| data.get_temp(open_id)).unwrap_or(false);
    let frame = Frame::NONE.fill(palette.ground).inner_margin(Margin::symmetric(space::XL as i8, space::S as i8));
    Panel::bottom("notices").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        if notices.len() > 1 {
            ui.horizontal(|ui| {
                let word = if open { "Only the newest" } else { "Show all" };
                parts::caption(ui, format!("{} notices", notices.len()));
                if parts::quiet(ui, true, word).clicked() {
                    open = !open;
                }
                if parts::quiet(ui, true, "Dismiss all").clicked() {
                    commands.push(Command::DismissAll);
                }
            });
        }
        if open {
            ScrollArea::vertical().id_salt("notices").max_height(OPEN).auto_shrink([false, true]).show(ui, |ui| {
                for (id, notice) in notices.iter().rev() {
                    one(ui, id, notice, commands);
                }
            });
        } else {
            one(ui, newest.0, newest.1, commands);
        }
    });
    ui.data_mut(|data| data.insert_temp(open_id, open));
}

fn one(ui: &mut Ui, id: NoticeId, notice: &Notice, commands: &Commands) {
    let palette = parts::palette(ui);
    let (fill, color) = match notice.level {
        Level::Info => (palette.accent_soft, palette.accent),
        Level::Warning => (palette.warning_soft, palette.warning),
        Level::Error => (palette.error_soft, palette.error),
    };
    ui.push_id(id.0, |ui| {
        parts::strip(ui, fill, |ui| {
            ui.horizontal_top(|ui| {
                // The buttons keep their place at the right, however long the sentence is.
                let buttons = if notice.offer.is_some() { 150.0 } else { 84.0 };
                let width = (ui.available_width() - buttons).max(120.0);
                ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    let word = RichText::new(notice.level.word()).color(color);
                    ui.horizontal_wrapped(|ui| {
                        ui.label(word);
                        sentence(ui, &notice.summary, palette.strong);
                    });
                    if !notice.details.is_empty() {
                        sentence(ui, &notice.details, palette.text);
                    }
                });
                parts::at_right(ui, "notice actions", |ui| {
                    if let Some(offer) = &notice.offer {
                        let (word, command) = match offer {
                            UndoOffer::Undo(label) => {
                                ("Undo", PairsCommand::Undo { only: Some(label.clone()), sure: false })
                            }
                            UndoOffer::Redo(_) => ("Redo", PairsCommand::Redo),
                        };
                        let button = ui.small_button(word);
                        super::prompt::name(&button, egui::Role::Button, &format!("{word} what the note says"));
                        if button.clicked() {
                            commands.push(Command::Pairs(command));
                        }
                    }
                    if ui.small_button("Dismiss").clicked() {
                        commands.push(Command::Dismiss(id));
                    }
                });
            });
        });
    });
}

/// A sentence whose long paths are shortened; the hover has them whole.
fn sentence(ui: &mut Ui, text: &str, color: Color32) {
    match notice::shortened(text) {
        None => {
            ui.add(Label::new(RichText::new(text).color(color)).wrap());
        }
        Some(short) => {
            ui.add(Label::new(RichText::new(short).color(color)).wrap()).on_hover_text(text);
        }
    }
}
