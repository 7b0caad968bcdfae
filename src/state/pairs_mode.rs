//! What the Pairs screen shows: what is drawn and whose keys act are one decision.

use super::{Screen, Views, labelling::Presses, pairs::PairsView};

/// What the Pairs screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairsMode {
    /// One pair at a time, to be labelled.
    Labelling,
    /// One suspect label at a time.
    Reviewing,
    /// Reference answers and retention text.
    References,
    /// The table and the editor.
    Table,
}

impl PairsView {
    /// The innermost thing that is open lies over the others.
    pub fn mode(&self) -> PairsMode {
        if self.labelling.is_some() {
            PairsMode::Labelling
        } else if self.review.is_some() {
            PairsMode::Reviewing
        } else if self.references.open {
            PairsMode::References
        } else {
            PairsMode::Table
        }
    }
}

impl Views {
    /// A press is meant for what one sees: none waits for a face that is no longer drawn.
    pub fn drop_unseen_presses(&mut self) {
        let mode = (self.screen == Screen::Pairs).then(|| self.pairs.mode());
        if let Some(label) = &mut self.pairs.labelling
            && mode != Some(PairsMode::Labelling)
        {
            label.presses = Presses::default();
        }
        if let Some(review) = &mut self.pairs.review
            && mode != Some(PairsMode::Reviewing)
        {
            review.presses.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use data::PairId;

    use super::*;
    use crate::{
        actions::Scope,
        labelling::{Act, Labelling},
        pairs::LabelView,
        review::{Decision, Review, ReviewAct},
    };

    #[test]
    fn keys_act_on_what_is_drawn_and_no_press_waits_for_what_is_not() {
        let mut views = Views { screen: Screen::Pairs, ..Views::default() };
        assert_eq!(Scope::of(&views), Scope::On(Screen::Pairs));
        views.pairs.references.open = true;
        assert_eq!((views.pairs.mode(), Scope::of(&views)), (PairsMode::References, Scope::References));
        let mut review = Review::new("MPO 1".to_owned(), 1, Vec::new());
        review.presses.push_back(ReviewAct::Decide(Decision::Flip));
        views.pairs.review = Some(review);
        assert_eq!((views.pairs.mode(), Scope::of(&views)), (PairsMode::Reviewing, Scope::Reviewing));
        views.drop_unseen_presses();
        assert_eq!(views.pairs.review.as_ref().unwrap().presses.len(), 1, "it is seen");
        let mut label = LabelView::new(Labelling::start(vec![PairId(1)], 1, 0));
        label.presses.push(Act::Skip);
        views.pairs.labelling = Some(label);
        views.drop_unseen_presses();
        assert!(views.pairs.review.as_ref().unwrap().presses.is_empty(), "labelling lies over it");
        assert!(!views.pairs.labelling.as_ref().unwrap().presses.is_empty());
        views.screen = Screen::Train;
        views.drop_unseen_presses();
        assert!(views.pairs.labelling.as_ref().unwrap().presses.is_empty(), "another screen is shown");
    }
}
