//! What the screen remembers: kept across restarts, never the user's data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    Screen, ThemeChoice, answers::AnswersView, compare::CompareView, guide::Guide, keyboard::Keyboard,
    models::ModelsView, pairs::PairsView, projects::ProjectsView, reading::Reading, train::TrainView,
};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Views {
    pub screen: Screen,
    pub theme: ThemeChoice,
    /// Opened again at the next start.
    pub last_project: Option<PathBuf>,
    pub train: TrainView,
    /// Kept with the project.
    #[serde(skip)]
    pub compare: CompareView,
    pub pairs: PairsView,
    pub answers: AnswersView,
    pub models: ModelsView,
    pub projects: ProjectsView,
    pub guide: Guide,
    /// The step that charts, answers and tokens share.
    #[serde(skip)]
    pub reading: Reading,
    #[serde(skip)]
    pub keyboard: Keyboard,
}
