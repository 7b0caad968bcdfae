//! "Who moved?": the sentence under the chart that answers the question people ask most.

/// Says in words what the margin is made of. Both are mean changes of the summed log-prob since step 0, in nats, of the
/// newest steps together: a step has few pairs, and its own numbers, which stand over the chart, may point elsewhere.
pub fn sentence(chosen: f64, rejected: f64) -> String {
    /// Smaller changes are noise.
    const STILL: f64 = 0.05;
    let nats = |value: f64| format!("{:.1} nats", value.abs());
    if chosen.abs() < STILL && rejected.abs() < STILL {
        return "Nothing has moved yet".to_owned();
    }
    let gap = chosen - rejected;
    if gap < -STILL {
        return format!(
            "Of late the margin shrinks: chosen {} {}, rejected {} {}",
            verb(chosen),
            nats(chosen),
            verb(rejected),
            nats(rejected)
        );
    }
    if gap.abs() <= STILL {
        return format!(
            "Of late chosen and rejected {} together by {}, so the margin stays",
            if chosen > 0.0 { "rise" } else { "fall" },
            nats(chosen)
        );
    }
    match (chosen >= 0.0, rejected <= 0.0) {
        (true, true) => format!(
            "Of late the margin grows from both sides: chosen gained {}, rejected lost {}",
            nats(chosen),
            nats(rejected)
        ),
        (true, false) => {
            format!("Of late the margin grows because chosen rises faster; rejected also gained {}", nats(rejected))
        }
        (false, _) => {
            format!("Of late the margin grows because rejected falls faster; chosen also lost {}", nats(chosen))
        }
    }
}

fn verb(change: f64) -> &'static str {
    if change >= 0.0 { "gained" } else { "lost" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_grow_has_its_sentence() {
        let cases = [
            (0.0, 0.0, "Nothing has moved"),
            (2.0, -3.0, "from both sides: chosen gained 2.0 nats, rejected lost 3.0 nats"),
            (-3.1, -9.0, "rejected falls faster; chosen also lost 3.1 nats"),
            (5.0, 1.0, "chosen rises faster; rejected also gained 1.0 nats"),
            (-2.0, 1.0, "shrinks: chosen lost 2.0 nats, rejected gained 1.0 nats"),
            (-2.0, -2.0, "fall together by 2.0 nats"),
        ];
        for (chosen, rejected, part) in cases {
            let sentence = sentence(chosen, rejected);
            assert!(sentence.contains(part), "{sentence}");
            assert!(sentence.starts_with("Of late ") || sentence.starts_with("Nothing"), "{sentence}");
        }
    }
}
