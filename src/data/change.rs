//! An edit and its inverse: what the journal of a project is made of.

use serde::{Deserialize, Serialize};

use super::{Pair, PairId};

/// One pair before and after. Both absent means nothing happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Edit {
    /// Absent: the pair is new.
    pub before: Option<Pair>,
    /// Absent: the pair is deleted.
    pub after: Option<Pair>,
}

impl Edit {
    /// Adds a pair. With [`PairId::NEW`] the project gives it an id.
    pub fn add(pair: Pair) -> Self {
        Self { before: None, after: Some(pair) }
    }

    pub fn replace(before: Pair, after: Pair) -> Self {
        Self { before: Some(before), after: Some(after) }
    }

    pub fn delete(pair: Pair) -> Self {
        Self { before: Some(pair), after: None }
    }

    pub fn inverse(self) -> Self {
        Self { before: self.after, after: self.before }
    }

    /// The pair this is about; absent for a new pair without an id, or for no edit at all.
    pub fn pair(&self) -> Option<PairId> {
        self.before.as_ref().or(self.after.as_ref()).map(|pair| pair.id).filter(|id| *id != PairId::NEW)
    }
}

/// What one command did: the unit of undo.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Change {
    /// What the undo menu calls it, e.g. "Label pair 12" or "Import 400 pairs".
    pub label: String,
    /// In the order they were made.
    pub edits: Vec<Edit>,
}

impl Change {
    pub fn new(label: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self { label: label.into(), edits }
    }

    /// Takes this change back: the inverse edits in reverse order.
    pub fn inverse(self) -> Self {
        Self { label: self.label, edits: self.edits.into_iter().rev().map(Edit::inverse).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Prompt, Split};

    fn pair(id: i64, note: &str) -> Pair {
        Pair {
            note: note.to_owned(),
            split: Split::Train,
            ..Pair::new(PairId(id), Prompt::Text("p".to_owned()), &["a", "b"])
        }
    }

    #[test]
    fn the_inverse_of_the_inverse_is_the_change() {
        let change = Change::new(
            "Edit",
            vec![Edit::replace(pair(1, ""), pair(1, "x")), Edit::delete(pair(2, "")), Edit::add(pair(3, ""))],
        );
        let inverse = change.clone().inverse();
        assert_eq!(inverse.edits[0], Edit::delete(pair(3, "")));
        assert_eq!(inverse.edits[2], Edit::replace(pair(1, "x"), pair(1, "")));
        assert_eq!(inverse.inverse(), change);
    }

    #[test]
    fn a_new_pair_has_no_id_yet() {
        assert_eq!(Edit::add(pair(0, "")).pair(), None);
        assert_eq!(Edit::delete(pair(7, "")).pair(), Some(PairId(7)));
    }
}
