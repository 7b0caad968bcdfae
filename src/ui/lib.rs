//! Draws state, emits commands; one file a screen, one theme.
//!
//! Nothing in here touches a disk, a thread or a channel. A screen is a function
//! `ui(ui, &Workspace, &mut Views, &Commands)` with a picture for the rail; a new one is named in `screens` and in
//! `state::Screen`.

pub mod chart;
mod command_palette;
mod dropped;
mod field;
mod guide;
mod help;
mod icon;
mod keyboard;
mod legend;
mod lines;
mod marked;
mod notices;
pub mod parts;
mod perform;
mod pieces;
pub mod prompt;
mod rail;
mod ribbon;
pub mod screens;
mod split;
mod strip;
pub mod theme;
mod tokens;
mod writing;

use egui::{CentralPanel, Frame, Margin, Ui};
use screens::{compare, projects, train};
use state::{Commands, ThemeChoice, Views, Workspace, reading::Steps};
use theme::space;

/// The whole window: rail, status strip, what to do next, notices, and the screen in the middle.
pub fn shell(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    keyboard::take(ui, workspace, views, commands);
    dropped::bundles(ui, commands);
    rail::ui(ui, workspace, views, commands);
    strip::ui(ui, workspace, views, commands);
    // Below the screen: what comes and goes by itself moves nothing that somebody is about to press.
    guide::ui(ui, workspace, views, commands);
    notices::ui(ui, workspace, commands);
    let frame = Frame::NONE
        .fill(theme::palette(ui.visuals()).ground)
        .inner_margin(Margin::symmetric(space::XL as i8, space::L as i8));
    CentralPanel::default().frame(frame).show(ui, |ui| {
        screen(ui, workspace, views, commands);
    });
    share_step(ui, workspace, views);
    help::ui(ui, views);
    command_palette::ui(ui, workspace, views, commands);
}

/// Charts, answers and tokens are read at one step, wherever it was chosen.
fn share_step(ui: &Ui, workspace: &Workspace, views: &mut Views) {
    let shown = |views: &Views| Steps {
        train: chart::chosen_step(ui, train::GROUP),
        compare: chart::chosen_step(ui, compare::GROUP),
        answers: views.answers.step,
        tokens: Some(views.pairs.ribbon.step()),
    };
    let now = shown(views);
    let Some(step) = views.reading.moved(now) else { return };
    for (group, its) in [(train::GROUP, now.train), (compare::GROUP, now.compare)] {
        if its != step {
            chart::choose_step(ui, group, step);
        }
    }
    views.answers.step = step;
    if let Some(step) = step.filter(|step| now.tokens != Some(*step)) {
        views.pairs.ribbon.read_at(&workspace.runs, step);
    }
    views.reading.settle(shown(views));
}

fn screen(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let screen = screens::of(views.screen);
    if screen.of_project && workspace.project.is_none() {
        projects::none(ui, views.screen, views, commands);
    } else {
        (screen.ui)(ui, workspace, views, commands);
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
