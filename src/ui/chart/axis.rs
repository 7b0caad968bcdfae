//! The axes of a chart: how they look, and what the y axis reaches over.

use data::{Extent, Scale, metrics};
use egui::{FontId, Rangef};
use egui_plot::AxisHints;

use crate::theme::{Palette, size};

/// Free room above and below the lines, as a share of the axis.
pub(super) const MARGIN: f64 = 0.08;
/// Sums of log-probs are not more exact than this.
const ROUNDING: f64 = 1e-9;

/// An axis as all plots have it.
pub fn looks<'a>(axis: AxisHints<'a>, palette: &Palette) -> AxisHints<'a> {
    axis.tick_label_font(FontId::proportional(size::SMALL - 1.0))
        .tick_label_color(palette.weak)
        .label_spacing(Rangef::new(8.0, 12.0))
}

/// The y axis of a plot: around `values` and the levels that the metric is read against; 0 to 1 where nothing can be
/// drawn.
pub fn axis_of(values: impl IntoIterator<Item = f64>, metric: &str, scale: Scale) -> Extent {
    let levels = metrics::levels(metric).iter().copied();
    // What is read against zero and is as good as zero would be drawn as a mountain of rounding.
    let rounded =
        |value: f64| if levels.len() > 0 && scale == Scale::Linear && value.abs() < ROUNDING { 0.0 } else { value };
    let mut values = values.into_iter().filter(|value| !scale.place(*value).is_nan()).map(rounded).peekable();
    let nothing = values.peek().is_none();
    let extent = if nothing { None } else { Extent::around(values.chain(levels.clone()), scale) };
    extent.unwrap_or(Extent { low: 0.0, high: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_the_axis_of_a_flat_series_is_of_its_size() {
        let axis = |values: &[f64], name, scale| {
            let extent = axis_of(values.iter().copied(), name, scale);
            (extent.low, extent.high)
        };
        let accuracy = "eval_rewards/accuracies";
        assert_eq!(axis(&[1.0; 5], accuracy, Scale::Linear), (0.5, 1.0));
        assert_eq!(axis(&[0.7; 5], accuracy, Scale::Linear), (0.5, 1.0));
        assert_eq!(axis(&[0.2; 5], accuracy, Scale::Linear), (0.2, 1.0));
        assert_eq!(axis(&[0.0; 5], "push/asleep", Scale::Linear), (0.0, 1.0));
        assert_eq!(axis(&[0.0; 5], "kl/ref", Scale::Linear), (-1.0, 1.0));
        assert_eq!(axis(&[4.9e-17, 0.0], "kl/ref", Scale::Linear), (-1.0, 1.0));
        assert_eq!(axis(&[4.9e-17, 1e-5], "kl/ref", Scale::Linear), (0.0, 1e-5));
        assert_eq!(axis(&[2.0; 5], "rewards/margins", Scale::Linear), (0.0, 2.0));
        assert_eq!(axis(&[3e-4; 5], "learning_rate", Scale::Linear).1, 3e-4 + 3e-5);
        for (values, scale) in [
            (&[][..], Scale::Linear),
            (&[f64::NAN, f64::INFINITY], Scale::Linear),
            (&[0.0, -1.0], Scale::Log),
            (&[f64::NAN], Scale::Log),
        ] {
            assert_eq!(axis(values, "rewards/margins", scale), (0.0, 1.0), "{values:?}");
            assert_eq!(axis(values, "push/asleep", scale), (0.0, 1.0), "{values:?}");
        }
        // A level of zero has no place on a log scale.
        assert_eq!(axis(&[0.0, 0.1, 10.0], "kl/ref", Scale::Log), (-1.0, 1.0));
    }
}
