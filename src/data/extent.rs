//! How far an axis reaches: one rule for every chart, on the screen and in exported files.

use serde::{Deserialize, Serialize};

/// The two ends of an axis; `low` is below `high`, and both are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub low: f64,
    pub high: f64,
}

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    #[default]
    Linear,
    /// By the power of ten; values of zero or below have no place on it.
    Log,
    /// By the power of ten on either side of zero, straight across it: every value has a place.
    SymLog,
}

/// Of a symmetric log scale: about up to here it is as good as linear.
const STRAIGHT: f64 = 1e-3;

impl Scale {
    pub const ALL: [Self; 3] = [Self::Linear, Self::Log, Self::SymLog];

    /// As it is typed and kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::SymLog => "symlog",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scale| scale.name() == name)
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Linear => "Values as they are",
            Self::Log => "By the power of ten; values of zero or below are left out",
            Self::SymLog => "By the power of ten above and below zero",
        }
    }

    pub fn next(self) -> Self {
        match self {
            Self::Linear => Self::Log,
            Self::Log => Self::SymLog,
            Self::SymLog => Self::Linear,
        }
    }

    /// Where a value lies on the axis; NaN where it has no place.
    pub fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear => value,
            Self::Log if value > 0.0 => value.log10(),
            Self::Log => f64::NAN,
            Self::SymLog => (value.abs() / STRAIGHT).ln_1p().copysign(value) / std::f64::consts::LN_10,
        };
        if place.is_finite() { place } else { f64::NAN }
    }

    /// The value that lies there: the inverse of [`Scale::place`].
    pub fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => 10f64.powf(place),
            Self::SymLog => ((place.abs() * std::f64::consts::LN_10).exp_m1() * STRAIGHT).copysign(place),
        }
    }

    /// Room on either side of values that are all the same, so that their line stands in the middle of an axis of their
    /// own size: a tenth of the value, 1 around zero; a power of ten on a log scale.
    fn room(self, place: f64) -> f64 {
        match self {
            Self::Linear if place == 0.0 => 1.0,
            Self::Linear => (place.abs() * 0.1).max(f64::MIN_POSITIVE),
            Self::Log | Self::SymLog => 1.0,
        }
    }
}

impl Extent {
    /// Values that differ by less than this share of their size are drawn as one: what is left is rounding.
    const NOISE: f64 = 1e-9;
    /// Beyond it the length of an axis could not be told as a number any more.
    const FAR: f64 = 1e300;

    /// Around all values that have a place on this scale, in places of the scale; nothing when none has one.
    pub fn around(values: impl IntoIterator<Item = f64>, scale: Scale) -> Option<Self> {
        let places = values.into_iter().map(|value| scale.place(value)).filter(|place| !place.is_nan());
        let (low, high) = places.fold(None, |ends: Option<(f64, f64)>, place| {
            Some(ends.map_or((place, place), |(low, high)| (low.min(place), high.max(place))))
        })?;
        let (low, high) = (low.clamp(-Self::FAR, Self::FAR), high.clamp(-Self::FAR, Self::FAR));
        let noise = (low.abs().max(high.abs()) * Self::NOISE).max(f64::MIN_POSITIVE);
        if high - low > noise {
            return Some(Self { low, high });
        }
        let middle = low + (high - low) / 2.0;
        let room = scale.room(middle);
        Some(Self { low: middle - room, high: middle + room })
    }

    pub fn length(self) -> f64 {
        self.high - self.low
    }

    /// Longer by this share of its length at either end.
    #[must_use]
    pub fn padded(self, share: f64) -> Self {
        let room = self.length() * share;
        Self { low: self.low - room, high: self.high + room }
    }
}

/// Takes out the values that lie farther from the middle half than it is wide, three times over, a twentieth of all at
/// most.
pub fn clip(values: &mut Vec<f64>) {
    const FAR: f64 = 3.0;
    const MOST: usize = 20;
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    if count < MOST {
        return;
    }
    let [first, third] = [sorted[count / 4], sorted[count * 3 / 4]];
    let reach = FAR * (third - first);
    let most = count / MOST;
    let low = (first - reach).min(sorted[most]);
    let high = (third + reach).max(sorted[count - 1 - most]);
    values.retain(|value| (low..=high).contains(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(values: &[f64]) -> Option<(f64, f64)> {
        Extent::around(values.iter().copied(), Scale::Linear).map(|extent| (extent.low, extent.high))
    }

    fn log(values: &[f64]) -> Option<(f64, f64)> {
        Extent::around(values.iter().copied(), Scale::Log).map(|extent| (extent.low, extent.high))
    }

    #[test]
    fn on_a_symmetric_log_scale_every_value_has_a_place_and_comes_back() {
        for value in [0.0, 1e-9, -1e-4, 0.5, -3.0, 1e6, -1e12] {
            let place = Scale::SymLog.place(value);
            assert!((Scale::SymLog.value(place) - value).abs() <= value.abs() * 1e-9, "{value} at {place}");
        }
        assert!(
            Scale::SymLog.place(-2.0) < Scale::SymLog.place(-1.0)
                && Scale::SymLog.place(1.0) < Scale::SymLog.place(2.0)
        );
        assert!(Scale::SymLog.place(f64::INFINITY).is_nan());
        for scale in Scale::ALL {
            assert_eq!(Scale::named(scale.name()), Some(scale));
        }
    }

    #[test]
    fn values_that_differ_give_the_ends() {
        assert_eq!(linear(&[3.0, -2.0, 0.5]), Some((-2.0, 3.0)));
        assert_eq!(linear(&[f64::NAN, 1.0, f64::INFINITY, 2.0, f64::NEG_INFINITY]), Some((1.0, 2.0)));
        assert_eq!(log(&[0.0, 0.01, -5.0, 100.0, f64::NAN]), Some((-2.0, 2.0)));
    }

    #[test]
    fn g2_values_without_spread_get_an_axis_of_their_own_size() {
        for value in [0.7, 1.0, -3.5, 1e-9, 4e12, f64::MIN_POSITIVE, 5e-324, f64::MAX, -f64::MAX, 1e-300] {
            for values in [vec![value], vec![value; 7], vec![f64::NAN, value, f64::INFINITY]] {
                let (low, high) = linear(&values).unwrap();
                assert!(low.is_finite() && high.is_finite() && low < high, "{value:e}: {low:e} to {high:e}");
                let size = value.abs().clamp(f64::MIN_POSITIVE, 1e300);
                assert!(high - low <= 3.0 * size, "{value:e}: {low:e} to {high:e}");
            }
        }
        assert_eq!(linear(&[0.0, 0.0]), Some((-1.0, 1.0)));
        assert_eq!(linear(&[-0.0]), Some((-1.0, 1.0)));
        assert_eq!(linear(&[1.0; 9]), Some((0.9, 1.1)));
        assert_eq!(log(&[100.0, 100.0, 0.0]), Some((1.0, 3.0)));
        assert_eq!(log(&[1.0]), Some((-1.0, 1.0)));
    }

    #[test]
    fn g2_rounding_is_no_spread() {
        let (low, high) = linear(&[0.3, 0.1 + 0.2, 0.3]).unwrap();
        assert!((low - 0.27).abs() < 1e-6 && (high - 0.33).abs() < 1e-6);
    }

    #[test]
    fn g2_nothing_that_can_be_drawn_has_no_axis() {
        for values in [&[][..], &[f64::NAN], &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN]] {
            assert_eq!(linear(values), None, "{values:?}");
        }
        for values in [&[0.0][..], &[0.0, -1.0], &[-0.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(log(values), None, "{values:?}");
        }
    }

    #[test]
    fn extremes_have_a_length_that_is_a_number() {
        let (low, high) = linear(&[-f64::MAX, f64::MAX]).unwrap();
        assert!((high - low).is_finite());
        let whole = Extent { low, high }.padded(0.08);
        assert!(whole.length().is_finite());
        let (low, high) = log(&[5e-324, f64::MAX]).unwrap();
        assert!(low < -300.0 && high > 300.0);
    }

    #[test]
    fn a_place_and_its_value_are_each_others_inverse() {
        for scale in [Scale::Linear, Scale::Log] {
            for value in [1e-3, 0.5, 1.0, 250.0] {
                assert!((scale.value(scale.place(value)) - value).abs() < 1e-12 * value);
            }
        }
        assert!(Scale::Log.place(0.0).is_nan() && Scale::Log.place(-1.0).is_nan());
        assert!(Scale::Linear.place(f64::INFINITY).is_nan());
    }

    #[test]
    fn few_values_far_away_are_clipped_and_no_more_than_a_few() {
        let mut values: Vec<f64> = (0..100).map(|n| f64::from(n % 10)).collect();
        values[7] = 1e6;
        values[8] = -1e6;
        clip(&mut values);
        assert_eq!(values.len(), 98);
        let mut level: Vec<f64> = (0..100).map(f64::from).collect();
        clip(&mut level);
        assert_eq!(level.len(), 100, "nothing lies far away");
        // A third of them far away is no outlier but how it went.
        let mut two: Vec<f64> = (0..99).map(|n| if n % 3 == 0 { 1e6 } else { f64::from(n % 2) }).collect();
        clip(&mut two);
        assert_eq!(two.len(), 99);
        let mut few = vec![0.0, 0.0, 0.0, 9.0];
        clip(&mut few);
        assert_eq!(few.len(), 4);
    }
}
