//! What a rule set says of its rules before anything is judged: how they are called, in which order, which way is
//! better.

use data::metrics::Better;
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
        assert_eq!(heads([super::super::EXAMPLE]).len(), 2);
    }
}
