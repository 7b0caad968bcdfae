//! Two sides, one winner a time: what so many verdicts say, and whether they are enough.

use super::share::{Z, wilson};

/// So many times likelier the verdicts have to be under a winner than under chance. People look after every verdict and
/// stop when they like what they see: by Ville's inequality sides that are equal are told apart in one duel of twenty
/// at most, however long it goes and whenever it is stopped.
const DECIDED: f64 = 20.0;

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

    /// Who is better, where the verdicts are enough to say so.
    pub fn winner(self) -> Winner {
        if self.evidence() < DECIDED.ln() {
            Winner::Open
        } else if self.second > self.first {
            Winner::Second
        } else {
            Winner::First
        }
    }

    /// Log of how much likelier these verdicts are where any share of wins is as likely as another, than where each is
    /// one half: ln(2ⁿ·k!·(n−k)!/(n+1)!).
    fn evidence(self) -> f64 {
        let ln_factorial = |n: usize| (2..=n).map(|n| (n as f64).ln()).sum::<f64>();
        let n = self.decided();
        n as f64 * std::f64::consts::LN_2 + ln_factorial(self.first) + ln_factorial(self.second) - ln_factorial(n + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(first: usize, second: usize) -> Tally {
        Tally { first, second, ties: 3 }
    }

    #[test]
    fn eight_in_a_row_are_enough_and_a_lead_needs_more() {
        assert_eq!(tally(0, 7).winner(), Winner::Open);
        assert_eq!(tally(0, 8).winner(), Winner::Second);
        assert_eq!(tally(8, 0).winner(), Winner::First);
        assert_eq!(tally(13, 31).winner(), Winner::Open);
        assert_eq!(tally(12, 34).winner(), Winner::Second);
        assert_eq!(tally(0, 0).winner(), Winner::Open);
    }

    /// The chance that equal sides are told apart within 50 verdicts by somebody who looks after each: over all tallies
    /// that are reached undecided. 99 % Wilson after each verdict came to 6.2 %.
    #[test]
    fn whoever_looks_after_every_verdict_is_rarely_told_a_false_winner() {
        let mut undecided = vec![1.0];
        let mut told = 0.0;
        for n in 1..=50 {
            let mut next = vec![0.0; n + 1];
            for (second, chance) in undecided.iter().enumerate() {
                next[second] += chance / 2.0;
                next[second + 1] += chance / 2.0;
            }
            for (second, chance) in next.iter_mut().enumerate() {
                if tally(n - second, second).winner() != Winner::Open {
                    told += std::mem::take(chance);
                }
            }
            undecided = next;
        }
        assert!((0.01..0.05).contains(&told), "{told}");
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
