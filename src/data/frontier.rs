//! One run against another in a sentence: how far each had drifted when it knew as much.

use crate::across::{Point, Spread};

/// An evaluation: what was learnt, and the drift it came at.
pub type Reached = (f64, f64);

/// Drift smaller than this is none, and its ratio noise.
const NONE: f64 = 1e-4;

/// The way of runs that are told as one: at every step that any of them evaluated, the mean of those that did. By run what was
/// learnt and the drift, each by step.
pub fn path(runs: &[(&[Point], &[Point])]) -> Vec<Reached> {
    let (mut learnt, mut drift): (Vec<Vec<Point>>, Vec<Vec<Point>>) = (Vec::new(), Vec::new());
    for (of_learnt, of_drift) in runs {
        let at = |step: f64| of_drift.binary_search_by(|point| point[0].total_cmp(&step)).ok();
        let joined = of_learnt.iter().filter_map(|point| Some((*point, of_drift[at(point[0])?])));
        let (own_learnt, own_drift) = joined.unzip();
        learnt.push(own_learnt);
        drift.push(own_drift);
    }
    let mean = |curves: &[Vec<Point>]| Spread::of(&curves.iter().map(Vec::as_slice).collect::<Vec<_>>()).mean;
    let both = mean(&learnt).into_iter().zip(mean(&drift));
    both.map(|(learnt, drift)| (learnt[1], drift[1])).collect()
}

/// Every two of some runs, or groups of them, against each other in sentences.
pub fn every_two(ways: &[(String, Vec<Reached>)]) -> Vec<String> {
    let mut sentences = Vec::new();
    for (place, (one, of_one)) in ways.iter().enumerate() {
        let later = ways[place + 1..].iter();
        sentences.extend(later.filter_map(|(other, of_other)| in_words((one, of_one), (other, of_other))));
    }
    sentences
}

/// "At a held-out accuracy of 77 %, which both reached, DPO had drifted 2.1 times as far as MPO (0.0141 nats a token against
/// 0.0067)". Evaluations in the order of their steps. Nothing while one of the two has learnt nothing.
pub fn in_words((one, of_one): (&str, &[Reached]), (other, of_other): (&str, &[Reached])) -> Option<String> {
    let best =
        |path: &[Reached]| path.iter().map(|(learnt, _)| *learnt).filter(|learnt| learnt.is_finite()).reduce(f64::max);
    let both = best(of_one)?.min(best(of_other)?);
    if both <= 0.5 {
        return None;
    }
    // A path need not pass through the value; the first evaluation at or above it counts.
    let drift_at = |path: &[Reached]| path.iter().find(|(learnt, _)| *learnt >= both).map(|(_, drift)| *drift);
    let (one_at, other_at) = (drift_at(of_one)?, drift_at(of_other)?);
    let start = format!("At a held-out accuracy of {:.1} %, which both reached,", both * 100.0);
    let numbers = |far: f64, near: f64| format!("({far:.4} nats a token against {near:.4})");
    let (far, near, far_at, near_at) =
        if one_at >= other_at { (one, other, one_at, other_at) } else { (other, one, other_at, one_at) };
    Some(if far_at < NONE {
        format!("{start} neither {one} nor {other} had drifted")
    } else if near_at < NONE {
        format!("{start} {far} had drifted {}, {near} not at all", numbers(far_at, near_at))
    } else if far_at / near_at < 1.1 {
        format!("{start} {one} and {other} had drifted equally far {}", numbers(far_at, near_at))
    } else {
        format!("{start} {far} had drifted {:.1} times as far as {near} {}", far_at / near_at, numbers(far_at, near_at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_compared_where_both_have_been() {
        let mpo = [(0.5, 0.0), (0.7, 0.002), (0.8, 0.004)];
        let dpo = [(0.5, 0.0), (0.72, 0.0042), (0.78, 0.02)];
        let said = in_words(("MPO", &mpo), ("DPO", &dpo)).unwrap();
        // 0.78 is the most that both reached; MPO passed it at its third evaluation.
        assert_eq!(
            said,
            "At a held-out accuracy of 78.0 %, which both reached, DPO had drifted 5.0 times as far as MPO (0.0200 nats a token against 0.0040)"
        );
        assert!(in_words(("DPO", &dpo), ("MPO", &mpo)).unwrap().contains("DPO had drifted 5.0 times"));
    }

    #[test]
    fn seeds_speak_by_their_mean_and_every_two_are_told() {
        let learnt = [[0.0, 0.5], [10.0, 0.7], [20.0, 0.9]];
        let other = [[0.0, 0.5], [10.0, 0.9]];
        let drift = [[0.0, 0.0], [10.0, 0.1], [20.0, 0.4]];
        let of_other = [[0.0, 0.0], [10.0, 0.3]];
        let mean = path(&[(&learnt, &drift), (&other, &of_other)]);
        let rounded: Vec<(f64, f64)> = mean.iter().map(|(a, b)| ((a * 100.0).round(), (b * 100.0).round())).collect();
        assert_eq!(rounded, [(50.0, 0.0), (80.0, 20.0), (90.0, 40.0)], "the slower one ends before");
        let ways = ["A", "B", "C"].map(|name| (name.to_owned(), mean.clone()));
        assert_eq!(every_two(&ways).len(), 3);
    }

    #[test]
    fn what_says_nothing_is_not_said() {
        let none = [(0.5, 0.0)];
        assert_eq!(in_words(("A", &none), ("B", &[(0.9, 0.1)])), None);
        assert_eq!(in_words(("A", &[]), ("B", &[(0.9, 0.1)])), None);
        let near = [(0.7, 0.0100)];
        assert!(in_words(("A", &near), ("B", &[(0.7, 0.0105)])).unwrap().contains("equally far (0.0105"));
        assert!(in_words(("A", &[(0.7, 0.0)]), ("B", &near)).unwrap().contains("A not at all"));
    }
}
