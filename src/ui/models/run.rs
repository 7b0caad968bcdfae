//! A run among the models: what it is, and its way out.

use egui::{RichText, Ui};

use super::{detail, export};
use crate::{
    state::{
        Command, Commands, Workspace, answers::AnswersCommand, export::ExportForm, models::ModelsCommand, runs::Loaded,
    },
    store::RunRecord,
    ui::{parts, theme::space, train},
};

pub fn ui(ui: &mut Ui, workspace: &Workspace, form: &mut ExportForm, record: &RunRecord, commands: &Commands) {
    // Which checkpoints there are is known once the run's answers were read.
    let grid = workspace.answers.grid(record.id);
    if grid.is_none_or(|grid| grid.loaded == Loaded::Absent) {
        commands.push(Command::Answers(AnswersCommand::ReadSamples(record.id)));
    }
    let palette = parts::palette(ui);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::S;
        ui.horizontal(|ui| {
            parts::heading(ui, &record.name);
            let (word, color) = train::status_word(record.status, palette);
            parts::chip(ui, word, color);
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
        if ui.button("Try it").on_hover_text("Asks it something, beside the model it started from").clicked() {
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
