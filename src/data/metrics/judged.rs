//! What the rules of a project count: `judged/<rule>`, with the ends of its 95 % interval. A project names its rules
//! itself, so they stand in no table.

const PREFIX: &str = "judged/";
const LOW: &str = "/low";
const HIGH: &str = "/high";

/// The share of answers that a rule counts.
pub fn share(rule: &str) -> String {
    format!("{PREFIX}{rule}")
}

/// The lower and the upper end of a share's interval.
pub fn interval(share: &str) -> [String; 2] {
    [LOW, HIGH].map(|end| format!("{share}{end}"))
}

/// The rule whose share has this name. No rule has a stroke in its name, so no end of an interval is taken for a share.
pub fn rule(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|rule| !rule.contains('/'))
}

/// Whether this is an end of an interval, which is read with its share and not alone.
pub fn is_end(name: &str) -> bool {
    // A rule may itself be named `low`.
    name.strip_prefix(PREFIX).is_some_and(|of| of.ends_with(LOW) || of.ends_with(HIGH))
}

/// Puts shares in the order of their rules; those of no rule among them come last, as they stood.
pub fn in_order(shares: &mut [String], rules: &[impl AsRef<str>]) {
    shares.sort_by_key(|share| {
        let of = rule(share);
        rules.iter().position(|known| Some(known.as_ref()) == of).unwrap_or(usize::MAX)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_from_the_ends_of_their_intervals() {
        let name = share("facts elsewhere");
        assert_eq!(name, "judged/facts elsewhere");
        assert_eq!(rule(&name), Some("facts elsewhere"));
        assert!(!is_end(&name));
        for end in interval(&name) {
            assert!(is_end(&end) && rule(&end).is_none(), "{end}");
        }
        assert!(rule("loss").is_none() && !is_end("loss/low"));
        for named in ["low", "high"] {
            let share = share(named);
            assert!(!is_end(&share) && rule(&share) == Some(named));
            assert!(interval(&share).iter().all(|end| is_end(end)));
        }
    }

    #[test]
    fn shares_stand_as_their_rules_do_and_others_behind_them() {
        let mut shares = ["facts", "lost", "manner", "again"].map(share);
        in_order(&mut shares, &["manner", "spill", "facts"]);
        assert_eq!(shares, ["manner", "facts", "lost", "again"].map(share));
    }
}
