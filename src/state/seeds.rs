//! Runs that differ in nothing but their seed: one line in Compare, in a band that holds them all.

use std::collections::BTreeMap;

use data::across::{self, Point};
use store::{RunId, RunRecord, SeedGroup};

use super::{
    runs::Runs,
    series::{Series, Stamp},
};

/// Some runs as they are told, in the order of their first ones.
pub fn groups(runs: &Runs, shown: &[&RunRecord]) -> Vec<SeedGroup> {
    store::groups(shown, |record| runs.settings(record.id).map(|settings| &settings.seeded))
}

/// What a group measured, at every step that any of it has.
#[derive(Debug, Default)]
pub struct SeedSpread {
    pub mean: Series,
    /// The lowest and the highest of the group.
    pub low: Series,
    pub high: Series,
    /// The mean, smoothed; absent where nothing is smoothed.
    pub smoothed: Option<Series>,
    /// What the members had measured, and how they were smoothed.
    of: (Vec<Stamp>, f64),
}

impl SeedSpread {
    fn of(members: &[&Series], weight: f64) -> Self {
        let of = (members.iter().map(|series| series.stamp()).collect(), weight);
        let members: Vec<&[Point]> = members.iter().map(|series| series.points()).collect();
        let across::Spread { mean, low, high } = across::Spread::of(&members);
        let [mean, low, high] = [mean, low, high].map(Series::from_points);
        let smoothed = (weight > 0.0).then(|| mean.smoothed(weight));
        Self { mean, low, high, smoothed, of }
    }
}

/// Groups' spreads, worked out again only when a member or the smoothing changed.
#[derive(Debug, Default)]
pub struct Means {
    by_group: BTreeMap<(Vec<RunId>, String), SeedSpread>,
}

impl Means {
    /// Brings what these have measured up to date. `weight`: of the past in the smoothed mean.
    pub fn update(&mut self, group: &[RunId], metric: &str, members: &[&Series], weight: f64) {
        let key = (group.to_vec(), metric.to_owned());
        let holds = |SeedSpread { of: (stamps, smoothing), .. }: &SeedSpread| {
            *smoothing == weight && stamps.iter().copied().eq(members.iter().map(|series| series.stamp()))
        };
        if !self.by_group.get(&key).is_some_and(holds) {
            self.by_group.insert(key, SeedSpread::of(members, weight));
        }
    }

    pub fn get(&self, group: &[RunId], metric: &str) -> Option<&SeedSpread> {
        self.by_group.get(&(group.to_vec(), metric.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record_of;

    #[test]
    fn runs_that_differ_in_their_seed_are_one_group() {
        let mut runs = Runs::default();
        let toml = |beta: f64, seed: u64| format!("[objective]\nbeta = {beta:?}\n[train]\nshuffle_seed = {seed}\n");
        let records = [(1, 0.1, 0), (2, 0.2, 0), (3, 0.1, 1), (4, 0.1, 2), (5, 0.2, 0), (6, 0.1, 1)];
        runs.set_records(records.map(|(id, beta, seed)| record_of(id, &toml(beta, seed))).to_vec());
        let shown: Vec<&RunRecord> = runs.records.iter().collect();
        let found: Vec<Vec<usize>> = groups(&runs, &shown).into_iter().map(|group| group.members).collect();
        assert_eq!(found, [vec![0, 2, 3], vec![1], vec![4], vec![5]], "2 and 5 have one seed, and so have 3 and 6");
    }

    #[test]
    fn a_group_is_told_where_any_has_measured_and_again_when_one_grows() {
        let mut one = Series::from_points([[0.0, 1.0], [10.0, 2.0], [20.0, 7.0]]);
        let other = Series::from_points([[0.0, 3.0], [20.0, 5.0]]);
        let mut means = Means::default();
        let group = [RunId(1), RunId(2)];
        means.update(&group, "loss", &[&one, &other], 0.0);
        let spread = means.get(&group, "loss").unwrap();
        assert_eq!(spread.mean.points(), [[0.0, 2.0], [10.0, 2.0], [20.0, 6.0]]);
        assert_eq!(spread.low.points(), [[0.0, 1.0], [10.0, 2.0], [20.0, 5.0]]);
        assert_eq!(spread.high.points(), [[0.0, 3.0], [10.0, 2.0], [20.0, 7.0]]);
        assert!(spread.smoothed.is_none());
        one.truncate_from(20.0);
        means.update(&group, "loss", &[&one, &other], 0.0);
        assert_eq!(means.get(&group, "loss").unwrap().mean.latest(), Some([20.0, 5.0]), "the slower one ends before");
        means.update(&group, "loss", &[&other], 0.0);
        assert_eq!(means.get(&group, "loss").unwrap().mean.points(), other.points(), "the other waits for its turn");
        means.update(&group, "loss", &[&one, &other], 0.5);
        assert_eq!(means.get(&group, "loss").unwrap().smoothed.as_ref().unwrap().points()[0], [0.0, 2.0]);
    }
}
