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

/// Runs that are told as one, by their places among the others: one, or several that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedGroup {
    /// Of one its name; of several that of the first without its seed.
    pub name: String,
    pub members: Vec<usize>,
}

impl SeedGroup {
    pub fn alone(place: usize, run: &RunRecord) -> Self {
        Self { name: run.name.clone(), members: vec![place] }
    }

    fn of(members: Vec<usize>, runs: &[&RunRecord]) -> Self {
        let first = members.first().map_or("", |first| runs[*first].name.as_str());
        let name = if members.len() < 2 {
            first.to_owned()
        } else {
            let stem = first.rsplit_once(" seed ").map_or(first, |(stem, _)| stem);
            format!("{stem}, mean of {} seeds", members.len())
        };
        Self { name, members }
    }
}

/// In the order of their first ones. One without its like, or without `seeded`, is alone. Twins of one seed say nothing
/// about noise and stay apart.
pub fn groups<'s>(runs: &[&RunRecord], seeded: impl Fn(&RunRecord) -> Option<&'s Seeded>) -> Vec<SeedGroup> {
    let data = |run: usize| (runs[run].revision, runs[run].parent, runs[run].parent_step, runs[run].left_out.as_ref());
    let seeded: Vec<Option<&Seeded>> = runs.iter().map(|run| seeded(run)).collect();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for run in 0..runs.len() {
        let takes = |other: &usize| {
            let (Some(one), Some(of)) = (seeded[run], seeded[*other]) else { return false };
            one.settings == of.settings && one.seed != of.seed && data(run) == data(*other)
        };
        match groups.iter_mut().find(|group| group.iter().all(takes)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    groups.into_iter().map(|members| SeedGroup::of(members, runs)).collect()
}
