//! What is drawn of a chart's series in a view, and the axis that it needs: worked out again only when one of them has
//! changed.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::RangeInclusive,
    sync::Arc,
};

use data::{Extent, clip};
use egui::{
    Context,
    cache::{ComputerMut, FrameCache},
};
use state::series::{self, Point};

use super::{
    Chart, Line,
    axis::{MARGIN, axis_of},
};

/// A line is dense where a point stands for so many of them: there is more than one to a pixel.
const DENSE: usize = 4;

/// The part of the series that a view shows, in no more points than can be told apart.
#[derive(Debug)]
pub struct Thinned {
    /// No other one that is kept has the same.
    pub key: u64,
    pub lines: Vec<ThinnedLine>,
    /// Of each band its steps with the places of its edges.
    pub bands: Vec<Vec<[f64; 3]>>,
    pub extent: Extent,
}

#[derive(Debug)]
pub struct ThinnedLine {
    /// Steps with the place of the value on the scale, NaN where it has none.
    pub places: Vec<Point>,
    /// Each of them stands for so many others that all of a plot between them is drawn on.
    pub is_dense: bool,
    /// Steps that were measured and are not a number.
    pub faults: Vec<f64>,
    /// Steps whose value lies above the axis, and below it.
    pub beyond: [Vec<f64>; 2],
}

impl Chart<'_> {
    /// What is drawn of these steps in a plot of so many buckets.
    pub(super) fn thinned(&self, ctx: &Context, range: &RangeInclusive<f64>, buckets: usize) -> Arc<Thinned> {
        type Cache = FrameCache<Arc<Thinned>, Thinner>;
        let view = View { chart: self, key: self.key(range, buckets), range, buckets };
        ctx.memory_mut(|memory| Arc::clone(memory.caches.cache::<Cache>().get(view)))
    }

    /// Of everything that [`thin`] looks at.
    fn key(&self, range: &RangeInclusive<f64>, buckets: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        for line in &self.lines {
            (line.series.stamp(), line.from.map(f64::to_bits)).hash(&mut hasher);
        }
        for band in &self.bands {
            (band.low.stamp(), band.high.stamp()).hash(&mut hasher);
        }
        for level in &self.levels {
            level.value.to_bits().hash(&mut hasher);
        }
        let view = [range.start(), range.end()].map(|end| end.to_bits());
        (view, buckets, self.scale.name(), self.clip, self.metric).hash(&mut hasher);
        [self.lines.len(), self.bands.len(), self.levels.len()].hash(&mut hasher);
        hasher.finish()
    }
}

#[derive(Clone, Copy)]
struct View<'a> {
    chart: &'a Chart<'a>,
    key: u64,
    range: &'a RangeInclusive<f64>,
    buckets: usize,
}

impl Hash for View<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

#[derive(Default)]
struct Thinner;

impl<'a> ComputerMut<View<'a>, Arc<Thinned>> for Thinner {
    fn compute(&mut self, view: View<'a>) -> Arc<Thinned> {
        Arc::new(thin(view))
    }
}

fn thin(View { chart, key, range, buckets }: View<'_>) -> Thinned {
    let lines: Vec<Vec<Point>> = chart.lines.iter().map(|line| line.own_part(range, buckets)).collect();
    let bands: Vec<Vec<[f64; 3]>> =
        chart.bands.iter().map(|band| series::band(band.low, band.high, range, buckets)).collect();
    let edges = bands.iter().flatten().flat_map(|[_, low, high]| [*low, *high]);
    let mut values: Vec<f64> = lines.iter().flatten().map(|point| point[1]).chain(edges).collect();
    if chart.clip {
        clip(&mut values);
    }
    let named = chart.levels.iter().map(|level| level.value);
    let extent = axis_of(values.into_iter().chain(named), chart.metric, chart.scale).padded(MARGIN);
    let place = |value: f64| chart.scale.place(value);
    let line = |(points, of): (Vec<Point>, &Line<'_>)| {
        let places: Vec<Point> = points.iter().map(|[step, value]| [*step, place(*value)]).collect();
        let steps = |is: &dyn Fn(f64) -> bool| places.iter().filter(|at| is(at[1])).map(|at| at[0]).collect();
        ThinnedLine {
            is_dense: places.len() * DENSE < of.series.within(range),
            faults: points.iter().filter(|point| !point[1].is_finite()).map(|point| point[0]).collect(),
            beyond: [steps(&|at| at > extent.high), steps(&|at| at < extent.low)],
            places,
        }
    };
    let band = |band: Vec<[f64; 3]>| {
        let places = band.into_iter().map(|[step, low, high]| [step, place(low), place(high)]);
        places.filter(|[_, low, high]| !low.is_nan() && !high.is_nan()).collect()
    };
    Thinned {
        key,
        lines: lines.into_iter().zip(&chart.lines).map(line).collect(),
        bands: bands.into_iter().map(band).collect(),
        extent,
    }
}
