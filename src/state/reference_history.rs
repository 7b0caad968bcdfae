//! What was done to reference answers and retention text, to be taken back and done again as long as the window is
//! open.

use data::ReferenceAnswer;

/// So many steps can be taken back.
const MOST: usize = 500;

/// A part of a list that became another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange<T> {
    at: usize,
    out: Vec<T>,
    into: Vec<T>,
}

impl<T: PartialEq + Clone> ListChange<T> {
    /// Absent where nothing has changed.
    pub fn between(before: &[T], after: &[T]) -> Option<Self> {
        let at = before.iter().zip(after).take_while(|(a, b)| a == b).count();
        let (out, into) = (&before[at..], &after[at..]);
        let same = out.iter().rev().zip(into.iter().rev()).take_while(|(a, b)| a == b).count();
        let (out, into) = (&out[..out.len() - same], &into[..into.len() - same]);
        (!out.is_empty() || !into.is_empty()).then(|| Self { at, out: out.to_vec(), into: into.to_vec() })
    }

    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { at: self.at, out: self.into.clone(), into: self.out.clone() }
    }

    /// Makes it in a list that may have changed elsewhere since.
    pub fn apply(&self, all: &mut Vec<T>) {
        let end = self.at + self.out.len();
        if all.get(self.at..end) == Some(&self.out[..]) {
            all.splice(self.at..end, self.into.iter().cloned());
            return;
        }
        for gone in &self.out {
            if let Some(place) = all.iter().position(|one| one == gone) {
                all.remove(place);
            }
        }
        let at = self.at.min(all.len());
        all.splice(at..at, self.into.iter().cloned());
    }
}

/// What changed in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceChange {
    Answers(ListChange<ReferenceAnswer>),
    Retention(ListChange<String>),
}

impl ReferenceChange {
    #[must_use]
    pub fn reversed(&self) -> Self {
        match self {
            Self::Answers(change) => Self::Answers(change.reversed()),
            Self::Retention(change) => Self::Retention(change.reversed()),
        }
    }
}

/// The steps, the newest last.
#[derive(Debug, Default)]
pub struct ReferenceHistory {
    done: Vec<ReferenceChange>,
    undone: Vec<ReferenceChange>,
}

impl ReferenceHistory {
    pub fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    /// Something new was done: what was undone before cannot be done again.
    pub fn did(&mut self, change: ReferenceChange) {
        self.undone.clear();
        self.done.push(change);
        if self.done.len() > MOST {
            self.done.remove(0);
        }
    }

    /// What takes the last step back, or makes again what was taken back last.
    pub fn turn(&mut self, back: bool) -> Option<ReferenceChange> {
        let (from, to) = if back { (&mut self.done, &mut self.undone) } else { (&mut self.undone, &mut self.done) };
        let step = from.pop()?;
        let change = if back { step.reversed() } else { step.clone() };
        to.push(step);
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_list_is_taken_back_where_it_was_and_wherever_it_is_by_now() {
        let before = ["a", "b", "c", "d"];
        for after in [&["a", "c", "d"][..], &["a", "x", "c", "d"], &["a", "b", "c", "d", "e"], &[], &["b", "a"]] {
            let change = ListChange::between(&before, after).unwrap();
            let mut all = before.to_vec();
            change.apply(&mut all);
            assert_eq!(all, after);
            change.reversed().apply(&mut all);
            assert_eq!(all, before);
        }
        assert_eq!(ListChange::between(&before, &before), None);
        // Somebody else has put one in and taken one out meanwhile.
        let change = ListChange::between(&before, &["a", "x", "c", "d"]).unwrap();
        let mut all = vec!["new", "a", "x", "d"];
        change.reversed().apply(&mut all);
        assert_eq!(all, ["new", "b", "a", "d"]);
    }

    #[test]
    fn steps_are_taken_back_and_made_again_until_something_new_is_done() {
        let text = |before: &[&str], after: &[&str]| {
            let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
            ReferenceChange::Retention(ListChange::between(&list(before), &list(after)).unwrap())
        };
        let mut history = ReferenceHistory::default();
        let (first, second) = (text(&[], &["a"]), text(&["a"], &["a", "b"]));
        history.did(first.clone());
        history.did(second.clone());
        assert_eq!(history.turn(true), Some(second.reversed()));
        assert_eq!(history.turn(true), Some(first.reversed()));
        assert_eq!((history.turn(true), history.can_redo()), (None, true));
        assert_eq!(history.turn(false), Some(first));
        history.did(text(&["a"], &["c"]));
        assert!(history.can_undo() && !history.can_redo());
    }
}
