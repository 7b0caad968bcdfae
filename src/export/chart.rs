//! Line charts as shapes, for files that are read without this program.
//!
//! Colours are those of the window, and every line also has its own pattern.

use data::{Across, Extent, Scale, across, clip, metrics};

use super::drawing::{Anchor, Drawing, Ink, LETTERS, STYLES, Shape};

/// x is the step, y the value. A y that is not finite breaks the line.
pub use data::across::Point;

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct ChartLine {
    pub name: String,
    pub points: Vec<Point>,
    /// The lowest and the highest of the runs whose mean it is.
    pub band: Option<[Vec<Point>; 2]>,
}

impl ChartLine {
    /// Of one run.
    pub fn new(name: impl Into<String>, points: Vec<Point>) -> Self {
        Self { name: name.into(), points, band: None }
    }
}

/// Whole, with its legend.
pub const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
/// Where lines are drawn, from top to bottom; rounding does not take an end of the axis out of it.
const HELD: std::ops::RangeInclusive<f64> = TOP - 1e-6..=HEIGHT - BOTTOM + 1e-6;
/// Height of a row of the legend, below.
const ROW: f64 = 18.0;
/// About the width of a letter of the legend.
const LETTER: f64 = 6.2;
/// Buckets along x: more points than two of each would not be seen.
const BUCKETS: usize = 600;

/// One line, and how it is drawn.
pub struct Curve<'a> {
    pub name: &'a str,
    pub points: &'a [Point],
    /// What lies between them is shaded.
    pub band: Option<[&'a [Point]; 2]>,
    /// Place in [`STYLES`].
    pub style: usize,
    /// Behind the others, and not in the legend.
    pub faint: bool,
}

/// How the axes are laid.
#[derive(Debug, Clone, Copy, Default)]
pub struct Axes<'a> {
    pub across: Across,
    pub up: Scale,
    /// How values are written: as this metric's are.
    pub metric: &'a str,
    /// The few values far from the others do not stretch the axis; an arrow at its edge stands for each.
    pub clip: bool,
}

/// Draws `lines` of a metric over the steps; `marks` are steps at which something was changed by hand. `title` is what
/// a screen reader says. Nothing when no line has a finite point.
pub fn svg(title: &str, metric: &str, lines: &[ChartLine], marks: &[u64]) -> Option<String> {
    let curves: Vec<Curve<'_>> = lines
        .iter()
        .enumerate()
        .map(|(style, line)| {
            let band = line.band.as_ref().map(|edges| edges.each_ref().map(Vec::as_slice));
            Curve { name: &line.name, points: &line.points, band, style, faint: false }
        })
        .collect();
    let marks: Vec<f64> = marks.iter().map(|step| *step as f64).collect();
    Some(draw(title, &curves, &marks, Axes { metric, ..Axes::default() })?.svg())
}

/// The same as shapes, on any axes; `marks` are places on what is across.
pub fn draw(title: &str, curves: &[Curve<'_>], marks: &[f64], axes: Axes<'_>) -> Option<Drawing> {
    let up = axes.up;
    let finite = || {
        let points =
            curves.iter().flat_map(|curve| curve.points.iter().chain(curve.band.into_iter().flatten().flatten()));
        points.filter(|point| point[0].is_finite() && !up.place(point[1]).is_nan())
    };
    let whole = matches!(axes.across, Across::Steps | Across::Pairs | Across::Tokens);
    let least = if whole { 1.0 } else { 0.0 };
    let x = Axis::tight(finite().map(|point| point[0]), [LEFT, WIDTH - RIGHT], least, |at| axes.across.tick(at))?;
    let mut values: Vec<f64> = finite().map(|point| point[1]).collect();
    if axes.clip {
        clip(&mut values);
    }
    let y = Axis::round(values.into_iter(), [HEIGHT - BOTTOM, TOP], axes)?;
    let legend = legend(curves);
    let rows = legend.iter().map(|entry| entry.row + 1).max().unwrap_or(0);
    let mut shapes = Vec::new();
    let text = |at, anchor, ink, text: &str| Shape::Text { at, anchor, size: LETTERS, ink, text: text.to_owned() };
    for (place, words) in &y.ticks {
        let at = y.at(*place);
        shapes.push(Shape::line([LEFT, at], [WIDTH - RIGHT, at], Ink::TEXT.faint(0.15), 1.0, ""));
        shapes.push(text([LEFT - 7.0, at + 4.0], Anchor::End, Ink::TEXT.faint(0.7), words));
    }
    for (place, words) in &x.ticks {
        let at = [x.at(*place), HEIGHT - BOTTOM + 18.0];
        shapes.push(text(at, Anchor::Middle, Ink::TEXT.faint(0.7), words));
    }
    for &place in marks {
        let at = x.at(place);
        if (LEFT..=WIDTH - RIGHT).contains(&at) {
            shapes.push(Shape::line([at, TOP], [at, HEIGHT - BOTTOM], Ink::TEXT.faint(0.5), 1.0, "1 4"));
        }
    }
    for curve in curves {
        shapes.extend(areas(curve, &x, &y));
    }
    for curve in curves {
        add_curve(&mut shapes, curve, &x, &y);
    }
    for entry in &legend {
        let (colour, dashes) = STYLES[entry.style % STYLES.len()];
        let middle = HEIGHT + ROW * entry.row as f64 + 4.0;
        let (from, to) = ([entry.x, middle], [entry.x + 24.0, middle]);
        shapes.push(Shape::line(from, to, Ink::of(colour), 2.0, dashes));
        shapes.push(text([entry.x + 30.0, middle + 4.0], Anchor::Start, Ink::TEXT, entry.name));
    }
    Some(Drawing { width: WIDTH, height: HEIGHT + ROW * rows as f64, title: title.to_owned(), shapes })
}

fn add_curve(shapes: &mut Vec<Shape>, curve: &Curve<'_>, x: &Axis, y: &Axis) {
    let (colour, dashes) = STYLES[curve.style % STYLES.len()];
    let (ink, width, dashes) =
        if curve.faint { (Ink::of(colour).faint(0.3), 1.0, "") } else { (Ink::of(colour), 1.6, dashes) };
    let points = inside(path(curve.points, x, y));
    if !points.is_empty() {
        shapes.push(Shape::Path { points, ink, width, dashes, title: "" });
    }
    if curve.faint {
        return;
    }
    for [at, value] in alone(curve.points, y).into_iter().filter(|point| HELD.contains(&y.of(point[1]))) {
        shapes.push(Shape::Dot { at: [x.at(at), y.of(value)], radius: 2.5, ink });
    }
    shapes.extend(beyond(curve.points, x, y).map(|points| Shape::Area { points, ink }));
    let points = faults(curve.points, x);
    if !points.is_empty() {
        shapes.push(Shape::Path { points, ink, width: 1.4, dashes: "", title: "Not a number" });
    }
}

/// The band around a curve, in as many pieces as it has.
fn areas(curve: &Curve<'_>, x: &Axis, y: &Axis) -> Vec<Shape> {
    let Some([low, high]) = curve.band else {
        return Vec::new();
    };
    let ink = Ink::of(STYLES[curve.style % STYLES.len()].0).faint(0.16);
    let edge = |value: f64| y.of(value).clamp(*HELD.start(), *HELD.end());
    let places = across::band(low, high, BUCKETS).into_iter().map(|[at, low, high]| [x.at(at), edge(low), edge(high)]);
    let places: Vec<[f64; 3]> = places.collect();
    let pieces = places.split(|[_, low, high]| low.is_nan() || high.is_nan()).filter(|piece| piece.len() > 1);
    let around = |piece: &[[f64; 3]]| {
        let there = piece.iter().map(|[at, _, high]| [*at, *high]);
        let back = piece.iter().rev().map(|[at, low, _]| [*at, *low]);
        Shape::Area { points: there.chain(back).collect(), ink }
    };
    pieces.map(around).collect()
}

struct Entry<'a> {
    name: &'a str,
    style: usize,
    x: f64,
    row: usize,
}

/// Names from left to right, in as many rows as they need.
fn legend<'a>(curves: &[Curve<'a>]) -> Vec<Entry<'a>> {
    let (mut x, mut row) = (LEFT, 0);
    let mut entries = Vec::new();
    for &Curve { name, style, .. } in curves.iter().filter(|curve| !curve.faint) {
        let width = 30.0 + LETTER * name.chars().count() as f64 + 20.0;
        if x > LEFT && x + width > WIDTH {
            (x, row) = (LEFT, row + 1);
        }
        entries.push(Entry { name, style, x, row });
        x += width;
    }
    entries
}

/// From places of a scale to places on the sheet, with round numbers to write beside.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    scale: Scale,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// It ends where the values do. `least`: ticks are so far apart or farther.
    fn tight(
        values: impl Iterator<Item = f64>,
        [from, to]: [f64; 2],
        least: f64,
        words: impl Fn(f64) -> String,
    ) -> Option<Self> {
        let Extent { low, high } = Extent::around(values, Scale::Linear)?;
        let step = round_step((high - low) / 4.0).max(least);
        let ticks = round_places(low, high, step).map(|place| (place, words(place)));
        Some(Self { low, high, from, to, scale: Scale::Linear, ticks: ticks.collect() })
    }

    /// It ends at round numbers.
    fn round(values: impl Iterator<Item = f64>, [from, to]: [f64; 2], axes: Axes<'_>) -> Option<Self> {
        let scale = axes.up;
        let Extent { low, high } = Extent::around(values, scale)?;
        let step = round_step((high - low) / 4.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let words = |place: f64| metrics::value(axes.metric, scale.value(place));
        let ticks = round_places(low, high, step).map(|place| (place, words(place))).collect();
        Some(Self { low, high, from, to, scale, ticks })
    }

    fn at(&self, place: f64) -> f64 {
        self.from + (place - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn of(&self, value: f64) -> f64 {
        self.at(self.scale.place(value))
    }
}

/// The multiples of `step` between two ends.
fn round_places(low: f64, high: f64, step: f64) -> impl Iterator<Item = f64> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(move |count| count as f64 * step)
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fitting = steps.into_iter().find(|step| step * power >= least * 0.999);
    fitting.unwrap_or(10.0) * power
}

/// The pieces of a line between the values that have no place.
fn path(points: &[Point], x: &Axis, y: &Axis) -> Vec<(bool, Point)> {
    let mut begins = true;
    let mut out = Vec::new();
    for point in thinned(points) {
        let at = y.of(point[1]);
        if at.is_nan() {
            begins = true;
            continue;
        }
        out.push((begins, [x.at(point[0]), at]));
        begins = false;
    }
    out
}

/// The part of a path that lies in the plot.
fn inside(path: Vec<(bool, Point)>) -> Vec<(bool, Point)> {
    let mut out: Vec<(bool, Point)> = Vec::with_capacity(path.len());
    let mut before = None;
    for (begins, at) in path {
        match before.filter(|_| !begins) {
            None if HELD.contains(&at[1]) => out.push((true, at)),
            None => {}
            Some(before) => {
                if let Some([from, to]) = cut(before, at) {
                    if out.last().is_none_or(|(_, last)| *last != from) {
                        out.push((true, from));
                    }
                    out.push((false, to));
                }
            }
        }
        before = Some(at);
    }
    out
}

/// The part of a stretch of a line that lies in the plot.
fn cut(from: Point, to: Point) -> Option<[Point; 2]> {
    let rise = to[1] - from[1];
    if rise == 0.0 {
        return HELD.contains(&from[1]).then_some([from, to]);
    }
    let [one, other] = [HELD.start(), HELD.end()].map(|edge| (edge - from[1]) / rise);
    let (enters, leaves) = (one.min(other).max(0.0), one.max(other).min(1.0));
    let at = |share: f64| match share {
        0.0 => from,
        1.0 => to,
        _ => [from[0] + share * (to[0] - from[0]), from[1] + share * rise],
    };
    (enters <= leaves).then(|| [at(enters), at(leaves)])
}

/// An arrow at the edge of the plot for each value that lies beyond it.
fn beyond(points: &[Point], x: &Axis, y: &Axis) -> impl Iterator<Item = Vec<Point>> {
    let arrow = |point: Point| {
        let (at, place) = (x.at(point[0]), y.of(point[1]));
        let (edge, foot) = match () {
            () if place < *HELD.start() => (TOP, TOP + 6.0),
            () if place > *HELD.end() => (HEIGHT - BOTTOM, HEIGHT - BOTTOM - 6.0),
            () => return None,
        };
        Some(vec![[at - 3.0, foot], [at, edge], [at + 3.0, foot]])
    };
    thinned(points).into_iter().filter_map(arrow)
}

/// Points that no line would show: there is none before and none behind.
fn alone(points: &[Point], y: &Axis) -> Vec<Point> {
    let is_there =
        |index: Option<usize>| index.and_then(|at| points.get(at)).is_some_and(|point| !y.of(point[1]).is_nan());
    let without = |index: &usize| !is_there(index.checked_sub(1)) && !is_there(index.checked_add(1));
    (0..points.len()).filter(|index| is_there(Some(*index))).filter(without).map(|index| points[index]).collect()
}

/// A cross at the foot of the chart for each step that was measured and is not a number.
fn faults(points: &[Point], x: &Axis) -> Vec<(bool, Point)> {
    let foot = HEIGHT - BOTTOM - 5.0;
    let faulty = thinned(points).into_iter().filter(|point| !point[1].is_finite()).map(|point| x.at(point[0]));
    let inside = faulty.filter(|at| (LEFT..=WIDTH - RIGHT).contains(at));
    let cross = |at: f64| {
        let (left, right, top, bottom) = (at - 3.0, at + 3.0, foot - 3.0, foot + 3.0);
        [(true, [left, top]), (false, [right, bottom]), (true, [right, top]), (false, [left, bottom])]
    };
    inside.flat_map(cross).collect()
}

/// Lowest and highest of each bucket in order, and every gap, so that no spike is lost.
fn thinned(points: &[Point]) -> Vec<Point> {
    if points.len() <= 2 * BUCKETS {
        return points.to_vec();
    }
    let width = points.len().div_ceil(BUCKETS);
    points
        .chunks(width)
        .flat_map(|bucket| {
            let by_value = |&a: &usize, &b: &usize| bucket[a][1].total_cmp(&bucket[b][1]);
            let finite = || (0..bucket.len()).filter(|&i| bucket[i][1].is_finite());
            let gap = (0..bucket.len()).find(|&i| !bucket[i][1].is_finite());
            let kept = [finite().min_by(by_value), finite().max_by(by_value), gap];
            let mut kept: Vec<usize> = kept.into_iter().flatten().collect();
            kept.sort_unstable();
            kept.dedup();
            kept.into_iter().map(|i| bucket[i]).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[Point]) -> ChartLine {
        ChartLine::new("a < b", points.to_vec())
    }

    #[test]
    fn a_chart_without_a_number_is_none() {
        assert_eq!(svg("t", "loss", &[], &[]), None);
        assert_eq!(svg("t", "loss", &[line(&[[0.0, f64::NAN]])], &[]), None);
    }

    #[test]
    fn the_ends_of_the_values_stand_at_round_numbers() {
        let chart = svg("t & u", "loss", &[line(&[[0.0, 0.31], [40.0, 0.69]])], &[10]).unwrap();
        for words in [">0.3<", ">0.7<", ">0<", ">40<", "t &amp; u", "a &lt; b"] {
            assert!(chart.contains(words), "{words} in {chart}");
        }
        assert!(chart.contains("stroke-dasharray=\"1 4\""), "the mark");
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_point_alone_is_seen() {
        let points = [[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 1.5]];
        let x = Axis::tight([0.0, 3.0].into_iter(), [0.0, 3.0], 1.0, |_| String::new()).unwrap();
        let y = Axis::round([1.0, 2.0].into_iter(), [0.0, 1.0], Axes::default()).unwrap();
        let path = path(&points, &x, &y);
        assert_eq!(path.iter().filter(|(begins, _)| *begins).count(), 2, "{path:?}");
        assert_eq!(alone(&points, &y), [[3.0, 1.5]]);
        let one = svg("t", "loss", &[line(&[[5.0, 0.6]])], &[]).unwrap();
        assert_eq!(one.matches("<circle").count(), 1, "{one}");
    }

    #[test]
    fn a_step_that_is_not_a_number_has_a_cross() {
        let chart = svg("t", "loss", &[line(&[[0.0, 1.0], [5.0, f64::NAN], [10.0, 2.0]])], &[]).unwrap();
        assert!(chart.contains("<title>Not a number</title>"), "{chart}");
        let whole = svg("t", "loss", &[line(&[[0.0, 1.0], [10.0, 2.0]])], &[]).unwrap();
        assert!(!whole.contains("Not a number"));
    }

    #[test]
    fn on_a_log_scale_what_has_no_place_breaks_the_line_and_ticks_are_values() {
        let points = [[0.0, 0.01], [1.0, 0.0], [2.0, 1.0], [3.0, 100.0]];
        let curves = [Curve { name: "a", points: &points, band: None, style: 1, faint: false }];
        let axes = Axes { across: Across::Seconds, up: Scale::Log, ..Axes::default() };
        let svg = draw("t", &curves, &[], axes).unwrap().svg();
        for words in [">0.01<", ">1<", ">100<", ">1 s<", "#d55e00"] {
            assert!(svg.contains(words), "{words} in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 1, "the first point stands alone: {svg}");
    }

    #[test]
    fn a_clipped_value_has_an_arrow_and_leaves_the_axis_to_the_others() {
        let mut points: Vec<Point> = (0..40).map(|step| [f64::from(step), f64::from(step % 3)]).collect();
        points[20][1] = 500.0;
        let curves = [Curve { name: "a", points: &points, band: None, style: 0, faint: false }];
        let draw = |clip| draw("t", &curves, &[7.5], Axes { metric: "loss", clip, ..Axes::default() }).unwrap();
        let (whole, clipped, mut seen) = (draw(false).svg(), draw(true).svg(), 0);
        assert!(!whole.contains(">2<") && clipped.contains(">2<"), "the axis ends with the others: {clipped}");
        assert_eq!([&whole, &clipped].map(|svg| svg.matches("stroke-dasharray=\"1 4\"").count()), [1, 1], "the mark");
        let areas = |drawing: &Drawing| drawing.shapes.iter().filter(|it| matches!(it, Shape::Area { .. })).count();
        assert_eq!((areas(&draw(false)), areas(&draw(true))), (0, 1));
        // The sample of the line in the legend has two points.
        let lines = draw(true).shapes.into_iter().filter_map(|shape| match shape {
            Shape::Path { points, .. } if points.len() > 2 => Some(points),
            _ => None,
        });
        for points in lines.inspect(|_| seen += 1) {
            let within = points.iter().all(|(_, at)| (TOP - 0.01..=HEIGHT - BOTTOM + 0.01).contains(&at[1]));
            assert!(within, "{points:?}");
        }
        assert_eq!(seen, 1, "one line, up to the edge and back");
    }

    #[test]
    fn a_stretch_of_a_line_ends_at_the_edge_of_the_plot() {
        let (top, bottom) = (*HELD.start(), *HELD.end());
        let path =
            vec![(true, [0.0, 100.0]), (false, [10.0, top - 50.0]), (false, [20.0, 100.0]), (false, [30.0, 110.0])];
        let inside = inside(path);
        assert_eq!(inside.iter().map(|(begins, _)| *begins).collect::<Vec<_>>(), [true, false, true, false, false]);
        assert!((inside[1].1[1] - top).abs() < 1e-9 && inside[1].1[0] < 10.0, "{inside:?}");
        assert_eq!(cut([0.0, bottom + 1.0], [5.0, bottom + 9.0]), None);
        assert_eq!(cut([0.0, 50.0], [5.0, 60.0]), Some([[0.0, 50.0], [5.0, 60.0]]));
    }

    #[test]
    fn a_mean_lies_in_its_band_and_shares_are_percent() {
        let edges = |by: f64| vec![[0.0, 0.5 + by], [1.0, f64::NAN], [2.0, 0.6 + by], [3.0, 0.7 + by]];
        let mean = ChartLine { band: Some([edges(-0.1), edges(0.1)]), ..line(&[[0.0, 0.5], [2.0, 0.6], [3.0, 0.7]]) };
        let chart = svg("t", metrics::HELD_OUT_ACCURACY, &[mean], &[]).unwrap();
        assert_eq!(chart.matches("fill-opacity=\"0.16\"").count(), 1, "{chart}");
        assert!(chart.contains(">40 %<") && chart.contains(">80 %<"), "the axis holds the band: {chart}");
    }

    #[test]
    fn thinning_keeps_the_spike() {
        let mut points: Vec<Point> = (0..100_000).map(|i| [f64::from(i), 0.0]).collect();
        points[54_321][1] = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= 3 * BUCKETS);
        assert!(thin.contains(&[54_321.0, 9.0]));
    }

    #[test]
    fn a_flat_line_and_extremes_have_axes() {
        for value in [0.0, -5.0, 1e-9, 1e9, f64::MIN_POSITIVE] {
            let chart = svg("t", "loss", &[line(&[[0.0, value], [1.0, value]])], &[]).unwrap();
            assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }
}
