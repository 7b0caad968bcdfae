//! Runs that differ in nothing but their seed are told together: as one line in a band, as one column with its ends.

use ::data::config::{ConfigError, RunConfig, TrainConfig};

use super::RunRecord;

/// What a run was trained by: its settings but for the seed, and the seed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeded {
    settings: String,
    seed: u64,
}

impl Seeded {
    /// # Errors
    /// The settings cannot be written.
    pub fn of(config: &RunConfig) -> Result<Self, ConfigError> {
        let settings = config.to_toml_without(|key| key == TrainConfig::SHUFFLE_SEED.key)?;
        Ok(Self { settings, seed: config.train.shuffle_seed })
    }
}

/// Those of some runs that differ in their seed only, together, in the order of their first ones; one without its like, or
/// without `seeded`, is alone. Twins of one seed say nothing about noise and stay apart.
pub fn by_seeds<'r, 's>(
    runs: &[&'r RunRecord],
    seeded: impl Fn(&RunRecord) -> Option<&'s Seeded>,
) -> Vec<Vec<&'r RunRecord>> {
    let data = |run: &'r RunRecord| (run.revision, run.parent, run.parent_step, run.left_out.as_ref());
    let mut groups: Vec<Vec<(&'r RunRecord, Option<&'s Seeded>)>> = Vec::new();
    for run in runs.iter().copied() {
        let own = seeded(run);
        let takes = |(other, of): &(&'r RunRecord, Option<&'s Seeded>)| {
            let (Some(one), Some(of)) = (own, of) else { return false };
            one.settings == of.settings && one.seed != of.seed && data(run) == data(other)
        };
        match groups.iter_mut().find(|group| group.iter().all(takes)) {
            Some(group) => group.push((run, own)),
            None => groups.push(vec![(run, own)]),
        }
    }
    groups.into_iter().map(|group| group.into_iter().map(|(run, _)| run).collect()).collect()
}

/// What such runs are called together: the name of the first, of several without its seed.
pub fn name_of(group: &[&RunRecord]) -> String {
    let first = group.first().map_or("", |run| run.name.as_str());
    if group.len() < 2 {
        return first.to_owned();
    }
    let stem = first.rsplit_once(" seed ").map_or(first, |(stem, _)| stem);
    format!("{stem}, mean of {} seeds", group.len())
}
