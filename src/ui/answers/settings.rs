//! How the answers are drawn, and the button that asks for them.

use std::ops::RangeInclusive;

use egui::{Align, DragValue, Layout, TextEdit, Ui};

use crate::{
    state::{
        Command, Commands,
        answers::{AnswersCommand, AnswersView},
        ask::Ask,
        sampling::Drawing,
    },
    ui::{parts, prompt},
};

pub fn ui(ui: &mut Ui, view: &mut AnswersView, commands: &Commands) {
    let AnswersView { ask, tokens, more, .. } = view;
    ui.horizontal_wrapped(|ui| {
        let set = &mut ask.drawing.set;
        let about = "0 always takes the most likely token";
        share(ui, "Temperature", &mut set.temperature, 0.0..=5.0, about);
        let label = ui.label("Longest");
        ui.add(DragValue::new(&mut set.max_new_tokens).range(1..=8192).suffix(" tokens"))
            .labelled_by(label.id)
            .on_hover_text("An answer of so many tokens is stopped");
        let label = ui.label("Seed");
        ui.add(DragValue::new(&mut set.seed))
            .labelled_by(label.id)
            .on_hover_text("The same for both answers, so that only the weights differ");
        let word = if *more { "More settings ⏷" } else { "More settings ⏵" };
        let toggle = parts::quiet(ui, true, word);
        prompt::name(&toggle, egui::Role::Button, "More settings");
        if toggle.clicked() {
            *more = !*more;
        }
        ui.add_enabled_ui(!ask.busy(), |ui| {
            ui.checkbox(&mut ask.two, "Two answers");
        });
        ui.checkbox(tokens, "Tokens").on_hover_text("The ids that the model was given and made, token by token");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            go(ui, ask, commands);
        });
    });
    if *more {
        rest(ui, &mut ask.drawing);
    }
}

/// What few people touch.
fn rest(ui: &mut Ui, drawing: &mut Drawing) {
    ui.horizontal_wrapped(|ui| {
        let set = &mut drawing.set;
        let about = "Draws from the likeliest tokens that have this share of the probability together; 1 = off";
        share(ui, "Top p", &mut set.top_p, 0.01..=1.0, about);
        let label = ui.label("Top k");
        ui.add(DragValue::new(&mut set.top_k).range(0..=1000))
            .labelled_by(label.id)
            .on_hover_text("Draws from so many of the likeliest tokens; 0 = off");
        let about = "Leaves out tokens less likely than this share of the likeliest one; 0 = off";
        share(ui, "Min p", &mut set.min_p, 0.0..=1.0, about);
        let about = "Above 1, tokens that stand in the prompt or the answer become less likely; 1 = off";
        share(ui, "Repetition penalty", &mut set.repetition_penalty, 0.1..=10.0, about);
        let label = ui.label("Stop texts");
        ui.add(
            TextEdit::multiline(&mut drawing.stops)
                .id_salt("stop texts")
                .hint_text("one a line")
                .desired_rows(1)
                .desired_width(130.0),
        )
        .labelled_by(label.id)
        .on_hover_text(r"An answer ends before any of these texts, one a line; \n is a line break");
        let Some(own) = drawing.own_in_words() else {
            return;
        };
        let changed = !drawing.is_own();
        let reset = ui
            .add_enabled(changed, egui::Button::new("Model's own"))
            .on_hover_text(format!("Back to what the model's makers would have: {own}"))
            .on_disabled_hover_text(format!("As the model's makers would have it: {own}"));
        if reset.clicked() {
            drawing.reset();
        }
    });
}

/// A number with two decimals and its name.
fn share(ui: &mut Ui, name: &str, value: &mut f64, range: RangeInclusive<f64>, about: &str) {
    let label = ui.label(name);
    ui.add(DragValue::new(value).range(range).speed(0.01).fixed_decimals(2)).labelled_by(label.id).on_hover_text(about);
}

/// Asks, or stops what is being written.
fn go(ui: &mut Ui, ask: &Ask, commands: &Commands) {
    if ask.busy() {
        if parts::primary(ui, "Stop").on_hover_text("Esc").clicked() {
            commands.push(Command::Answers(AnswersCommand::Stop));
        }
        return;
    }
    let obstacle = ask.obstacle();
    ui.add_enabled_ui(obstacle.is_none(), |ui| {
        let button = parts::primary(ui, "Ask").on_hover_text("Ctrl Enter");
        let button = match obstacle {
            Some(why) => button.on_disabled_hover_text(why),
            None => button,
        };
        if button.clicked() {
            commands.push(Command::Answers(AnswersCommand::Ask));
        }
    });
}
