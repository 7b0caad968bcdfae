//! The places of the window: the picture of each, and what draws it.

pub mod answers;
pub mod compare;
pub mod models;
pub mod pairs;
pub mod projects;
pub mod train;

use egui::Ui;
use state::{Commands, Screen, Views, Workspace};

use crate::icon::Pen;

/// How a place is drawn.
pub struct ScreenUi {
    /// In the rail.
    pub icon: fn(&Pen<'_>),
    pub ui: fn(&mut Ui, &Workspace, &mut Views, &Commands),
    /// There is nothing to see without a project.
    pub of_project: bool,
}

pub fn of(screen: Screen) -> ScreenUi {
    match screen {
        Screen::Pairs => ScreenUi { icon: pairs::icon, ui: pairs::ui, of_project: true },
        Screen::Train => ScreenUi { icon: train::icon, ui: train::ui, of_project: true },
        Screen::Compare => ScreenUi { icon: compare::icon, ui: compare::ui, of_project: true },
        Screen::Answers => ScreenUi { icon: answers::icon, ui: answers::ui, of_project: true },
        Screen::Models => ScreenUi { icon: models::icon, ui: models::ui, of_project: false },
        Screen::Projects => ScreenUi { icon: projects::icon, ui: projects::ui, of_project: false },
    }
}
