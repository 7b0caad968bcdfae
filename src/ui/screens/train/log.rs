//! The run's log, newest line last, laid out a screenful at a time.

use egui::{RichText, ScrollArea, Ui};
use engine::protocol::LogLevel;
use state::runs::History;
use store::RunId;

use crate::{
    parts,
    theme::{size, space},
};

const HEIGHT: f32 = 150.0;

pub fn ui(ui: &mut Ui, run: RunId, history: &History) {
    let palette = parts::palette(ui);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Log");
        if history.log.is_empty() {
            parts::caption(ui, "Nothing to report yet");
            return;
        }
        let row = size::BODY + space::XS;
        ScrollArea::both()
            .id_salt(("log", run.0))
            .scroll_bar_visibility(parts::bars(ui))
            .max_height(HEIGHT)
            .auto_shrink([false, true])
            .stick_to_bottom(true)
            .show_rows(ui, row, history.log.len(), |ui, rows| {
                for line in &history.log[rows] {
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(format!("{:>6}", line.step)).monospace().color(palette.weak));
                        let color = match line.level {
                            LogLevel::Info => palette.text,
                            LogLevel::Warning => palette.warning,
                            LogLevel::Error => palette.error,
                        };
                        let word = match line.level {
                            LogLevel::Info => "",
                            LogLevel::Warning => "Warning: ",
                            LogLevel::Error => "Error: ",
                        };
                        ui.label(RichText::new(format!("{word}{}", line.text)).color(color));
                    });
                }
            });
    });
}
