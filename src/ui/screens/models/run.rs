//! A run among the models: what it is, and its way out.

use egui::{Align, Layout, RichText, Ui};
use state::{Command, Commands, Workspace, export::ExportForm, models::ModelsCommand};
use store::RunRecord;

use super::{detail, export};
use crate::{parts, screens::train, theme::space};

pub fn ui(ui: &mut Ui, workspace: &Workspace, form: &mut ExportForm, record: &RunRecord, commands: &Commands) {
    let palette = parts::palette(ui);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::S;
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            let (word, color) = train::status_word(record.status, palette);
            parts::chip(ui, word, color);
            ui.with_layout(Layout::top_down(Align::Min), |ui| parts::heading(ui, &record.name));
        });
        let steps = if record.total_steps > record.step {
            format!("{} of {}", record.step, record.total_steps)
        } else {
            record.step.to_string()
        };
        detail::facts(
            ui,
            "run facts",
            &[("Method", record.method.clone()), ("Steps", steps), ("Data", format!("revision {}", record.revision.0))],
        );
        if let Some(message) = &record.message {
            ui.label(RichText::new(message).color(palette.warning));
        }
        let missing = if workspace.runs.is_going(record.id) { None } else { workspace.runs.no_weights(record.id) };
        let talk = ui
            .add_enabled(missing.is_none(), egui::Button::new("Try it"))
            .on_hover_text("Asks it something, beside the model it started from")
            .on_disabled_hover_text(missing.unwrap_or_default());
        if talk.clicked() {
            commands.push(Command::Models(ModelsCommand::TryRun(record.id)));
        }
    });
    ui.add_space(space::S);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::S;
        export::ui(ui, workspace, form, record, commands);
    });
}
