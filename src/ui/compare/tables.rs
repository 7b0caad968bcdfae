//! The tables under the overlay: what came out, and what was set differently.

use data::{
    config::Setting,
    metrics::{self, Metric, Told, judged},
};
use egui::{Grid, Label, RichText, ScrollArea, Ui};
use state::{
    compare::{Differing, otherwise},
    runs::{History, Runs},
};
use store::RunRecord;

use crate::{
    legend, parts,
    theme::{self, size, space},
};

/// A longer name is cut in a table, and whole on hover.
pub const LONGEST_NAME: f32 = 240.0;

/// One row a run with the newest value of what matters, under what was judged before the first step.
pub fn summary(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], present: &[String]) {
    let palette = parts::palette(ui);
    let nothing = History::default();
    let history = |record: &RunRecord| runs.history(record.id).unwrap_or(&nothing);
    // A reward model and a policy are not told by the same: of what none of these has measured there is no column.
    let is_measured = |name: &str| shown.iter().any(|record| history(record).latest(name).is_some());
    let headlines = Metric::headlines(Told::AcrossRuns, |_| true).filter(|(_, name)| is_measured(name));
    let mut columns: Vec<(String, String, String)> =
        headlines.map(|(stored, name)| (stored.column(), format!("{}\n{name}", stored.metric.about), name)).collect();
    let rules = present.iter().filter(|name| judged::rule(name).is_some());
    columns.extend(rules.map(|share| (metrics::caption(share), share.clone(), share.clone())));
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Where they stand");
        parts::caption(ui, "The newest values, with 95 % intervals in brackets; green is the best");
        table(ui, "summary", |ui| {
            for caption in ["Run", "Method", "Steps"] {
                parts::caption(ui, caption);
            }
            for (caption, about, _) in &columns {
                parts::caption(ui, caption).on_hover_text(about);
            }
            ui.end_row();
            before(ui, &columns, |name| shown.iter().find_map(|record| history(record).at_start(name)));
            for record in shown {
                name(ui, record);
                ui.label(&record.method);
                ui.label(record.step.to_string());
                for (_, _, name) in &columns {
                    let Some(number) = history(record).latest(name) else {
                        ui.label(RichText::new("–").color(palette.weak));
                        continue;
                    };
                    let told = metrics::told(name, |name| history(record).latest(name));
                    let text = RichText::new(told.unwrap_or_default());
                    let better = runs.better(name);
                    let mut others = shown.iter().filter_map(|other| history(other).latest(name));
                    if shown.len() > 1 && others.all(|other| better.is_best(number, other)) {
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

/// What rules counted before the first step. What is measured against step 0 says nothing there.
fn before(ui: &mut Ui, columns: &[(String, String, String)], at_start: impl Fn(&str) -> Option<f64>) {
    let weak = parts::palette(ui).weak;
    let cells: Vec<Option<String>> =
        columns.iter().map(|(_, _, name)| judged::rule(name).and_then(|_| metrics::told(name, &at_start))).collect();
    if cells.iter().all(Option::is_none) {
        return;
    }
    for text in ["Before", "", "0"] {
        ui.label(RichText::new(text).color(weak));
    }
    for cell in cells {
        ui.label(RichText::new(cell.unwrap_or_default()).color(weak));
    }
    ui.end_row();
}

/// Only the settings that are not the same in all runs.
pub fn settings(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord], differing: &mut Differing) {
    let palette = parts::palette(ui);
    let (set, otherwise) = (differing.of(runs, shown), otherwise(runs, shown));
    let changed: Vec<_> = set.iter().chain(&otherwise).collect();
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
            for difference in changed {
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

pub fn table(ui: &mut Ui, salt: &str, rows: impl FnOnce(&mut Ui)) {
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
