//! How the held-out scores of a reward model are spread at an evaluation: the shares of the chosen and of the rejected
//! answers in bins of one width, from the lowest score to the highest. They are stored as metrics,
//! `eval_histogram/chosen/00` and so on, and drawn together.

use crate::PairSide;

/// Bins of each side.
pub const BINS: usize = 16;

const PREFIX: &str = "eval_histogram/";
/// What the bins reach from and to.
const ENDS: [&str; 2] = ["eval_min_reward", "eval_max_reward"];

/// The metric of a bin.
fn name(side: PairSide, bin: usize) -> String {
    let side = match side {
        PairSide::Chosen => "chosen",
        PairSide::Rejected => "rejected",
    };
    format!("{PREFIX}{side}/{bin:02}")
}

/// Whether this is one of the bins, which say nothing alone.
pub fn is_bin(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The bins of these scores; none where all are equal, or one is no number.
pub fn bins(chosen: &[f64], rejected: &[f64]) -> Vec<(String, f64)> {
    let all = || chosen.iter().chain(rejected).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let has_width = high - low > 0.0 && all().all(f64::is_finite);
    if !has_width {
        return Vec::new();
    }
    let of = |side: PairSide, scores: &[f64]| -> Vec<(String, f64)> {
        let mut counts = [0.0; BINS];
        for score in scores {
            let bin = ((score - low) / (high - low) * BINS as f64) as usize;
            counts[bin.min(BINS - 1)] += 1.0 / scores.len() as f64;
        }
        counts.into_iter().enumerate().map(|(bin, share)| (name(side, bin), share)).collect()
    };
    [of(PairSide::Chosen, chosen), of(PairSide::Rejected, rejected)].concat()
}

/// The spread of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreHistogram {
    pub step: f64,
    /// The lowest and the highest score.
    pub ends: [f64; 2],
    /// Shares by bin.
    pub chosen: Vec<f64>,
    pub rejected: Vec<f64>,
}

impl ScoreHistogram {
    /// Of the newest evaluation, where that told one. `newest`: step and value of a metric.
    pub fn of(newest: impl Fn(&str) -> Option<[f64; 2]>) -> Option<Self> {
        let [low, high] = ENDS.map(&newest);
        let ([step, low], [_, high]) = (low?, high?);
        let side = |side: PairSide| -> Option<Vec<f64>> {
            let newest = |bin| newest(&name(side, bin)).filter(|[at, _]| *at == step).map(|[_, share]| share);
            (0..BINS).map(newest).collect()
        };
        Some(Self { step, ends: [low, high], chosen: side(PairSide::Chosen)?, rejected: side(PairSide::Rejected)? })
    }

    /// Share of either side that lies where the other does too.
    pub fn overlap(&self) -> f64 {
        self.chosen.iter().zip(&self.rejected).map(|(chosen, rejected)| chosen.min(*rejected)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_stand_in_bins_of_one_width_and_are_read_back_together() {
        let told = bins(&[1.0, 0.9, 0.5, 0.0], &[0.0, 0.49]);
        assert_eq!(told.len(), 2 * BINS);
        assert!(told.iter().all(|(name, _)| is_bin(name)) && !is_bin("eval_min_reward"));
        let newest = |name: &str| match name {
            "eval_min_reward" => Some([40.0, 0.0]),
            "eval_max_reward" => Some([40.0, 1.0]),
            name => told.iter().find(|(known, _)| known == name).map(|(_, share)| [40.0, *share]),
        };
        let spread = ScoreHistogram::of(newest).unwrap();
        assert_eq!((spread.step, spread.ends), (40.0, [0.0, 1.0]));
        let places = |shares: &[f64]| {
            shares.iter().enumerate().filter(|(_, share)| **share > 0.0).map(|(bin, _)| bin).collect::<Vec<_>>()
        };
        assert_eq!((places(&spread.chosen), places(&spread.rejected)), (vec![0, 8, 14, 15], vec![0, 7]));
        assert!((spread.chosen.iter().sum::<f64>() - 1.0).abs() < 1e-12 && (spread.overlap() - 0.25).abs() < 1e-12);
        // Of an evaluation that told no spread there is none, though an earlier one did.
        assert_eq!(
            ScoreHistogram::of(|name| newest(name).map(|[_, value]| [if is_bin(name) { 20.0 } else { 40.0 }, value])),
            None
        );
    }

    #[test]
    fn scores_that_are_all_alike_or_no_numbers_have_no_spread() {
        assert!(bins(&[0.0, 0.0], &[0.0]).is_empty());
        assert!(bins(&[f64::NAN, 0.0], &[1.0]).is_empty() && bins(&[], &[]).is_empty());
    }
}
