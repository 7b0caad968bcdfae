//! What an ended run came to: a few lines above its charts.

use data::metrics::{CameTo, ShareChange, ShareTurn};
use egui::{Label, RichText, TextFormat, Ui, text::LayoutJob};
use state::runs::Runs;
use store::RunRecord;

use crate::{
    parts,
    theme::{Palette, size, space},
};

const SAYS_TURN: &str = "Better or worse is said where the 95 % intervals of the two do not overlap";

/// `guided`: what to do next is told elsewhere.
pub fn ui(ui: &mut Ui, runs: &Runs, record: &RunRecord, came_to: &CameTo, guided: bool) {
    let palette = parts::palette(ui);
    parts::strip(ui, palette.surface, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        if !came_to.sentences.is_empty() {
            let text = came_to.sentences.join(". ");
            ui.add(Label::new(RichText::new(text).color(palette.strong)).wrap());
        }
        if !came_to.shares.is_empty() {
            // A row of words, not of buttons.
            ui.spacing_mut().interact_size.y = size::BODY;
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = space::L;
                ui.label(RichText::new("Judged answers").color(palette.weak));
                for change in &came_to.shares {
                    ui.add(Label::new(share(ui, palette, change)).extend())
                        .on_hover_text(format!("{}. {SAYS_TURN}", change.in_full()));
                }
            });
        }
        if !guided {
            ui.add(Label::new(RichText::new(runs.after(record, came_to)).color(palette.weak)).wrap());
        }
    });
    ui.add_space(space::S);
}

/// "manner 32 % → 96 %" and what to make of it.
fn share(ui: &Ui, palette: &Palette, change: &ShareChange) -> LayoutJob {
    let mut job = LayoutJob::default();
    let font = egui::TextStyle::Body.resolve(ui.style());
    job.append(&change.course(), 0.0, TextFormat::simple(font.clone(), palette.text));
    if let Some(turn) = change.turn() {
        let color = match turn {
            ShareTurn::Better => palette.good,
            ShareTurn::Worse => palette.error,
            ShareTurn::Risen | ShareTurn::Fallen => palette.accent,
            ShareTurn::Unclear => palette.weak,
        };
        job.append(&format!(" {}", turn.words()), 0.0, TextFormat::simple(font, color));
    }
    job
}
