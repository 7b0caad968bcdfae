//! The runs: tick, filter, edit, delete.

use data::counted;
use egui::{Button, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    compare::{
        CompareView,
        board::{Board, SortRunsBy},
        edits::RunDraft,
        table,
    },
    models::ModelsCommand,
    runs::Runs,
    train::RunCommand,
};
use store::RunRecord;

use crate::{
    legend, parts, prompt,
    screens::train,
    theme::{self, size, space},
};

/// Above so many runs there is a field to filter them by.
const FEW: usize = 6;
const FILTER: &str = "filter of runs";
/// Height of the row of what can be done with a run.
const LOW: f32 = 20.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    let runs = &workspace.runs;
    if runs.records.len() > FEW || !view.filter.is_empty() {
        filter_field(ui, view, ui.available_width());
        ui.add_space(space::XS);
    }
    let rows =
        table::rows(runs, &Board { sort: SortRunsBy::Made, reversed: false, ..view.board.clone() }, &view.filter());
    ScrollArea::vertical().id_salt("compare runs").auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        for (depth, record) in rows {
            ui.push_id(record.id.0, |ui| {
                row(ui, workspace, view, (depth, record), commands);
            });
        }
        let away = runs.records.iter().filter(|record| record.marks.archived).count();
        if away > 0 {
            ui.checkbox(&mut view.board.archived, format!("Archived too ({away})"));
        }
    });
}

/// Which runs are listed.
pub fn filter_field(ui: &mut Ui, view: &mut CompareView, width: f32) {
    let field = TextEdit::singleline(&mut view.filter)
        .id(egui::Id::unique(FILTER))
        .hint_text("Filter: words, or kl/ref<0.05")
        .desired_width(width - space::S);
    let field = ui.add(field).accessible_name("Filter runs");
    let key = key_of(Action::FilterRuns);
    let field = field.on_hover_text(format!(
        "Words look in name, method, status, tags and note; a metric or a setting is compared with <, >, <=, >=, = or != ({key})"
    ));
    if field.has_focus() && ui.input(|input| input.key_pressed(egui::Key::Escape)) {
        view.filter.clear();
    }
}

/// Puts the caret there.
pub fn filter(ui: &Ui) {
    ui.memory_mut(|memory| memory.request_focus(egui::Id::unique(FILTER)));
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
            let color = theme::series_color(palette, record.look());
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if on {
                    legend::sample(ui, color, theme::series_pattern(record.look()));
                }
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                    ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Truncate);
                    let pin = if record.marks.pinned { "📌 " } else { "" };
                    let name = format!("{}{pin}{}", train::branch(depth), record.name);
                    let tick = ui.add_enabled(!record.marks.archived, egui::Checkbox::new(&mut on, name));
                    prompt::name(&tick, egui::Role::CheckBox, &record.name);
                    if tick.changed() {
                        view.pick(&workspace.runs, record.id, on);
                    }
                });
            });
        });
        parts::small_row(ui, |ui| {
            let (word, color) = train::status_word(record.status, palette);
            ui.label(RichText::new(word).size(size::SMALL).color(color));
            parts::caption(ui, counted(record.step as usize, "step", "steps"));
            if let Some(at) = record.parent_step {
                parts::caption(ui, format!("from step {at}"));
            }
            if !record.name.contains(&record.method) {
                parts::caption(ui, &record.method);
            }
            for tag in &record.marks.tags {
                parts::chip(ui, tag, palette.weak);
            }
        });
        if !record.marks.note.is_empty() {
            ui.add(
                egui::Label::new(RichText::new(&record.marks.note).size(size::SMALL).color(palette.weak)).truncate(),
            )
            .on_hover_text(&record.marks.note);
        }
        actions(ui, workspace, view, record, commands);
    });
}

/// Name, colour, tags and note of a run, while they are edited.
pub fn edit(ui: &mut Ui, view: &mut CompareView, record: &RunRecord, commands: &Commands) {
    let Some(draft) = view.draft.as_mut().filter(|draft| draft.run == record.id) else { return };
    let palette = parts::palette(ui);
    let label = parts::caption(ui, "New name of the run");
    let name = TextEdit::singleline(&mut draft.about.name).id_salt(("name", record.id.0)).desired_width(f32::INFINITY);
    let name = ui.add(name).labelled_by(label.id);
    if std::mem::take(&mut draft.fresh) {
        name.request_focus();
    }
    parts::caption(ui, "Colour");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(space::XS, space::XS);
        let marks = &mut draft.about.marks;
        for place in 0..palette.series.len() {
            let is_own = usize::from(marks.colour.unwrap_or(u8::MAX)) == place;
            let swatch = ui.add(
                Button::new("")
                    .min_size(egui::vec2(20.0, 20.0))
                    .fill(theme::series_color(palette, place))
                    .selected(is_own),
            );
            if is_own {
                let stroke = egui::Stroke::new(2.0, palette.strong);
                ui.painter().rect_stroke(swatch.rect, 3.0, stroke, egui::StrokeKind::Inside);
            }
            let word = format!("Colour {}", place + 1);
            prompt::name(&swatch, egui::Role::Button, &word);
            if swatch.on_hover_text(word).clicked() {
                marks.colour = u8::try_from(place).ok();
            }
        }
        let own = ui.selectable_label(marks.colour.is_none(), "Its own").on_hover_text("By its number");
        if own.clicked() {
            marks.colour = None;
        }
    });
    let label = parts::caption(ui, "Tags, between commas");
    let tags = TextEdit::singleline(&mut draft.tags).id_salt(("tags", record.id.0)).desired_width(f32::INFINITY);
    ui.add(tags).labelled_by(label.id);
    let label = parts::caption(ui, "Note");
    let note = TextEdit::multiline(&mut draft.about.marks.note)
        .id_salt(("note", record.id.0))
        .desired_rows(2)
        .desired_width(f32::INFINITY);
    let in_note = ui.add(note).labelled_by(label.id).has_focus();
    ui.horizontal_wrapped(|ui| {
        ui.checkbox(&mut draft.about.marks.pinned, "Pinned").on_hover_text("Stands before all others");
        ui.checkbox(&mut draft.about.marks.archived, "Archived").on_hover_text("Out of the lists; nothing is deleted");
    });
    let (enter, escape) = ui.input(|input| (input.key_pressed(egui::Key::Enter), input.key_pressed(egui::Key::Escape)));
    let (mut saves, mut cancels) = (escape || (enter && !in_note), false);
    ui.horizontal(|ui| {
        saves |= ui.button("Save").on_hover_text("Esc saves, too; Ctrl Z takes it back").clicked();
        cancels = ui.button("Cancel").on_hover_text("What was typed is dropped").clicked();
    });
    if cancels {
        view.draft = None;
    } else if saves {
        save_draft(view, record, commands);
    }
}

/// What was typed about the run is kept; Ctrl Z takes it back.
fn save_draft(view: &mut CompareView, record: &RunRecord, commands: &Commands) {
    if let Some(about) = view.draft.take().and_then(|draft| draft.changed(record)) {
        commands.push(Command::Runs(RunCommand::SetAbout(record.id, Box::new(about))));
    }
}

/// Begins to edit a run; what was typed about another one is kept.
pub fn begin_edit(view: &mut CompareView, runs: &Runs, record: &RunRecord, commands: &Commands) {
    if let Some(before) = view.draft.as_ref().and_then(|draft| runs.record(draft.run)) {
        save_draft(view, before, commands);
    }
    view.draft = Some(RunDraft::of(record));
}

fn actions(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, record: &RunRecord, commands: &Commands) {
    let palette = parts::palette(ui);
    let send = |command| commands.push(Command::Runs(command));
    if view.draft.as_ref().is_some_and(|draft| draft.run == record.id) {
        edit(ui, view, record, commands);
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
    ui.spacing_mut().interact_size.y = LOW;
    parts::quiet_row(ui, |ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
        // All four stand in one row.
        ui.spacing_mut().item_spacing.x = 0.0;
        let is_writable = workspace.project.as_ref().is_some_and(|project| !project.read_only);
        let edit = parts::quiet(ui, is_writable, "Edit…")
            .on_hover_text(format!("Name, colour, tags and note of {}; pin it or put it away", record.name))
            .on_disabled_hover_text("This project can only be looked at");
        prompt::name(&edit, egui::Role::Button, &format!("Edit {}", record.name));
        if edit.clicked() {
            begin_edit(view, runs, record, commands);
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
