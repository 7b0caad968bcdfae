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
    /// The pair that was drawn last: no press is about one that nobody has seen.
    pub drawn: Option<PairId>,
    /// Answers that have their place in the order, best first.
    pub order: Vec<usize>,
    /// The verdict there is was asked for.
    pub reveals: bool,
    /// A tag or a note is being written.
    pub field: Option<MarkField>,
    /// A tag of this pair that was begun and left.
    pub begun_tag: Option<(PairId, String)>,
}

/// What is written about the pair on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkField {
    pub mark: LabelMark,
    pub text: String,
    pub wants_caret: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelMark {
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
            drawn: None,
            order: Vec::new(),
            reveals: false,
            field: None,
            begun_tag: None,
        }
    }

    /// Writes a tag or a note of this pair: a tag as far as it was begun, a note as it is. A field that is open already
    /// stays as it is.
    pub fn begin_field(&mut self, mark: LabelMark, pair: &Pair) {
        match &mut self.field {
            Some(field) if field.mark == mark => field.wants_caret = true,
            _ => {
                let text = match mark {
                    LabelMark::Tag => {
                        let begun = self.begun_tag.take().filter(|(of, _)| *of == pair.id);
                        begun.map_or_else(String::new, |(_, text)| text)
                    }
                    LabelMark::Note => pair.note.clone(),
                };
                self.field = Some(MarkField { mark, text, wants_caret: true });
            }
        }
    }

    /// The field is left with Esc: a note is put to the pair, a tag waits for the next time. The same as
    /// [`Self::end_field`] otherwise.
    pub fn leave_field(&mut self, pair: &Pair) -> Option<(Amendment, String)> {
        if let Some(MarkField { text, .. }) = self.field.take_if(|field| field.mark == LabelMark::Tag) {
            self.begun_tag = Some((pair.id, text));
            return None;
        }
        self.end_field(pair)
    }

    /// What is written in the field is put to the pair, as a step of the session: the change and its name. Nothing
    /// where it says nothing new.
    pub fn end_field(&mut self, pair: &Pair) -> Option<(Amendment, String)> {
        let field = self.field.take()?;
        let text = field.text.trim().to_owned();
        let (amendment, name) = match field.mark {
            LabelMark::Tag if text.is_empty() || pair.tags.contains(&text) => return None,
            LabelMark::Note if text == pair.note => return None,
            LabelMark::Tag => (Amendment::Tag(text.clone(), true), format!("Tag pair {} “{text}”", pair.id.0)),
            LabelMark::Note => (Amendment::Note(text), format!("Edit note of pair {}", pair.id.0)),
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
    use data::Prompt;

    #[test]
    fn what_is_typed_in_a_field_is_never_lost() {
        let mut label = LabelView::new(Labelling::start(vec![PairId(3)], 1, 0));
        let pair = Pair { note: "old".to_owned(), ..Pair::new(PairId(3), Prompt::Text("p".to_owned()), &["a", "b"]) };
        label.begin_field(LabelMark::Note, &pair);
        label.field.as_mut().unwrap().text = "new".to_owned();
        label.begin_field(LabelMark::Note, &pair);
        assert_eq!(label.field.as_ref().unwrap().text, "new", "asking for it again begins nothing anew");
        assert_eq!(label.leave_field(&pair).unwrap().0, Amendment::Note("new".to_owned()));
        assert_eq!(label.leave_field(&pair), None);
        label.begin_field(LabelMark::Tag, &pair);
        label.field.as_mut().unwrap().text = "tra".to_owned();
        assert_eq!(label.leave_field(&pair), None, "half a tag is none");
        label.begin_field(LabelMark::Tag, &pair);
        assert_eq!(label.field.as_ref().unwrap().text, "tra");
        label.leave_field(&pair);
        label.begin_field(LabelMark::Tag, &Pair { id: PairId(4), ..pair });
        assert_eq!(label.field.as_ref().unwrap().text, "", "another pair begins with none");
    }

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
