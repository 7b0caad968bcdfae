//! One run against another in a sentence: how far each had drifted when it knew as much.

/// An evaluation: what was learnt, and the drift it came at.
pub type Reached = (f64, f64);

/// Drift smaller than this is none, and its ratio noise.
const NONE: f64 = 1e-4;

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
    fn what_says_nothing_is_not_said() {
        let none = [(0.5, 0.0)];
        assert_eq!(in_words(("A", &none), ("B", &[(0.9, 0.1)])), None);
        assert_eq!(in_words(("A", &[]), ("B", &[(0.9, 0.1)])), None);
        let near = [(0.7, 0.0100)];
        assert!(in_words(("A", &near), ("B", &[(0.7, 0.0105)])).unwrap().contains("equally far (0.0105"));
        assert!(in_words(("A", &[(0.7, 0.0)]), ("B", &near)).unwrap().contains("A not at all"));
    }
}
