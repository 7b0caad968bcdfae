//! Two sides, one winner a time: what so many verdicts say, and whether they are enough.

use super::share::{Z, wilson};

/// 99 % of the normal distribution, two-sided: whether it is decided. Stricter, because people look after every verdict and stop when they like what they see.
const DECIDED: f64 = 2.575_829_303_548_901;

/// Verdicts so far. Ties say nothing about who is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub first: usize,
    pub second: usize,
    pub ties: usize,
}

/// What they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winner {
    First,
    Second,
    /// Chance would do as well so far.
    Open,
}

impl Tally {
    /// Verdicts that name a winner.
    pub fn decided(self) -> usize {
        self.first + self.second
    }

    /// Share of them that the second side has won, with Wilson's 95 % interval; none before the first.
    pub fn second_won(self) -> Option<(f64, f64, f64)> {
        let n = self.decided() as f64;
        let share = self.second as f64 / n;
        (n > 0.0).then(|| {
            let (low, high) = wilson(share, n, Z);
            (share, low, high)
        })
    }

    /// Who is better, where Wilson's 99 % interval leaves one half out.
    pub fn winner(self) -> Winner {
        let n = self.decided() as f64;
        if n == 0.0 {
            return Winner::Open;
        }
        let (low, high) = wilson(self.second as f64 / n, n, DECIDED);
        if low > 0.5 {
            Winner::Second
        } else if high < 0.5 {
            Winner::First
        } else {
            Winner::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(first: usize, second: usize) -> Tally {
        Tally { first, second, ties: 3 }
    }

    #[test]
    fn seven_in_a_row_are_enough_and_a_lead_needs_more() {
        assert_eq!(tally(0, 6).winner(), Winner::Open);
        assert_eq!(tally(0, 7).winner(), Winner::Second);
        assert_eq!(tally(7, 0).winner(), Winner::First);
        assert_eq!(tally(9, 21).winner(), Winner::Open);
        assert_eq!(tally(13, 31).winner(), Winner::Second);
        assert_eq!(tally(0, 0).winner(), Winner::Open);
    }

    /// Ends as `statsmodels.stats.proportion.proportion_confint(14, 20, method="wilson")` gives them.
    #[test]
    fn the_share_has_wilsons_interval() {
        let (share, low, high) = tally(6, 14).second_won().unwrap();
        assert_eq!(share, 0.7);
        assert!((low - 0.481_02).abs() < 1e-4 && (high - 0.854_52).abs() < 1e-4, "{low} {high}");
        assert_eq!(tally(0, 0).second_won(), None);
    }
}
