//! The Compare screen: which runs, which metric, how smooth, and what differs between the runs.

pub mod along;
pub mod board;
pub mod cells;
pub mod edits;
pub mod fought;
pub mod frontier;
pub mod margin_scores;
pub mod parallel;
mod settings;
pub mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use data::metrics::{histogram, judged};
use judge::RuleHead;
use store::{RunFilter, RunId, RunRecord};

pub use self::settings::{DifferentSetting, Differing, differences, otherwise};
use self::{
    along::Along,
    board::Board,
    edits::RunDraft,
    fought::Fought,
    frontier::{Paths, Sentences},
    parallel::{AxisMove, Marked},
};
use super::{
    runs::Runs,
    seeds::Means,
    series::{Series, Stamp},
};

/// So many of the newest runs are laid over each other until some are picked.
const FIRST: usize = 4;

/// A move of the charts along what they have across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zoom {
    In,
    Out,
    Earlier,
    Later,
    #[default]
    All,
}

impl Zoom {
    /// From one view to the next, between 0 and `last`; nothing: all of it.
    pub fn of(self, [low, high]: [f64; 2], last: f64) -> Option<[f64; 2]> {
        const STEP: f64 = 0.25;
        let (middle, length) = (low.midpoint(high), high - low);
        let around = |middle: f64, length: f64| {
            let low = (middle - length / 2.0).clamp(0.0, (last - length).max(0.0));
            (length < last).then_some([low, low + length])
        };
        match self {
            Self::All => None,
            Self::In => around(middle, length / 2.0),
            Self::Out => around(middle, length * 2.0),
            Self::Earlier => around(middle - length * STEP, length),
            Self::Later => around(middle + length * STEP, length),
        }
    }
}

/// The screen as it is now.
#[derive(Debug, Default)]
pub struct CompareView {
    pub board: Board,
    /// The board as the project has it.
    pub kept: Board,
    /// The charts are being chosen and put in order.
    pub choosing: bool,
    /// Which runs are listed, as it is typed.
    pub filter: String,
    /// What is being typed about a run.
    pub draft: Option<RunDraft>,
    /// Stretches of parallel coordinates.
    pub marked: Marked,
    /// A deletion being asked about.
    pub deleting: Option<RunId>,
    pub smooth: Smooth,
    pub means: Means,
    pub along: Along,
    pub paths: Paths,
    pub sentences: Sentences,
    pub fought: Fought,
    pub differing: Differing,
    pub present: MetricNames,
}

impl CompareView {
    /// The screen of a project that is just being opened.
    pub fn of(board: Board) -> Self {
        Self { kept: board.clone(), board, ..Self::default() }
    }

    /// The runs laid over each other, oldest first; only such as exist and are not put away.
    pub fn shown<'a>(&self, runs: &'a Runs) -> Vec<&'a RunRecord> {
        let mut shown: Vec<&RunRecord> = runs.records.iter().filter(|record| !record.marks.archived).collect();
        match &self.board.picked {
            Some(picked) => shown.retain(|record| picked.contains(&record.id)),
            None => drop(shown.drain(..shown.len().saturating_sub(FIRST))),
        }
        shown
    }

    pub fn filter(&self) -> RunFilter {
        RunFilter::of(&self.filter)
    }

    /// A key on the parallel axes.
    pub fn press_axis(&mut self, runs: &Runs, to: AxisMove) {
        let shown = self.shown(runs);
        let axes = parallel::axes(runs, &shown, &self.differing.of(runs, &shown), &self.board.table);
        self.marked.press(&axes, to);
    }

    /// Ticks or unticks a run.
    pub fn pick(&mut self, runs: &Runs, run: RunId, on: bool) {
        let mut picked: BTreeSet<RunId> = self.shown(runs).iter().map(|record| record.id).collect();
        if on {
            picked.insert(run);
        } else {
            picked.remove(&run);
        }
        self.board.picked = Some(picked);
    }
}

/// Smoothed series, worked out again only when a series or the weight changed.
#[derive(Debug, Default)]
pub struct Smooth {
    weight: f64,
    series: BTreeMap<(RunId, String), (Stamp, Series)>,
}

impl Smooth {
    /// Brings the smoothed forms of these series up to date.
    pub fn update<'a>(&mut self, weight: f64, wanted: impl Iterator<Item = (RunId, &'a str, &'a Series)>) {
        if self.weight != weight {
            self.series.clear();
            self.weight = weight;
        }
        for (run, name, series) in wanted {
            let key = (run, name.to_owned());
            let fresh = self.series.get(&key).is_some_and(|(of, _)| *of == series.stamp());
            if !fresh {
                self.series.insert(key, (series.stamp(), series.smoothed(weight)));
            }
        }
    }

    pub fn get(&self, run: RunId, name: &str) -> Option<&Series> {
        self.series.get(&(run, name.to_owned())).map(|(_, s)| s)
    }
}

/// The names of what runs have measured, put together again only when one of them has measured something new.
#[derive(Debug, Default)]
pub struct MetricNames {
    /// How many metrics each run has.
    counts: Vec<(RunId, usize)>,
    /// What the names are put in order by.
    rules: Vec<RuleHead>,
    names: Option<Arc<[String]>>,
}

impl MetricNames {
    pub fn of(&mut self, runs: &Runs, shown: &[&RunRecord]) -> Arc<[String]> {
        let series = |record: &&RunRecord| runs.history(record.id).map_or(0, |history| history.series.len());
        let counts = || shown.iter().map(|record| (record.id, series(record)));
        let known = self.names.as_ref();
        if let Some(names) = known.filter(|_| counts().eq(self.counts.iter().copied()) && self.rules == runs.rules) {
            return Arc::clone(names);
        }
        let names: Arc<[String]> = metrics_present(runs, shown).into();
        (self.counts, self.rules) = (counts().collect(), runs.rules.clone());
        self.names = Some(Arc::clone(&names));
        names
    }
}

/// Names of all metrics that any of these runs has: what rules count in the order of the rules, then the others by
/// name.
pub fn metrics_present(runs: &Runs, shown: &[&RunRecord]) -> Vec<String> {
    let names: BTreeSet<&String> =
        shown.iter().filter_map(|record| runs.history(record.id)).flat_map(|history| history.series.keys()).collect();
    // The ends of an interval are told with its share, and bins with each other.
    let names = names.into_iter().filter(|name| !judged::is_end(name) && !histogram::is_bin(name));
    let mut names: Vec<String> = names.cloned().collect();
    judged::in_order(&mut names, &runs.rules);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_zoomed_and_moved_within_what_there_is() {
        let all = [0.0, 100.0];
        assert_eq!(Zoom::In.of(all, 100.0), Some([25.0, 75.0]));
        assert_eq!(Zoom::Later.of([25.0, 75.0], 100.0), Some([37.5, 87.5]));
        assert_eq!(Zoom::Later.of([50.0, 100.0], 100.0), Some([50.0, 100.0]));
        assert_eq!(Zoom::Earlier.of([5.0, 25.0], 100.0), Some([0.0, 20.0]));
        assert_eq!(Zoom::Out.of([25.0, 75.0], 100.0), None, "all of it");
        assert_eq!(Zoom::All.of([25.0, 75.0], 100.0), None);
    }

    #[test]
    fn names_are_put_together_again_when_a_run_has_measured_something_new() {
        let mut runs = Runs::default();
        runs.set_records(vec![crate::runs::tests::record_of(1, "")]);
        let measure = |runs: &mut Runs, name: &str| {
            let history = runs.history.entry(RunId(1)).or_default();
            history.series.insert(name.to_owned(), Series::from_points([[1.0, 0.0]]));
        };
        measure(&mut runs, "loss");
        let mut present = MetricNames::default();
        let mut names = |runs: &Runs| present.of(runs, &runs.records.iter().collect::<Vec<_>>());
        let first = names(&runs);
        assert_eq!(*first, ["loss".to_owned()]);
        assert!(Arc::ptr_eq(&first, &names(&runs)));
        measure(&mut runs, "grad_norm");
        assert_eq!(names(&runs).len(), 2);
        assert!(names(&Runs::default()).is_empty());
    }

    #[test]
    fn smoothing_is_worked_out_again_when_a_series_grows() {
        let mut smooth = Smooth::default();
        let mut series = Series::from_points([[1.0, 0.0]]);
        smooth.update(0.5, [(RunId(1), "loss", &series)].into_iter());
        series.push(2.0, 3.0);
        smooth.update(0.5, [(RunId(1), "loss", &series)].into_iter());
        assert_eq!(smooth.get(RunId(1), "loss").unwrap().latest(), Some([2.0, 2.0]));
    }
}
