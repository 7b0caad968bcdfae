//! Curves over something else than steps: worked out again only when one of them or the axis changed.

use std::collections::BTreeMap;

use data::{Across, across::moved};
use store::RunId;

use super::frontier::places;
use crate::{
    runs::History,
    series::{Point, Series, Stamp},
};

/// Curves of runs over the axis that is asked for. Steps need none of it: there curves are as they were measured.
#[derive(Debug, Default)]
pub struct Along {
    across: Across,
    /// By step, with what they were made of.
    places: BTreeMap<RunId, (Stamp, Vec<Point>)>,
    curves: BTreeMap<Key, ([Stamp; 2], Series)>,
    /// Weight that the smoothed ones were smoothed by.
    weight: f64,
}

/// Which form of a run's curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CurveForm {
    Measured,
    Smoothed,
    /// Of a group of seeds, under its first run.
    Mean,
    Low,
    High,
}

type Key = (RunId, String, CurveForm);

impl Along {
    /// Another axis, or another smoothing, forgets the curves there were.
    pub fn set(&mut self, across: Across, weight: f64) {
        if self.across != across || self.weight != weight {
            *self = Self { across, weight, ..Self::default() };
        }
    }

    /// Brings the places of a run up to date; whether it has any.
    pub fn follow(&mut self, run: RunId, history: &History) -> bool {
        let counted = match self.across {
            Across::Seconds => Some(&history.times),
            across => across.counts().and_then(|name| history.series(name)),
        };
        let Some(counted) = counted.filter(|counted| !counted.is_empty()) else { return false };
        if self.places.get(&run).is_none_or(|(of, _)| *of != counted.stamp()) {
            let places = places(history, self.across).map_or_else(Vec::new, std::borrow::Cow::into_owned);
            self.places.insert(run, (counted.stamp(), places));
        }
        true
    }

    /// Brings a curve of a run that is followed up to date.
    pub fn update(&mut self, run: RunId, metric: &str, form: CurveForm, series: &Series) {
        let Some((counted, places)) = self.places.get(&run) else { return };
        let key = (run, metric.to_owned(), form);
        let of = [series.stamp(), *counted];
        if self.curves.get(&key).is_none_or(|(known, _)| *known != of) {
            let curve = Series::from_points(moved(series.points(), places, true));
            self.curves.insert(key, (of, curve));
        }
    }

    pub fn get(&self, run: RunId, metric: &str, form: CurveForm) -> Option<&Series> {
        self.curves.get(&(run, metric.to_owned(), form)).map(|(_, curve)| curve)
    }

    /// Where a run stood at a step, or before it.
    pub fn place(&self, run: RunId, step: f64) -> Option<f64> {
        let (_, places) = self.places.get(&run)?;
        let after = places.partition_point(|place| place[0] <= step);
        Some(after.checked_sub(1).map_or(0.0, |at| places[at][1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_follows_its_axis_and_grows_with_it() {
        let mut history = History::default();
        let run = RunId(1);
        let mut along = Along::default();
        along.set(Across::Tokens, 0.0);
        assert!(!along.follow(run, &history), "it has counted none");
        history.series.insert("tokens".to_owned(), Series::from_points([[1.0, 10.0], [2.0, 30.0]]));
        history.series.insert("loss".to_owned(), Series::from_points([[1.0, 0.5], [2.0, 0.4]]));
        let bring = |along: &mut Along, history: &History| {
            assert!(along.follow(run, history));
            along.update(run, "loss", CurveForm::Measured, history.series("loss").unwrap());
        };
        bring(&mut along, &history);
        assert_eq!(along.get(run, "loss", CurveForm::Measured).unwrap().points(), [[10.0, 0.5], [40.0, 0.4]]);
        assert_eq!([0.0, 1.0, 1.5, 9.0].map(|step| along.place(run, step).unwrap()), [0.0, 10.0, 10.0, 40.0]);
        for (name, value) in [("tokens", 20.0), ("loss", 0.3)] {
            history.series.get_mut(name).unwrap().push(3.0, value);
        }
        bring(&mut along, &history);
        assert_eq!(along.get(run, "loss", CurveForm::Measured).unwrap().latest(), Some([60.0, 0.3]));
        along.set(Across::Seconds, 0.0);
        assert!(along.get(run, "loss", CurveForm::Measured).is_none());
    }
}
