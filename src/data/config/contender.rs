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
    /// In the order in which they run: a reward model before those that learn from it.
    pub const ALL: [Self; 9] = [
        Self::of(Method::Mpo),
        Self::of(Method::Dpo),
        Self::of(Method::Ipo),
        Self::against_all(Method::Mpo),
        Self::against_all(Method::Dpo),
        Self::of(Method::Reward),
        Self::of(Method::Ppo),
        Self::of(Method::Rloo),
        Self::of(Method::Grpo),
    ];

    /// The paper's three.
    pub const USUAL: [Self; 3] = [Self::of(Method::Mpo), Self::of(Method::Dpo), Self::of(Method::Ipo)];

    pub const fn of(method: Method) -> Self {
        Self { method, several: false }
    }

    const fn against_all(method: Method) -> Self {
        Self { method, several: true }
    }

    /// As it is typed: "dpo", or "dpo:all" against all rejected answers.
    pub fn word(self) -> &'static str {
        match (self.method, self.several) {
            (Method::Mpo, true) => "mpo:all",
            (Method::Dpo, true) => "dpo:all",
            (method, _) => method.name(),
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.word() == word)
    }

    /// For a button, and for the name of a run.
    pub fn label(self) -> &'static str {
        let words = ObjectiveConfig::KIND.words().iter().find(|word| word.word == self.method.name());
        match (self.method, self.several) {
            (Method::Mpo, true) => "MPO, all rejected",
            (Method::Dpo, true) => "DPO, all rejected",
            (..) => words.map_or("", |word| word.shown),
        }
    }

    /// What it does that the others do not, and what it needs.
    pub fn about(self) -> &'static str {
        match self.method {
            _ if self.several => {
                "Against all answers that were said to be worse, where a pair has more than two; a pair of two trains as ever"
            }
            Method::Mpo | Method::Dpo | Method::Ipo => "Learns from the pairs alone",
            Method::Reward => "Fits scores to the pairs; PPO, RLOO and GRPO then learn from them",
            Method::Ppo | Method::Rloo | Method::Grpo => {
                "Samples answers and learns from a reward model's scores: needs one, fitted before or chosen here too"
            }
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
        for contender in Contender::ALL {
            assert_eq!(Contender::named(contender.word()), Some(contender));
            assert!(!contender.label().is_empty());
        }
        for method in Method::ALL {
            assert!(Contender::ALL.contains(&Contender::of(method)), "{method:?}");
        }
        assert_eq!(Contender::named("ipo:all"), None);
        assert_eq!(Contender::lacks_scores(&Contender::ALL), None, "the reward model comes first");
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
