//! Settings that may move while the run goes; each change is a mark on the charts.

use data::config::{Knob, RunConfig};
use egui::{Align, Layout, RichText, TextEdit, Ui};
use state::{
    Command, Commands,
    runs::LiveRun,
    train::{KnobTexts, RunCommand},
};

use crate::{
    parts,
    theme::{size, space},
};

/// Of a knob with its name and its button.
const WIDTH: f32 = 216.0;

pub fn ui(ui: &mut Ui, knobs: &mut KnobTexts, live: &LiveRun, config: &RunConfig, commands: &Commands) {
    if knobs.run != Some(live.run) {
        *knobs = KnobTexts::of(live.run, config);
    }
    parts::heading(ui, "Change a setting");
    parts::caption(ui, "They count from the next step on; each change is marked on the charts");
    let list = Knob::ALL.iter().zip(&mut knobs.texts);
    let mut list: Vec<_> = list.filter(|(knob, _)| knob(0.0).setting().counts.holds(config)).collect();
    let gap = space::M;
    let columns = (((ui.available_width() + gap) / (WIDTH + gap)) as usize).clamp(1, list.len().max(1));
    for row in list.chunks_mut(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for (knob, text) in row {
                ui.allocate_ui_with_layout(egui::vec2(WIDTH, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(WIDTH);
                    if let Some(turned) = entry(ui, **knob, text) {
                        commands.push(Command::Runs(RunCommand::Turn(turned)));
                    }
                });
            }
        });
    }
}

/// A number with a button, and under it the sentence when it cannot be set; the knob as it was turned.
fn entry(ui: &mut Ui, knob: fn(f64) -> Knob, text: &mut String) -> Option<Knob> {
    let palette = parts::palette(ui);
    let name = knob(0.0).label();
    let value = KnobTexts::value(knob, text);
    ui.spacing_mut().item_spacing = egui::vec2(space::S, space::XS);
    let applied = ui.horizontal(|ui| {
        let label = parts::caption(ui, &name);
        if value.is_err() {
            ui.visuals_mut().widgets.inactive.bg_stroke.color = palette.error;
        }
        let edit =
            ui.add(TextEdit::singleline(text).id_salt(("knob", &name)).desired_width(56.0)).labelled_by(label.id);
        let enter = edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let set = ui
            .add_enabled(value.is_ok(), egui::Button::new("Set").small())
            .on_hover_text(format!("Apply {name}"))
            .on_disabled_hover_text(value.as_ref().err().map_or("", String::as_str));
        set.clicked() || enter
    });
    match value {
        Ok(turned) => applied.inner.then_some(turned),
        Err(sentence) => {
            ui.add(egui::Label::new(RichText::new(sentence).size(size::SMALL).color(palette.error)).wrap());
            None
        }
    }
}
