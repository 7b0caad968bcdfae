//! Draws state, emits commands; one file a screen, one theme.
//!
//! Nothing in here touches a disk, a thread or a channel. A screen is a function
//! `ui(ui, &Workspace, &mut its view, &Commands)`.

pub mod answers;
pub mod chart;
pub mod compare;
mod field;
mod icon;
mod keyboard;
mod legend;
mod lines;
mod marked;
pub mod models;
mod notices;
pub mod pairs;
pub mod parts;
pub mod projects;
pub mod prompt;
mod rail;
mod strip;
pub mod theme;
mod tokens;
pub mod train;
mod writing;

use egui::{CentralPanel, Frame, Margin, Ui};

use crate::state::{Commands, Screen, ThemeChoice, Views, Workspace};
use theme::space;

/// The whole window: rail, status strip, notices, and the screen in the middle.
pub fn shell(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    shortcuts(ui, views);
    rail::ui(ui, workspace, views, commands);
    strip::ui(ui, workspace, views, commands);
    notices::ui(ui, workspace, commands);
    let frame = Frame::NONE
        .fill(theme::palette(ui.visuals()).ground)
        .inner_margin(Margin::symmetric(space::XL as i8, space::L as i8));
    CentralPanel::default().frame(frame).show(ui, |ui| match views.screen {
        Screen::Models => models::ui(ui, workspace, views, commands),
        Screen::Projects => projects::ui(ui, workspace, &mut views.projects, commands),
        screen if workspace.project.is_none() => {
            projects::none(ui, screen, views, commands);
        }
        Screen::Pairs => {
            let data = &views.train.launch.checked().config.data;
            let limits = (data.max_prompt_tokens, data.max_answer_tokens);
            pairs::ui(ui, workspace, &mut views.pairs, limits, commands);
        }
        Screen::Train => train::ui(ui, workspace, views, commands),
        Screen::Compare => compare::ui(ui, workspace, &mut views.compare, commands),
        Screen::Answers => answers::ui(ui, workspace, &mut views.answers, commands),
    });
}

/// Ctrl+1 .. Ctrl+5 go to the places of the rail, Ctrl+O and Ctrl+N to other projects and to a new one.
fn shortcuts(ui: &mut Ui, views: &mut Views) {
    use egui::{Key, KeyboardShortcut, Modifiers};
    let keys = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    for (screen, key) in Screen::ALL.into_iter().zip(keys) {
        let shortcut = KeyboardShortcut::new(Modifiers::COMMAND, key);
        if ui.input_mut(|input| input.consume_shortcut(&shortcut)) {
            views.screen = screen;
            egui::Popup::close_all(ui);
        }
    }
    for key in [Key::O, Key::N] {
        let shortcut = KeyboardShortcut::new(Modifiers::COMMAND, key);
        if ui.input_mut(|input| input.consume_shortcut(&shortcut)) {
            views.screen = Screen::Projects;
            views.projects.form_opens |= key == Key::N;
            // A menu that was open would lie over the place that was asked for.
            egui::Popup::close_all(ui);
        }
    }
}

/// Follows the choice of the rail.
pub fn theme_preference(choice: ThemeChoice) -> egui::ThemePreference {
    match choice {
        ThemeChoice::System => egui::ThemePreference::System,
        ThemeChoice::Light => egui::ThemePreference::Light,
        ThemeChoice::Dark => egui::ThemePreference::Dark,
    }
}
