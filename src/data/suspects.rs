//! Pairs that training argues against: labels that may be wrong.
//!
//! A run meets each pair again and again while it learns from all the others. Where a label says what the others say,
//! its margin rises with theirs; where it says the opposite, it stays behind. What is looked at:
//!
//! - a visit's *standing* is its margin less the middle of the margins met around the same steps, in units of their
//!   spread (a third and a bit of the width of their middle half, as in a normal distribution);
//! - a pair's standing is the mean over the [`VISITS`] visits after its first, which knows nothing of it yet, times how
//!   sure its label is (2c − 1): that somebody who was hardly sure is contradicted says little;
//! - it is *suspect* when that is at most [`LOW`], after two visits at the earliest.
//!
//! Early visits, as in the area under the margin of Pleiss et al. 2020 (arXiv 2001.10528), because in a long run a
//! wrong label is in the end learnt by heart like a right one.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::PairId;

/// A pair that stands so far below the middle, or lower, is suspect.
pub const LOW: f64 = -0.6;

/// Visits after the first that count.
pub const VISITS: usize = 4;

/// Margins that a middle and a spread are taken over: those of as many steps as it takes.
const AROUND: usize = 48;

/// Half the width of the middle half of a normal distribution, in standard deviations, twice.
const MIDDLE_HALF: f64 = 1.349;

/// One meeting of a run with a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    pub pair: PairId,
    pub step: u64,
    pub margin: f32,
}

/// How a pair fared in a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MarginScore {
    pub pair: PairId,
    /// How often the run met it.
    pub visits: usize,
    /// In spreads from the middle of the others, less for a label that was not sure.
    pub standing: f64,
    /// At the last visit.
    pub margin: f32,
    /// The middle of the margins met around it.
    pub middle: f32,
}

impl MarginScore {
    pub fn is_suspect(&self) -> bool {
        self.standing <= LOW
    }

    /// It was trained on before, and at the last visit the rejected answer was still ahead.
    pub fn fought_back(&self) -> bool {
        self.visits > 1 && self.margin < 0.0
    }
}

/// Of those in `sure` that were met twice or more, lowest first. `visits` are all of a run's, in the order of their
/// steps; `sure` is 2c − 1 of each label that is asked about.
pub fn standings(visits: &[Visit], sure: &BTreeMap<PairId, f64>) -> Vec<MarginScore> {
    let mut of: HashMap<PairId, (f64, MarginScore)> = HashMap::new();
    for around in windows(visits) {
        let Some((middle, spread)) = middle_and_spread(around) else {
            continue;
        };
        let asked = around.iter().filter(|visit| visit.margin.is_finite() && sure.contains_key(&visit.pair));
        for visit in asked {
            let Visit { pair, margin, .. } = *visit;
            let nothing = MarginScore { pair, visits: 0, standing: 0.0, margin, middle: 0.0 };
            let (sum, standing) = of.entry(pair).or_insert((0.0, nothing));
            if (1..=VISITS).contains(&standing.visits) {
                *sum += (f64::from(margin) - middle) / spread;
            }
            standing.visits += 1;
            (standing.margin, standing.middle) = (margin, middle as f32);
        }
    }
    let met_again = of.into_values().filter(|(_, standing)| standing.visits > 1);
    let mean = |(sum, of): (f64, MarginScore)| {
        let sure = sure.get(&of.pair).copied().unwrap_or(0.0);
        MarginScore { standing: sure * sum / (of.visits - 1).min(VISITS) as f64, ..of }
    };
    let mut standings: Vec<MarginScore> = met_again.map(mean).collect();
    standings.sort_by(|a, b| a.standing.total_cmp(&b.standing).then(a.pair.cmp(&b.pair)));
    standings
}

/// Whole steps, so many of them that there is something to take a middle of; the last have whatever is left too.
fn windows(visits: &[Visit]) -> Vec<&[Visit]> {
    let mut windows: Vec<&[Visit]> = Vec::new();
    let mut rest = visits;
    while !rest.is_empty() {
        let last = rest[AROUND.min(rest.len()) - 1].step;
        let (window, later) = rest.split_at(rest.partition_point(|visit| visit.step <= last));
        if later.len() < AROUND {
            windows.push(rest);
            break;
        }
        windows.push(window);
        rest = later;
    }
    windows
}

/// Absent where all are alike, or none is a number.
fn middle_and_spread(visits: &[Visit]) -> Option<(f64, f64)> {
    let mut margins: Vec<f64> = visits.iter().map(|visit| f64::from(visit.margin)).filter(|m| m.is_finite()).collect();
    margins.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| margins.get((share * (margins.len().checked_sub(1)?) as f64).round() as usize).copied();
    let (low, middle, high) = (at(0.25)?, at(0.5)?, at(0.75)?);
    let spread = (high - low) / MIDDLE_HALF;
    (spread > f64::EPSILON * middle.abs().max(1.0)).then_some((middle, spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty pairs in steps of ten, whose margins rise; every twentieth falls.
    fn visits(epochs: u64) -> Vec<Visit> {
        let mut visits = Vec::new();
        for epoch in 0..epochs {
            for n in 0..60 {
                let wrong = n % 20 == 7;
                let rise = epoch as f32 * if wrong { -1.0 } else { 1.0 };
                let margin = rise + (n as f32 * 0.7).sin();
                visits.push(Visit { pair: PairId(n), step: epoch * 6 + n as u64 / 10, margin });
            }
        }
        visits
    }

    #[test]
    fn what_falls_while_the_others_rise_is_suspect() {
        let mut sure: BTreeMap<PairId, f64> = (0..59).map(|n| (PairId(n), 1.0)).collect();
        sure.insert(PairId(27), 0.1);
        let all = standings(&visits(5), &sure);
        let lowest = [all[0].pair.0, all[1].pair.0];
        assert!(lowest == [7, 47] || lowest == [47, 7], "{lowest:?}");
        assert!(all[1].is_suspect() && all[1].standing < 2.0 * all[2].standing, "far below the others");
        let unsure = all.iter().find(|standing| standing.pair.0 == 27).unwrap();
        assert!(!unsure.is_suspect(), "who was hardly sure is contradicted and says little");
        assert!(all.iter().all(|standing| standing.visits == 5) && all.len() == 59);
        assert!(all[0].margin < all[0].middle);
        assert!(all.is_sorted_by(|a, b| a.standing <= b.standing));
    }

    #[test]
    fn twelve_pairs_met_twice_are_enough() {
        let sure: BTreeMap<PairId, f64> = (0..12).map(|n| (PairId(n), 1.0)).collect();
        let few: Vec<Visit> = visits(2).into_iter().filter(|visit| visit.pair.0 < 12).collect();
        assert_eq!(few.len(), 24, "less than a middle is usually taken over");
        let all = standings(&few, &sure);
        assert_eq!((all.len(), all[0].pair), (12, PairId(7)));
        assert!(all[0].is_suspect() && all[0].standing < 3.0 * all[1].standing, "far below the others: {all:?}");
        assert!(all.iter().filter(|one| one.is_suspect()).count() <= 2);
    }

    #[test]
    fn one_visit_says_nothing_and_neither_do_margins_that_are_alike() {
        let sure: BTreeMap<PairId, f64> = (0..60).map(|n| (PairId(n), 1.0)).collect();
        assert!(standings(&visits(1), &sure).is_empty());
        assert!(standings(&visits(3), &BTreeMap::new()).is_empty());
        let alike: Vec<Visit> =
            (0..200).map(|n| Visit { pair: PairId(n % 50), step: n as u64 / 10, margin: 0.5 }).collect();
        assert!(standings(&alike, &sure).is_empty());
        let mut broken = visits(3);
        for visit in broken.iter_mut().filter(|visit| visit.pair.0 == 3) {
            visit.margin = f32::NAN;
        }
        assert!(standings(&broken, &sure).iter().all(|s| s.pair.0 != 3 && s.standing.is_finite()));
        assert!(standings(&[], &sure).is_empty());
    }

    #[test]
    fn steps_are_not_torn_apart() {
        let visits = visits(3);
        let windows = windows(&visits);
        assert_eq!(windows.iter().map(|window| window.len()).sum::<usize>(), visits.len());
        assert!(windows.iter().all(|window| window.len() >= AROUND));
        assert!(windows.windows(2).all(|two| two[0].last().unwrap().step < two[1][0].step));
    }
}
