//! Several answers side by side, put in order by their numbers: the best first.

use data::Pair;
use egui::{Align, Layout, RichText, ScrollArea, Sense, Ui};
use state::{drafts::LONGEST_EDITABLE, labelling::Act, pairs::ScrollExtent};

use super::columns::{READING, follow, wheel};
use crate::{
    marked::{self, TextMark},
    parts,
    theme::{size, space},
};

/// Columns of a row.
const COLUMNS: usize = 4;

/// `shown`: the answers by their places; `picked`: those that have their rank, best first. A click picks one.
pub fn ui(
    ui: &mut Ui,
    pair: &Pair,
    (shown, picked): (&[usize], &[usize]),
    height: f32,
    extent: &mut ScrollExtent,
    white_space: bool,
) -> Option<Act> {
    let mut act = None;
    let at = extent.at;
    let mut seen = ScrollExtent { at, ..ScrollExtent::default() };
    let both = ui.available_rect_before_wrap();
    let rows = shown.len().div_ceil(COLUMNS);
    let height = (height - space::S * (rows.saturating_sub(1)) as f32) / rows as f32;
    for (row, places) in shown.chunks(COLUMNS).enumerate() {
        let width = (ui.available_width() - space::S * (places.len() - 1) as f32) / places.len() as f32;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            for (column, index) in places.iter().enumerate() {
                let place = row * COLUMNS + column;
                let rank = picked.iter().position(|other| other == index);
                ui.allocate_ui_with_layout(egui::vec2(width, height), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    let text = &pair.answers[*index].text;
                    if answer(ui, place, text, rank, (height, at, white_space), &mut seen) {
                        act = Some(Act::Pick(place));
                    }
                });
            }
        });
    }
    wheel(ui, both, &mut seen);
    *extent = seen;
    act
}

/// True when it was clicked.
fn answer(
    ui: &mut Ui,
    place: usize,
    text: &str,
    rank: Option<usize>,
    (height, at, white_space): (f32, f32, bool),
    seen: &mut ScrollExtent,
) -> bool {
    const CAPTION: f32 = 34.0;
    let palette = parts::palette(ui);
    let mut frame = parts::card_frame(ui);
    if rank.is_some() {
        frame = frame.fill(palette.accent_soft);
    }
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        let inner = (height - 2.0 * space::L - CAPTION).max(40.0);
        let picks = ui.horizontal(|ui| {
            let key = RichText::new((place + 1).to_string()).monospace().size(size::SMALL);
            ui.label(key.color(palette.accent));
            match rank {
                Some(0) => ui.label(RichText::new("Best").color(palette.strong)),
                Some(rank) => ui.label(RichText::new(format!("No. {}", rank + 1)).color(palette.strong)),
                None => parts::quiet(ui, true, "Next best"),
            }
        });
        ui.set_min_height(inner);
        let area = ScrollArea::vertical().id_salt(("ordered", place)).max_height(inner).vertical_scroll_offset(at);
        let area = if text.len() > LONGEST_EDITABLE {
            marked::long_rows(ui, area, text)
        } else {
            area.auto_shrink([false, true]).show(ui, |ui| {
                let font = egui::FontId::proportional(READING);
                let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
                let job = marked::job(text, &[], &font, palette.text, mark, ui.available_width());
                marked::label_with(ui, job, white_space);
                marked::unseen(ui, text, &font);
            })
        };
        follow(seen, at, &area);
        picks.inner.clicked()
    });
    shown.inner || shown.response.interact(Sense::click()).clicked()
}
