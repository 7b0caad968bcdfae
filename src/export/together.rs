//! Curves of runs that differ in their seed only, as one: their mean, in a band from the lowest to the highest.

use data::{across::Spread, config::RunConfig};
use store::{RunRecord, Seeded, by_seeds, name_of};

use crate::{Line, Point};

/// Runs that are told as one, by their places among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Together {
    pub name: String,
    pub members: Vec<usize>,
}

/// In the order of their first ones; a run without its like is alone.
pub fn together(records: &[&RunRecord]) -> Vec<Together> {
    let seeded: Vec<Option<Seeded>> =
        records.iter().map(|record| Seeded::of(&RunConfig::from_toml(&record.config_toml).ok()?).ok()).collect();
    let place = |run: &RunRecord| records.iter().position(|record| record.id == run.id);
    let groups = by_seeds(records, |run| seeded[place(run)?].as_ref());
    let named = groups
        .into_iter()
        .map(|group| Together { name: name_of(&group), members: group.into_iter().filter_map(place).collect() });
    named.collect()
}

impl Together {
    pub fn alone(place: usize, record: &RunRecord) -> Self {
        Self { name: record.name.clone(), members: vec![place] }
    }

    /// Their line of what they measured, under the first of them; where not all have measured it, one of each that has.
    pub fn lines(&self, records: &[&RunRecord], measured: impl Fn(usize) -> Option<Vec<Point>>) -> Vec<(usize, Line)> {
        let there = self.members.iter().filter_map(|member| Some((*member, measured(*member)?)));
        let there: Vec<(usize, Vec<Point>)> = there.filter(|(_, points)| !points.is_empty()).collect();
        if there.len() < 2 || there.len() < self.members.len() {
            return there.into_iter().map(|(run, points)| (run, Line::new(&records[run].name, points))).collect();
        }
        let curves: Vec<&[Point]> = there.iter().map(|(_, points)| points.as_slice()).collect();
        let Spread { mean, low, high } = Spread::of(&curves);
        vec![(there[0].0, Line { band: Some([low, high]), ..Line::new(&self.name, mean) })]
    }
}
