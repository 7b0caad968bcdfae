//! The Projects place: the ones opened lately on the left, a new one on the right.

use egui::{Align, Button, Layout, Response, RichText, ScrollArea, TextEdit, Ui};

use super::{
    parts, prompt,
    theme::{size, space},
};
use crate::state::{
    Command, Commands, Screen, Views, Workspace,
    models::{self, ModelsCommand},
    projects::{Making, ProjectsCommand, ProjectsView, Recent, typed_path},
    runs::Loaded,
};

/// What stands where a screen would be while no project is open.
pub fn none(ui: &mut Ui, screen: Screen, views: &mut Views, commands: &Commands) {
    parts::title(ui, screen.title(), "");
    parts::empty(ui, "No project is open", "Make one of your own, open one, or look around in the demo");
    ui.vertical_centered(|ui| {
        ui.add_space(space::M);
        if parts::primary(ui, "New or open…").clicked() {
            views.screen = Screen::Projects;
        }
        if ui.button("Open the demo").clicked() {
            commands.push(Command::OpenDemo);
        }
    });
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut ProjectsView, commands: &Commands) {
    if !workspace.projects.looked {
        commands.push(Command::Projects(ProjectsCommand::Look));
    }
    if workspace.models.looked == Loaded::Absent {
        commands.push(Command::Models(ModelsCommand::Look));
    }
    parts::title(ui, "Projects", "A project is a folder: pairs, labels and the runs trained on them");
    ui.add_space(space::S);
    ScrollArea::vertical().id_salt("projects").auto_shrink([false, false]).show(ui, |ui| {
        parts::two_columns(ui, 0.0, |ui, column| {
            parts::card(ui, |ui| {
                ui.set_width(ui.available_width());
                if column == 0 {
                    open(ui, workspace, view, commands);
                } else {
                    make(ui, workspace, view, commands);
                }
            });
        });
        ui.add_space(space::L);
    });
}

fn open(ui: &mut Ui, workspace: &Workspace, view: &mut ProjectsView, commands: &Commands) {
    parts::heading(ui, "Open a project");
    let label = parts::caption(ui, "Folder of a project");
    let (typed, entered) = ui
        .horizontal(|ui| {
            const BUTTON: f32 = 84.0;
            let taken = 2.0 * (BUTTON + ui.spacing().item_spacing.x);
            let edit = TextEdit::singleline(&mut view.path)
                .id_salt("project path")
                .desired_width(ui.available_width() - taken);
            let field = ui.add(edit).labelled_by(label.id);
            let enter = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let typed = typed_path(&view.path);
            let open = ui.add_enabled(typed.is_some(), Button::new("Open").min_size(egui::vec2(BUTTON, 0.0)));
            if ui.add(Button::new("Choose…").min_size(egui::vec2(BUTTON, 0.0))).clicked() {
                commands.push(Command::PickProject);
            }
            (typed, enter || open.clicked())
        })
        .inner;
    if entered && let Some(dir) = typed {
        commands.push(Command::OpenProject(dir));
    }
    ui.add_space(space::S);
    parts::caption(ui, "Opened lately");
    let opened = workspace.project.as_ref().map(|project| &project.dir);
    let mut forget = None;
    for recent in &view.recent {
        ui.push_id(&recent.dir, |ui| {
            let state = if opened == Some(&recent.dir) {
                State::Open
            } else if workspace.projects.gone.contains(&recent.dir) {
                State::Gone
            } else {
                State::There
            };
            let (opens, forgets) = row(ui, recent, state);
            if opens {
                commands.push(Command::OpenProject(recent.dir.clone()));
            }
            if forgets {
                forget = Some(recent.dir.clone());
            }
        });
    }
    if let Some(dir) = forget {
        commands.push(Command::Projects(ProjectsCommand::Forget(dir)));
    }
    if view.recent.is_empty() {
        ui.label("None yet");
    }
    ui.add_space(space::S);
    if ui.button("Open the demo project").on_hover_text("A small model that trains in seconds").clicked() {
        commands.push(Command::OpenDemo);
    }
}

/// What is known of a remembered project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    /// In this window, now.
    Open,
    /// Its folder is not there any more.
    Gone,
}

/// One remembered project: (open it, take it off the list).
fn row(ui: &mut Ui, recent: &Recent, state: State) -> (bool, bool) {
    let palette = parts::palette(ui);
    let mut clicked = (false, false);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let forget = parts::quiet(ui, true, "Remove");
            prompt::name(&forget, egui::Role::Button, &format!("Take {} off the list", recent.name));
            clicked.1 = forget.on_hover_text("Takes it off this list; its folder stays as it is").clicked();
            if state == State::Open {
                parts::caption(ui, "open now");
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                let name = RichText::new(&recent.name).color(palette.strong);
                let button = Button::new(name).frame_when_inactive(false).truncate();
                let response = ui.add_enabled(state == State::There, button);
                prompt::name(&response, egui::Role::Button, &format!("Open {}", recent.name));
                clicked.0 = response.clicked();
                ui.horizontal(|ui| {
                    ui.add_space(ui.spacing().button_padding.x);
                    let place = recent.dir.display();
                    let line =
                        if state == State::Gone { format!("{place} is not there any more") } else { place.to_string() };
                    let line = RichText::new(line).size(size::SMALL).color(palette.weak);
                    ui.add(egui::Label::new(line).truncate());
                });
            });
        });
    });
    clicked
}

fn make(ui: &mut Ui, workspace: &Workspace, view: &mut ProjectsView, commands: &Commands) {
    let palette = parts::palette(ui);
    let data = &workspace.projects;
    parts::heading(ui, "New project");
    let send = |command| commands.push(Command::Projects(command));
    let form = &mut view.form;
    let name = field(ui, "Name", &mut form.name, "e.g. Harbour tone", &[]).0;
    // Not in the frame of the click: a field gives the caret up when something else is clicked.
    if view.form_opens && !ui.input(|input| input.pointer.any_click()) {
        view.form_opens = false;
        name.request_focus();
    }
    let default = form.default_dir(&data.home).display().to_string();
    if let Some(0) = field(ui, "Folder", &mut form.dir, &default, &["Choose…"]).1 {
        send(ProjectsCommand::PickDir);
    }
    let buttons = ["Folder…", "GGUF…"];
    let hint = "A folder, a GGUF file, or org/name of the cache";
    match field(ui, "Model to tune", &mut form.model, hint, &buttons).1 {
        Some(0) => send(ProjectsCommand::PickModel),
        Some(_) => send(ProjectsCommand::PickModelFile),
        None => {}
    }
    known_models(ui, workspace, &mut form.model);
    ui.add_space(space::S);
    let ready = form.read(&data.home);
    let under_way = data.making == Making::UnderWay;
    ui.horizontal(|ui| {
        ui.add_enabled_ui(ready.is_ok() && !under_way, |ui| {
            let word = if under_way { "Making it…" } else { "Make the project" };
            if parts::primary(ui, word).clicked()
                && let Ok(new) = &ready
            {
                send(ProjectsCommand::Make(Box::new(new.clone())));
            }
        });
        match &ready {
            Err(missing) => parts::caption(ui, *missing),
            Ok(_) => parts::caption(ui, "Next: import or write pairs"),
        };
    });
    if let Making::Failed(sentence) = &data.making {
        parts::strip(ui, palette.error_soft, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(sentence).color(palette.error));
        });
    }
}

/// A labelled text over the width of the card with buttons at its right; which of them was clicked.
fn field(ui: &mut Ui, label: &str, text: &mut String, hint: &str, buttons: &[&str]) -> (Response, Option<usize>) {
    const BUTTON: f32 = 84.0;
    let label_response = parts::caption(ui, label);
    let mut clicked = None;
    let field = ui
        .horizontal(|ui| {
            let taken = (BUTTON + ui.spacing().item_spacing.x) * buttons.len() as f32;
            let edit =
                TextEdit::singleline(text).id_salt(label).hint_text(hint).desired_width(ui.available_width() - taken);
            let field = ui.add(edit).labelled_by(label_response.id);
            for (index, word) in buttons.iter().enumerate() {
                let button = ui.add(Button::new(*word).min_size(egui::vec2(BUTTON, 0.0)));
                let name = format!("{label}: {word}");
                prompt::name(&button, egui::Role::Button, &name);
                if button.clicked() {
                    clicked = Some(index);
                }
            }
            field
        })
        .inner;
    ui.add_space(space::XS);
    (field, clicked)
}

/// Models of this machine that can be tuned, to be picked with a click.
fn known_models(ui: &mut Ui, workspace: &Workspace, model: &mut String) {
    let usable = || {
        let cards = workspace.models.entries().filter_map(|it| it.card.as_ref());
        cards.filter(|card| card.is_supported() && card.kind != crate::data::ModelKind::Adapter)
    };
    if usable().next().is_none() {
        return;
    }
    parts::caption(ui, "On this machine");
    ScrollArea::vertical()
        .id_salt("known models")
        .max_height(180.0)
        .min_scrolled_height(180.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for card in usable() {
                let path = card.folder.display().to_string();
                let mut word = card.name.clone();
                if let Some(parameters) = card.parameters {
                    word = format!("{word}  ·  {}", models::count(parameters));
                }
                let button = Button::selectable(*model == path, word).truncate();
                let button = ui.add(button.min_size(egui::vec2(ui.available_width(), 0.0)));
                if button.on_hover_text(&path).clicked() {
                    *model = path;
                }
            }
        });
}
