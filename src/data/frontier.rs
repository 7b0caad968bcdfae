//! One run against another in a sentence: how far each had drifted when it knew as much.

use crate::across::{Point, Spread};

/// An evaluation: what was learnt, and the drift it came at.
pub type Reached = (f64, f64);

/// Drift smaller than this is none, and its ratio noise.
const NONE: f64 = 1e-4;
/// An accuracy that a coin has too.
const CHANCE: f64 = 0.5;

/// The way of runs that are told as one: at every step that any of them evaluated, the mean of those that did. By run
/// what was learnt and the drift, each by step.
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

/// "At a held-out accuracy of 77 %, which both reached, DPO had drifted 2.1 times as far as MPO (0.0141 nats a token
/// against 0.0067)"; where neither had drifted by then, or one was measured too late to say, also how far they are now.
/// Evaluations in the order of their steps. Nothing while one of the two has learnt nothing.
pub fn in_words((one, of_one): (&str, &[Reached]), (other, of_other): (&str, &[Reached])) -> Option<String> {
    let both = best(of_one)?.min(best(of_other)?);
    if both <= CHANCE {
        return None;
    }
    let start = format!("At a held-out accuracy of {}, which both reached,", percent(both));
    let late: Vec<&str> = [(one, of_one), (other, of_other)]
        .into_iter()
        .filter(|(_, way)| began_past(way, both))
        .map(|it| it.0)
        .collect();
    let none = if late.is_empty() {
        let (one_at, other_at) = (drift_at(of_one, both)?, drift_at(of_other, both)?);
        if let Some(said) = apart((one, one_at), (other, other_at), "had") {
            return Some(format!("{start} {said}"));
        }
        format!("{start} neither {one} nor {other} had drifted")
    } else {
        unknown(&late, both)
    };
    let ((one_now, one_drift), (other_now, other_drift)) = (*of_one.last()?, *of_other.last()?);
    Some(match apart((one, one_drift), (other, other_drift), "has") {
        Some(said) => format!("{none}; where they stand, at {} and {}, {said}", percent(one_now), percent(other_now)),
        None => none,
    })
}

/// Who has drifted farther; nothing where neither has. `has`: or "had".
fn apart((one, one_at): (&str, f64), (other, other_at): (&str, f64), has: &str) -> Option<String> {
    let numbers = |far: f64, near: f64| format!("({far:.4} nats a token against {near:.4})");
    let (far, near, far_at, near_at) =
        if one_at >= other_at { (one, other, one_at, other_at) } else { (other, one, other_at, one_at) };
    Some(if far_at < NONE {
        return None;
    } else if near_at < NONE {
        format!("{far} {has} drifted ({far_at:.4} nats a token), {near} not at all")
    } else if far_at / near_at < 1.1 {
        let have = if has == "has" { "have" } else { has };
        format!("{one} and {other} {have} drifted equally far {}", numbers(far_at, near_at))
    } else {
        format!("{far} {has} drifted {:.1} times as far as {near} {}", far_at / near_at, numbers(far_at, near_at))
    })
}

/// The most and the least that any of three or more had drifted where all knew as much: "At a held-out accuracy of 77.0
/// %, which all reached, MPO had drifted most (0.0229 nats a token) and IPO least (0.0023)". Of two it is what
/// [`in_words`] says.
pub fn all_in_words(ways: &[(String, Vec<Reached>)]) -> Option<String> {
    if let [(one, of_one), (other, of_other)] = ways {
        return in_words((one, of_one), (other, of_other));
    }
    let told: Vec<&(String, Vec<Reached>)> = ways.iter().filter(|(_, way)| best(way).is_some()).collect();
    let all = told.iter().filter_map(|(_, way)| best(way)).reduce(f64::min).filter(|all| *all > CHANCE)?;
    if told.len() < 3 {
        return None;
    }
    let start = format!("At a held-out accuracy of {}, which all reached,", percent(all));
    let late: Vec<&str> = told.iter().filter(|(_, way)| began_past(way, all)).map(|(name, _)| name.as_str()).collect();
    let ends = |at: &dyn Fn(&[Reached]) -> Option<Reached>| -> Option<[(&str, Reached); 2]> {
        let each = || told.iter().filter_map(|(name, way)| Some((name.as_str(), at(way)?)));
        let by_drift = |one: &(&str, Reached), other: &(&str, Reached)| one.1.1.total_cmp(&other.1.1);
        let (most, least) = (each().max_by(by_drift)?, each().min_by(by_drift)?);
        (most.1.1 >= NONE).then_some([most, least])
    };
    let least_far = |near: f64| if near < NONE { "not at all".to_owned() } else { format!("{near:.4}") };
    if late.is_empty()
        && let Some([(most, (_, far)), (least, (_, near))]) = ends(&|way| Some((all, drift_at(way, all)?)))
    {
        let near = least_far(near);
        return Some(format!("{start} {most} had drifted most ({far:.4} nats a token) and {least} least ({near})"));
    }
    let none = if late.is_empty() { format!("{start} none had drifted") } else { unknown(&late, all) };
    Some(match ends(&|way| way.last().copied()) {
        Some([(most, (knows, far)), (least, (too, near))]) => format!(
            "{none}; where they stand, {most} has drifted most ({far:.4} nats a token, at {}) and {least} least ({}, at {})",
            percent(knows),
            least_far(near),
            percent(too)
        ),
        None => none,
    })
}

/// The most that was learnt on the way.
fn best(way: &[Reached]) -> Option<f64> {
    way.iter().map(|(learnt, _)| *learnt).filter(|learnt| learnt.is_finite()).reduce(f64::max)
}

/// It knew more than `learnt`, and had drifted, when it was measured for the first time: how far it had drifted when it
/// knew just as much was not seen.
fn began_past(way: &[Reached], learnt: f64) -> bool {
    way.first().is_some_and(|(first, drift)| *first > learnt && *drift >= NONE)
}

/// "DPO and IPO were past a held-out accuracy of 77.2 % when they were first evaluated, so how far they had drifted by
/// then is not known".
fn unknown(late: &[&str], learnt: f64) -> String {
    let (names, were, they) = match late {
        [one] => ((*one).to_owned(), "was", "it"),
        [first @ .., last] => (format!("{} and {last}", first.join(", ")), "were", "they"),
        [] => return String::new(),
    };
    let at = percent(learnt);
    format!(
        "{names} {were} past a held-out accuracy of {at} when {they} {were} first evaluated, so how far {they} had drifted by then is not known"
    )
}

/// A path need not pass through the value: the first evaluation at or above it counts.
fn drift_at(way: &[Reached], learnt: f64) -> Option<f64> {
    way.iter().find(|(reached, _)| *reached >= learnt).map(|(_, drift)| *drift)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
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

    #[test]
    fn those_that_knew_as_much_before_they_drifted_are_told_by_where_they_stand() {
        let mpo = [(0.78, 0.0), (0.783, 0.0229)];
        let dpo = [(0.772, 0.00002), (0.741, 0.0033)];
        assert_eq!(
            in_words(("MPO", &mpo), ("DPO", &dpo)).unwrap(),
            "At a held-out accuracy of 77.2 %, which both reached, neither MPO nor DPO had drifted; where they stand, at 78.3 % and \
             74.1 %, MPO has drifted 6.9 times as far as DPO (0.0229 nats a token against 0.0033)"
        );
        let calm = in_words(("A", &mpo[..1]), ("B", &dpo[..1])).unwrap();
        assert!(calm.ends_with("neither A nor B had drifted"), "{calm}");
        let alike = in_words(("A", &mpo), ("B", &[(0.78, 0.0), (0.7, 0.0230)])).unwrap();
        assert!(alike.contains("neither") && alike.contains("A and B have drifted equally far"), "{alike}");
    }

    #[test]
    fn a_run_that_was_measured_late_is_not_compared_where_it_was_not_seen() {
        let early = [(0.6, 0.001), (0.77, 0.002)];
        let late = [(0.78, 0.0226), (0.79, 0.03)];
        assert_eq!(
            in_words(("MPO", &early), ("DPO", &late)).unwrap(),
            "DPO was past a held-out accuracy of 77.0 % when it was first evaluated, so how far it had drifted by then is not known; \
             where they stand, at 77.0 % and 79.0 %, DPO has drifted 15.0 times as far as MPO (0.0300 nats a token against 0.0020)"
        );
        let ways = [("A", &early[..]), ("B", &late), ("C", &late)].map(|(name, way)| (name.to_owned(), way.to_vec()));
        let said = all_in_words(&ways).unwrap();
        assert!(said.starts_with("B and C were past") && said.contains("where they stand, "), "{said}");
    }

    #[test]
    fn of_three_or_more_the_farthest_and_the_nearest_are_told_in_one_sentence() {
        let way = |name: &str, points: &[Reached]| (name.to_owned(), points.to_vec());
        let mpo = way("MPO", &[(0.78, 0.0), (0.783, 0.0229)]);
        let dpo = way("DPO", &[(0.772, 0.0), (0.741, 0.0033)]);
        let ipo = way("IPO", &[(0.769, 0.0), (0.748, 0.0023)]);
        assert_eq!(
            all_in_words(&[mpo.clone(), dpo.clone(), ipo.clone()]).unwrap(),
            "At a held-out accuracy of 76.9 %, which all reached, none had drifted; where they stand, MPO has drifted most (0.0229 nats \
             a token, at 78.3 %) and IPO least (0.0023, at 74.8 %)"
        );
        let late = way("late", &[(0.6, 0.001), (0.8, 0.04)]);
        assert_eq!(
            all_in_words(&[mpo.clone(), late, ipo]).unwrap(),
            "At a held-out accuracy of 76.9 %, which all reached, late had drifted most (0.0400 nats a token) and MPO least (not at all)"
        );
        let two = [mpo.clone(), dpo.clone()];
        assert_eq!(all_in_words(&two), in_words(("MPO", &mpo.1), ("DPO", &dpo.1)));
        assert_eq!(all_in_words(&[mpo, dpo, way("none", &[])]), None, "of two that are left nothing is said of all");
        assert_eq!(all_in_words(&[]), None);
    }
}
