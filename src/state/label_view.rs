//! What a labelling session shows besides the pair, and how somebody likes to label.

use data::{Pair, PairId};
use serde::{Deserialize, Serialize};

use super::{
    asking::AskFirst,
    drafts::Draft,
    labelling::{Labelling, Presses},
    order::{Amendment, Derived},
};

/// What a labelling session shows besides the pair.
#[derive(Debug)]
pub struct LabelView {
    pub session: Labelling,
    /// Labelled pairs are gone through again.
    pub again: bool,
    pub difference: bool,
    pub presses: Presses,
    /// The pair on the screen while it is being edited.
    pub editing: Option<Draft>,
    /// Editing has just begun: the caret belongs into the left answer.
    pub editing_begins: bool,
    pub scroll: Scrolled,
    /// Answers that have their place in the order, best first.
    pub order: Vec<usize>,
    /// The verdict there is was asked for.
    pub reveals: bool,
    /// A tag or a note is being written.
    pub field: Option<MarkField>,
}

/// What is written about the pair on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkField {
    pub mark: Mark,
    pub text: String,
    pub wants_caret: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Tag,
    Note,
}

/// How somebody likes to label.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelHabits {
    /// The prompt is one line.
    pub folded: bool,
    /// Of more than two answers all are put in order.
    pub orders: bool,
    pub derived: Derived,
    /// Which pair is asked about first.
    pub first: AskFirst,
}

impl LabelView {
    pub fn new(session: Labelling) -> Self {
        Self {
            session,
            again: false,
            difference: false,
            presses: Presses::default(),
            editing: None,
            editing_begins: false,
            scroll: Scrolled::default(),
            order: Vec::new(),
            reveals: false,
            field: None,
        }
    }

    /// What is written in the field is put to the pair, as a step of the session: the change and its name. Nothing where it
    /// says nothing new.
    pub fn end_field(&mut self, pair: &Pair) -> Option<(Amendment, String)> {
        let field = self.field.take()?;
        let text = field.text.trim().to_owned();
        let (amendment, name) = match field.mark {
            Mark::Tag if text.is_empty() || pair.tags.contains(&text) => return None,
            Mark::Note if text == pair.note => return None,
            Mark::Tag => (Amendment::Tag(text.clone(), true), format!("Tag pair {} “{text}”", pair.id.0)),
            Mark::Note => (Amendment::Note(text), format!("Edit note of pair {}", pair.id.0)),
        };
        self.session.edited(pair.id, name.clone(), false);
        Some((amendment, name))
    }

    /// Another pair is on the screen: nothing of the last one stays.
    pub fn turn_to(&mut self, pair: Option<PairId>) {
        if self.scroll.pair != pair {
            self.scroll = Scrolled { pair, ..Scrolled::default() };
            self.order.clear();
            self.reveals = false;
            self.field = None;
        }
    }
}

/// How far the two answers, which move together, and the prompt are scrolled. Points from the top.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scrolled {
    /// What it is about: another pair starts at its top.
    pub pair: Option<PairId>,
    pub answers: ScrollExtent,
    pub prompt: ScrollExtent,
}

/// A stretch of text behind a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScrollExtent {
    pub at: f32,
    /// Height of the window, as it was in the last frame.
    pub window: f32,
    /// Height of the longest text in it.
    pub text: f32,
}

impl ScrollExtent {
    /// The furthest it can be scrolled.
    pub fn end(&self) -> f32 {
        (self.text - self.window).max(0.0)
    }

    pub fn go(&mut self, to: f32) {
        self.at = to.clamp(0.0, self.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g12_scrolling_stays_within_the_text() {
        let mut extent = ScrollExtent { at: 0.0, window: 100.0, text: 250.0 };
        extent.go(1_000.0);
        assert_eq!(extent.at, 150.0);
        extent.go(-3.0);
        assert_eq!(extent.at, 0.0);
        let mut short = ScrollExtent { at: 0.0, window: 100.0, text: 50.0 };
        short.go(10.0);
        assert_eq!(short.at, 0.0);
    }
}
