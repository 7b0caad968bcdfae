//! Methods as they take part in a comparison.

use serde::{Deserialize, Serialize};

use super::{Method, Negatives, ObjectiveConfig};

/// A method, and whether it trains against all the rejected answers of a pair instead of as many as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contender {
    pub method: Method,
    pub several: bool,
}

impl Contender {
    /// The paper's three.
    pub const USUAL: [Self; 3] = [Self::of(Method::Mpo), Self::of(Method::Dpo), Self::of(Method::Ipo)];

    pub const fn of(method: Method) -> Self {
        Self { method, several: false }
    }

    /// All of them, in the order in which they run: a reward model before those that learn from it.
    pub fn all() -> Vec<Self> {
        let from_pairs = Method::PREFERENCE.map(Self::of).into_iter();
        let several = Method::PREFERENCE.into_iter().filter(|method| method.takes_several());
        let others = Method::ALL.into_iter().filter(|method| !Method::PREFERENCE.contains(method));
        from_pairs.chain(several.map(|method| Self { method, several: true })).chain(others.map(Self::of)).collect()
    }

    /// As it is typed: "dpo", or "dpo:all" against all rejected answers.
    pub fn word(self) -> &'static str {
        self.against_all().map_or(self.method.name(), |[word, _]| word)
    }

    fn against_all(self) -> Option<[&'static str; 2]> {
        self.method.against_all().filter(|_| self.several)
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::all().into_iter().find(|contender| contender.word() == word)
    }

    /// For a button, and for the name of a run.
    pub fn label(self) -> &'static str {
        let own = || ObjectiveConfig::KIND.words().iter().find(|word| word.word == self.method.name());
        self.against_all().map_or_else(|| own().map_or("", |word| word.shown), |[_, label]| label)
    }

    /// What it does that the others do not, and what it needs.
    pub fn about(self) -> &'static str {
        if self.several {
            "Against all answers that were said to be worse, where a pair has more than two; a pair of two trains as ever"
        } else if self.method.samples() {
            "Samples answers and learns from a reward model's scores: needs one, fitted before or chosen here too"
        } else if Method::PREFERENCE.contains(&self.method) {
            "Learns from the pairs alone"
        } else {
            "Fits scores to the pairs; PPO, RLOO and GRPO then learn from them"
        }
    }

    /// Which rejected answers it is to train against, where it has a say in that beside these others.
    pub fn negatives(self, others: &[Self]) -> Option<Negatives> {
        let has_twin = || others.iter().any(|other| other.method == self.method && other.several);
        match self.method.takes_several() {
            true if self.several => Some(Negatives::All),
            true => has_twin().then_some(Negatives::First),
            false => Some(Negatives::First),
        }
    }

    /// The first of these that samples answers with no reward model fitted before it.
    pub fn lacks_scores(these: &[Self]) -> Option<Self> {
        let before = these.iter().take_while(|contender| contender.method != Method::Reward);
        before.copied().find(|contender| contender.method.samples())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_takes_part_under_a_word_of_its_own() {
        for contender in Contender::all() {
            assert_eq!(Contender::named(contender.word()), Some(contender));
            assert!(!contender.label().is_empty());
        }
        for method in Method::ALL {
            assert!(Contender::all().contains(&Contender::of(method)), "{method:?}");
        }
        assert_eq!(Contender::named("ipo:all"), None);
        assert_eq!(Contender::lacks_scores(&Contender::all()), None, "the reward model comes first");
    }

    #[test]
    fn a_method_and_its_form_for_several_differ() {
        let [dpo, all, ppo, reward] = ["dpo", "dpo:all", "ppo", "reward"].map(|word| Contender::named(word).unwrap());
        assert_eq!(dpo.negatives(&[dpo]), None, "as the settings have it");
        assert_eq!(dpo.negatives(&[dpo, all]), Some(Negatives::First));
        assert_eq!(all.negatives(&[all]), Some(Negatives::All));
        assert_eq!(Contender::lacks_scores(&[dpo, ppo, reward]), Some(ppo));
        assert_eq!(Contender::lacks_scores(&[dpo, reward, ppo]), None);
        assert_eq!(Contender::lacks_scores(&[dpo, all]), None);
    }
}
