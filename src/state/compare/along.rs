//! Curves over something else than steps: worked out again only when one of them grew or the axis changed.

use std::collections::BTreeMap;

use data::{Across, across::moved};
use store::RunId;

use super::frontier::places;
use crate::{
    runs::History,
    series::{Point, Series},
};

/// Curves of runs over the axis that is asked for. Steps need none of it: there curves are as they were measured.
#[derive(Debug, Default)]
pub struct Along {
    across: Across,
    /// By step, with how much they were made from.
    places: BTreeMap<RunId, (usize, Vec<Point>)>,
    curves: BTreeMap<Key, (usize, usize, Series)>,
    /// Weight that the smoothed ones were smoothed by.
    weight: f64,
}

/// Which form of a run's curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Measured,
    Smoothed,
    /// Of a group of seeds, under its first run.
    Mean,
    Low,
    High,
}

type Key = (RunId, String, Form);

impl Along {
    /// Another axis, or another smoothing, forgets the curves there were.
    pub fn set(&mut self, across: Across, weight: f64) {
        if self.across != across || self.weight != weight {
            *self = Self { across, weight, ..Self::default() };
        }
    }

    /// Brings the places of a run up to date; whether it has any.
    pub fn follow(&mut self, run: RunId, history: &History) -> bool {
        let size = match self.across {
            Across::Seconds => history.times.len(),
            across => across.counts().and_then(|name| history.series(name)).map_or(0, Series::len),
        };
        if size > 0 && self.places.get(&run).is_none_or(|(known, _)| *known != size) {
            let places = places(history, self.across).map_or_else(Vec::new, std::borrow::Cow::into_owned);
            self.places.insert(run, (size, places));
        }
        size > 0
    }

    /// Brings a curve of a run that is followed up to date.
    pub fn update(&mut self, run: RunId, metric: &str, form: Form, series: &Series) {
        let Some((size, places)) = self.places.get(&run) else { return };
        let key = (run, metric.to_owned(), form);
        let is_fresh = self.curves.get(&key).is_some_and(|(long, of, _)| (*long, *of) == (series.len(), *size));
        if !is_fresh {
            let curve = Series::from_points(moved(series.points(), places, true));
            self.curves.insert(key, (series.len(), *size, curve));
        }
    }

    pub fn get(&self, run: RunId, metric: &str, form: Form) -> Option<&Series> {
        self.curves.get(&(run, metric.to_owned(), form)).map(|(.., curve)| curve)
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
            along.update(run, "loss", Form::Measured, history.series("loss").unwrap());
        };
        bring(&mut along, &history);
        assert_eq!(along.get(run, "loss", Form::Measured).unwrap().points(), [[10.0, 0.5], [40.0, 0.4]]);
        assert_eq!([0.0, 1.0, 1.5, 9.0].map(|step| along.place(run, step).unwrap()), [0.0, 10.0, 10.0, 40.0]);
        for (name, value) in [("tokens", 20.0), ("loss", 0.3)] {
            history.series.get_mut(name).unwrap().push(3.0, value);
        }
        bring(&mut along, &history);
        assert_eq!(along.get(run, "loss", Form::Measured).unwrap().latest(), Some([60.0, 0.3]));
        along.set(Across::Seconds, 0.0);
        assert!(along.get(run, "loss", Form::Measured).is_none());
    }
}
