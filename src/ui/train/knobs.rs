//! Settings that may move while the run goes; each change is a mark on the charts.

use egui::{Align, Layout, RichText, TextEdit, Ui};

use crate::{
    data::config::{Knob, RunConfig},
    state::{
        Command, Commands,
        runs::Live,
        train::{Knobs, RunCommand},
    },
    ui::{
        parts,
        theme::{size, space},
    },
};

/// Of a knob with its name and its button.
const WIDTH: f32 = 216.0;

/// Name, text, whether it must be above zero, and what it turns.
type Turned<'a> = (&'static str, &'a mut String, bool, fn(f64) -> Knob);

pub fn ui(ui: &mut Ui, knobs: &mut Knobs, live: &Live, config: &RunConfig, commands: &Commands) {
    if knobs.run != Some(live.run) {
        fill(knobs, live, config);
    }
    parts::heading(ui, "Knobs");
    parts::caption(ui, "They count from the next step on; each change is marked on the charts");
    let Knobs { run: _, learning_rate_scale, reference_weight, retention_weight, beta } = knobs;
    let mut list: [Turned<'_>; 4] = [
        ("Learning rate ×", learning_rate_scale, false, Knob::LearningRateScale),
        ("λ ref", reference_weight, false, Knob::ReferenceWeight),
        ("λ pre", retention_weight, false, Knob::RetentionWeight),
        ("β", beta, true, Knob::Beta),
    ];
    let gap = space::M;
    let columns = (((ui.available_width() + gap) / (WIDTH + gap)) as usize).clamp(1, list.len());
    for row in list.chunks_mut(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for (name, text, above_zero, knob) in row {
                ui.allocate_ui_with_layout(egui::vec2(WIDTH, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(WIDTH);
                    if let Some(value) = entry(ui, name, text, *above_zero) {
                        commands.push(Command::Runs(RunCommand::Turn(knob(value))));
                    }
                });
            }
        });
    }
}

/// Starts from what the run was started with.
fn fill(knobs: &mut Knobs, live: &Live, config: &RunConfig) {
    *knobs = Knobs {
        run: Some(live.run),
        learning_rate_scale: "1".to_owned(),
        reference_weight: config.objective.reference_weight().to_string(),
        retention_weight: config.objective.retention_weight().to_string(),
        beta: config.objective.beta.to_string(),
    };
}

/// A number with a button, and under it the sentence when it cannot be set; the value when it was applied.
fn entry(ui: &mut Ui, name: &str, text: &mut String, above_zero: bool) -> Option<f64> {
    let palette = parts::palette(ui);
    let value = Knobs::value(name, text, above_zero);
    ui.spacing_mut().item_spacing = egui::vec2(space::S, space::XS);
    let applied = ui.horizontal(|ui| {
        let label = parts::caption(ui, name);
        if value.is_err() {
            ui.visuals_mut().widgets.inactive.bg_stroke.color = palette.error;
        }
        let edit = ui.add(TextEdit::singleline(text).id_salt(("knob", name)).desired_width(56.0)).labelled_by(label.id);
        let enter = edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let set = ui
            .add_enabled(value.is_ok(), egui::Button::new("Set").small())
            .on_hover_text(format!("Apply {name}"))
            .on_disabled_hover_text(value.as_ref().err().map_or("", String::as_str));
        set.clicked() || enter
    });
    match value {
        Ok(value) => applied.inner.then_some(value),
        Err(sentence) => {
            ui.add(egui::Label::new(RichText::new(sentence).size(size::SMALL).color(palette.error)).wrap());
            None
        }
    }
}
