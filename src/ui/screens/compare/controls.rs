//! How the charts are drawn, and which of them: a row of controls, which folds into one line where there is no room for
//! it, and a card that unfolds under it.

use data::{
    Across, Scale,
    metrics::{self, StoredMetric},
};
use egui::{ComboBox, RichText, Slider, Ui};
use state::{
    actions::{Action, key_of},
    compare::{
        CompareView,
        board::{Board, MOST_COLUMNS},
    },
};

use crate::{
    chart, parts, prompt,
    theme::{size, space},
};

/// Below this the controls are folded; unfolded they take two rows, or below [`TWO_ROWS`] three.
const ONE_ROW: f32 = 1180.0;
const TWO_ROWS: f32 = 620.0;

/// A path that goes back and forth is drawn as it was measured.
const OVER_DRIFT: &str = "Over KL a chart shows every evaluation as it was measured";

pub fn ui(ui: &mut Ui, view: &mut CompareView, present: &[String]) {
    let room = ui.available_width();
    if room >= ONE_ROW {
        ui.horizontal(|ui| {
            across(ui, view);
            ui.add_space(space::S);
            smoothing(ui, view);
            ui.add_space(space::S);
            scale(ui, view);
            ui.add_space(space::S);
            columns(ui, view);
        });
        parts::caption(ui, gestures());
    } else {
        fold(ui, &mut view.board);
    }
    if room < ONE_ROW && view.board.controls {
        if room >= TWO_ROWS {
            ui.horizontal(|ui| {
                across(ui, view);
                ui.add_space(space::S);
                columns(ui, view);
            });
            ui.horizontal(|ui| {
                smoothing(ui, view);
                ui.add_space(space::S);
                scale(ui, view);
            });
        } else {
            ui.horizontal(|ui| across(ui, view));
            // No two charts fit side by side.
            ui.horizontal(|ui| smoothing(ui, view));
            ui.horizontal(|ui| scale(ui, view));
        }
        parts::caption(ui, gestures());
    }
    if view.choosing {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            choose(ui, view, present);
        });
    }
}

/// What can be done with the charts.
fn gestures() -> String {
    format!("{} · Drag a title to move its chart", chart::GESTURES)
}

/// The controls in one line: what they are set to.
fn fold(ui: &mut Ui, board: &mut Board) {
    let smoothed =
        if board.smoothing > 0.0 { format!("smoothed {:.2}", board.smoothing) } else { "not smoothed".to_owned() };
    let scale = scale_word(board.scale).to_lowercase();
    let clipped = if board.clip { " · outliers clipped" } else { "" };
    let sign = if board.controls { "⏷" } else { "⏵" };
    let text = format!("{} · {smoothed} · {scale}{clipped} · {} side by side {sign}", board.x.word(), board.columns);
    let fold = parts::quiet_row(ui, |ui| parts::quiet(ui, true, &text));
    prompt::name(&fold, egui::Role::Button, "How charts are drawn");
    let key = key_of(Action::ChartControls);
    if fold.on_hover_text(format!("How charts are drawn ({key})\n{}", gestures())).clicked() {
        board.controls = !board.controls;
    }
}

fn scale_word(scale: Scale) -> &'static str {
    match scale {
        Scale::Linear => "Linear",
        Scale::Log => "Log",
        Scale::SymLog => "Symlog",
    }
}

/// What the charts have across.
fn across(ui: &mut Ui, view: &mut CompareView) {
    parts::caption(ui, "Across").on_hover_text(key_of(Action::ChartsAcross));
    parts::segmented(ui, &mut view.board.x, &Across::ALL.map(|across| (across, across.word(), across.about())));
}

fn smoothing(ui: &mut Ui, view: &mut CompareView) {
    ui.spacing_mut().item_spacing.x = space::S;
    let label = parts::caption(ui, "Smoothing");
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = 110.0;
        // The rail of a slider has the ground of a button, which would vanish here.
        ui.visuals_mut().widgets.inactive.bg_fill = parts::palette(ui).hairline;
        let grows = view.board.x.grows();
        ui.add_enabled(grows, Slider::new(&mut view.board.smoothing, 0.0..=0.98).fixed_decimals(2))
            .labelled_by(label.id)
            .on_disabled_hover_text(OVER_DRIFT)
            .on_hover_text("Weight of the past in the moving average; the raw trace stays behind it");
    });
}

fn scale(ui: &mut Ui, view: &mut CompareView) {
    parts::caption(ui, "Scale").on_hover_text(key_of(Action::TurnScale));
    let choices = Scale::ALL.map(|scale| (scale, scale_word(scale), scale.about()));
    parts::segmented(ui, &mut view.board.scale, &choices);
    let clip = egui::Checkbox::new(&mut view.board.clip, "Clip outliers");
    let clip = ui.add_enabled(view.board.x.grows(), clip).on_disabled_hover_text(OVER_DRIFT);
    clip.on_hover_text(format!(
        "The few values far from the others do not stretch an axis; an arrow at its edge tells where they lie ({})",
        key_of(Action::ClipOutliers)
    ));
}

fn columns(ui: &mut Ui, view: &mut CompareView) {
    parts::caption(ui, "Side by side").on_hover_text(format!(
        "As far as there is room ({} more, {} fewer)",
        key_of(Action::Columns(true)),
        key_of(Action::Columns(false))
    ));
    let choices: Vec<(usize, String)> = (1..=MOST_COLUMNS).map(|count| (count, count.to_string())).collect();
    let choices: Vec<(usize, &str, &str)> = choices.iter().map(|(count, word)| (*count, &word[..], "")).collect();
    parts::segmented(ui, &mut view.board.columns, &choices);
}

/// The charts in their order, each with what can be done with it; what else was measured.
fn choose(ui: &mut Ui, view: &mut CompareView, present: &[String]) {
    let charts = view.board.charts(present);
    ui.horizontal(|ui| {
        parts::heading(ui, "Charts");
        parts::caption(ui, "In reading order; kept with the project");
        parts::at_right(ui, "charts chosen", |ui| {
            if ui.button("Done").clicked() {
                view.choosing = false;
            }
        });
    });
    for (place, metric) in charts.iter().enumerate() {
        ui.push_id(metric, |ui| {
            ui.horizontal(|ui| {
                let caption = metrics::caption(metric);
                let act = |ui: &mut Ui, enabled: bool, sign: &str, what: &str| {
                    let button = ui.add_enabled(enabled, egui::Button::new(sign).min_size(egui::vec2(26.0, 0.0)));
                    prompt::name(&button, egui::Role::Button, &format!("{what}: {caption}"));
                    button.on_hover_text(what).clicked()
                };
                if act(ui, place > 0, "↑", "Earlier") {
                    view.board.shift(metric, false, &charts);
                }
                if act(ui, place + 1 < charts.len(), "↓", "Later") {
                    view.board.shift(metric, true, &charts);
                }
                if act(ui, charts.len() > 1, "×", "Remove") {
                    view.board.remove(metric);
                }
                ui.label(&caption).on_hover_text(metric);
            });
        });
    }
    let others: Vec<&String> = present.iter().filter(|name| !charts.contains(name)).collect();
    if others.is_empty() {
        parts::caption(ui, "Everything that these runs have measured is charted");
    } else {
        let combo = ComboBox::from_id_salt("one more chart")
            .selected_text("Add a chart…")
            .width(260.0)
            .height(420.0)
            .show_ui(ui, |ui| {
                for name in others {
                    let about = StoredMetric::of(name).map_or("", |stored| stored.metric.about);
                    let entry = ui.selectable_label(false, metrics::caption(name)).on_hover_ui(|ui| {
                        ui.label(RichText::new(name).monospace());
                        ui.label(about);
                    });
                    if entry.clicked() {
                        view.board.add(name);
                    }
                }
            });
        prompt::name(&combo.response, egui::Role::ComboBox, "Add a chart");
    }
    let missing: Vec<String> =
        view.board.metrics.iter().filter(|name| !present.contains(name)).map(|name| metrics::caption(name)).collect();
    if !missing.is_empty() {
        let text = format!("Come back with a run that has measured them: {}", missing.join(" · "));
        ui.label(RichText::new(text).size(size::SMALL).color(parts::palette(ui).weak));
    }
}
