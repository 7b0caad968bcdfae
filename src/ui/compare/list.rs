//! The runs: tick, rename, delete.

use data::counted;
use egui::{RichText, ScrollArea, TextEdit, Ui};
use state::{Command, Commands, Workspace, compare::CompareView, models::ModelsCommand, train::RunCommand};
use store::{RunId, RunRecord};

use crate::{
    legend, parts, prompt,
    theme::{self, size, space},
    train,
};

/// Colour and pattern of a run: the same on every screen and in every selection.
pub fn look(run: RunId) -> usize {
    (run.0.unsigned_abs() as usize).wrapping_sub(1)
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    ScrollArea::vertical().id_salt("compare runs").auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        for (depth, record) in workspace.runs.tree() {
            ui.push_id(record.id.0, |ui| {
                row(ui, workspace, view, (depth, record), commands);
            });
        }
    });
}

fn row(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut CompareView,
    (depth, record): (usize, &RunRecord),
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    let shown = view.shown(&workspace.runs);
    let mut on = shown.iter().any(|run| run.id == record.id);
    parts::card_frame(ui).inner_margin(egui::Margin::same(10)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        ui.horizontal(|ui| {
            let color = theme::series_color(palette, look(record.id));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if on {
                    legend::sample(ui, color, theme::series_pattern(look(record.id)));
                }
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Truncate);
                    let name = format!("{}{}", train::branch(depth), record.name);
                    let tick = ui.checkbox(&mut on, name);
                    prompt::name(&tick, egui::Role::CheckBox, &record.name);
                    if tick.changed() {
                        view.pick(&workspace.runs, record.id, on);
                    }
                });
            });
        });
        ui.horizontal_wrapped(|ui| {
            let (word, color) = train::status_word(record.status, palette);
            ui.label(RichText::new(word).size(size::SMALL).color(color));
            parts::caption(ui, counted(record.step as usize, "step", "steps"));
            if let Some(at) = record.parent_step {
                parts::caption(ui, format!("from step {at}"));
            }
            if !record.name.contains(&record.method) {
                parts::caption(ui, &record.method);
            }
        });
        actions(ui, workspace, view, record, commands);
    });
}

fn actions(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, record: &RunRecord, commands: &Commands) {
    let palette = parts::palette(ui);
    let send = |command| commands.push(Command::Runs(command));
    if let Some((run, name)) = &mut view.renaming
        && *run == record.id
    {
        let edit = TextEdit::singleline(name).id_salt(("rename", run.0)).desired_width(f32::INFINITY);
        let label = parts::caption(ui, "New name of the run");
        let response = ui.add(edit).labelled_by(label.id);
        response.request_focus();
        let (enter, escape) =
            ui.input(|input| (input.key_pressed(egui::Key::Enter), input.key_pressed(egui::Key::Escape)));
        let mut done = escape;
        ui.horizontal(|ui| {
            let keep = ui.button("Rename").clicked() || enter;
            if keep && !name.trim().is_empty() {
                send(RunCommand::Rename(*run, name.trim().to_owned()));
                done = true;
            }
            done |= ui.button("Cancel").clicked();
        });
        if done {
            view.renaming = None;
        }
        return;
    }
    if view.deleting == Some(record.id) {
        parts::strip(ui, palette.error_soft, |ui| {
            let text = "Delete this run, its charts and its checkpoints for good?";
            ui.add(egui::Label::new(RichText::new(text).color(palette.error)).wrap());
            ui.horizontal_wrapped(|ui| {
                let delete = ui.button("Delete");
                prompt::name(&delete, egui::Role::Button, &format!("Delete {}", record.name));
                if delete.clicked() {
                    send(RunCommand::Delete(record.id));
                    view.deleting = None;
                }
                if ui.button("Keep").clicked() {
                    view.deleting = None;
                }
            });
        });
        return;
    }
    let runs = &workspace.runs;
    let waits = runs.place(record.id).is_some();
    let busy = waits || runs.is_going(record.id);
    ui.horizontal_wrapped(|ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
        // All four stand in one row.
        ui.spacing_mut().item_spacing.x = 0.0;
        let rename = parts::quiet(ui, true, "Rename…").on_hover_text(format!("Rename {}", record.name));
        if rename.clicked() {
            view.renaming = Some((record.id, record.name.clone()));
        }
        if waits {
            let cancel =
                parts::quiet(ui, !runs.is_leaving(record.id), "Cancel").on_hover_text("Takes it out of the queue");
            prompt::name(&cancel, egui::Role::Button, &format!("Cancel {}", record.name));
            if cancel.clicked() {
                send(RunCommand::Withdraw(record.id));
            }
        } else {
            let missing = runs.no_weights(record.id);
            let export = parts::quiet(ui, missing.is_none(), "Export…")
                .on_hover_text(format!("Export {}", record.name))
                .on_disabled_hover_text(missing.unwrap_or_default());
            if export.clicked() {
                commands.push(Command::Models(ModelsCommand::ShowRun(record.id)));
            }
        }
        let bundle = parts::quiet(ui, !busy, "Bundle…").on_hover_text(format!(
            "Puts {} into one file that opens elsewhere, to be looked at: settings, curves, answers, its pairs, its newest weights",
            record.name
        ));
        if bundle.on_disabled_hover_text("When it has ended").clicked() {
            send(RunCommand::PickBundle(record.id));
        }
        let delete = parts::quiet(ui, !busy, "Delete…")
            .on_hover_text(format!("Delete {}", record.name))
            .on_disabled_hover_text(if waits { "Take it out of the queue first" } else { "Stop the run first" });
        if delete.clicked() {
            view.deleting = Some(record.id);
        }
    });
}
