//! Runs that differ in nothing but their seed: one line in Compare, in a band that holds them all.

use std::collections::BTreeMap;

use store::{RunId, RunRecord};

use super::{runs::Runs, series::Series};

/// The groups among some runs, in the order of their first ones. A run by itself is none.
pub fn groups<'r>(runs: &Runs, shown: &[&'r RunRecord]) -> Vec<Vec<&'r RunRecord>> {
    let alike = |one: &RunRecord, other: &RunRecord| {
        let settings = |record: &RunRecord| runs.settings(record.id).map(|settings| settings.but_seed.as_str());
        let data = |record: &RunRecord| (record.revision, record.parent, record.parent_step);
        settings(one) == settings(other) && data(one) == data(other) && one.left_out == other.left_out
    };
    let mut groups: Vec<Vec<&RunRecord>> = Vec::new();
    for record in shown {
        match groups.iter_mut().find(|group| alike(group[0], record)) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    // Twins of one seed say nothing about noise.
    let seeds = |group: &[&RunRecord]| {
        let seed = |record: &&RunRecord| runs.settings(record.id).map(|settings| settings.config.train.shuffle_seed);
        let mut seeds: Vec<_> = group.iter().map(seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.len()
    };
    groups.retain(|group| group.len() > 1 && seeds(group) == group.len());
    groups
}

/// What a group is called: the name of its first run without the seed.
pub fn name(group: &[&RunRecord]) -> String {
    let first = group.first().map_or("", |record| record.name.as_str());
    let stem = first.rsplit_once(" seed ").map_or(first, |(stem, _)| stem);
    format!("{stem}, mean of {} seeds", group.len())
}

/// What a group measured, at every step that all of it have measured.
#[derive(Debug, Default)]
pub struct Spread {
    pub mean: Series,
    /// The lowest and the highest of the group.
    pub low: Series,
    pub high: Series,
    /// The mean, smoothed; absent where nothing is smoothed.
    pub smoothed: Option<Series>,
    /// How much the members had measured, and how they were smoothed.
    of: (usize, f64),
}

impl Spread {
    fn of(members: &[&Series], weight: f64, size: usize) -> Self {
        let Some((first, others)) = members.split_first() else {
            return Self::default();
        };
        let at = |series: &Series, step: f64| {
            let points = series.points();
            let place = points.partition_point(|point| point[0] < step);
            points.get(place).filter(|point| point[0] == step).map(|point| point[1])
        };
        let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for &[step, value] in first.points() {
            let Some(values) = others.iter().map(|series| at(series, step)).collect::<Option<Vec<f64>>>() else {
                continue;
            };
            // One that is no number takes the mean with it, and leaves the band to the others.
            mean.push([step, (value + values.iter().sum::<f64>()) / members.len() as f64]);
            low.push([step, values.iter().copied().fold(value, f64::min)]);
            high.push([step, values.iter().copied().fold(value, f64::max)]);
        }
        let mean = Series::from_points(mean);
        let smoothed = (weight > 0.0).then(|| mean.smoothed(weight));
        let [low, high] = [low, high].map(Series::from_points);
        Self { mean, low, high, smoothed, of: (size, weight) }
    }
}

/// Groups' spreads, worked out again only when a member grew or the smoothing changed.
#[derive(Debug, Default)]
pub struct Means {
    by_group: BTreeMap<(Vec<RunId>, String), Spread>,
}

impl Means {
    /// Brings what these have measured up to date. `weight`: of the past in the smoothed mean.
    pub fn update(&mut self, group: &[RunId], metric: &str, members: &[&Series], weight: f64) {
        let size = members.iter().map(|series| series.len()).sum();
        let key = (group.to_vec(), metric.to_owned());
        if self.by_group.get(&key).is_none_or(|known| known.of != (size, weight)) {
            self.by_group.insert(key, Spread::of(members, weight, size));
        }
    }

    pub fn get(&self, group: &[RunId], metric: &str) -> Option<&Spread> {
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
        let records = [(1, 0.1, 0), (2, 0.2, 0), (3, 0.1, 1), (4, 0.1, 2), (5, 0.2, 0)];
        runs.set_records(records.map(|(id, beta, seed)| record_of(id, &toml(beta, seed))).to_vec());
        let shown: Vec<&RunRecord> = runs.records.iter().collect();
        let found: Vec<Vec<i64>> =
            groups(&runs, &shown).iter().map(|group| group.iter().map(|record| record.id.0).collect()).collect();
        assert_eq!(found, [vec![1, 3, 4]], "2 and 5 have one seed");
    }

    #[test]
    fn a_group_is_told_where_all_have_measured_and_again_when_one_grows() {
        let mut one = Series::from_points([[0.0, 1.0], [10.0, 2.0], [20.0, 7.0]]);
        let other = Series::from_points([[0.0, 3.0], [20.0, 5.0]]);
        let mut means = Means::default();
        let group = [RunId(1), RunId(2)];
        means.update(&group, "loss", &[&one, &other], 0.0);
        let spread = means.get(&group, "loss").unwrap();
        assert_eq!(spread.mean.points(), [[0.0, 2.0], [20.0, 6.0]]);
        assert_eq!(spread.low.points(), [[0.0, 1.0], [20.0, 5.0]]);
        assert_eq!(spread.high.points(), [[0.0, 3.0], [20.0, 7.0]]);
        assert!(spread.smoothed.is_none());
        one.truncate_from(20.0);
        means.update(&group, "loss", &[&one, &other], 0.0);
        assert_eq!(means.get(&group, "loss").unwrap().mean.len(), 1);
        means.update(&group, "loss", &[&one, &other], 0.5);
        assert_eq!(means.get(&group, "loss").unwrap().smoothed.as_ref().unwrap().points(), [[0.0, 2.0]]);
    }

    #[test]
    fn a_seed_without_a_number_leaves_the_band_to_the_others() {
        let series = |value| Series::from_points([[1.0, value]]);
        let spread = Spread::of(&[&series(1.0), &series(f64::NAN), &series(2.0)], 0.0, 3);
        assert_eq!((spread.low.points(), spread.high.points()), (&[[1.0, 1.0]][..], &[[1.0, 2.0]][..]));
        assert!(spread.mean.latest().is_none());
    }
}
