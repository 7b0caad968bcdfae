//! How the answers are drawn, and the button that asks for them.

use std::ops::RangeInclusive;

use egui::{Align, Checkbox, DragValue, Layout, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    answers::{AnswersCommand, AnswersView},
    ask::Ask,
    sampling::Drawing,
};

use crate::{parts, prompt};

/// Room for the button at the right.
const BUTTON: f32 = 104.0;
/// And for the one that begins a talk anew.
const ANEW: f32 = 96.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
    ui.horizontal_top(|ui| {
        let anew = if view.ask.is_talking() { ANEW } else { 0.0 };
        let room = ui.available_width() - BUTTON - anew - ui.spacing().item_spacing.x;
        // The settings take as many rows as they need; the button keeps its place.
        ui.allocate_ui_with_layout(egui::vec2(room, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(room);
            ui.horizontal_wrapped(|ui| usual(ui, view));
        });
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| go(ui, &view.ask, commands));
    });
    if view.more {
        rest(ui, &mut view.ask.drawing);
    }
    same_weights(ui, workspace, &mut view.ask, commands);
}

fn usual(ui: &mut Ui, view: &mut AnswersView) {
    let AnswersView { ask, tokens, more, .. } = view;
    let set = &mut ask.drawing.set;
    let about = "0 always takes the most likely token";
    share(ui, "Temperature", &mut set.sampling.temperature, 0.0..=5.0, about);
    let label = ui.label("Longest");
    ui.add(DragValue::new(&mut set.max_new_tokens).range(1..=8192).suffix(" tokens"))
        .labelled_by(label.id)
        .on_hover_text("An answer of so many tokens is stopped");
    let label = ui.label("Seed");
    ui.add(DragValue::new(&mut set.seed))
        .labelled_by(label.id)
        .on_hover_text("The same for both answers, so that only the weights differ; the same weights get the next one");
    let word = if *more { "More settings ⏷" } else { "More settings ⏵" };
    let toggle = parts::quiet(ui, true, word);
    prompt::name(&toggle, egui::Role::Button, "More settings");
    if toggle.clicked() {
        *more = !*more;
    }
    // One by one, so that a narrow row breaks between them.
    let is_free = !ask.busy();
    ui.add_enabled(is_free, Checkbox::new(&mut ask.two, "Two answers"));
    ui.add_enabled(is_free, Checkbox::new(&mut ask.talk, "Talk")).on_hover_text(
        "Goes on with what was said, each side with its own answers; a side may change its weights on the way",
    );
    ui.checkbox(tokens, "Tokens").on_hover_text("The ids that the model was given and made, token by token");
}

/// Two answers of the same weights: how they come to differ, or why they cannot.
fn same_weights(ui: &mut Ui, workspace: &Workspace, ask: &mut Ask, commands: &Commands) {
    let Some(project) = &workspace.project else {
        return;
    };
    let runs = &workspace.runs;
    let newest = |run| if runs.is_going(run) { None } else { runs.checkpoints(run).last().copied() };
    if !ask.same_weights(&project.model, newest) {
        return;
    }
    if !ask.drawing.is_greedy() {
        let seed = ask.drawing.set.seed;
        let line = format!(
            "The same weights on both sides: the left draws with seed {seed}, the right with seed {}, so that they can differ",
            seed.wrapping_add(1)
        );
        ui.horizontal_wrapped(|ui| {
            parts::caption(ui, line);
            if ask.wrote_the_same() && ui.small_button("Ask again with other seeds").clicked() {
                ask.drawing.set.seed = seed.wrapping_add(2);
                commands.push(Command::Answers(AnswersCommand::Ask));
            }
        });
        return;
    }
    ui.horizontal_wrapped(|ui| {
        parts::caption(
            ui,
            "The same weights on both sides always take the same most likely tokens: both answers will be the same",
        );
        if ui.small_button(format!("Draw at temperature {}", Drawing::VARIED)).clicked() {
            ask.drawing.set.sampling.temperature = Drawing::VARIED;
            let top_k = &mut ask.drawing.set.sampling.top_k;
            *top_k = if *top_k == 1 { 0 } else { *top_k };
        }
    });
}

/// What few people touch.
fn rest(ui: &mut Ui, drawing: &mut Drawing) {
    ui.horizontal_wrapped(|ui| {
        let set = &mut drawing.set.sampling;
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
        let word = if ask.talk { "Say" } else { "Ask" };
        let button = parts::primary(ui, word).on_hover_text("Ctrl Enter");
        let button = match obstacle {
            Some(why) => button.on_disabled_hover_text(why),
            None => button,
        };
        if button.clicked() {
            commands.push(Command::Answers(AnswersCommand::Ask));
        }
    });
    if ask.is_talking() && ui.button("New talk").on_hover_text("Forgets what was said").clicked() {
        commands.push(Command::Answers(AnswersCommand::BeginAnew));
    }
}
