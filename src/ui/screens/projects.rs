//! The Projects place: the ones opened lately on the left, a new one on the right.

use std::path::Path;

use data::ModelCard;
use egui::{Align, Button, Layout, Response, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Screen, Views, Workspace,
    actions::Action,
    models::{self, ModelsCommand},
    projects::{Making, ProjectsCommand, ProjectsView, Recent, typed_path},
    runs::Loaded,
};

use crate::{
    icon::Pen,
    parts, perform, prompt,
    theme::{size, space},
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

/// A folder.
pub(crate) fn icon(pen: &Pen<'_>) {
    pen.outline((0.06, 0.3), (0.94, 0.86), 2.0);
    pen.line(&[(0.06, 0.36), (0.06, 0.16), (0.4, 0.16), (0.5, 0.3)], 1.5);
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let view = &mut views.projects;
    let mut downloads = false;
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
                    downloads = make(ui, workspace, view, commands);
                }
            });
        });
        ui.add_space(space::L);
    });
    if downloads {
        perform::action(Action::Download, ui, workspace, views, commands);
    }
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
            let (opens, forgets) = row(ui, recent, state, &spoken(recent, view.has_namesake(recent)));
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
    if ui.button("Open the demo project").on_hover_text("A small made-up world that trains in a minute").clicked() {
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

/// What a reader hears of the button that opens a project; two of one name are told apart by their folders.
pub fn spoken(recent: &Recent, has_namesake: bool) -> String {
    if has_namesake {
        format!("Open {} in {}", recent.name, recent.dir.display())
    } else {
        format!("Open {}", recent.name)
    }
}

/// One remembered project: (open it, take it off the list).
fn row(ui: &mut Ui, recent: &Recent, state: State, spoken: &str) -> (bool, bool) {
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
                prompt::name(&response, egui::Role::Button, spoken);
                clicked.0 = response.clicked();
                ui.horizontal(|ui| {
                    ui.add_space(ui.spacing().button_padding.x);
                    ui.vertical(|ui| {
                        ui.spacing_mut().item_spacing.y = 1.0;
                        parts::path_line(ui, &recent.dir.display().to_string());
                        if state == State::Gone {
                            parts::caption(ui, "is not there any more");
                        }
                    });
                });
            });
        });
    });
    clicked
}

/// The form of a new project; whether a model is to be downloaded first.
fn make(ui: &mut Ui, workspace: &Workspace, view: &mut ProjectsView, commands: &Commands) -> bool {
    let palette = parts::palette(ui);
    let data = &workspace.projects;
    parts::heading(ui, "New project");
    let send = |command| commands.push(Command::Projects(command));
    if data.glance.of != view.form {
        send(ProjectsCommand::Glance(view.form.clone()));
    }
    let form = &mut view.form;
    let mut entered = false;
    let mut enter = |ui: &Ui, field: &Response| {
        entered |= field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    };
    let name = field(ui, ("Name", None), &mut form.name, "e.g. Harbour tone", &[]).0;
    enter(ui, &name);
    // Not in the frame of the click: a field gives the caret up when something else is clicked.
    if view.form_opens && !ui.input(|input| input.pointer.any_click()) {
        view.form_opens = false;
        name.request_focus();
    }
    let default = form.default_dir(&data.home).display().to_string();
    let glance = &data.glance;
    let note = glance.dir.as_deref().map(|why| (why, palette.error));
    let (folder, clicked) = field(ui, ("Folder", note), &mut form.dir, &default, &["Choose…"]);
    if clicked.is_some() {
        send(ProjectsCommand::PickDir);
    }
    enter(ui, &folder);
    let buttons = ["Folder…", "GGUF…"];
    let hint = "A folder, a GGUF file, or org/name of the cache";
    let note = match &glance.model {
        Some(Ok(what)) => Some((what.as_str(), palette.good)),
        Some(Err(why)) => Some((why.as_str(), palette.error)),
        None => None,
    };
    let (model, clicked) = field(ui, ("Model to tune", note), &mut form.model, hint, &buttons);
    match clicked {
        Some(0) => send(ProjectsCommand::PickModel),
        Some(_) => send(ProjectsCommand::PickModelFile),
        None => {}
    }
    enter(ui, &model);
    let downloads = known_models(ui, workspace, &mut form.model);
    ui.add_space(space::S);
    let ready = form.read(&data.home);
    let going = workspace.runs.live.as_ref().map(|live| workspace.runs.name(live.run));
    let under_way = data.making == Making::UnderWay;
    ui.horizontal_wrapped(|ui| {
        let word = if under_way { "Making it…" } else { "Make the project" };
        let make = ui.add_enabled_ui(ready.is_ok() && !under_way, |ui| parts::primary(ui, word)).inner;
        if (make.clicked() || entered)
            && !under_way
            && let Ok(new) = &ready
        {
            send(ProjectsCommand::Make(Box::new(new.clone())));
        }
        match (&ready, &going) {
            (Err(missing), _) => parts::caption(ui, *missing),
            (Ok(_), Some(run)) => parts::caption(ui, format!("Once {run} has ended or was stopped")),
            (Ok(_), None) => parts::caption(ui, "Next: import or write pairs"),
        };
    });
    // Below everything, so that nothing moves under the pointer while one types.
    let typed = [glance.dir.as_ref(), glance.model.as_ref().and_then(|model| model.as_ref().err())];
    let failed = match &data.making {
        Making::Failed(sentence) if !typed.contains(&Some(sentence)) => Some(sentence),
        _ => None,
    };
    // It says so as long as it is so.
    let would_close = going
        .filter(|_| data.making == Making::WhileARunGoes)
        .map(|run| format!("{run} is still going, and making a project would close this one. Stop the run first"));
    let faults = failed.into_iter().chain(&would_close).chain(typed.into_iter().flatten());
    let faults: Vec<&String> = faults.collect();
    if !faults.is_empty() {
        parts::strip(ui, palette.error_soft, |ui| {
            ui.set_width(ui.available_width());
            for fault in faults {
                ui.add(egui::Label::new(RichText::new(fault).color(palette.error)).wrap());
            }
        });
    }
    downloads
}

/// A labelled text over the width of the card with buttons at its right; which of them was clicked. A note about the
/// text stands beside the label, on one line.
fn field(
    ui: &mut Ui,
    (label, note): (&str, Option<(&str, egui::Color32)>),
    text: &mut String,
    hint: &str,
    buttons: &[&str],
) -> (Response, Option<usize>) {
    const BUTTON: f32 = 84.0;
    /// A field that had less beside its buttons has a row of its own.
    const NARROWEST: f32 = 140.0;
    let label_response = ui
        .horizontal(|ui| {
            ui.spacing_mut().interact_size.y = size::SMALL;
            let label = parts::caption(ui, label);
            if let Some((note, color)) = note {
                let note_text = RichText::new(note).size(size::SMALL).color(color);
                ui.add(egui::Label::new(note_text).truncate()).on_hover_text(note);
            }
            label
        })
        .inner;
    let mut clicked = None;
    let mut press = |ui: &mut Ui| {
        for (index, word) in buttons.iter().enumerate() {
            let button = ui.add(Button::new(*word).min_size(egui::vec2(BUTTON, 0.0)));
            prompt::name(&button, egui::Role::Button, &format!("{label}: {word}"));
            if button.clicked() {
                clicked = Some(index);
            }
        }
    };
    let taken = (BUTTON + ui.spacing().item_spacing.x) * buttons.len() as f32;
    let is_wide = ui.available_width() - taken > NARROWEST;
    let field = ui
        .horizontal(|ui| {
            let width = ui.available_width() - if is_wide { taken } else { 0.0 };
            let font = egui::TextStyle::Body.resolve(ui.style());
            let hint = if hint.starts_with(std::path::MAIN_SEPARATOR) {
                parts::tail(ui, hint, &font, width - 2.0 * space::L)
            } else {
                hint.to_owned()
            };
            let edit = TextEdit::singleline(text).id_salt(label).hint_text(hint).desired_width(width);
            let field = ui.add(edit).labelled_by(label_response.id);
            if is_wide {
                press(ui);
            }
            field
        })
        .inner;
    if !is_wide {
        ui.horizontal(press);
    }
    ui.add_space(space::XS);
    (field, clicked)
}

/// Models of this machine that can be tuned, to be picked with a click; whether one is to be downloaded.
fn known_models(ui: &mut Ui, workspace: &Workspace, model: &mut String) -> bool {
    let usable = || {
        let cards = workspace.models.entries().filter_map(|it| it.card.as_ref());
        cards.filter(|card| card.is_supported() && card.kind != data::ModelKind::Adapter)
    };
    let is_any = usable().next().is_some();
    let downloads = ui.horizontal(|ui| {
        parts::caption(ui, if is_any { "On this machine" } else { "None on this machine yet" });
        parts::quiet(ui, true, "Download a model…").on_hover_text("From the Hugging Face hub, by its name").clicked()
    });
    if !is_any {
        return downloads.inner;
    }
    ScrollArea::vertical()
        .id_salt("known models")
        .max_height(180.0)
        .min_scrolled_height(180.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for card in usable() {
                let path = card.folder.display().to_string();
                let mut word = telling_name(card);
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
    downloads.inner
}

/// A folder that is called "model" says nothing alone.
fn telling_name(card: &ModelCard) -> String {
    let within = card.folder.parent().and_then(Path::file_name).filter(|_| card.name == "model");
    within.map_or_else(|| card.name.clone(), |within| format!("{}/{}", within.display(), card.name))
}
