//! An order of several answers, best first, and the pairs that follow from it; and other changes of a pair that hold
//! whatever else about it has changed in the meantime.

use data::{Choice, Edit, Pair, PairId, Strength, Verdict};
use serde::{Deserialize, Serialize};

/// The tag of a pair that deserves another look.
pub const FLAG: &str = "flagged";

/// Which pairs are made of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Derived {
    /// Every answer against each that is worse.
    #[default]
    All,
    /// Each against the next.
    Adjacent,
    /// The best against each other one.
    BestAgainstRest,
    /// No other pair: this one keeps the order.
    Kept,
}

impl Derived {
    pub const ALL: [Self; 4] = [Self::All, Self::Adjacent, Self::BestAgainstRest, Self::Kept];

    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All pairs",
            Self::Adjacent => "Neighbours",
            Self::BestAgainstRest => "Best against rest",
            Self::Kept => "One pair",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::All => "Every answer against each that is worse",
            Self::Adjacent => "Each answer against the next worse one",
            Self::BestAgainstRest => "The best answer against each of the others",
            Self::Kept => {
                "This pair keeps the order: the best answer against all others at once, where a run takes several rejected answers"
            }
        }
    }

    /// Better and worse answer of each pair; the first is about the best answer.
    pub fn pairs(self, order: &[usize]) -> Vec<(usize, usize)> {
        let against = |at: usize| order[at + 1..].iter().map(move |worse| (order[at], *worse));
        match self {
            Self::All => (0..order.len()).flat_map(against).collect(),
            Self::Adjacent => order.windows(2).map(|two| (two[0], two[1])).collect(),
            Self::BestAgainstRest if order.is_empty() => Vec::new(),
            Self::BestAgainstRest => against(0).collect(),
            Self::Kept => {
                order.first().zip(order.last()).filter(|_| order.len() > 1).map(|(a, b)| (*a, *b)).into_iter().collect()
            }
        }
    }
}

/// A change of one pair that fits whatever it is by now.
#[derive(Debug, Clone, PartialEq)]
pub enum Amendment {
    Verdict(Option<Verdict>),
    /// Put on the tag, or take it off.
    Tag(String, bool),
    Note(String),
    /// The verdict about the best answer, and a new pair of two answers for each other one that follows. `verdict` says
    /// who, when and how long.
    Order {
        order: Vec<usize>,
        derived: Derived,
        verdict: Verdict,
    },
}

impl Amendment {
    /// What becomes of the pair, and what is added; nothing where it does not fit.
    pub fn edits(&self, before: Pair) -> Vec<Edit> {
        let mut after = before.clone();
        let mut added = Vec::new();
        match self {
            Self::Verdict(verdict) => after.verdict.clone_from(verdict),
            Self::Tag(tag, on) => {
                after.tags.retain(|other| other != tag);
                if *on {
                    after.tags.push(tag.clone());
                }
            }
            Self::Note(note) => after.note.clone_from(note),
            Self::Order { order, derived, verdict } => {
                if order.iter().any(|index| *index >= before.answers.len()) {
                    return Vec::new();
                }
                let better = |chosen, rejected| {
                    let choice = Choice::Better { chosen, rejected, strength: Strength::Clearly };
                    Some(Verdict { choice, ..verdict.clone() })
                };
                let mut pairs = derived.pairs(order).into_iter();
                if let Some((chosen, rejected)) = pairs.next() {
                    let order = if *derived == Derived::Kept { order.clone() } else { Vec::new() };
                    after.verdict = better(chosen, rejected).map(|verdict| Verdict { order, ..verdict });
                }
                added.extend(pairs.map(|(chosen, rejected)| Pair {
                    id: PairId::NEW,
                    answers: [chosen, rejected].map(|index| before.answers[index].clone()).into(),
                    verdict: better(0, 1),
                    note: String::new(),
                    ..before.clone()
                }));
            }
        }
        std::iter::once(Edit::replace(before, after)).chain(added.into_iter().map(Edit::add)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Prompt;

    fn pair() -> Pair {
        let mut pair = Pair::new(PairId(7), Prompt::Text("p".to_owned()), &["a", "b", "c"]);
        pair.tags = vec!["x".to_owned()];
        pair.note = "mine".to_owned();
        pair
    }

    #[test]
    fn an_order_gives_the_pairs_that_were_asked_for() {
        let order = [2, 0, 1];
        assert_eq!(Derived::All.pairs(&order), [(2, 0), (2, 1), (0, 1)]);
        assert_eq!(Derived::Adjacent.pairs(&order), [(2, 0), (0, 1)]);
        assert_eq!(Derived::BestAgainstRest.pairs(&order), [(2, 0), (2, 1)]);
        assert_eq!(Derived::Kept.pairs(&order), [(2, 1)]);
        for derived in Derived::ALL {
            assert!(derived.pairs(&[]).is_empty() && derived.pairs(&[3]).is_empty());
        }
    }

    #[test]
    fn the_pair_takes_the_first_verdict_and_the_others_are_pairs_of_their_own() {
        let order =
            Amendment::Order { order: vec![2, 0, 1], derived: Derived::All, verdict: Verdict::local(Choice::Tie, 9) };
        let edits = order.edits(pair());
        assert_eq!(edits.len(), 3);
        let own = edits[0].after.as_ref().unwrap();
        let clearly = |chosen, rejected| Choice::Better { chosen, rejected, strength: Strength::Clearly };
        assert_eq!((own.id, own.choice(), own.answers.len()), (PairId(7), Some(clearly(2, 0)), 3));
        let last = edits[2].after.as_ref().unwrap();
        let texts: Vec<&str> = last.answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!((last.id, texts, last.choice()), (PairId::NEW, vec!["a", "b"], Some(clearly(0, 1))));
        assert_eq!((last.tags.len(), last.note.as_str(), last.verdict.as_ref().unwrap().at_ms), (1, "", 9));
        let kept =
            Amendment::Order { order: vec![2, 0, 1], derived: Derived::Kept, verdict: Verdict::local(Choice::Tie, 9) };
        let edits = kept.edits(pair());
        let own = edits[0].after.as_ref().unwrap();
        assert_eq!((edits.len(), own.choice(), own.worse()), (1, Some(clearly(2, 1)), vec![1, 0]));
        let too_many =
            Amendment::Order { order: vec![3, 0], derived: Derived::All, verdict: Verdict::local(Choice::Tie, 9) };
        assert!(too_many.edits(pair()).is_empty(), "an answer was taken out meanwhile");
    }

    #[test]
    fn a_tag_is_put_on_once_and_taken_off() {
        let tagged = |tag: &str, on| Amendment::Tag(tag.to_owned(), on).edits(pair())[0].after.clone().unwrap().tags;
        assert_eq!(tagged("x", true), ["x"]);
        assert_eq!(tagged(FLAG, true), ["x", FLAG]);
        assert_eq!(tagged("x", false), [""; 0]);
    }
}
