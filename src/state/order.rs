//! An order of several answers, best first, and the pairs that follow from it; and other changes of a pair that hold
//! whatever else about it has changed in the meantime.

use std::collections::HashSet;

use data::{Answer, Choice, Edit, Pair, PairId, Strength, Verdict};
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
    /// The verdict about two of the answers, and a new pair of two answers for each other one that follows. `verdict`
    /// says who, when and how long.
    Order {
        order: Vec<usize>,
        derived: Derived,
        verdict: Verdict,
    },
}

impl Amendment {
    /// What becomes of the pair, and what is added; nothing where it does not fit. `siblings`: other pairs of the
    /// prompt. Those that an earlier order has made are turned round where this one says so, and none is made twice.
    pub fn edits(&self, before: Pair, siblings: Vec<Pair>) -> Vec<Edit> {
        let mut after = before.clone();
        let mut changed = Vec::new();
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
                // By the places of their answers in the order.
                let mut known = HashSet::new();
                for sibling in siblings.into_iter().filter(|sibling| sibling.id != before.id) {
                    let Some([first, second]) = places(&sibling, &before, order) else { continue };
                    known.insert((first.min(second), first.max(second)));
                    let (chosen, rejected) = if first < second { (0, 1) } else { (1, 0) };
                    let says = sibling.choice();
                    if !matches!(says, Some(Choice::Better { chosen: said, .. }) if said == chosen) {
                        let turned = Pair { verdict: better(chosen, rejected), ..sibling.clone() };
                        changed.push(Edit::replace(sibling, turned));
                    }
                }
                let place = |answer: usize| order.iter().position(|index| *index == answer).unwrap_or_default();
                let is_known = |pair: &(usize, usize)| known.contains(&(place(pair.0), place(pair.1)));
                let mut pairs = derived.pairs(order);
                if !pairs.is_empty() {
                    // What no other pair says is for this one to say.
                    let own = pairs.iter().position(|pair| !is_known(pair)).unwrap_or_default();
                    let (chosen, rejected) = pairs.remove(own);
                    let order = if *derived == Derived::Kept { order.clone() } else { Vec::new() };
                    after.verdict = better(chosen, rejected).map(|verdict| Verdict { order, ..verdict });
                }
                pairs.retain(|pair| !is_known(pair));
                changed.extend(pairs.into_iter().map(|(chosen, rejected)| {
                    Edit::add(Pair {
                        id: PairId::NEW,
                        answers: [chosen, rejected].map(|index| before.answers[index].clone()).into(),
                        verdict: better(0, 1),
                        note: String::new(),
                        ..before.clone()
                    })
                }));
            }
        }
        std::iter::once(Edit::replace(before, after)).chain(changed).collect()
    }
}

/// Where the two answers of a pair that an order of `of` has made stand in another order of it; absent where it was not
/// made so.
fn places(made: &Pair, of: &Pair, order: &[usize]) -> Option<[usize; 2]> {
    let [first, second] = &made.answers[..] else { return None };
    if made.prompt != of.prompt || of.answers.len() < 3 {
        return None;
    }
    let place = |answer: &Answer| order.iter().position(|index| of.answers[*index] == *answer);
    Some([place(first)?, place(second)?])
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
        let edits = order.edits(pair(), Vec::new());
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
        let edits = kept.edits(pair(), Vec::new());
        let own = edits[0].after.as_ref().unwrap();
        assert_eq!((edits.len(), own.choice(), own.worse()), (1, Some(clearly(2, 1)), vec![1, 0]));
        let too_many =
            Amendment::Order { order: vec![3, 0], derived: Derived::All, verdict: Verdict::local(Choice::Tie, 9) };
        assert!(too_many.edits(pair(), Vec::new()).is_empty(), "an answer was taken out meanwhile");
    }

    #[test]
    fn an_order_that_is_said_again_makes_no_pair_twice_and_turns_round_what_it_contradicts() {
        let order = |order: &[usize]| Amendment::Order {
            order: order.to_vec(),
            derived: Derived::All,
            verdict: Verdict::local(Choice::Tie, 9),
        };
        let first = order(&[2, 0, 1]).edits(pair(), Vec::new());
        let made = |edits: &[Edit]| -> Vec<Pair> {
            let pairs = edits.iter().enumerate().filter_map(|(n, edit)| Some((n, edit.after.clone()?)));
            pairs.map(|(n, pair)| Pair { id: PairId(7 + n as i64), ..pair }).collect()
        };
        let pairs = made(&first);
        let again = order(&[2, 0, 1]).edits(pairs[0].clone(), pairs.clone());
        assert_eq!(again.len(), 1, "all of them are there: {again:?}");
        // b, c, a: the pair of c and a stays, that of c and b and that of a and b are turned round.
        let turned = order(&[1, 2, 0]).edits(pairs[0].clone(), pairs);
        let chosen = |edit: &Edit| {
            let pair = edit.after.as_ref().unwrap();
            (pair.id, pair.sides().map(|(chosen, rejected)| (chosen.text.clone(), rejected.text.clone())).unwrap())
        };
        let said = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let now: Vec<_> = turned.iter().map(chosen).collect();
        assert_eq!(now, [(PairId(7), said("c", "a")), (PairId(8), said("b", "c")), (PairId(9), said("b", "a"))]);
    }

    #[test]
    fn a_tag_is_put_on_once_and_taken_off() {
        let tagged =
            |tag: &str, on| Amendment::Tag(tag.to_owned(), on).edits(pair(), Vec::new())[0].after.clone().unwrap().tags;
        assert_eq!(tagged("x", true), ["x"]);
        assert_eq!(tagged(FLAG, true), ["x", FLAG]);
        assert_eq!(tagged("x", false), [""; 0]);
    }
}
