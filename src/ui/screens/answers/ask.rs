//! Ask one or two sets of weights the same thing, watch them answer, say which is better.

use data::{Prompt, Role, Turn};
use egui::{Align, FontId, Label, Layout, RichText, Role as WidgetRole, ScrollArea, Slider, Ui};
use engine::protocol::AdapterStrength;
use state::{
    Command, Commands, Workspace,
    answers::{AnswersCommand, AnswersView},
    ask::{ALL_OF_IT, AnswerSource, Status},
    difference::Difference,
    labelling::Side,
    tokens::{Spot, TokensOf},
};

use super::{settings, source};
use crate::{
    marked::{self, TextMark},
    parts, prompt,
    theme::{size, space},
    tokens,
};

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
    let height = ui.available_height();
    ScrollArea::vertical().id_salt("question").max_height(height * 0.4).auto_shrink([false, true]).show(ui, |ui| {
        ui.push_id("ask prompt", |ui| {
            if std::mem::take(&mut view.ask_opens) {
                let last = match &view.ask.prompt {
                    Prompt::Text(_) => 0,
                    Prompt::Chat(chat) => chat.turns.len().saturating_sub(1),
                };
                prompt::ask_caret(ui, last);
            }
            prompt::edit(ui, &mut view.ask.prompt)
        });
    });
    settings::ui(ui, workspace, view, commands);
    ui.add_space(space::XS);
    let height = ui.available_height() - space::XS;
    let difference = compare(view);
    if view.ask.two {
        parts::two_columns(ui, height, |ui, place| {
            let (side, difference) = (Side::BOTH[place], difference.as_deref());
            column(ui, side, workspace, view, difference, height, commands);
        });
    } else {
        column(ui, Side::Left, workspace, view, None, height, commands);
    }
}

fn compare(view: &mut AnswersView) -> Option<std::sync::Arc<Difference>> {
    let [left, right] = &view.ask.columns;
    let done = |status: &Status| matches!(status, Status::Done(_));
    (view.ask.two && done(&left.status) && done(&right.status))
        .then(|| view.differences.between(&left.text, &right.text))
}

fn column(
    ui: &mut Ui,
    side: Side,
    workspace: &Workspace,
    view: &mut AnswersView,
    difference: Option<&Difference>,
    height: f32,
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    ui.push_id(("column", side), |ui| {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            let inner = height - 2.0 * space::L;
            ui.set_min_height(inner);
            source(ui, side, workspace, view);
            let column = view.ask.column(side);
            ui.add_space(space::XS);
            let footer = 34.0;
            ScrollArea::vertical()
                .id_salt("answer")
                .max_height((ui.available_height() - footer).max(60.0))
                .auto_shrink([false, true])
                .stick_to_bottom(column.busy() || view.ask.talk)
                .show(ui, |ui| {
                    if view.ask.talk {
                        said(ui, column.turns());
                    }
                    match &column.status {
                        Status::Empty => {
                            parts::caption(ui, "No answer yet");
                        }
                        Status::Waiting => {
                            parts::caption(ui, "Waiting for the first token…");
                        }
                        Status::Failed(error) => {
                            ui.add(Label::new(RichText::new(error).color(palette.error)).wrap());
                        }
                        Status::Streaming | Status::Done(_) => {
                            let spans = difference.map_or(&[][..], |difference| match side {
                                Side::Left => &difference.left,
                                Side::Right => &difference.right,
                            });
                            let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
                            let font = FontId::proportional(size::HEADING);
                            let width = ui.available_width();
                            let job = marked::job(&column.text, spans, &font, palette.text, mark, width);
                            marked::label(ui, job);
                            inspector(ui, side, workspace, view, commands);
                        }
                    }
                });
            ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
                footer_row(ui, side, workspace.now_ms, view, commands);
            });
        });
    });
}

/// What was said on a side up to its answer.
fn said(ui: &mut Ui, turns: &[Turn]) {
    let palette = parts::palette(ui);
    for turn in turns {
        let who = match turn.role {
            Role::User => "You",
            Role::Assistant => "The model",
            Role::System | Role::Tool | Role::Other(_) => "Beforehand",
        };
        parts::caption(ui, who);
        let color = if turn.role == Role::User { palette.strong } else { palette.text };
        ui.add(Label::new(RichText::new(&turn.content).color(color)).wrap());
        ui.add_space(space::XS);
    }
    if !turns.is_empty() {
        parts::caption(ui, "The model");
    }
}

/// The ids that this answer was given and made, when they are asked for.
fn inspector(ui: &mut Ui, side: Side, workspace: &Workspace, view: &AnswersView, commands: &Commands) {
    let Status::Done(generated) = &view.ask.column(side).status else {
        return;
    };
    if !view.tokens {
        return;
    }
    let subject = TokensOf::Generated { prompt: generated.prompt_ids.clone(), ids: generated.ids.clone() };
    let names = ["Answer".to_owned()];
    tokens::ui(ui, workspace, Spot::Answer(side), subject, &names, commands);
}

/// How it went, and the button that makes a pair.
fn footer_row(ui: &mut Ui, side: Side, now_ms: i64, view: &AnswersView, commands: &Commands) {
    let column = view.ask.column(side);
    ui.horizontal(|ui| {
        if let Some(outcome) = column.outcome() {
            parts::caption(ui, outcome);
        } else if let Some(progress) = column.progress(now_ms) {
            parts::caption(ui, progress);
        }
        if !view.ask.two || !matches!(column.status, Status::Done(_)) {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(pair) = view.preferred {
                parts::caption(ui, format!("Saved as pair {}", pair.0));
                return;
            }
            let obstacle = view.ask.cannot_prefer();
            ui.add_enabled_ui(obstacle.is_none(), |ui| {
                let button = ui
                    .button("Prefer this one")
                    .on_hover_text("Makes a pair: this answer is chosen, the other rejected")
                    .on_disabled_hover_text(obstacle.unwrap_or_default());
                let name = match side {
                    Side::Left => "Prefer the left answer",
                    Side::Right => "Prefer the right answer",
                };
                prompt::name(&button, WidgetRole::Button, name);
                if button.clicked() {
                    commands.push(Command::Answers(AnswersCommand::Prefer(side)));
                }
            });
        });
    });
}

/// How much of what was trained answers.
fn strength(ui: &mut Ui, side: Side, percent: &mut u16) {
    ui.horizontal(|ui| {
        parts::caption(ui, "Strength");
        ui.spacing_mut().slider_width = 120.0;
        ui.visuals_mut().widgets.inactive.bg_fill = parts::palette(ui).hairline;
        let slider = Slider::new(percent, 0..=AdapterStrength::MOST).suffix(" %");
        let name = if side == Side::Left { "Strength, left" } else { "Strength, right" };
        ui.add(slider).accessible_name(name).on_hover_text(
            "100 % is what was trained, 0 % what it started from, above 100 % further the same way; an export at this strength is in Models. Another one than 100 % answers from the saved checkpoint",
        );
        if *percent != ALL_OF_IT && parts::quiet(ui, true, "100 %").clicked() {
            *percent = ALL_OF_IT;
        }
    });
}

/// Which weights this side asks.
fn source(ui: &mut Ui, side: Side, workspace: &Workspace, view: &mut AnswersView) {
    let busy = view.ask.busy();
    let guest = view.ask.guest.clone();
    let is_run = |side: &Side| matches!(view.ask.column(*side).source, AnswerSource::Run { .. });
    let beside_a_run = view.ask.sides().iter().any(is_run);
    let column = view.ask.column_mut(side);
    let name = match side {
        Side::Left => "Left source",
        Side::Right => "Right source",
    };
    ui.add_enabled_ui(!busy, |ui| {
        let width = (ui.available_width() - space::M).min(280.0);
        source::choose(ui, name, &mut column.source, guest.as_ref(), workspace, width);
        if matches!(column.source, AnswerSource::Run { .. }) {
            strength(ui, side, &mut column.strength);
        } else if beside_a_run {
            // Both answers begin at one height.
            ui.horizontal(|ui| ui.label(""));
        }
    });
}
