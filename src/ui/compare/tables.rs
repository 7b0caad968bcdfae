//! The tables under the overlay: what came out, and what was set differently.

use egui::{Grid, RichText, ScrollArea, Ui};

use super::list::look;
use crate::{
    state::{
        compare::differences,
        metric,
        runs::{History, Runs},
    },
    store::RunRecord,
    ui::{
        legend, parts,
        theme::{self, size, space},
    },
};

/// Columns of the summary: caption, the metrics it may be read from, best first, and whether more is better.
const COLUMNS: [(&str, &[&str], Option<bool>); 4] = [
    ("Held-out accuracy", &["eval_rewards/accuracies"], Some(true)),
    ("Held-out margin", &["eval_rewards/margins"], None),
    ("KL(ref ‖ policy)", &["kl/ref"], Some(false)),
    ("KL k3", &["kl/policy_k3"], Some(false)),
];

/// One row a run with the newest value of what matters.
pub fn summary(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord]) {
    let palette = parts::palette(ui);
    let nothing = History::default();
    let value = |record: &RunRecord, names: &[&str]| {
        let history = runs.history(record.id).unwrap_or(&nothing);
        names.iter().find_map(|name| Some((history.latest(name)?, (*name).to_owned())))
    };
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Where they stand");
        table(ui, "summary", |ui| {
            for caption in ["Run", "Method", "Steps"] {
                parts::caption(ui, caption);
            }
            for (caption, ..) in COLUMNS {
                parts::caption(ui, caption);
            }
            ui.end_row();
            for record in shown {
                name(ui, record);
                ui.label(&record.method);
                ui.label(record.step.to_string());
                for (_, names, more_is_better) in COLUMNS {
                    let Some((number, metric)) = value(record, names) else {
                        ui.label(RichText::new("–").color(palette.weak));
                        continue;
                    };
                    let text = RichText::new(metric::value(&metric, number));
                    let others = shown.iter().filter_map(|other| value(other, names));
                    let is_best = more_is_better.is_some_and(|more| {
                        shown.len() > 1
                            && others.clone().all(|(other, _)| if more { number >= other } else { number <= other })
                    });
                    if is_best {
                        ui.label(text.color(palette.good)).on_hover_text("Best of these");
                    } else {
                        ui.label(text);
                    }
                }
                ui.end_row();
            }
        });
    });
}

/// Only the settings that are not the same in all runs.
pub fn settings(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord]) {
    let palette = parts::palette(ui);
    let tables: Vec<_> = shown.iter().filter_map(|record| Some(&runs.settings(record.id)?.table)).collect();
    let changed = differences(&tables);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "What was set differently");
        if changed.is_empty() {
            let text = if shown.len() > 1 {
                "Nothing: these runs have the same settings"
            } else {
                "Tick a second run to see what differs"
            };
            ui.label(RichText::new(text).color(palette.weak));
            return;
        }
        table(ui, "settings", |ui| {
            parts::caption(ui, "Setting");
            for record in shown {
                name(ui, record);
            }
            ui.end_row();
            for difference in &changed {
                ui.label(RichText::new(&difference.key).monospace());
                for value in &difference.values {
                    ui.label(value);
                }
                ui.end_row();
            }
        });
    });
}

fn table(ui: &mut Ui, salt: &str, rows: impl FnOnce(&mut Ui)) {
    ScrollArea::horizontal().id_salt(salt).show(ui, |ui| {
        Grid::new(salt).striped(true).spacing([space::L, space::XS]).show(ui, rows);
    });
}

fn name(ui: &mut Ui, record: &RunRecord) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        let look = look(record.id);
        let color = theme::series_color(palette, look);
        legend::sample(ui, color, theme::series_pattern(look));
        ui.label(RichText::new(&record.name).size(size::BODY).color(palette.strong));
    });
}
