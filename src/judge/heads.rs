//! What a rule set says of its rules before anything is judged: how they are called, in which order, which way is
//! better.

use data::metrics::{Better, judged};
use serde::Deserialize;

use super::written::better;

/// A rule by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RuleHead {
    pub name: String,
    /// Which way its share is.
    #[serde(default, deserialize_with = "better")]
    pub better: Better,
}

impl AsRef<str> for RuleHead {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

/// The rules of some rule sets in their order, each name once: as the first text that has it says. A text that cannot
/// be read has none.
pub fn heads<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<RuleHead> {
    #[derive(Deserialize)]
    struct Rules {
        #[serde(default)]
        rule: Vec<RuleHead>,
    }
    let mut heads: Vec<RuleHead> = Vec::new();
    for rules in texts.into_iter().filter_map(|text| toml::from_str::<Rules>(text).ok()) {
        for head in rules.rule {
            if heads.iter().all(|known| known.name != head.name) {
                heads.push(head);
            }
        }
    }
    heads
}

/// Which way the share of a rule is; neither where no head is its.
pub fn better_of(heads: &[RuleHead], rule: &str) -> Better {
    heads.iter().find(|head| head.name == rule).map_or(Better::Neither, |head| head.better)
}

/// What of these metrics rules count, in the order of the rules, and which way each is better.
pub fn shares<'n>(metrics: impl IntoIterator<Item = &'n String>, heads: &[RuleHead]) -> Vec<(String, Better)> {
    let mut shares: Vec<String> = metrics.into_iter().filter(|name| judged::rule(name).is_some()).cloned().collect();
    judged::in_order(&mut shares, heads);
    let with_better = shares.into_iter().map(|share| {
        let better = judged::rule(&share).map_or(Better::Neither, |rule| better_of(heads, rule));
        (share, better)
    });
    with_better.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_in_their_order_and_the_first_text_counts() {
        let own = "[[rule]]\nname = \"z\"\nbetter = \"more\"\n[[rule]]\nname = \"a\"\nwhen = { ends = true }\n";
        let older =
            "samples = 2\n[[rule]]\nname = \"z\"\nbetter = \"less\"\n[[rule]]\nname = \"gone\"\nbetter = \"less\"\n";
        let found = heads([own, "rule = [", older]);
        let told: Vec<(&str, Better)> = found.iter().map(|head| (head.as_ref(), head.better)).collect();
        assert_eq!(told, [("z", Better::More), ("a", Better::Neither), ("gone", Better::Less)]);
        assert_eq!((better_of(&found, "gone"), better_of(&found, "never")), (Better::Less, Better::Neither));
        assert_eq!(heads([super::super::EXAMPLE]).len(), 2);
        let metrics = ["judged/gone", "judged/gone/low", "judged/lost", "judged/z", "loss"].map(str::to_owned);
        let shares = shares(&metrics, &found);
        let told: Vec<(&str, Better)> = shares.iter().map(|(share, better)| (share.as_str(), *better)).collect();
        assert_eq!(told, [("judged/z", Better::More), ("judged/gone", Better::Less), ("judged/lost", Better::Neither)]);
    }
}
