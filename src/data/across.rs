//! What charts of runs have across: the steps, or what it took to get there.

use serde::{Deserialize, Serialize};

use super::{amounts::duration, metrics};

/// A point of a curve: where it is across, and the value.
pub type Point = [f64; 2];

/// What it took a run to get where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Across {
    #[default]
    Steps,
    /// Met so far, one that was met twice counts twice.
    Pairs,
    /// Computed in training so far.
    Tokens,
    /// Of training, evaluations and answers of its own included.
    Seconds,
    /// `kl/ref` at the same step. A path may go back.
    Drift,
}

impl Across {
    pub const ALL: [Self; 5] = [Self::Steps, Self::Pairs, Self::Tokens, Self::Seconds, Self::Drift];

    /// As it is typed and kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Pairs => "pairs",
            Self::Tokens => "tokens",
            Self::Seconds => "seconds",
            Self::Drift => "drift",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|across| across.name() == name)
    }

    /// For a button or an axis.
    pub fn word(self) -> &'static str {
        match self {
            Self::Steps => "Steps",
            Self::Pairs => "Pairs",
            Self::Tokens => "Tokens",
            Self::Seconds => "Time",
            Self::Drift => "KL drift",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Steps => "How many steps it had made",
            Self::Pairs => "How many pairs it had met, one that was met twice counts twice",
            Self::Tokens => "How many tokens its steps had computed",
            Self::Seconds => "What the run took until then, with its evaluations; pauses do not count",
            Self::Drift => "kl/ref: how far from its start a run was then, where an evaluation measured it",
        }
    }

    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|across| *across == self).map_or(0, |place| place + 1);
        Self::ALL[place % Self::ALL.len()]
    }

    /// The metric whose values of all steps so far come to it.
    pub fn counts(self) -> Option<&'static str> {
        match self {
            Self::Pairs => Some(metrics::STEP_PAIRS),
            Self::Tokens => Some(metrics::STEP_TOKENS),
            Self::Steps | Self::Seconds | Self::Drift => None,
        }
    }

    /// Whether a run only ever goes forward on it.
    pub fn grows(self) -> bool {
        self != Self::Drift
    }

    /// A place on it, short enough for an axis: "40", "1.2M", "2 min 10 s".
    pub fn tick(self, place: f64) -> String {
        match self {
            Self::Steps | Self::Pairs | Self::Tokens if place.fract() != 0.0 || place < 0.0 => String::new(),
            Self::Steps | Self::Pairs | Self::Tokens => short(place),
            Self::Seconds if place < 0.0 => String::new(),
            // Runs of a moment are told apart by parts of a second.
            Self::Seconds if place < 60.0 => format!("{} s", super::digits(place)),
            Self::Seconds => duration(place),
            Self::Drift if place < 0.0 => format!("−{}", super::digits(-place)),
            Self::Drift => super::digits(place),
        }
    }

    /// A place on it in words: "step 40", "1.2M tokens".
    pub fn place(self, place: f64) -> String {
        match self {
            Self::Steps => format!("step {place:.0}"),
            Self::Pairs => format!("{} pairs", short(place.round())),
            Self::Tokens => format!("{} tokens", short(place.round())),
            Self::Seconds => self.tick(place),
            Self::Drift => format!("KL {}", self.tick(place)),
        }
    }
}

/// "950", "12.5k", "3M".
fn short(count: f64) -> String {
    let scaled = |by: f64, sign: &str| {
        let text = format!("{:.2}", count / by);
        format!("{}{sign}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match count.abs() {
        size if size >= 1e9 => scaled(1e9, "G"),
        size if size >= 1e6 => scaled(1e6, "M"),
        size if size >= 1e4 => scaled(1e3, "k"),
        _ => format!("{count:.0}"),
    }
}

/// Where a run stood at each of its steps, by what each step added to it.
pub fn summed(steps: &[Point]) -> Vec<Point> {
    let mut sum = 0.0;
    let added = steps.iter().map(|&[step, amount]| {
        sum += if amount.is_finite() { amount } else { 0.0 };
        [step, sum]
    });
    added.collect()
}

/// A curve over steps as one over `places`, which are by step too. A value at a step without a place has none; on an
/// axis that grows it stands at that of the step before, as an evaluation after it does, and of a run that counted
/// nothing only what it began with stands anywhere.
pub fn moved(points: &[Point], places: &[Point], grows: bool) -> Vec<Point> {
    let mut at = 0;
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for &[step, value] in points {
        while places.get(at).is_some_and(|place| place[0] < step) {
            at += 1;
        }
        let exact = places.get(at).filter(|place| place[0] == step);
        // Before its first step a run has met nothing.
        let before = || match at.checked_sub(1) {
            Some(before) => places.get(before).map(|place| place[1]),
            None => (step == 0.0 || !places.is_empty()).then_some(0.0),
        };
        let Some(place) = exact.map(|place| place[1]).or_else(|| if grows { before() } else { None }) else {
            continue;
        };
        let last = out.last().map(|point| point[0]);
        match last {
            // Two steps of one moment both stay.
            Some(last) if grows && place <= last => out.push([just_past(last), value]),
            _ => out.push([place, value]),
        }
    }
    out
}

/// A little further on an axis, by what can be told in a file: what follows 0 itself has hundreds of digits.
fn just_past(place: f64) -> f64 {
    place.next_up().max(place + f64::EPSILON)
}

/// Exponential moving average with `weight` in [0, 1) on the past, bias-corrected at the start. A value that is not
/// finite stays where it is and does not enter the average.
pub fn smoothed(points: &[Point], weight: f64) -> Vec<Point> {
    let (mut sum, mut norm) = (0.0, 0.0);
    let averages = points.iter().map(|&[place, value]| {
        if !value.is_finite() {
            return [place, value];
        }
        sum = weight * sum + (1.0 - weight) * value;
        norm = weight * norm + (1.0 - weight);
        [place, sum / norm]
    });
    averages.collect()
}

/// Between two curves that were measured together: step, lowest and highest value of each of at most so many buckets.
/// Steps where one of them is not finite are left out.
pub fn band(low: &[Point], high: &[Point], buckets: usize) -> Vec<[f64; 3]> {
    let width = low.len().div_ceil(buckets.max(1)).max(1);
    let edges = low.chunks(width).zip(high.chunks(width)).filter_map(|(low, high)| {
        let both = low.iter().zip(high).map(|(low, high)| (low[0] == high[0], [low[0], low[1], high[1]]));
        let whole = both.filter(|(together, [_, low, high])| *together && low.is_finite() && high.is_finite());
        whole.map(|(_, edge)| edge).reduce(|[step, a, b], [_, low, high]| [step, a.min(low), b.max(high)])
    });
    edges.collect()
}

/// What curves that belong together come to, at every step that any of them has: of those that have it. One that has
/// measured less takes nothing from the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    pub mean: Vec<Point>,
    /// The lowest and the highest of them.
    pub low: Vec<Point>,
    pub high: Vec<Point>,
}

impl Spread {
    pub fn of(curves: &[&[Point]]) -> Self {
        let mut spread = Self::default();
        let mut left: Vec<&[Point]> = curves.to_vec();
        let next =
            |left: &[&[Point]]| left.iter().filter_map(|points| points.first()).map(|point| point[0]).reduce(f64::min);
        while let Some(step) = next(&left) {
            let (mut count, mut sum, mut low, mut high) = (0.0, 0.0, f64::NAN, f64::NAN);
            for points in &mut left {
                let Some((&[at, value], after)) = points.split_first() else { continue };
                if at == step {
                    *points = after;
                    // One that is no number takes the mean with it, and leaves the band to the others.
                    (count, sum, low, high) = (count + 1.0, sum + value, low.min(value), high.max(value));
                }
            }
            spread.mean.push([step, sum / count]);
            spread.low.push([step, low]);
            spread.high.push([step, high]);
        }
        spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_over_steps_becomes_one_over_what_they_took() {
        let tokens = summed(&[[1.0, 100.0], [2.0, 50.0], [3.0, f64::NAN], [4.0, 50.0]]);
        assert_eq!(tokens, [[1.0, 100.0], [2.0, 150.0], [3.0, 150.0], [4.0, 200.0]]);
        let curve = [[0.0, 9.0], [1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]];
        let moved_curve = moved(&curve, &tokens, true);
        assert_eq!(moved_curve.iter().map(|point| point[1]).collect::<Vec<_>>(), [9.0, 8.0, 7.0, 6.0, 5.0]);
        assert_eq!(moved_curve[..3], [[0.0, 9.0], [100.0, 8.0], [150.0, 7.0]]);
        assert!(moved_curve.windows(2).all(|two| two[0][0] < two[1][0]), "{moved_curve:?}");
        // An evaluation after step 2 where no step was measured.
        assert_eq!(moved(&[[2.5, 1.0]], &tokens, true), [[150.0, 1.0]]);
        // One that counted nothing stands nowhere after its beginning.
        assert_eq!(moved(&curve, &[], true), [[0.0, 9.0]]);
        // Two evaluations before the first step that is known: both stay, and no place is longer than a number.
        let early = moved(&[[1.0, 9.0], [2.0, 8.0]], &[[3.0, 100.0]], true);
        assert!(early[0][0] < early[1][0] && early[1][0].to_string().len() < 40, "{early:?}");
    }

    #[test]
    fn a_path_over_drift_goes_back_and_has_only_what_was_measured_together() {
        let drift = [[0.0, 0.0], [20.0, 0.3], [40.0, 0.1]];
        let path = moved(&[[0.0, 0.5], [10.0, 0.6], [20.0, 0.7], [40.0, 0.8]], &drift, false);
        assert_eq!(path, [[0.0, 0.5], [0.3, 0.7], [0.1, 0.8]]);
    }

    #[test]
    fn places_are_short_on_an_axis_and_plain_in_words() {
        let ticks =
            [(Across::Steps, 40.0, "40"), (Across::Tokens, 1_250_000.0, "1.25M"), (Across::Pairs, 20_000.0, "20k")];
        for (across, place, text) in ticks {
            assert_eq!(across.tick(place), text);
        }
        assert_eq!(Across::Seconds.tick(130.0), "2 min 10 s");
        assert_eq!(Across::Seconds.tick(1.5), "1.5 s");
        assert_eq!(Across::Steps.tick(2.5), "");
        assert_eq!(Across::Steps.place(40.0), "step 40");
        assert_eq!(Across::Tokens.place(12_345.4), "12.35k tokens");
        assert_eq!(Across::Drift.place(0.0123), "KL 0.0123");
        assert_eq!(Across::Drift.place(-0.0005), "KL −0.0005");
    }

    #[test]
    fn every_axis_is_found_by_its_name_and_follows_another() {
        let mut at = Across::default();
        for _ in Across::ALL {
            assert_eq!(Across::named(at.name()), Some(at));
            at = at.next();
        }
        assert_eq!(at, Across::default());
    }

    #[test]
    fn a_spread_is_of_those_that_have_the_step_and_one_without_a_number_leaves_the_band_to_the_others() {
        let one = [[0.0, 1.0], [10.0, 2.0], [20.0, 7.0], [30.0, f64::NAN]];
        let other = [[0.0, 3.0], [20.0, 5.0], [30.0, 4.0], [40.0, 6.0]];
        // A third waits for its turn.
        let Spread { mean, low, high } = Spread::of(&[&one, &other, &[]]);
        assert_eq!(mean[..3], [[0.0, 2.0], [10.0, 2.0], [20.0, 6.0]]);
        assert!(mean[3][1].is_nan() && mean[4] == [40.0, 6.0], "{mean:?}");
        assert_eq!(low, [[0.0, 1.0], [10.0, 2.0], [20.0, 5.0], [30.0, 4.0], [40.0, 6.0]]);
        assert_eq!(high, [[0.0, 3.0], [10.0, 2.0], [20.0, 7.0], [30.0, 4.0], [40.0, 6.0]]);
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn smoothing_is_not_drawn_to_zero_at_the_start() {
        assert_eq!(smoothed(&[[0.0, 2.0], [1.0, f64::NAN], [2.0, 2.0]], 0.9)[0], [0.0, 2.0]);
        assert!((smoothed(&[[0.0, 2.0], [2.0, 2.0]], 0.9)[1][1] - 2.0).abs() < 1e-12);
    }
}
