//! The places where keys act.

use super::Screen;

/// Where keys act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Anywhere,
    /// Wherever something is read at a step.
    Steps,
    On(Screen),
    /// The Pairs screen while a labelling session goes on.
    Labelling,
    /// The Pairs screen while suspect labels are gone through.
    Reviewing,
    /// The Pairs screen while it shows reference answers and retention text.
    References,
}

impl Scope {
    pub fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Steps => "Charts and answers",
            Self::On(screen) => screen.title(),
            Self::Labelling => "Labelling",
            Self::Reviewing => "Suspect labels",
            Self::References => "Reference answers",
        }
    }

    pub fn screen(self) -> Option<Screen> {
        match self {
            Self::Anywhere | Self::Steps => None,
            Self::On(screen) => Some(screen),
            Self::Labelling | Self::Reviewing | Self::References => Some(Screen::Pairs),
        }
    }

    /// One thing is done there, and nothing beside it.
    pub fn is_session(self) -> bool {
        matches!(self, Self::Labelling | Self::Reviewing | Self::References)
    }

    /// Whether a line of this place stands in the sheet of that one.
    pub fn is_part_of(self, place: Self) -> bool {
        let has_steps = matches!(place, Self::On(Screen::Train | Screen::Compare | Screen::Answers));
        self == place || (self == Self::Steps && has_steps)
    }

    /// Whether its keys act there.
    pub fn acts_in(self, place: Self) -> bool {
        self == Self::Anywhere || self.is_part_of(place)
    }

    /// Whether keys of both places could be meant at one time.
    pub fn overlaps(self, other: Self) -> bool {
        self.acts_in(other) || other.acts_in(self)
    }
}
