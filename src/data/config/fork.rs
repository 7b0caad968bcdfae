//! What a fork has otherwise than its run; each [`Setting`] says whether it may.

use super::{ConfigError, Knobs, ObjectiveConfig, RunConfig, Setting};

/// A setting that a fork has otherwise than its run.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub setting: Setting,
    /// In words; of one without a value, what counts then.
    pub before: String,
    pub after: String,
}

impl std::fmt::Display for Changed {
    /// "β 0.1 → 0.2".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} → {}", self.setting.label, self.before, self.after)
    }
}

impl RunConfig {
    /// What `fork` has otherwise, in the order of the file.
    pub fn changes_in(&self, fork: &Self) -> Result<Vec<Changed>, ConfigError> {
        let (before, after) = (self.every_value()?, fork.every_value()?);
        let shown = |values: &std::collections::BTreeMap<String, String>, setting: &Setting, config: &Self| {
            let unset = || setting.unset.map_or_else(String::new, |words| words(config));
            values.get(setting.key).map_or_else(unset, |value| value.trim_matches('"').to_owned())
        };
        let changed = Self::settings().filter_map(|setting| {
            let (before, after) = (shown(&before, setting, self), shown(&after, setting, fork));
            (before != after).then_some(Changed { setting: *setting, before, after })
        });
        Ok(changed.collect())
    }
}

impl Knobs {
    /// Where they stand in a fork: what was changed is what the fork says, the rest stays as it was turned.
    #[must_use]
    pub fn forked(self, before: &ObjectiveConfig, after: &ObjectiveConfig) -> Self {
        let pick = |was: f64, is: f64, stands: f64| if was == is { stands } else { is };
        Self {
            learning_rate_scale: self.learning_rate_scale,
            reference_weight: pick(before.reference_weight(), after.reference_weight(), self.reference_weight),
            retention_weight: pick(before.retention_weight(), after.retention_weight(), self.retention_weight),
            beta: pick(before.beta, after.beta, self.beta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AtFork;

    #[test]
    fn every_setting_says_what_becomes_of_it() {
        for setting in RunConfig::settings() {
            let (AtFork::Changes(sentence) | AtFork::Stays(sentence)) = setting.at_fork;
            assert!(sentence.len() > 10 && !sentence.ends_with('.'), "{}", setting.key);
            let changes = matches!(setting.at_fork, AtFork::Changes(_));
            assert!(setting.live.is_none() || changes, "{} moves in a run", setting.key);
        }
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let run = RunConfig::default();
        assert_eq!(run.changes_in(&run).unwrap(), []);
        let mut fork = run.clone();
        fork.objective.beta = 0.2;
        fork.objective.reference_weight = Some(run.objective.reference_weight());
        fork.train.steps = Some(40);
        let said: Vec<String> = run.changes_in(&fork).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["β 0.1 → 0.2", "Steps by epochs → 40"]);
    }

    #[test]
    fn a_knob_stays_where_it_was_turned_unless_the_fork_says_otherwise() {
        let run = ObjectiveConfig::default();
        let mut knobs = Knobs::new(&run);
        (knobs.beta, knobs.learning_rate_scale) = (0.7, 0.5);
        assert_eq!(knobs.forked(&run, &run), knobs);
        let fork = ObjectiveConfig { beta: 0.2, ..run.clone() };
        assert_eq!(knobs.forked(&run, &fork), Knobs { beta: 0.2, ..knobs });
    }
}
