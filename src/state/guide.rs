//! What everybody does once, what of it was done, and what a project tells about itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What everybody does once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Milestone {
    Label,
    Start,
    Watch,
    Compare,
    Ask,
    MakeYours,
    /// From an empty project of one's own to its first run.
    OwnRun,
}

impl Milestone {
    pub const ALL: [Self; 7] =
        [Self::Label, Self::Start, Self::Watch, Self::Compare, Self::Ask, Self::MakeYours, Self::OwnRun];

    /// What a project may tell about itself there, see [`About`].
    pub(super) fn chapter(self) -> &'static str {
        match self {
            Self::Label => "pairs",
            Self::Start => "setup",
            Self::Watch => "watch",
            Self::Compare => "compare",
            Self::Ask => "answers",
            Self::MakeYours | Self::OwnRun => "models",
        }
    }
}

/// What a project tells about itself, by place: `pairs`, `setup`, `watch`, `compare`, `answers`, `models`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About(pub(super) BTreeMap<String, String>);

impl About {
    /// Of a TOML text of such keys; what cannot be read tells nothing.
    pub fn from_toml(text: &str) -> Self {
        Self(toml::from_str(text).unwrap_or_default())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What was done or put away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Guide {
    pub(super) gone: BTreeSet<Milestone>,
    /// What is to be seen on the screen now is what this one asked for: it goes when one leaves.
    #[serde(skip)]
    pub(super) seen: Option<Milestone>,
    /// In a low window the project's story is unfolded.
    #[serde(skip)]
    pub unfolded: bool,
}

impl Guide {
    /// Nothing is left to show.
    pub fn finished() -> Self {
        Self { gone: Milestone::ALL.into(), ..Self::default() }
    }

    pub fn is_gone(&self, milestone: Milestone) -> bool {
        self.gone.contains(&milestone)
    }

    /// It was done, or is not wanted.
    pub fn put_away(&mut self, milestone: Milestone) {
        self.gone.insert(milestone);
    }
}
