//! What the rules of a project count: `judged/<rule>`, with the ends of its 95 % interval. A project names its rules itself,
//! so they stand in no table.

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
    name.starts_with(PREFIX) && (name.ends_with(LOW) || name.ends_with(HIGH))
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
    }
}
