//! Line charts as SVG text, for files that are read without this program: no script, no font, no style from elsewhere.
//!
//! Colours are Okabe and Ito's, and every line also has its own pattern. Text takes the colour of whatever it stands in, so
//! a chart reads on a light and on a dark ground.

use std::fmt::Write as _;

use data::{Extent, Scale};

/// x is the step, y the value. A y that is not finite breaks the line.
pub type Point = [f64; 2];

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    pub name: String,
    pub points: Vec<Point>,
}

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 30.0;
/// Height of a row of the legend, below.
const ROW: f64 = 18.0;
/// About the width of a letter of the legend.
const LETTER: f64 = 6.2;
const STYLES: [(&str, &str); 6] = [
    ("#0072b2", ""),
    ("#d55e00", "7 3"),
    ("#009e73", "2 3"),
    ("#c05f95", "9 3 2 3"),
    ("#c88a00", "4 2"),
    ("#2f93d0", "1 2"),
];
/// Buckets along x: more points than two of each would not be seen.
const BUCKETS: usize = 600;

/// Draws `lines` over the steps; `marks` are steps at which something was changed by hand. `title` is what a screen reader
/// says. Nothing when no line has a finite point.
pub fn svg(title: &str, lines: &[Line], marks: &[u64]) -> Option<String> {
    let finite = || {
        let points = lines.iter().flat_map(|line| &line.points);
        points.filter(|point| point[0].is_finite() && point[1].is_finite())
    };
    let x = Axis::around(finite().map(|point| point[0]), LEFT, WIDTH - RIGHT, true)?;
    let y = Axis::around(finite().map(|point| point[1]), HEIGHT - BOTTOM, TOP, false)?;
    let legend = legend(lines);
    let rows = legend.iter().map(|entry| entry.row + 1).max().unwrap_or(0);
    let height = HEIGHT + ROW * rows as f64;
    let mut out = String::new();
    let mut put = |words: std::fmt::Arguments<'_>| {
        // Writing to a text cannot fail.
        out.write_fmt(words).ok();
    };
    put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"currentColor\"><title>{}</title>",
        escaped(title)
    ));
    for (value, words) in &y.ticks {
        let at = y.place(*value);
        put(format_args!(
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"currentColor\" stroke-opacity=\".15\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\" opacity=\".7\">{words}</text>",
            WIDTH - RIGHT,
            LEFT - 7.0,
            at + 4.0
        ));
    }
    for (value, words) in &x.ticks {
        let at = x.place(*value);
        put(format_args!(
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" opacity=\".7\">{words}</text>",
            HEIGHT - BOTTOM + 18.0
        ));
    }
    for &step in marks {
        let at = x.place(step as f64);
        if (LEFT..=WIDTH - RIGHT).contains(&at) {
            put(format_args!(
                "<path d=\"M{at:.1} {TOP}V{}\" stroke=\"currentColor\" stroke-opacity=\".5\" stroke-dasharray=\"1 4\"/>",
                HEIGHT - BOTTOM
            ));
        }
    }
    for (line, (colour, dashes)) in lines.iter().zip(STYLES.iter().cycle()) {
        put(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" stroke-linejoin=\"round\"{}/>",
            path(&line.points, &x, &y),
            dash_attribute(dashes)
        ));
        for [at, value] in alone(&line.points) {
            put(format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\"/>",
                x.place(at),
                y.place(value)
            ));
        }
        let faults = faults(&line.points, &x);
        if !faults.is_empty() {
            put(format_args!(
                "<path d=\"{faults}\" stroke=\"{colour}\" stroke-width=\"1.4\"><title>Not a number</title></path>"
            ));
        }
    }
    for (entry, (colour, dashes)) in legend.iter().zip(STYLES.iter().cycle()) {
        let middle = HEIGHT + ROW * entry.row as f64 + 4.0;
        put(format_args!(
            "<path d=\"M{:.1} {middle}h24\" stroke=\"{colour}\" stroke-width=\"2\"{}/><text x=\"{:.1}\" y=\"{}\">{}</text>",
            entry.x,
            dash_attribute(dashes),
            entry.x + 30.0,
            middle + 4.0,
            escaped(entry.name)
        ));
    }
    out.push_str("</svg>");
    Some(out)
}

fn dash_attribute(dashes: &str) -> String {
    if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") }
}

struct Entry<'a> {
    name: &'a str,
    x: f64,
    row: usize,
}

/// Names from left to right, in as many rows as they need.
fn legend(lines: &[Line]) -> Vec<Entry<'_>> {
    let (mut x, mut row) = (LEFT, 0);
    let mut entries = Vec::new();
    for line in lines {
        let width = 30.0 + LETTER * line.name.chars().count() as f64 + 20.0;
        if x > LEFT && x + width > WIDTH {
            (x, row) = (LEFT, row + 1);
        }
        let name = line.name.as_str();
        entries.push(Entry { name, x, row });
        x += width;
    }
    entries
}

/// From values to places, with round numbers to write beside.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// `tight`: the axis ends where the values do, else at round numbers.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64, tight: bool) -> Option<Self> {
        let Extent { mut low, mut high } = Extent::around(values, Scale::Linear)?;
        let step = round_step((high - low) / 4.0);
        let step = if tight { step.max(1.0) } else { step };
        if !tight {
            low = (low / step).floor() * step;
            high = (high / step).ceil() * step;
        }
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let ticks =
            (first..=last).map(|count| count as f64 * step).map(|value| (value, tick(value, step, decimals))).collect();
        Some(Self { low, high, from, to, ticks })
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fitting = steps.into_iter().find(|step| step * power >= least * 0.999);
    fitting.unwrap_or(10.0) * power
}

fn tick(value: f64, step: f64, decimals: usize) -> String {
    let text = if step < 1e-4 || value.abs() >= 1e6 { format!("{value:.1e}") } else { format!("{value:.decimals$}") };
    text.replace('-', "−")
}

/// The `d` of a path: a point alone is a dot.
fn path(points: &[Point], x: &Axis, y: &Axis) -> String {
    let mut out = String::new();
    let mut pen_down = false;
    for point in thinned(points) {
        if !point[1].is_finite() {
            pen_down = false;
            continue;
        }
        let command = if pen_down { 'L' } else { 'M' };
        write!(out, "{command}{:.1} {:.1}", x.place(point[0]), y.place(point[1])).ok();
        pen_down = true;
    }
    out
}

/// Points that no line would show: there is none before and none behind.
fn alone(points: &[Point]) -> impl Iterator<Item = Point> {
    let is_there = |index: Option<usize>| index.and_then(|at| points.get(at)).is_some_and(|point| point[1].is_finite());
    let without = move |index: &usize| !is_there(index.checked_sub(1)) && !is_there(index.checked_add(1));
    (0..points.len()).filter(move |index| is_there(Some(*index))).filter(without).map(|index| points[index])
}

/// The `d` of a cross at the foot of the chart for each step that was measured and is not a number.
fn faults(points: &[Point], x: &Axis) -> String {
    let mut out = String::new();
    for point in thinned(points).iter().filter(|point| !point[1].is_finite()) {
        let (at, foot) = (x.place(point[0]), HEIGHT - BOTTOM - 5.0);
        if (LEFT..=WIDTH - RIGHT).contains(&at) {
            write!(out, "M{:.1} {:.1}l6 6m0-6l-6 6", at - 3.0, foot - 3.0).ok();
        }
    }
    out
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[Point]) -> Line {
        Line { name: "a < b".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn a_chart_without_a_number_is_none() {
        assert_eq!(svg("t", &[], &[]), None);
        assert_eq!(svg("t", &[line(&[[0.0, f64::NAN]])], &[]), None);
    }

    #[test]
    fn the_ends_of_the_values_stand_at_round_numbers() {
        let chart = svg("t & u", &[line(&[[0.0, 0.31], [40.0, 0.69]])], &[10]).unwrap();
        for words in [">0.3<", ">0.7<", ">0<", ">40<", "t &amp; u", "a &lt; b"] {
            assert!(chart.contains(words), "{words} in {chart}");
        }
        assert!(chart.contains("stroke-dasharray=\"1 4\""), "the mark");
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_point_alone_is_seen() {
        let points = [[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 1.5]];
        let x = Axis::around([0.0, 3.0].into_iter(), 0.0, 3.0, true).unwrap();
        let y = Axis::around([1.0, 2.0].into_iter(), 0.0, 1.0, false).unwrap();
        let path = path(&points, &x, &y);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(alone(&points).collect::<Vec<_>>(), [[3.0, 1.5]]);
        let one = svg("t", &[line(&[[5.0, 0.6]])], &[]).unwrap();
        assert_eq!(one.matches("<circle").count(), 1, "{one}");
    }

    #[test]
    fn a_step_that_is_not_a_number_has_a_cross() {
        let chart = svg("t", &[line(&[[0.0, 1.0], [5.0, f64::NAN], [10.0, 2.0]])], &[]).unwrap();
        assert!(chart.contains("l6 6m0-6l-6 6\" stroke=\"#0072b2\""), "{chart}");
        let whole = svg("t", &[line(&[[0.0, 1.0], [10.0, 2.0]])], &[]).unwrap();
        assert!(!whole.contains("Not a number"));
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
            let chart = svg("t", &[line(&[[0.0, value], [1.0, value]])], &[]).unwrap();
            assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }
}
