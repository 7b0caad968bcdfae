//! The two answers of labelling, side by side: read or edited, scrolled together.

use egui::{RichText, ScrollArea, Ui, containers::scroll_area::ScrollAreaOutput};
use state::{
    difference::Difference,
    drafts::{Draft, LONGEST_EDITABLE},
    labelling::{ScrollBy, Side},
    pairs::ScrollExtent,
};

use crate::{
    marked::{self, TextMark},
    parts,
    prompt::Edited,
    theme::{size, space},
    writing::{Field, Marks},
};

/// Size of the answers' letters.
pub const READING: f32 = 16.0;

/// Height of the line that names a column, with the gap under it.
const CAPTION: f32 = 34.0;

/// Points that an arrow key scrolls: about three lines.
const STEP: f32 = 64.0;

pub fn scroll(extent: &mut ScrollExtent, way: ScrollBy) {
    // Two lines of the last page stay on the next one.
    let page = (extent.window - 2.0 * STEP / 3.0).max(STEP);
    extent.go(match way {
        ScrollBy::Up => extent.at - STEP,
        ScrollBy::Down => extent.at + STEP,
        ScrollBy::PageUp => extent.at - page,
        ScrollBy::PageDown => extent.at + page,
        ScrollBy::Start => 0.0,
        ScrollBy::End => extent.end(),
    });
}

/// Notes how far a text can be scrolled, and where it was scrolled to by hand.
pub fn follow(extent: &mut ScrollExtent, asked: f32, shown: &ScrollAreaOutput<()>) {
    extent.window = shown.inner_rect.height();
    extent.text = extent.text.max(shown.content_size.y);
    let end = (shown.content_size.y - shown.inner_rect.height()).max(0.0);
    let now = shown.state.clamped_offset().y;
    // The shorter of two answers stays at its own end.
    if (now - asked.min(end)).abs() > 0.5 {
        extent.at = now;
    }
}

/// Over the answer that has no more to show, the wheel moves the other one.
pub fn wheel(ui: &Ui, columns: egui::Rect, extent: &mut ScrollExtent) {
    if ui.rect_contains_pointer(columns) {
        let rest = ui.input_mut(|input| std::mem::take(&mut input.smooth_scroll_delta.y));
        if rest != 0.0 {
            extent.go(extent.at - rest);
            ui.request_repaint();
        }
    }
}

fn side_word(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Left => ("1", "Left answer"),
        Side::Right => ("2", "Right answer"),
    }
}

/// Key and place of a column.
fn caption(ui: &mut Ui, side: Side) {
    let palette = parts::palette(ui);
    let (key, name) = side_word(side);
    ui.horizontal(|ui| {
        let key = RichText::new(key).monospace().size(size::SMALL);
        ui.label(key.color(palette.accent));
        parts::caption(ui, name);
    });
}

/// An answer to be read.
pub struct Column<'a> {
    pub side: Side,
    pub text: &'a str,
    pub difference: Option<&'a Difference>,
    pub height: f32,
    pub white_space: bool,
}

impl Column<'_> {
    /// Draws it scrolled down by `at` points.
    pub fn show(self, ui: &mut Ui, at: f32) -> ScrollAreaOutput<()> {
        let palette = parts::palette(ui);
        let (_, name) = side_word(self.side);
        let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
        let frame = parts::card_frame(ui);
        let shown = frame.show(ui, |ui| {
            ui.set_width(ui.available_width());
            let inner = self.height - 2.0 * space::L - CAPTION;
            caption(ui, self.side);
            ui.set_min_height(inner);
            let area = ScrollArea::vertical().id_salt(name).max_height(inner).vertical_scroll_offset(at);
            if self.text.len() > LONGEST_EDITABLE {
                return marked::long_rows(ui, area, self.text);
            }
            area.auto_shrink([false, true]).show(ui, |ui| {
                let spans = self.difference.map_or(&[][..], |difference| match self.side {
                    Side::Left => &difference.left,
                    Side::Right => &difference.right,
                });
                let font = egui::FontId::proportional(READING);
                let width = ui.available_width();
                let job = marked::job(self.text, spans, &font, palette.text, mark, width);
                marked::label_with(ui, job, self.white_space);
                marked::unseen(ui, self.text, &font);
            })
        });
        shown.inner
    }
}

pub fn edit_column(
    ui: &mut Ui,
    side: Side,
    draft: &mut Draft,
    index: usize,
    height: f32,
    (white_space, takes_caret): (bool, bool),
) -> Edited {
    let (_, name) = side_word(side);
    let Some(answer) = draft.pair.answers.get_mut(index) else {
        return Edited::default();
    };
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        let inner = height - 2.0 * space::L - CAPTION;
        caption(ui, side);
        ui.set_min_height(inner);
        let area = ScrollArea::vertical().id_salt(("edit", name)).max_height(inner);
        let font = egui::FontId::proportional(READING).into();
        let salt = format!("edit {index}");
        let marks = Marks { white_space, ..Marks::NONE };
        let field = Field { rows: 4, font, marks, takes_caret, ..Field::new(name, &salt) };
        area.show(ui, |ui| field.show(ui, &mut answer.text)).inner
    })
}
