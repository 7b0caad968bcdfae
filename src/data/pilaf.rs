//! What became of pairs whose answers were drawn by PILAF (arXiv 2502.04270): one from the optimistic policy π⁺, one
//! from the pessimistic π⁻. Which is which stands in the answers' origin, and nowhere else: who labels does not see it.

use std::collections::HashSet;

use super::{Choice, Origin, Pair};

const OPTIMISTIC: &str = "pilaf:+";
const PESSIMISTIC: &str = "pilaf:-";

/// The origin of an answer of π⁺ or π⁻, e.g. `pilaf:+0.1@run 7 at step 120`.
pub fn origin(optimistic: bool, strength: f64, whose: &str) -> String {
    format!("{}{strength}@{whose}", if optimistic { OPTIMISTIC } else { PESSIMISTIC })
}

/// What is known of sampled pairs, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampled {
    /// Pairs with two or more answers of a model.
    pub pairs: usize,
    /// Those with one answer of π⁺ and one of π⁻.
    pub pilaf: usize,
    /// Of these, how many have a better answer by now.
    pub decided: usize,
    /// Of these, in how many it is that of π⁺.
    pub plus_wins: usize,
    distance: f64,
}

impl Sampled {
    pub fn add(&mut self, pair: &Pair) {
        let origins: Vec<&str> = pair.answers.iter().filter_map(|answer| model(&answer.origin)).collect();
        let [first, second, ..] = pair.answers.as_slice() else { return };
        if origins.len() != pair.answers.len() {
            return;
        }
        self.pairs += 1;
        self.distance += distance(&first.text, &second.text);
        let place = |side: &str| origins.iter().position(|origin| origin.starts_with(side));
        let (Some(plus), Some(_)) = (place(OPTIMISTIC), place(PESSIMISTIC)) else { return };
        self.pilaf += 1;
        if let Some(Choice::Better { chosen, .. }) = pair.verdict.as_ref().map(|verdict| verdict.choice) {
            self.decided += 1;
            self.plus_wins += usize::from(chosen == plus);
        }
    }

    /// `label/plus_wins`: near ½ at first, more where the policy is right about what is wanted; absent without any.
    pub fn plus_share(&self) -> Option<f64> {
        (self.decided > 0).then(|| self.plus_wins as f64 / self.decided as f64)
    }

    /// `label/distance`: 1 − the share of words that two answers have in common, on the average; absent without any.
    pub fn distance(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.distance / self.pairs as f64)
    }
}

fn model(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Model(name) => Some(name),
        // What was edited is no longer what the policy said.
        Origin::Human | Origin::Imported | Origin::Edited { .. } => None,
    }
}

/// 1 − |both| / |either|, over the sets of words; 0 for two empty texts.
fn distance(a: &str, b: &str) -> f64 {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<HashSet<_>>();
    let (a, b) = (words(a), words(b));
    let either = a.union(&b).count();
    if either == 0 { 0.0 } else { 1.0 - a.intersection(&b).count() as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, PairId, Prompt, Strength, Verdict};

    fn pair(answers: [(&str, Origin); 2], chosen: Option<usize>) -> Pair {
        let mut pair = Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &[]);
        pair.answers = answers.map(|(text, origin)| Answer::new(text, origin)).into();
        let choice = chosen.map(|chosen| Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly });
        pair.verdict = choice.map(|choice| Verdict::local(choice, 0));
        pair
    }

    #[test]
    fn pairs_of_a_model_are_counted_and_who_won() {
        let of = |side| Origin::Model(origin(side, 0.1, "run 7 at step 120"));
        assert_eq!(of(true), Origin::Model("pilaf:+0.1@run 7 at step 120".to_owned()));
        let plain = || Origin::Model("run 7 at step 120".to_owned());
        let pairs = [
            pair([("a b", of(true)), ("a c", of(false))], Some(0)),
            pair([("x", of(false)), ("y", of(true))], Some(0)),
            pair([("x", of(false)), ("y", of(true))], None),
            pair([("The same", plain()), ("the same", plain())], Some(1)),
            pair([("x", Origin::Human), ("y", of(true))], Some(1)),
        ];
        let mut sampled = Sampled::default();
        for pair in &pairs {
            sampled.add(pair);
        }
        assert_eq!((sampled.pairs, sampled.pilaf, sampled.decided, sampled.plus_wins), (4, 3, 2, 1));
        assert_eq!(sampled.plus_share(), Some(0.5));
        let distance = sampled.distance().unwrap();
        assert!((distance - (2.0 / 3.0 + 1.0 + 1.0) / 4.0).abs() < 1e-12, "{distance}");
        assert_eq!(Sampled::default().plus_share(), None);
    }
}
