//! Curves of runs that differ in their seed only, as one: their mean, in a band from the lowest to the highest.

use data::across::Spread;
use store::{RunRecord, SeedGroup, Seeded, groups};

use crate::{ChartLine, Point};

/// In the order of their first ones; a run without its like is alone.
pub fn together(records: &[&RunRecord]) -> Vec<SeedGroup> {
    let seeded: Vec<Option<Seeded>> = records.iter().map(|record| Seeded::of(&record.config().ok()?).ok()).collect();
    groups(records, |run| seeded[records.iter().position(|record| record.id == run.id)?].as_ref())
}

/// The line of a group, under the first that has measured it: of those that have, at each step.
pub fn line(
    group: &SeedGroup,
    records: &[&RunRecord],
    measured: impl Fn(usize) -> Option<Vec<Point>>,
) -> Option<(usize, ChartLine)> {
    let there = group.members.iter().filter_map(|member| Some((*member, measured(*member)?)));
    let mut there: Vec<(usize, Vec<Point>)> = there.filter(|(_, points)| !points.is_empty()).collect();
    let first = there.first()?.0;
    if group.members.len() == 1 {
        return Some((first, ChartLine::new(&records[first].name, there.remove(0).1)));
    }
    let curves: Vec<&[Point]> = there.iter().map(|(_, points)| points.as_slice()).collect();
    let Spread { mean, low, high } = Spread::of(&curves);
    Some((first, ChartLine { band: Some([low, high]), ..ChartLine::new(&group.name, mean) }))
}
