//! The places of the window, and how it looks.

use serde::{Deserialize, Serialize};

/// Where one can be: the places of the left rail, in order, and the one behind the project's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Screen {
    Pairs,
    #[default]
    Train,
    Compare,
    Answers,
    Models,
    /// Other projects, and a new one.
    Projects,
}

impl Screen {
    /// Those of the rail.
    pub const ALL: [Self; 5] = [Self::Pairs, Self::Train, Self::Compare, Self::Answers, Self::Models];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Pairs => "Pairs",
            Self::Train => "Train",
            Self::Compare => "Compare",
            Self::Answers => "Answers",
            Self::Models => "Models",
            Self::Projects => "Projects",
        }
    }

    /// What a person does there, for the hover text of the rail.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Pairs => "Read, edit and label preference pairs",
            Self::Train => "Set up a run, start it, watch it",
            Self::Compare => "Lay runs over each other",
            Self::Answers => "Read and ask for answers",
            Self::Models => "See what is on this machine, export what was trained",
            Self::Projects => "Open a project or make a new one",
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
