//! Alarms that somebody has seen and lets be. Kept with the project, so that they stay so.

use std::collections::BTreeSet;

use data::alarms::AlarmKind;
use serde::{Deserialize, Serialize};
use store::RunId;

/// Under this name the project has them among its settings.
pub const KEY: &str = "ignored_alarms";

/// Of which run, and which.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ignored {
    alarms: BTreeSet<(RunId, AlarmKind)>,
}

impl Ignored {
    /// What a project has kept. Text that cannot be read, e.g. of a later version, is none.
    pub fn from_text(text: &str) -> Self {
        toml::from_str(text).unwrap_or_default()
    }

    /// # Errors
    /// Of the serialiser; none is known for these values.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    pub fn add(&mut self, run: RunId, kind: AlarmKind) {
        self.alarms.insert((run, kind));
    }

    pub fn holds(&self, run: RunId, kind: AlarmKind) -> bool {
        self.alarms.contains(&(run, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_be_is_kept_as_text() {
        let mut ignored = Ignored::default();
        ignored.add(RunId(3), AlarmKind::RateTooHigh);
        ignored.add(RunId(3), AlarmKind::DriftTooLarge);
        let back = Ignored::from_text(&ignored.to_text().unwrap());
        assert_eq!(back, ignored);
        assert!(back.holds(RunId(3), AlarmKind::DriftTooLarge) && !back.holds(RunId(4), AlarmKind::DriftTooLarge));
        assert_eq!(Ignored::from_text("alarms = [["), Ignored::default());
    }
}
