//! One metric over steps, ready to be drawn at any zoom without walking every point.
//!
//! A pyramid of bins keeps the lowest and the highest point of every 4, 16, 64 .. neighbours. Drawing asks for a range
//! and a number of buckets and gets a few points a bucket: no spike is lost. A value that is not finite breaks the line
//! where it stands. The first and the last point always stay, so that a line never shrinks or jumps.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering},
};

/// Neighbours that one bin of the next level sums up.
const FAN: usize = 4;

/// A point of a chart: x is the step, or what else is across; y the value. A y that is not finite ends the line.
pub use data::across::Point;

/// Which points a series has: no two of a process that were made or changed apart from each other have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

impl Stamp {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// What a bin remembers of its points, as indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bin {
    /// Lowest and highest finite value; absent when there is none.
    low_high: Option<(usize, usize)>,
    /// The first value that is not finite.
    gap: Option<usize>,
}

impl Bin {
    const EMPTY: Self = Self { low_high: None, gap: None };

    fn of(points: &[Point], index: usize) -> Self {
        let mut bin = Self::EMPTY;
        bin.take(points, index);
        bin
    }

    fn take(&mut self, points: &[Point], index: usize) {
        let y = points[index][1];
        if !y.is_finite() {
            self.gap.get_or_insert(index);
            return;
        }
        self.low_high = Some(match self.low_high {
            None => (index, index),
            Some((low, high)) => {
                (if y < points[low][1] { index } else { low }, if y > points[high][1] { index } else { high })
            }
        });
    }

    /// Of both, this one first.
    fn join(self, points: &[Point], next: Self) -> Self {
        let low_high = match (self.low_high, next.low_high) {
            (Some((low, high)), Some((next_low, next_high))) => Some((
                if points[next_low][1] < points[low][1] { next_low } else { low },
                if points[next_high][1] > points[high][1] { next_high } else { high },
            )),
            (one, other) => one.or(other),
        };
        Self { low_high, gap: self.gap.or(next.gap) }
    }

    /// Its points in order.
    fn emit(&self, points: &[Point], out: &mut Vec<Point>) {
        let mut indices = [None; 3];
        if let Some((low, high)) = self.low_high {
            indices[0] = Some(low);
            indices[1] = (high != low).then_some(high);
        }
        indices[2] = self.gap;
        indices.sort_unstable();
        out.extend(indices.into_iter().flatten().map(|index| points[index]));
    }
}

/// A metric's points by step, with the pyramid over them.
#[derive(Debug, Clone, Default)]
pub struct Series {
    stamp: Stamp,
    points: Vec<Point>,
    /// `levels[k]` has bins of `FAN^(k+1)` points.
    levels: Vec<Vec<Bin>>,
    not_finite: usize,
    /// Finite ones of 0 or below.
    not_positive: usize,
}

impl Series {
    /// All at once, which costs a small part of pushing them.
    pub fn from_points(points: impl IntoIterator<Item = Point>) -> Self {
        let points: Vec<Point> = points.into_iter().collect();
        if !points.is_sorted_by(|one, next| one[0] < next[0]) {
            let mut series = Self::default();
            for [step, value] in points {
                series.push(step, value);
            }
            return series;
        }
        let count = |is: fn(f64) -> bool| points.iter().filter(|point| is(point[1])).count();
        let (not_finite, not_positive) = (count(|value| !value.is_finite()), count(is_not_positive));
        let mut levels: Vec<Vec<Bin>> = Vec::new();
        let mut width = FAN;
        while points.len() > width {
            let join = |bins: &[Bin]| bins.iter().fold(Bin::EMPTY, |joined, bin| joined.join(&points, *bin));
            let level = match levels.last() {
                Some(below) => below.chunks(FAN).map(join).collect(),
                None => bins(&points, width),
            };
            levels.push(level);
            width *= FAN;
        }
        Self { stamp: Stamp::new(), points, levels, not_finite, not_positive }
    }

    /// Adds the value at `step`. A step that was seen before starts over from there: that is what a resumed run does.
    pub fn push(&mut self, step: f64, value: f64) {
        if self.points.last().is_some_and(|last| last[0] >= step) {
            self.truncate_from(step);
        }
        self.stamp = Stamp::new();
        let index = self.points.len();
        self.points.push([step, value]);
        self.not_finite += usize::from(!value.is_finite());
        self.not_positive += usize::from(is_not_positive(value));
        let mut width = FAN;
        for level in &mut self.levels {
            let at = index / width;
            if at == level.len() {
                level.push(Bin::of(&self.points, index));
            } else {
                level[at].take(&self.points, index);
            }
            width *= FAN;
        }
        if self.points.len() > width {
            self.levels.push(bins(&self.points, width));
        }
    }

    /// Forgets everything from `step` on.
    pub fn truncate_from(&mut self, step: f64) {
        let keep = self.points.partition_point(|point| point[0] < step);
        let kept = std::mem::take(self).points;
        *self = Self::from_points(kept.into_iter().take(keep));
    }

    /// What is made of these points holds as long as it stays the same.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How many values were NaN or infinite.
    pub fn not_finite(&self) -> usize {
        self.not_finite
    }

    /// How many were numbers of 0 or below.
    pub fn not_positive(&self) -> usize {
        self.not_positive
    }

    /// The newest finite point.
    pub fn latest(&self) -> Option<Point> {
        self.points.iter().rev().find(|p| p[1].is_finite()).copied()
    }

    /// Mean of the newest finite values, so many at most.
    pub fn recent(&self, most: usize) -> Option<f64> {
        let values: Vec<f64> =
            self.points.iter().rev().map(|point| point[1]).filter(|value| value.is_finite()).take(most).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The oldest finite point.
    pub fn first(&self) -> Option<Point> {
        self.points.iter().find(|p| p[1].is_finite()).copied()
    }

    /// The lowest and the highest finite point, each the first of its kind. Reads a few bins, however long the series
    /// is.
    pub fn extremes(&self) -> Option<(Point, Point)> {
        let at = |index: usize| self.points[index];
        let lower = |one: Point, other: Point| if other[1] < one[1] { other } else { one };
        let higher = |one: Point, other: Point| if other[1] > one[1] { other } else { one };
        let join = |one: (Point, Point), other: (Point, Point)| (lower(one.0, other.0), higher(one.1, other.1));
        match self.levels.last() {
            Some(top) => top.iter().filter_map(|bin| bin.low_high).map(|(low, high)| (at(low), at(high))).reduce(join),
            None => self.points.iter().filter(|p| p[1].is_finite()).map(|point| (*point, *point)).reduce(join),
        }
    }

    /// The value measured at exactly this step that is not a number.
    pub fn fault_at(&self, step: f64) -> Option<f64> {
        if self.not_finite == 0 {
            return None;
        }
        let at = self.points.partition_point(|point| point[0] < step);
        let point = self.points.get(at)?;
        (point[0] == step && !point[1].is_finite()).then_some(point[1])
    }

    pub fn last_step(&self) -> Option<f64> {
        self.points.last().map(|point| point[0])
    }

    /// The finite point nearest to `step`.
    pub fn nearest(&self, step: f64) -> Option<Point> {
        let at = self.first_from(step);
        let after = self.points[at..].iter().find(|p| p[1].is_finite());
        let before = self.points[..at].iter().rev().find(|p| p[1].is_finite());
        match (before, after) {
            (Some(a), Some(b)) => Some(if step - a[0] < b[0] - step { *a } else { *b }),
            (one, other) => one.or(other).copied(),
        }
    }

    /// The place of the first point at `step` or behind it. Steps mostly lie evenly: where they do it is found at once.
    fn first_from(&self, step: f64) -> usize {
        let points = &self.points;
        if let [first, .., last] = &points[..] {
            let share = (step - first[0]) / (last[0] - first[0]);
            let guess = (share * (points.len() - 1) as f64).round().clamp(0.0, (points.len() - 1) as f64) as usize;
            let is_behind = points[guess][0] >= step;
            let is_before = guess.checked_sub(1).is_none_or(|before| points[before][0] < step);
            if is_behind && is_before {
                return guess;
            }
        }
        points.partition_point(|point| point[0] < step)
    }

    /// How many points lie in a range.
    pub fn within(&self, range: &RangeInclusive<f64>) -> usize {
        let before = |at: f64, also: bool| self.points.partition_point(|p| p[0] < at || (also && p[0] == at));
        before(*range.end(), true).saturating_sub(before(*range.start(), false))
    }

    /// At most about `3 * buckets` points that look the same as all points in `range`, with one neighbour on either
    /// side so that the line runs to the edges of the view.
    pub fn visible(&self, range: &RangeInclusive<f64>, buckets: usize) -> Vec<Point> {
        let start = self.points.partition_point(|point| point[0] < *range.start());
        let end = self.points.partition_point(|point| point[0] <= *range.end());
        let (start, end) = (start.saturating_sub(1), (end + 1).min(self.points.len()));
        if end <= start {
            return Vec::new();
        }
        let mut level = None;
        let mut width = 1;
        for k in 0..self.levels.len() {
            if (end - start) / width <= buckets.max(1) {
                break;
            }
            width *= FAN;
            level = Some(k);
        }
        let Some(level) = level else {
            return self.points[start..end].to_vec();
        };
        let bins = &self.levels[level];
        let mut out = Vec::with_capacity((end - start) / width * 3 + 2);
        let (first, last) = (self.points[start], self.points[end - 1]);
        out.push(first);
        for bin in &bins[start / width..=(end - 1) / width] {
            bin.emit(&self.points, &mut out);
        }
        // A bin may begin before the range; the ends are added by hand.
        out.retain(|point| point[0] >= first[0] && point[0] <= last[0]);
        out.push(last);
        out.dedup_by_key(|point| point[0].to_bits());
        out
    }

    /// Exponential moving average with `weight` in [0, 1) on the past, bias-corrected at the start.
    /// A value that is not finite stays where it is and does not enter the average.
    pub fn smoothed(&self, weight: f64) -> Self {
        Self::from_points(data::across::smoothed(&self.points, weight))
    }
}

/// The parts of a line between the points that cannot be drawn. Each is drawn on its own: a pattern of dashes that runs
/// into a point without a place would end there, or go on without its gaps.
pub fn pieces(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.split(|point| !point[1].is_finite()).filter(|piece| !piece.is_empty())
}

/// A band between two series that were measured together: step, lowest and highest value of each bucket.
/// Steps where one of them is not finite are left out.
pub fn band(lower: &Series, upper: &Series, range: &RangeInclusive<f64>, buckets: usize) -> Vec<[f64; 3]> {
    let start = lower.points.partition_point(|p| p[0] < *range.start());
    let end = lower.points.partition_point(|p| p[0] <= *range.end());
    let (start, end) = (start.saturating_sub(1), (end + 1).min(lower.points.len()));
    let upper = upper.points.get(start..end).unwrap_or_default();
    data::across::band(&lower.points[start..end], upper, buckets)
}

fn is_not_positive(value: f64) -> bool {
    value.is_finite() && value <= 0.0
}

fn bins(points: &[Point], width: usize) -> Vec<Bin> {
    let mut bins = vec![Bin::EMPTY; points.len().div_ceil(width)];
    for index in 0..points.len() {
        bins[index / width].take(points, index);
    }
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Series {
        Series::from_points(values.iter().enumerate().map(|(i, v)| [i as f64, *v]))
    }

    #[test]
    fn the_first_point_from_a_step_on_is_found_wherever_points_lie() {
        for steps in [&[][..], &[3.0], &[0.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 50.0, 51.0, 1000.0]] {
            let series = Series::from_points(steps.iter().map(|step| [*step, 0.0]));
            for step in [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 49.0, 50.0, 51.5, 999.0, 1000.0, 1e9, f64::NAN] {
                assert_eq!(
                    series.first_from(step),
                    steps.partition_point(|known| *known < step),
                    "{step} in {steps:?}"
                );
            }
        }
    }

    #[test]
    fn a_short_series_is_drawn_as_it_is() {
        let series = of(&[1.0, 2.0, 3.0]);
        assert_eq!(series.visible(&(0.0..=2.0), 100), series.points());
    }

    #[test]
    fn a_spike_survives_any_decimation() {
        let mut values = vec![0.0; 10_000];
        values[7_777] = 42.0;
        let drawn = of(&values).visible(&(0.0..=10_000.0), 50);
        assert!(drawn.len() <= 200, "{} points", drawn.len());
        assert!(drawn.contains(&[7_777.0, 42.0]));
    }

    #[test]
    fn a_value_that_is_not_finite_breaks_the_line_where_it_stands() {
        let mut values = vec![1.0; 5_000];
        values[2_500] = f64::NAN;
        let series = of(&values);
        let drawn = series.visible(&(0.0..=5_000.0), 20);
        let broken: Vec<f64> = drawn.iter().filter(|p| !p[1].is_finite()).map(|p| p[0]).collect();
        assert_eq!(broken, [2_500.0]);
        assert_eq!(series.not_finite(), 1);
    }

    #[test]
    fn g3_a_line_is_drawn_in_the_parts_between_its_gaps() {
        let nan = f64::NAN;
        let drawn = |values: &[f64]| -> Vec<Vec<f64>> {
            let points = of(values).points().to_vec();
            pieces(&points).map(|piece| piece.iter().map(|p| p[1]).collect()).collect()
        };
        assert_eq!(drawn(&[nan, 1.0, 2.0, nan, nan, 3.0]), [vec![1.0, 2.0], vec![3.0]]);
        assert_eq!(drawn(&[1.0, nan]), [[1.0]]);
        assert!(drawn(&[nan, nan]).is_empty() && drawn(&[]).is_empty());
        assert_eq!(of(&[1.0, f64::INFINITY]).fault_at(1.0), Some(f64::INFINITY));
        assert_eq!(of(&[1.0, nan]).fault_at(0.0), None);
        assert_eq!(of(&[1.0, nan]).fault_at(7.0), None);
    }

    #[test]
    fn a_resumed_run_writes_over_its_later_steps() {
        let mut series = of(&[0.0, 1.0, 2.0, 3.0, 4.0]);
        series.push(2.0, 20.0);
        assert_eq!(series.points(), [[0.0, 0.0], [1.0, 1.0], [2.0, 20.0]]);
    }

    #[test]
    fn a_series_that_is_changed_has_another_stamp_and_a_copy_the_same() {
        let mut series = of(&[0.0, 1.0]);
        let before = series.clone();
        assert_eq!(before.stamp(), series.stamp());
        series.push(1.0, 5.0);
        assert_ne!(before.stamp(), series.stamp(), "as long as before, and other values");
        assert_ne!(of(&[0.0, 1.0]).stamp(), before.stamp());
        assert_ne!(Series::default().stamp(), before.stamp());
    }

    #[test]
    fn nearest_skips_gaps() {
        let series = of(&[1.0, f64::NAN, 3.0]);
        assert_eq!(series.nearest(1.2), Some([2.0, 3.0]));
        assert_eq!(series.nearest(-5.0), Some([0.0, 1.0]));
        assert_eq!(series.latest(), Some([2.0, 3.0]));
    }

    #[test]
    fn smoothing_a_constant_changes_nothing() {
        let smooth = of(&[2.0; 40]).smoothed(0.9);
        assert!(smooth.points().iter().all(|p| (p[1] - 2.0).abs() < 1e-12));
    }

    #[test]
    fn a_band_covers_every_point_between_its_edges() {
        let lower = of(&(0..1000).map(|i| f64::from(i % 7)).collect::<Vec<f64>>());
        let upper = of(&(0..1000).map(|i| 10.0 + f64::from(i % 5)).collect::<Vec<f64>>());
        let band = band(&lower, &upper, &(0.0..=1000.0), 20);
        assert_eq!(band.len(), 20);
        assert!(band.iter().all(|[_, low, high]| *low == 0.0 && *high == 14.0));
    }

    proptest! {
        /// Ends stay, extremes stay, order stays, and the number of points is bounded.
        #[test]
        fn a_view_keeps_ends_and_extremes(
            values in prop::collection::vec(prop_oneof![9 => -1e3..1e3f64, 1 => Just(f64::NAN)], 1..3000),
            buckets in 4usize..200,
        ) {
            let series = of(&values);
            let drawn = series.visible(&(0.0..=values.len() as f64), buckets);
            prop_assert_eq!(drawn[0][0], 0.0);
            prop_assert_eq!(drawn.last().unwrap()[0], (values.len() - 1) as f64);
            prop_assert!(drawn.windows(2).all(|w| w[0][0] < w[1][0]));
            prop_assert!(drawn.len() <= 3 * (buckets + 2) + 2);
            let extremes = |points: &[Point]| {
                points.iter().map(|p| p[1]).filter(|y| y.is_finite()).fold(
                    (f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)))
            };
            prop_assert_eq!(extremes(&drawn), extremes(series.points()));
        }

        #[test]
        fn points_at_once_are_the_same_as_one_by_one(
            values in prop::collection::vec(prop_oneof![9 => -9..9i32, 1 => Just(i32::MAX)], 0..400),
        ) {
            let value = |value: i32| if value == i32::MAX { f64::NAN } else { f64::from(value) };
            let values: Vec<f64> = values.into_iter().map(value).collect();
            let mut pushed = Series::default();
            for (step, value) in values.iter().enumerate() {
                pushed.push(step as f64, *value);
            }
            let whole = of(&values);
            prop_assert_eq!(&whole.levels, &pushed.levels);
            prop_assert_eq!((whole.not_finite, whole.not_positive), (pushed.not_finite, pushed.not_positive));
        }

        /// Pushing one by one builds the same pyramid as building at once over a part of it.
        #[test]
        fn a_partial_view_stays_inside_its_neighbours(
            n in 100usize..2000, a in 0.0..1.0f64, b in 0.0..1.0f64,
        ) {
            let series = of(&(0..n).map(|i| (i as f64 * 0.7).sin()).collect::<Vec<f64>>());
            let (low, high) = (a.min(b) * n as f64, a.max(b) * n as f64);
            for point in series.visible(&(low..=high), 10) {
                prop_assert!(point[0] >= low - 1.0 && point[0] <= high + 1.0);
            }
        }
    }
}
