//! The fields that a record's texts are written in: prompt, answers, note. What they have in common is here, so that no
//! byte is changed that was not typed, and what cannot be seen is told.

use std::sync::Arc;

use egui::{
    FontId, FontSelection, Frame, Galley, Id, Key, Response, TextBuffer, TextEdit, Ui,
    text::{CCursor, CCursorRange, CharIndex, LayoutJob},
    text_edit::TextEditState,
};
use state::drafts::LONGEST_EDITABLE;

use super::{lines::Lines, marked, pieces, prompt, prompt::Edited};

/// What of a text is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks<'a> {
    /// Spaces, tabs and line ends.
    pub white_space: bool,
    /// Words that were searched for.
    pub search: &'a str,
}

impl Marks<'_> {
    pub const NONE: Self = Self { white_space: false, search: "" };
}

/// A text over several lines.
pub struct Field<'a> {
    /// The name that screen readers and tests know it by.
    pub name: &'a str,
    /// Tells it from its neighbours in the same record.
    pub salt: &'a str,
    pub hint: &'a str,
    pub rows: usize,
    pub font: FontSelection,
    pub marks: Marks<'a>,
    /// The caret belongs here now.
    pub takes_caret: bool,
}

impl<'a> Field<'a> {
    pub fn new(name: &'a str, salt: &'a str) -> Self {
        Self { name, salt, hint: "", rows: 1, font: FontSelection::Default, marks: Marks::NONE, takes_caret: false }
    }

    /// Draws the field without a frame. A text beyond the editable length is shown line by line instead.
    pub fn show(self, ui: &mut Ui, text: &mut String) -> Edited {
        self.show_as(ui, text, None)
    }

    /// The same, the text laid out by `layouter`.
    pub fn show_as(self, ui: &mut Ui, text: &mut String, layouter: Option<Layouter<'_>>) -> Edited {
        if text.len() > LONGEST_EDITABLE {
            prompt::too_long(ui, self.salt, text);
            return Edited::default();
        }
        let id = ui.make_persistent_id(self.salt);
        let font = self.font.clone().resolve(ui.style());
        let marks = self.marks;
        let lays_out = pieces::is_long(text) || !marks.search.trim().is_empty();
        let mut plain = |ui: &Ui, text: &dyn TextBuffer, width: f32| {
            pieces::layout(ui, marked::searched(ui, plain(ui, text, &font, width), marks.search))
        };
        let mut lines = Lines(text);
        let mut edit = TextEdit::multiline(&mut lines)
            .id(id)
            .font(self.font)
            .hint_text(self.hint)
            .frame(Frame::NONE)
            .desired_rows(self.rows)
            .desired_width(f32::INFINITY);
        match layouter {
            Some(layouter) => edit = edit.layouter(layouter),
            None if lays_out => edit = edit.layouter(&mut plain),
            None => {}
        }
        let shown = edit.show(ui);
        if let Some(range) = shown.cursor_range {
            leave_line_ends(ui, id, &lines, range, shown.state);
        }
        if marks.white_space {
            marked::white_space(ui, &shown.galley, shown.galley_pos, shown.text_clip_rect);
        }
        let response: Response = shown.response.response;
        give_caret(ui, &response, self.takes_caret);
        let edited = Edited::of(&response.accessible_name(self.name));
        marked::unseen(ui, text, &font);
        edited
    }
}

pub type Layouter<'a> = &'a mut dyn FnMut(&Ui, &dyn TextBuffer, f32) -> Arc<Galley>;

/// A text as a field lays it out by itself.
fn plain(ui: &Ui, text: &dyn TextBuffer, font: &FontId, width: f32) -> LayoutJob {
    let visuals = ui.visuals();
    let color = visuals.override_text_color.unwrap_or_else(|| visuals.widgets.inactive.text_color());
    let mut job = LayoutJob::simple(text.as_str().to_owned(), font.clone(), color, width);
    let height = ui.fonts_mut(|fonts| fonts.row_height(font)) + ui.spacing().extra_text_line_spacing;
    for section in &mut job.sections {
        section.format.line_height = Some(height);
    }
    job
}

/// Puts the caret into a field that was drawn now. Not in the frame of a click: a field gives the caret up when
/// something else is clicked. True when it has been given.
pub fn give_caret(ui: &Ui, field: &Response, wanted: bool) -> bool {
    let now = wanted && !ui.input(|input| input.pointer.any_click());
    if now {
        field.request_focus();
    } else if wanted {
        ui.request_repaint();
    }
    now
}

/// All of a field that is drawn and gets the caret now is chosen.
pub fn choose_all(ui: &Ui, field: Id, text: &str, mut state: TextEditState) {
    let end = CCursor::new(text.chars().count());
    state.cursor.set_char_range(Some(CCursorRange::two(CCursor::default(), end)));
    state.store(ui.ctx(), field);
}

/// A caret between `\r` and `\n` looks as if it stood before them: it is put there, or on the next line when it was
/// going right.
fn leave_line_ends(ui: &Ui, field: Id, text: &Lines<'_>, range: CCursorRange, mut state: TextEditState) {
    let right = ui.input(|input| input.key_pressed(Key::ArrowRight));
    let settled = |cursor: CCursor, moved: bool| -> CCursor {
        if !text.splits_line_end(cursor.index) {
            return cursor;
        }
        let index = if right && moved { CharIndex(cursor.index.0 + 1) } else { cursor.index.saturating_sub(1) };
        CCursor { index, ..cursor }
    };
    let (primary, secondary) =
        (settled(range.primary, true), settled(range.secondary, range.primary == range.secondary));
    if (primary, secondary) != (range.primary, range.secondary) {
        state.cursor.set_char_range(Some(CCursorRange { primary, secondary, ..range }));
        state.store(ui.ctx(), field);
    }
}
