//! The tables under the overlay: what came out, and what was set differently.

use data::{
    config::Setting,
    metrics::{self, Better, Metric, Stored, Told, judged},
};
use egui::{Grid, RichText, ScrollArea, Ui};
use state::{
    compare::{differences, metrics_present},
    metric,
    runs::{History, Runs},
};
use store::RunRecord;

use crate::{
    legend, parts,
    theme::{self, size, space},
};

/// One row a run with the newest value of what matters.
pub fn summary(ui: &mut Ui, runs: &Runs, shown: &[&RunRecord]) {
    let palette = parts::palette(ui);
    let nothing = History::default();
    let columns: Vec<(Stored, String)> = Metric::headlines(Told::AcrossRuns, |_| true).collect();
    let value = |record: &RunRecord, name: &str| runs.history(record.id).unwrap_or(&nothing).latest(name);
    let rules: Vec<String> =
        metrics_present(runs, shown).into_iter().filter(|name| judged::rule(name).is_some()).collect();
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, "Where they stand");
        table(ui, "summary", |ui| {
            for caption in ["Run", "Method", "Steps"] {
                parts::caption(ui, caption);
            }
            for (stored, name) in &columns {
                let about = format!("{}\n{name}", stored.metric.about);
                parts::caption(ui, stored.column()).on_hover_text(about);
            }
            for share in &rules {
                parts::caption(ui, metrics::caption(share))
                    .on_hover_text(format!("95 % interval in brackets\n{share}"));
            }
            ui.end_row();
            for record in shown {
                name(ui, record);
                ui.label(&record.method);
                ui.label(record.step.to_string());
                for (stored, name) in &columns {
                    let Some(number) = value(record, name) else {
                        ui.label(RichText::new("–").color(palette.weak));
                        continue;
                    };
                    let text = RichText::new(metric::value(name, number));
                    let others = shown.iter().filter_map(|other| value(other, name));
                    let beats = |other: f64| match stored.metric.better {
                        Better::More => number >= other,
                        Better::Less => number <= other,
                        Better::Neither => false,
                    };
                    let is_best = shown.len() > 1 && others.clone().all(beats);
                    if is_best {
                        ui.label(text.color(palette.good)).on_hover_text("Best of these");
                    } else {
                        ui.label(text);
                    }
                }
                for share in &rules {
                    ui.label(judged_cell(runs.history(record.id).unwrap_or(&nothing), share));
                }
                ui.end_row();
            }
        });
    });
}

/// "94 % (88 % to 97 %)".
fn judged_cell(history: &History, share: &str) -> String {
    let [low, high] = judged::interval(share).map(|end| history.latest(&end));
    match (history.latest(share), low, high) {
        (Some(share), Some(low), Some(high)) => {
            let [share, low, high] = [share, low, high].map(|share| format!("{:.0} %", share * 100.0));
            format!("{share} ({low} to {high})")
        }
        (share, ..) => share.map_or_else(|| "–".to_owned(), metric::percent),
    }
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
                let about = Setting::of(&difference.key).map_or("", |setting| setting.about);
                ui.label(RichText::new(&difference.key).monospace()).on_hover_text(about);
                for value in &difference.values {
                    ui.label(value);
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
        let look = record.look();
        let color = theme::series_color(palette, look);
        legend::sample(ui, color, theme::series_pattern(look));
        ui.label(RichText::new(&record.name).size(size::BODY).color(palette.strong));
    });
}
