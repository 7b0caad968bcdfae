//! What the screen remembers: kept across restarts, never the user's data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{answers::AnswersView, compare::CompareView, pairs::PairsView, train::TrainView};

/// The places of the left rail, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Screen {
    Pairs,
    #[default]
    Train,
    Compare,
    Answers,
}

impl Screen {
    pub const ALL: [Self; 4] = [Self::Pairs, Self::Train, Self::Compare, Self::Answers];

    pub fn title(self) -> &'static str {
        match self {
            Self::Pairs => "Pairs",
            Self::Train => "Train",
            Self::Compare => "Compare",
            Self::Answers => "Answers",
        }
    }

    /// What a person does there, for the hover text of the rail.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Pairs => "Read, edit and label preference pairs",
            Self::Train => "Set up a run, start it, watch it",
            Self::Compare => "Lay runs over each other",
            Self::Answers => "Read and ask for answers",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ThemeChoice {
    #[default]
    System,
    Light,
    Dark,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Views {
    pub screen: Screen,
    pub theme: ThemeChoice,
    /// Opened again at the next start.
    pub last_project: Option<PathBuf>,
    /// A path being typed into the project menu.
    #[serde(skip)]
    pub project_path: String,
    pub train: TrainView,
    pub compare: CompareView,
    pub pairs: PairsView,
    pub answers: AnswersView,
}
