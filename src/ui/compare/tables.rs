//! The tables under the overlay: what came out, and what was set differently.

use data::{
    config::Setting,
    metrics::{self, Better, Metric, Stored, Told, judged},
};
use egui::{Grid, Label, RichText, ScrollArea, Ui};
use state::{
    compare::{differences, metrics_present, otherwise},
    runs::{History, Runs},
};
use store::RunRecord;

use crate::{
    legend, parts,
    theme::{self, size, space},
};

/// A longer name is cut in a table, and whole on hover.
pub const LONGEST_NAME: f32 = 240.0;

/// One row a run with the newest value of what matters.
pub fn summary(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord]) {
    let palette = parts::palette(ui);
    let nothing = History::default();
    let value = |record: &RunRecord, name: &str| runs.history(record.id).unwrap_or(&nothing).latest(name);
    // A reward model and a policy are not told by the same: of what none of these has measured there is no column.
    let is_measured = |name: &str| shown.iter().any(|record| value(record, name).is_some());
    let told = Metric::headlines(Told::AcrossRuns, |_| true);
    let columns: Vec<(Stored, String)> = told.filter(|(_, name)| is_measured(name)).collect();
    // The best of each column, where one is better than another.
    let best = |(stored, name): &(Stored, String)| {
        let values = shown.iter().filter_map(|record| value(record, name));
        match stored.metric.better {
            Better::More => values.reduce(f64::max),
            Better::Less => values.reduce(f64::min),
            Better::Neither => None,
        }
    };
    let best: Vec<Option<f64>> = columns.iter().map(best).collect();
    let rules: Vec<String> =
        metrics_present(runs, shown).into_iter().filter(|name| judged::rule(name).is_some()).collect();
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Where they stand");
        parts::caption(ui, "The newest values, with 95 % intervals in brackets; green is the best");
        table(ui, "summary", |ui| {
            for caption in ["Run", "Method", "Steps"] {
                parts::caption(ui, caption);
            }
            for (stored, name) in &columns {
                let about = format!("{}\n{name}", stored.metric.about);
                parts::caption(ui, stored.column()).on_hover_text(about);
            }
            for share in &rules {
                parts::caption(ui, metrics::caption(share)).on_hover_text(share);
            }
            ui.end_row();
            for record in shown {
                name(ui, record);
                ui.label(&record.method);
                ui.label(record.step.to_string());
                for ((_, name), best) in columns.iter().zip(&best) {
                    let Some(number) = value(record, name) else {
                        ui.label(RichText::new("–").color(palette.weak));
                        continue;
                    };
                    let told = metrics::told(name, |name| value(record, name));
                    let text = RichText::new(told.unwrap_or_default());
                    if shown.len() > 1 && *best == Some(number) {
                        ui.label(text.color(palette.good)).on_hover_text("Best of these");
                    } else {
                        ui.label(text);
                    }
                }
                for share in &rules {
                    let told = metrics::told(share, |name| value(record, name));
                    ui.label(told.unwrap_or_else(|| "–".to_owned()));
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
    let mut changed = differences(&tables);
    changed.extend(otherwise(runs, shown));
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "What was set differently");
        if changed.is_empty() {
            let text = if shown.len() > 1 {
                "Nothing: these runs have the same settings and the same data"
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
                let setting = Setting::of(&difference.key);
                match setting {
                    Some(it) => ui.label(it.label).on_hover_text(format!("{}\n{}", it.about, difference.key)),
                    None => ui.label(&difference.key),
                };
                for value in &difference.values {
                    ui.label(setting.map_or(&value[..], |setting| setting.shown(value)));
                }
                ui.end_row();
            }
        });
    });
}

fn table(ui: &mut Ui, salt: &str, rows: impl FnOnce(&mut Ui)) {
    ScrollArea::horizontal().id_salt(salt).scroll_bar_visibility(parts::bars(ui)).show(ui, |ui| {
        Grid::new(salt).striped(true).spacing([space::L, space::XS]).show(ui, rows);
    });
}

pub fn name(ui: &mut Ui, record: &RunRecord) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        // Before anything stands in the row: it begins anew with it.
        ui.set_max_width(legend::SAMPLE + ui.spacing().item_spacing.x + LONGEST_NAME);
        let look = record.look();
        let color = theme::series_color(palette, look);
        legend::sample(ui, color, theme::series_pattern(look));
        ui.add(Label::new(RichText::new(&record.name).size(size::BODY).color(palette.strong)).truncate());
    });
}
