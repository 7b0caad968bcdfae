//! Runs that differ in nothing but their seed: one line in Compare, with its members faint behind it.

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

/// Means over groups, worked out again only when a member grew.
#[derive(Debug, Default)]
pub struct Means {
    by_group: BTreeMap<(Vec<RunId>, String), (usize, Series)>,
}

impl Means {
    /// Brings the mean of these up to date: at every step that all of them have measured.
    pub fn update(&mut self, group: &[RunId], metric: &str, members: &[&Series]) {
        let size = members.iter().map(|series| series.len()).sum();
        let key = (group.to_vec(), metric.to_owned());
        if self.by_group.get(&key).is_none_or(|(known, _)| *known != size) {
            self.by_group.insert(key, (size, mean(members)));
        }
    }

    pub fn get(&self, group: &[RunId], metric: &str) -> Option<&Series> {
        self.by_group.get(&(group.to_vec(), metric.to_owned())).map(|(_, series)| series)
    }
}

fn mean(members: &[&Series]) -> Series {
    let Some((first, others)) = members.split_first() else {
        return Series::default();
    };
    let at = |series: &Series, step: f64| {
        let points = series.points();
        let place = points.partition_point(|point| point[0] < step);
        points.get(place).filter(|point| point[0] == step).map(|point| point[1])
    };
    let points = first.points().iter().filter_map(|[step, value]| {
        let others = others.iter().map(|series| at(series, *step)).collect::<Option<Vec<f64>>>()?;
        Some([*step, (value + others.iter().sum::<f64>()) / members.len() as f64])
    });
    Series::from_points(points)
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
    fn a_mean_is_taken_where_all_have_measured_and_again_when_one_grows() {
        let mut one = Series::from_points([[0.0, 1.0], [10.0, 2.0], [20.0, 3.0]]);
        let other = Series::from_points([[0.0, 3.0], [20.0, 5.0]]);
        let mut means = Means::default();
        let group = [RunId(1), RunId(2)];
        means.update(&group, "loss", &[&one, &other]);
        assert_eq!(means.get(&group, "loss").unwrap().points(), [[0.0, 2.0], [20.0, 4.0]]);
        one.push(30.0, 9.0);
        means.update(&group, "loss", &[&one, &other]);
        assert_eq!(means.get(&group, "loss").unwrap().len(), 2);
    }
}
