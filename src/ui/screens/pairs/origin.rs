//! Where an answer comes from, in words.

use data::Origin;
use egui::{RichText, Ui};
use state::drafts;

use crate::{parts, theme::size};

/// Characters of an edited answer's original that a hover shows.
const ORIGINAL: usize = 600;

/// Where an answer comes from, on what is left of its first row beside `room` points of buttons: a model's name can be
/// long.
pub fn ui(ui: &mut Ui, origin: &Origin, room: f32) {
    let text = RichText::new(word(origin)).size(size::SMALL).color(parts::palette(ui).weak);
    ui.scope(|ui| {
        ui.set_max_width((ui.available_width() - room).max(0.0));
        let label = ui.add(egui::Label::new(text).truncate());
        if let Origin::Edited { text, .. } = origin {
            label.on_hover_text(format!("Before it was edited:\n{}", drafts::one_line(text, ORIGINAL)));
        }
    });
}

fn word(origin: &Origin) -> String {
    match origin {
        Origin::Human => "by hand".to_owned(),
        Origin::Imported => "imported".to_owned(),
        Origin::Model(name) => format!("from {name}"),
        Origin::Edited { from, .. } => format!("edited, {}", word(from)),
    }
}
