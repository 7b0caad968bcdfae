//! The Models screen: what is on this machine and what was trained, on the left; what the chosen one is, on the right.

mod detail;
mod download;
mod export;
mod list;
mod run;

pub(crate) use list::step;

use data::size;
use egui::{Align, Button, Frame, Layout, Margin, Panel, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Views, Workspace,
    models::{AddForm, ModelsCommand, ModelsView, Selected},
    projects::typed_path,
    runs::Loaded,
};

use crate::{dropped, icon::Pen, parts, theme::space};

/// Width of what is said about one model.
const DETAIL: f32 = 420.0;

/// A shelf.
pub(crate) fn icon(pen: &Pen<'_>) {
    for top in [0.14, 0.42, 0.7] {
        pen.outline((0.06, top), (0.94, top + 0.2), 2.0);
        pen.dot((0.24, top + 0.1), 1.2);
    }
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    if workspace.models.looked == Loaded::Absent {
        commands.push(Command::Models(ModelsCommand::Look));
    }
    header(ui, workspace, &mut views.models, commands);
    add(ui, workspace, &mut views.models, commands);
    download::ui(ui, workspace, &mut views.models, commands);
    take_dropped(ui, commands);
    ui.add_space(space::S);
    let width = DETAIL.min(ui.available_width() * 0.55);
    Panel::right("model detail")
        .exact_size(width)
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::NONE.inner_margin(Margin { left: space::L as i8, ..Margin::ZERO }))
        .show(ui, |ui| {
            ScrollArea::vertical().id_salt("model detail").auto_shrink([false, false]).show(ui, |ui| {
                chosen(ui, workspace, views, commands);
                ui.add_space(space::L);
            });
        });
    egui::CentralPanel::no_frame().show(ui, |ui| {
        list::ui(ui, workspace, &mut views.models, commands);
    });
}

/// What is said about the selected model or run.
fn chosen(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    match list::selected(workspace, &views.models) {
        Some(Selected::Model(path)) => {
            if let Some(entry) = workspace.models.entry(&path) {
                detail::ui(ui, workspace, views, entry, commands);
            }
        }
        Some(Selected::Run(run)) => {
            if let Some(record) = workspace.runs.record(run) {
                run::ui(ui, workspace, &mut views.models.export, record, commands);
            }
        }
        None => {}
    }
}

fn header(ui: &mut Ui, workspace: &Workspace, view: &mut ModelsView, commands: &Commands) {
    let data = &workspace.models;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let line = match &data.machine {
                Some(machine) => format!(
                    "On this machine: {}, {} free of {}",
                    machine.device,
                    size(machine.free),
                    size(machine.total)
                ),
                None => "Looking at this machine…".to_owned(),
            };
            parts::title(ui, "Models", &line);
            for card in data.machine.iter().flat_map(|machine| &machine.cards) {
                ui.weak(card);
            }
        });
        // Laid out from the right.
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui
                .button("Add…")
                .on_hover_text("A model folder, a folder of models, a GGUF file or an adapter")
                .clicked()
            {
                toggle(ui, view, AddForm::Add);
            }
            if ui.button("Download…").on_hover_text("A model of the Hugging Face hub, by its name").clicked() {
                toggle(ui, view, AddForm::Download);
            }
            let (seen, all) = data.progress();
            let busy = data.looked == Loaded::Asked || seen < all;
            let again = ui
                .add_enabled(!busy, Button::new("Look again"))
                .on_hover_text("Look through the cache and the added folders once more");
            if again.clicked() {
                commands.push(Command::Models(ModelsCommand::Look));
            }
            if busy && all > 0 {
                let name = format!("Looked at {seen} of {all} models");
                ui.scope(|ui| {
                    ui.set_width(120.0);
                    parts::progress(ui, seen as f32 / all as f32, &name);
                });
                parts::caption(ui, format!("{seen} of {all}"));
            }
        });
    });
}

/// Opens a strip with the caret in its field, or closes it.
pub(crate) fn toggle(ui: &Ui, view: &mut ModelsView, to: AddForm) {
    if view.intake == to {
        view.intake = AddForm::None;
    } else {
        view.intake = to;
        view.intake_opens = true;
        ui.request_repaint();
    }
}

/// A named field of a strip that leaves `rest` points for its buttons; whether Enter was pressed in it. It takes the
/// caret when the strip `opens`.
fn line(ui: &mut Ui, name: &str, text: &mut String, hint: &str, opens: &mut bool, rest: f32) -> bool {
    let label = ui.label(name);
    let width = (ui.available_width() - rest).max(160.0);
    let edit = TextEdit::singleline(text).id_salt(name).hint_text(hint).desired_width(width);
    let field = ui.add(edit).labelled_by(label.id);
    // Not in the frame of the click: a field gives the caret up when something else is clicked.
    if *opens && !ui.input(|input| input.pointer.any_click()) {
        *opens = false;
        field.request_focus();
    }
    field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter))
}

/// Where to find more models: typed, picked, or dropped on the window.
fn add(ui: &mut Ui, workspace: &Workspace, view: &mut ModelsView, commands: &Commands) {
    if view.intake != AddForm::Add {
        return;
    }
    let palette = parts::palette(ui);
    let send = |command| commands.push(Command::Models(command));
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            let hint = "Path of a folder or a .gguf file, or drop it on the window";
            let enter = line(ui, "Add", &mut view.path, hint, &mut view.intake_opens, 330.0);
            let typed = typed_path(&view.path);
            let go = ui.add_enabled(typed.is_some(), Button::new("Add this"));
            if (go.clicked() || enter)
                && let Some(place) = typed
            {
                send(ModelsCommand::Add(place));
            }
            if ui.button("Folder…").clicked() {
                send(ModelsCommand::PickFolder);
            }
            if ui.button("GGUF file…").clicked() {
                send(ModelsCommand::PickFile);
            }
            if ui.button("Close").clicked() {
                view.intake = AddForm::None;
            }
        });
        match &workspace.models.refused {
            Some(refused) => {
                ui.label(RichText::new(refused).color(palette.error));
            }
            None => {
                parts::caption(ui, "Nothing is copied: the place is looked through now and at every start");
            }
        }
    });
}

/// A folder or a file dropped on the window is added.
fn take_dropped(ui: &Ui, commands: &Commands) {
    for path in dropped::others(ui) {
        commands.push(Command::Models(ModelsCommand::Add(path)));
    }
}
