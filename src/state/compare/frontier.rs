//! What runs learnt against what it took: drift, time, tokens, pairs, or steps.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use data::{
    Across,
    across::{moved, summed},
    frontier::Reached,
    metrics::{self, ShareOfRuns, histogram, judged, told_apart},
};
use store::{RunId, RunRecord, SeedGroup};

use crate::{
    runs::{History, Runs},
    seeds::groups,
    series::{Point, Series, Stamp},
};

/// What is drawn across until somebody chooses, and upwards.
pub const DRIFT: &str = metrics::KL_REF;
pub const ACCURACY: &str = metrics::HELD_OUT_ACCURACY;

/// Where a run stood at each of its steps, by step; nothing where it is not known yet.
pub fn places(history: &History, across: Across) -> Option<Cow<'_, [Point]>> {
    match (across, across.counts()) {
        (_, Some(counted)) => Some(Cow::Owned(summed(history.series(counted)?.points()))),
        (Across::Seconds, _) => Some(Cow::Borrowed(history.times.points())).filter(|times| !times.is_empty()),
        (Across::Drift, _) => Some(Cow::Borrowed(history.series(DRIFT)?.points())),
        (Across::Steps | Across::Pairs | Across::Tokens, _) => None,
    }
}

/// What can be drawn upwards: what evaluations measured, accuracy first.
pub fn learnable(present: &[String]) -> Vec<String> {
    let is_alone = |name: &str| !judged::is_end(name) && !histogram::is_bin(name);
    let is_learnt = |name: &&String| metrics::is_rare(name) && is_alone(name) && *name != DRIFT;
    let mut names: Vec<String> = present.iter().filter(is_learnt).cloned().collect();
    names.sort_by_key(|name| name != ACCURACY);
    names
}

/// The way a run went, one point an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrontierPath {
    pub points: Arc<[Point]>,
    /// The step of each, and where it lies across.
    pub steps: Arc<[Point]>,
}

impl FrontierPath {
    /// Where the run stood at a step, or before it.
    pub fn at(&self, step: f64) -> Option<Point> {
        let after = self.steps.partition_point(|at| at[0] <= step);
        self.points.get(after.checked_sub(1)?).copied()
    }
}

/// `from`: without what was evaluated before that step, but for the last of it, from which the rest goes on.
pub fn frontier(history: &History, across: Across, up: &str, from: Option<f64>) -> FrontierPath {
    let Some(learnt) = history.series(up) else {
        return FrontierPath::default();
    };
    let reached = learnt.points().iter().filter(|[_, value]| value.is_finite());
    let reached: Vec<Point> = reached.copied().collect();
    let own = from.map_or(0, |from| reached.partition_point(|[step, _]| *step <= from).saturating_sub(1));
    let places = places(history, across);
    let along = |points: &[Point]| match (across, &places) {
        (Across::Steps, _) => points.to_vec(),
        (_, Some(places)) => moved(points, places, false),
        (_, None) => Vec::new(),
    };
    let steps: Vec<Point> = reached[own..].iter().map(|[step, _]| [*step; 2]).collect();
    let there = along(&reached[own..]).into_iter().zip(along(&steps)).filter(|([place, _], _)| place.is_finite());
    let (points, steps): (Vec<Point>, Vec<Point>) = there.map(|(point, [place, step])| (point, [step, place])).unzip();
    FrontierPath { points: points.into(), steps: steps.into() }
}

/// Paths of runs, worked out again only when what they are made of has changed.
#[derive(Debug, Default)]
pub struct Paths {
    known: BTreeMap<(RunId, Across, String), Known>,
}

type Known = (Made, FrontierPath);

/// Of which measurements a path was made, and from which step on.
type Made = ([Option<Stamp>; 2], Option<u64>);

impl Paths {
    /// The [`frontier`] of a run; nothing where it has no point.
    pub fn of(&mut self, run: RunId, history: &History, across: Across, up: &str, from: Option<f64>) -> FrontierPath {
        let counted = match across {
            Across::Steps => None,
            Across::Seconds => Some(&history.times),
            Across::Drift => history.series(DRIFT),
            Across::Pairs | Across::Tokens => across.counts().and_then(|name| history.series(name)),
        };
        let made = ([history.series(up), counted].map(|series| series.map(Series::stamp)), from.map(f64::to_bits));
        let known = self.known.entry((run, across, up.to_owned())).or_default();
        if known.0 != made {
            *known = (made, frontier(history, across, up, from));
        }
        known.1.clone()
    }
}

/// The step from which a run's curves are its own: a fork's hang on its parent's where both are shown.
pub fn hangs_from(record: &RunRecord, shown: &[&RunRecord]) -> Option<f64> {
    let parent = record.parent?;
    let is_shown = shown.iter().any(|other| other.id == parent);
    record.parent_step.filter(|step| *step > 0 && is_shown).map(|step| step as f64)
}

/// Some runs against each other in words, those that differ in their seed only by their mean. Worked out again only
/// when what one of them has measured is changed.
#[derive(Debug, Default)]
pub struct Sentences {
    /// Of which runs, and of which measurements.
    of: Vec<(RunId, String, Vec<Option<Stamp>>)>,
    said: RunsInWords,
}

#[derive(Debug, Default)]
pub struct RunsInWords {
    /// What tells them apart.
    pub apart: Option<String>,
    /// How far all of them have drifted.
    pub all: Option<String>,
    /// Of every two; nothing where there are no more.
    pub every_two: Vec<String>,
}

impl Sentences {
    pub fn of(&mut self, runs: &Runs, shown: &[&RunRecord]) -> &RunsInWords {
        let series = |record: &RunRecord, name: &str| runs.history(record.id)?.series(name);
        let points = |record: &RunRecord, name: &str| series(record, name).map_or(&[][..], Series::points);
        let rules = |record: &RunRecord| {
            let all = runs.history(record.id).into_iter().flat_map(|history| history.series.keys());
            all.map(String::as_str).filter(|name| judged::rule(name).is_some())
        };
        let stamps = |record: &RunRecord| {
            let names = [ACCURACY, DRIFT].into_iter().chain(rules(record));
            names.map(|name| series(record, name).map(Series::stamp)).collect()
        };
        let of = shown.iter().map(|record| (record.id, record.name.clone(), stamps(record)));
        let of: Vec<_> = of.collect();
        if self.of != of {
            let groups = groups(runs, shown);
            let mut judged: Vec<String> = shown.iter().flat_map(|run| rules(run)).map(str::to_owned).collect();
            judged.sort_unstable();
            judged.dedup();
            judged::in_order(&mut judged, &runs.rules);
            let shares = [ACCURACY.to_owned()].into_iter().chain(judged).map(|metric| {
                let stand = |SeedGroup { name, members }: &SeedGroup| {
                    let last = |place: &usize| {
                        let run = shown[*place];
                        move |name: &str| points(run, name).last().map(|point| point[1])
                    };
                    ShareOfRuns::of(name, &metric, &members.iter().map(last).collect::<Vec<_>>())
                };
                let standings = groups.iter().filter_map(stand).collect();
                (metric, standings)
            });
            let apart = told_apart(&shares.collect::<Vec<_>>());
            let ways = groups.into_iter().map(|SeedGroup { name, members }| {
                let members = members.into_iter().map(|place| shown[place]);
                let curves: Vec<_> = members.map(|run| (points(run, ACCURACY), points(run, DRIFT))).collect();
                (name, data::frontier::path(&curves))
            });
            let ways: Vec<(String, Vec<Reached>)> = ways.collect();
            let every_two = if ways.len() > 2 { data::frontier::every_two(&ways) } else { Vec::new() };
            (self.of, self.said) = (of, RunsInWords { apart, all: data::frontier::all_in_words(&ways), every_two });
        }
        &self.said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{runs::tests::record_of, series::Series};
    use store::RunId;

    fn series(points: &[Point]) -> Series {
        Series::from_points(points.iter().copied())
    }

    #[test]
    fn the_frontier_joins_what_was_measured_at_the_same_step() {
        let mut history = History::default();
        history.series.insert(ACCURACY.to_owned(), series(&[[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]));
        let path = |history: &History, across| frontier(history, across, ACCURACY, None).points.to_vec();
        assert_eq!(path(&history, Across::Drift), Vec::<Point>::new());
        history.series.insert(DRIFT.to_owned(), series(&[[0.0, 0.0], [10.0, 0.1], [30.0, 0.4]]));
        assert_eq!(path(&history, Across::Drift), [[0.1, 0.7], [0.4, 0.9]]);
        let way = frontier(&history, Across::Drift, ACCURACY, None);
        assert_eq!(*way.steps, [[10.0, 0.1], [30.0, 0.4]], "of the steps that measured both");
        assert_eq!(
            [9.0, 10.0, 29.0, 99.0].map(|step| way.at(step).map(|at| at[0])),
            [None, Some(0.1), Some(0.1), Some(0.4)]
        );
        assert_eq!(path(&history, Across::Steps), [[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]);
        history.times = series(&[[9.0, 1.0], [10.0, 2.5], [20.0, 5.5]]);
        assert_eq!(path(&history, Across::Seconds), [[2.5, 0.7], [5.5, 0.8]]);
        history.series.insert("tokens".to_owned(), series(&[[1.0, 30.0], [10.0, 70.0], [20.0, 50.0]]));
        assert_eq!(path(&history, Across::Tokens), [[100.0, 0.7], [150.0, 0.8]]);
        assert_eq!(path(&history, Across::Pairs), Vec::<Point>::new(), "it did not count them");
    }

    #[test]
    fn a_path_is_worked_out_again_when_what_it_is_made_of_changes() {
        let (mut history, mut paths, run) = (History::default(), Paths::default(), RunId(1));
        assert!(paths.of(run, &history, Across::Drift, ACCURACY, None).points.is_empty());
        history.series.insert(ACCURACY.to_owned(), series(&[[10.0, 0.7], [20.0, 0.8]]));
        history.series.insert(DRIFT.to_owned(), series(&[[10.0, 0.1], [20.0, 0.4]]));
        let first = paths.of(run, &history, Across::Drift, ACCURACY, None);
        assert_eq!(*first.points, [[0.1, 0.7], [0.4, 0.8]]);
        assert!(Arc::ptr_eq(&first.points, &paths.of(run, &history, Across::Drift, ACCURACY, None).points));
        history.series.get_mut(DRIFT).unwrap().push(20.0, 0.5);
        assert_eq!(*paths.of(run, &history, Across::Drift, ACCURACY, None).points, [[0.1, 0.7], [0.5, 0.8]]);
        assert_eq!(*paths.of(run, &history, Across::Drift, ACCURACY, Some(20.0)).points, [[0.5, 0.8]]);
    }

    #[test]
    fn a_fork_goes_on_from_where_its_parent_was() {
        let mut history = History::default();
        history.series.insert(ACCURACY.to_owned(), series(&[[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]));
        let from = |from| frontier(&history, Across::Steps, ACCURACY, from).points.first().map(|point| point[0]);
        assert_eq!(from(None), Some(10.0));
        assert_eq!(from(Some(20.0)), Some(20.0));
        assert_eq!(from(Some(25.0)), Some(20.0));
        assert_eq!(from(Some(5.0)), Some(10.0));

        let parent = record_of(1, "");
        let mut fork = record_of(2, "");
        (fork.parent, fork.parent_step) = (Some(RunId(1)), Some(20));
        assert_eq!(hangs_from(&fork, &[&parent, &fork]), Some(20.0));
        assert_eq!(hangs_from(&fork, &[&fork]), None, "alone it has all of its curve");
        assert_eq!(hangs_from(&parent, &[&parent, &fork]), None);
        fork.parent_step = Some(0);
        assert_eq!(hangs_from(&fork, &[&parent, &fork]), None, "the same beginning is no curve in common");
    }

    #[test]
    fn what_tells_runs_apart_is_said_and_said_anew_when_a_rule_is_measured() {
        let mut runs = Runs::default();
        runs.set_records(
            [(1, "MPO"), (2, "DPO")].map(|(id, name)| RunRecord { name: name.to_owned(), ..record_of(id, "") }).into(),
        );
        let measured = |runs: &mut Runs, run: i64, metric: &str, share: f64| {
            let [low, high] = metrics::interval(metric);
            let history = runs.history.entry(RunId(run)).or_default();
            for (name, value) in [(metric.to_owned(), share), (low, share - 0.05), (high, share + 0.05)] {
                history.series.insert(name, series(&[[10.0, value]]));
            }
        };
        measured(&mut runs, 1, ACCURACY, 0.8);
        measured(&mut runs, 2, ACCURACY, 0.6);
        let said = |runs: &Runs, sentences: &mut Sentences| {
            let shown: Vec<&RunRecord> = runs.records.iter().collect();
            sentences.of(runs, &shown).apart.clone()
        };
        let mut sentences = Sentences::default();
        let start = "Told apart where they stand, at 95 %: held-out accuracy 80 % with MPO, 60 % with DPO";
        assert_eq!(said(&runs, &mut sentences).as_deref(), Some(start));
        measured(&mut runs, 1, &judged::share("manner"), 0.9);
        measured(&mut runs, 2, &judged::share("manner"), 0.5);
        let more = format!("{start}; manner 90 % with MPO, 50 % with DPO");
        assert_eq!(said(&runs, &mut sentences), Some(more));
    }

    #[test]
    fn what_evaluations_measured_can_be_learnt() {
        let present = ["eval_loss", ACCURACY, "judged/short", DRIFT, "loss"].map(str::to_owned);
        let found = learnable(&present);
        assert_eq!(found[0], ACCURACY);
        assert!(found.contains(&"eval_loss".to_owned()) && !found.iter().any(|name| name == "loss" || name == DRIFT));
    }
}
