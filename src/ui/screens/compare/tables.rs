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
/// What names take of a table whose values are scrolled beside them.
const NAMES_SHARE: f32 = 0.35;

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
    // A run is called after its method until somebody calls it otherwise.
    let with_method = shown.iter().any(|record| !record.name.starts_with(&record.method));
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Where they stand");
        parts::caption(ui, "The newest values, with 95 % intervals in brackets; green is the best");
        let at_start = |name: &str| shown.iter().find_map(|record| history(record).at_start(name));
        let before = before(&columns, at_start);
        // The names stay where they are while the values are scrolled.
        let longest = (NAMES_SHARE * ui.available_width()).min(LONGEST_NAME);
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = space::L;
            grid(ui, "summary runs", |ui| {
                parts::caption(ui, "Run");
                ui.end_row();
                if before.is_some() {
                    ui.label(RichText::new("Before").color(palette.weak));
                    ui.end_row();
                }
                for record in shown {
                    name_within(ui, record, longest);
                    ui.end_row();
                }
            });
            table(ui, "summary", |ui| {
                for caption in ["Method", "Steps"].into_iter().filter(|caption| with_method || *caption != "Method") {
                    parts::caption(ui, caption);
                }
                for (caption, about, _) in &columns {
                    parts::caption(ui, caption).on_hover_text(about);
                }
                ui.end_row();
                if let Some(cells) = before {
                    let ahead = if with_method { vec![String::new(), "0".to_owned()] } else { vec!["0".to_owned()] };
                    for cell in ahead.into_iter().chain(cells) {
                        ui.label(RichText::new(cell).color(palette.weak));
                    }
                    ui.end_row();
                }
                for record in shown {
                    if with_method {
                        ui.label(&record.method);
                    }
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
    });
}

/// What rules counted before the first step, by column; nothing where none did. What is measured against step 0 says
/// nothing there.
fn before(columns: &[(String, String, String)], at_start: impl Fn(&str) -> Option<f64>) -> Option<Vec<String>> {
    let told = |name: &str| judged::rule(name).and_then(|_| metrics::told(name, &at_start));
    let cells: Vec<Option<String>> = columns.iter().map(|(_, _, name)| told(name)).collect();
    let any = cells.iter().any(Option::is_some);
    any.then(|| cells.into_iter().map(Option::unwrap_or_default).collect())
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
        grid(ui, salt, rows);
    });
}

/// Rows of one height, so that those of two grids stand beside each other.
fn grid(ui: &mut Ui, salt: &str, rows: impl FnOnce(&mut Ui)) {
    let height = ui.spacing().interact_size.y;
    Grid::new(salt).striped(true).min_row_height(height).spacing([space::L, space::XS]).show(ui, rows);
}

pub fn name(ui: &mut Ui, record: &RunRecord) {
    name_within(ui, record, LONGEST_NAME);
}

/// A longer name is cut, and whole on hover.
fn name_within(ui: &mut Ui, record: &RunRecord, longest: f32) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        // Before anything stands in the row: it begins anew with it.
        ui.set_max_width(legend::SAMPLE + ui.spacing().item_spacing.x + longest);
        let look = record.look();
        let color = theme::series_color(palette, look);
        legend::sample(ui, color, theme::series_pattern(look));
        ui.add(Label::new(RichText::new(&record.name).size(size::BODY).color(palette.strong)).truncate());
    });
}
