//! The places of the window, and how it looks.

use serde::{Deserialize, Serialize};

use super::guide::Milestone;

/// Where one can be: the places of the left rail, in order, and the one behind the project's name. A new one has its
/// arm in [`Screen::place`] and in `ui::screens`.
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

/// What is said of a place.
struct Place {
    title: &'static str,
    /// The command that goes there.
    go: &'static str,
    keys: &'static [&'static str],
    /// What a person does there, for the hover text of the rail.
    purpose: &'static str,
    /// What a person does there once.
    milestone: Option<Milestone>,
}

/// The title, the keys that go there and the purpose, then the milestone.
macro_rules! place {
    ($title:literal, $keys:expr, $purpose:literal, $milestone:expr) => {
        Place { title: $title, go: concat!("Go to ", $title), keys: &$keys, purpose: $purpose, milestone: $milestone }
    };
}

impl Screen {
    /// Those of the rail.
    pub const ALL: [Self; 5] = [Self::Pairs, Self::Train, Self::Compare, Self::Answers, Self::Models];

    #[rustfmt::skip] // a table is read by its columns
    const fn place(self) -> Place {
        match self {
            Self::Pairs => place!("Pairs", ["Ctrl+1"], "Read, edit and label preference pairs", Some(Milestone::Label)),
            Self::Train => place!("Train", ["Ctrl+2"], "Set up a run, start it, watch it", Some(Milestone::Watch)),
            Self::Compare => place!("Compare", ["Ctrl+3"], "Lay runs over each other", Some(Milestone::Compare)),
            Self::Answers => place!("Answers", ["Ctrl+4"], "Read and ask for answers", Some(Milestone::Ask)),
            Self::Models => place!("Models", ["Ctrl+5"], "See what is on this machine, export what was trained", Some(Milestone::MakeYours)),
            Self::Projects => place!("Projects", [], "Open a project or make a new one", None),
        }
    }

    pub const fn title(self) -> &'static str {
        self.place().title
    }

    /// The command that goes there.
    pub(super) const fn go(self) -> &'static str {
        self.place().go
    }

    /// Those of the command.
    pub(super) const fn keys(self) -> &'static [&'static str] {
        self.place().keys
    }

    /// What a person does there, for the hover text of the rail.
    pub const fn purpose(self) -> &'static str {
        self.place().purpose
    }

    /// What a person does there once.
    pub(super) const fn milestone(self) -> Option<Milestone> {
        self.place().milestone
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ThemeChoice {
    #[default]
    System,
    Light,
    Dark,
}
