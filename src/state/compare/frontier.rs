//! What runs learnt against what it took: drift, time, or steps.

use data::{
    frontier::Reached,
    metrics::{self, judged},
};
use serde::{Deserialize, Serialize};
use store::RunRecord;

use crate::{
    metric,
    runs::{History, Runs},
    series::{Point, Series},
};

/// What is drawn across until somebody chooses, and upwards.
pub const DRIFT: &str = metrics::KL_REF;
pub const ACCURACY: &str = metrics::HELD_OUT_ACCURACY;

/// What learning costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Across {
    #[default]
    Drift,
    /// Of training, evaluations and answers of its own included.
    Seconds,
    Steps,
}

impl Across {
    pub const ALL: [Self; 3] = [Self::Drift, Self::Seconds, Self::Steps];

    pub fn word(self) -> &'static str {
        match self {
            Self::Drift => "KL drift",
            Self::Seconds => "Time",
            Self::Steps => "Steps",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Drift => "kl/ref: how far from its start a run was when it knew as much",
            Self::Seconds => "What the run took until then, with its evaluations; pauses do not count",
            Self::Steps => "How many steps it had made",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Drift => Self::Seconds,
            Self::Seconds => Self::Steps,
            Self::Steps => Self::Drift,
        }
    }

    /// A place on its axis, for a reader.
    pub fn value(self, value: f64) -> String {
        match self {
            Self::Drift => metric::value(DRIFT, value),
            // Runs of a moment are told apart by parts of a second.
            Self::Seconds if value < 60.0 => format!("{} s", metric::number(value)),
            Self::Seconds => data::duration(value),
            Self::Steps => format!("{value:.0}"),
        }
    }

    fn at(self, history: &History, step: f64) -> Option<f64> {
        let same_step = |series: &Series| series.nearest(step).filter(|[at, _]| *at == step).map(|[_, value]| value);
        match self {
            Self::Drift => same_step(history.series(DRIFT)?),
            Self::Seconds => same_step(&history.times),
            Self::Steps => Some(step),
        }
    }
}

/// What can be drawn upwards: what evaluations measured, accuracy first.
pub fn learnable(present: &[String]) -> Vec<String> {
    let is_learnt = |name: &&String| metrics::is_rare(name) && !judged::is_end(name) && *name != DRIFT;
    let mut names: Vec<String> = present.iter().filter(is_learnt).cloned().collect();
    names.sort_by_key(|name| name != ACCURACY);
    names
}

/// The way a run went, one point an evaluation. `from`: without those before that step, but for the last of them, from
/// which the others go on.
pub fn frontier(history: &History, across: Across, up: &str, from: Option<f64>) -> Vec<Point> {
    let Some(learnt) = history.series(up) else {
        return Vec::new();
    };
    let reached = learnt.points().iter().filter(|[_, value]| value.is_finite());
    let path = reached.filter_map(|[step, value]| Some((*step, [across.at(history, *step)?, *value])));
    let path: Vec<(f64, Point)> = path.filter(|(_, [place, _])| place.is_finite()).collect();
    let own = from.map_or(0, |from| path.partition_point(|(step, _)| *step <= from).saturating_sub(1));
    path[own..].iter().map(|(_, point)| *point).collect()
}

/// The step from which a run's curves are its own: a fork's hang on its parent's where both are shown.
pub fn hangs_from(record: &RunRecord, shown: &[&RunRecord]) -> Option<f64> {
    let parent = record.parent?;
    let is_shown = shown.iter().any(|other| other.id == parent);
    record.parent_step.filter(|step| *step > 0 && is_shown).map(|step| step as f64)
}

/// The first of some runs against each of the others, in sentences.
pub fn in_words(runs: &Runs, shown: &[&RunRecord]) -> Vec<String> {
    let path = |record: &RunRecord| -> Vec<Reached> {
        let history = runs.history(record.id);
        let points = history.map(|history| frontier(history, Across::Drift, ACCURACY, None)).unwrap_or_default();
        points.into_iter().map(|[drift, accuracy]| (accuracy, drift)).collect()
    };
    let Some((first, others)) = shown.split_first() else {
        return Vec::new();
    };
    let of_first = path(first);
    let against = |other: &&RunRecord| data::frontier::in_words((&first.name, &of_first), (&other.name, &path(other)));
    others.iter().filter_map(against).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record_of;
    use store::RunId;

    fn series(points: &[Point]) -> Series {
        Series::from_points(points.iter().copied())
    }

    #[test]
    fn the_frontier_joins_what_was_measured_at_the_same_step() {
        let mut history = History::default();
        history.series.insert(ACCURACY.to_owned(), series(&[[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]));
        let path = |history: &History, across| frontier(history, across, ACCURACY, None);
        assert_eq!(path(&history, Across::Drift), Vec::<Point>::new());
        history.series.insert(DRIFT.to_owned(), series(&[[0.0, 0.0], [10.0, 0.1], [30.0, 0.4]]));
        assert_eq!(path(&history, Across::Drift), [[0.1, 0.7], [0.4, 0.9]]);
        assert_eq!(path(&history, Across::Steps), [[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]);
        history.times = series(&[[9.0, 1.0], [10.0, 2.5], [20.0, 5.5]]);
        assert_eq!(path(&history, Across::Seconds), [[2.5, 0.7], [5.5, 0.8]]);
    }

    #[test]
    fn a_fork_goes_on_from_where_its_parent_was() {
        let mut history = History::default();
        history.series.insert(ACCURACY.to_owned(), series(&[[10.0, 0.7], [20.0, 0.8], [30.0, 0.9]]));
        let from = |from| frontier(&history, Across::Steps, ACCURACY, from).first().map(|point| point[0]);
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
    fn what_evaluations_measured_can_be_learnt() {
        let present = ["eval_loss", ACCURACY, "judged/short", DRIFT, "loss"].map(str::to_owned);
        let found = learnable(&present);
        assert_eq!(found[0], ACCURACY);
        assert!(found.contains(&"eval_loss".to_owned()) && !found.iter().any(|name| name == "loss" || name == DRIFT));
    }
}
