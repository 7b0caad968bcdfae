//! Settings that may move while the run goes; each change is a mark on the charts.

use egui::{TextEdit, Ui};

use crate::{
    engine::{config::RunConfig, protocol::Knob},
    state::{
        Command, Commands,
        runs::Live,
        train::{Knobs, RunCommand},
    },
    store::RunRecord,
    ui::{parts, theme::space},
};

pub fn ui(ui: &mut Ui, knobs: &mut Knobs, live: &Live, record: &RunRecord, commands: &Commands) {
    if knobs.run != Some(live.run) {
        fill(knobs, live, record);
    }
    parts::heading(ui, "Knobs");
    parts::caption(ui, "They count from the next step on; each change is marked on the charts");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        let Knobs { run: _, learning_rate_scale, reference_weight, retention_weight, beta } = knobs;
        let mut turn = |name, text, least, knob: fn(f64) -> Knob| {
            if let Some(value) = entry(ui, name, text, least) {
                commands.push(Command::Runs(RunCommand::Turn(knob(value))));
            }
        };
        turn("Learning rate ×", learning_rate_scale, 0.0, Knob::LearningRateScale);
        turn("λ ref", reference_weight, 0.0, Knob::ReferenceWeight);
        turn("λ pre", retention_weight, 0.0, Knob::RetentionWeight);
        turn("β", beta, f64::MIN_POSITIVE, Knob::Beta);
    });
}

/// Starts from what the run was started with.
fn fill(knobs: &mut Knobs, live: &Live, record: &RunRecord) {
    let config = RunConfig::from_toml(&record.config_toml).unwrap_or_default();
    *knobs = Knobs {
        run: Some(live.run),
        learning_rate_scale: "1".to_owned(),
        reference_weight: config.objective.reference_weight().to_string(),
        retention_weight: config.objective.retention_weight().to_string(),
        beta: config.objective.beta.to_string(),
    };
}

/// A number with a button; the value when it was applied.
fn entry(ui: &mut Ui, name: &str, text: &mut String, least: f64) -> Option<f64> {
    let palette = parts::palette(ui);
    let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= least);
    ui.horizontal(|ui| {
        let label = parts::caption(ui, name);
        if value.is_none() {
            ui.visuals_mut().widgets.inactive.bg_stroke.color = palette.error;
        }
        let edit = ui.add(TextEdit::singleline(text).id_salt(("knob", name)).desired_width(64.0)).labelled_by(label.id);
        let enter = edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let set =
            ui.add_enabled(value.is_some(), egui::Button::new("Set").small()).on_hover_text(format!("Apply {name}"));
        value.filter(|_| set.clicked() || enter)
    })
    .inner
}
