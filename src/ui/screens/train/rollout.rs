//! The answers that a run learns from: what it said in a step, what that counted, and whether it came to an end.

use data::counted;
use egui::{Label, RichText, Role as WidgetRole, ScrollArea, Ui};
use state::{
    Command, Commands, Workspace,
    rollouts::{RolloutMove, RolloutView, SampledStep, Wanted},
    train::RunCommand,
};
use store::{RunId, SampledAnswer, SampledGroup};

use crate::{
    parts, prompt,
    theme::{size, space},
};

const HEIGHT: f32 = 320.0;
/// Room for the score of an answer, before its text.
const SCORE: f32 = 56.0;

/// `last`: the newest step of the run.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut RolloutView, (run, last): (RunId, u64), commands: &Commands) {
    let wanted = Wanted { run, step: view.step(run), last };
    if workspace.rollouts.asked != Some(wanted) {
        commands.push(Command::Runs(RunCommand::ReadRollout(wanted)));
    }
    let known = workspace.rollouts.of(run);
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        head(ui, view, run, known);
        let Some(known) = known.filter(|_| view.is_open) else { return };
        ui.add_space(space::XS);
        ScrollArea::vertical()
            .id_salt(("rollout", run.0))
            .scroll_bar_visibility(parts::bars(ui))
            .max_height(HEIGHT)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                for group in known.groups.iter() {
                    self::group(ui, group, commands);
                }
            });
    });
}

fn head(ui: &mut Ui, view: &mut RolloutView, run: RunId, known: Option<&SampledStep>) {
    ui.horizontal(|ui| {
        let title = match known {
            Some(known) => format!("Answers of step {}", known.step),
            None => "Answers that it learns from".to_owned(),
        };
        parts::heading(ui, &title);
        parts::at_right(ui, "rollout actions", |ui| {
            if let Some(known) = known.filter(|_| view.is_open) {
                let is_first = known.steps.first() == Some(&known.step);
                let is_fixed = view.step(run).is_some();
                for (word, name, about, to, enabled) in [
                    (
                        "◀",
                        "Earlier answers",
                        "The step before whose answers are kept ([)",
                        RolloutMove::Earlier,
                        !is_first,
                    ),
                    ("▶", "Later answers", "The next step whose answers are kept (])", RolloutMove::Later, is_fixed),
                    ("Newest", "Newest answers", "Follow the run again", RolloutMove::Newest, is_fixed),
                ] {
                    let button = ui.add_enabled(enabled, egui::Button::new(word)).on_hover_text(about);
                    prompt::name(&button, WidgetRole::Button, name);
                    if button.clicked() {
                        view.go(to, run, Some(known));
                    }
                }
            }
            let word = if view.is_open { "Hide" } else { "Read" };
            let about = "What the run said to the prompts of the step, and what that counted (A)";
            if ui.button(word).on_hover_text(about).clicked() {
                view.go(RolloutMove::Toggle, run, known);
            }
        });
    });
    let text = known.map_or_else(|| "None are kept of this run yet".to_owned(), |known| summary(&known.groups));
    parts::caption(ui, text);
}

/// "16 prompts, 32 answers · mean score 0.41 (−1.2 to 1.9) · 3 were cut".
fn summary(groups: &[SampledGroup]) -> String {
    let answers = || groups.iter().flat_map(|group| &group.answers);
    let count = answers().count();
    let mean = answers().map(|answer| answer.score).sum::<f64>() / count.max(1) as f64;
    let least = answers().map(|answer| answer.score).fold(f64::INFINITY, f64::min);
    let most = answers().map(|answer| answer.score).fold(f64::NEG_INFINITY, f64::max);
    let cut = match answers().filter(|answer| !answer.ended).count() {
        0 => "none was cut".to_owned(),
        1 => "1 was cut".to_owned(),
        many => format!("{many} were cut"),
    };
    format!(
        "{}, {} · mean score {} ({} to {}) · {cut}",
        counted(groups.len(), "prompt", "prompts"),
        counted(count, "answer", "answers"),
        data::number(mean),
        data::number(least),
        data::number(most)
    )
}

fn group(ui: &mut Ui, group: &SampledGroup, commands: &Commands) {
    let palette = parts::palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(group.prompt.trim()).strong());
        if let Some(pair) = group.pair
            && parts::quiet(ui, true, &format!("Pair {}", pair.0)).on_hover_text("Show it in Pairs").clicked()
        {
            commands.push(Command::ShowPair(pair));
        }
    });
    let best = group.answers.iter().map(|answer| answer.score).fold(f64::NEG_INFINITY, f64::max);
    let is_mixed = group.answers.iter().any(|answer| answer.score < best);
    for answer in &group.answers {
        ui.horizontal_top(|ui| {
            let color = if is_mixed && answer.score == best { palette.good } else { palette.weak };
            let score = RichText::new(data::number(answer.score)).monospace().color(color);
            ui.allocate_ui(egui::vec2(SCORE, size::BODY), |ui| {
                ui.set_min_width(SCORE);
                ui.label(score).on_hover_text(about(answer));
            });
            ui.vertical(|ui| {
                ui.add(Label::new(answer.text.trim()).wrap());
                if !answer.ended {
                    let text = format!("cut at {}", counted(answer.tokens, "token", "tokens"));
                    ui.label(RichText::new(text).size(size::SMALL).color(palette.warning));
                }
            });
        });
    }
    ui.add_space(space::S);
}

/// What an answer counted, in a sentence.
fn about(answer: &SampledAnswer) -> String {
    format!(
        "Score {}, in standard deviations of the reward model; {}, {} nats likelier than under the start model",
        data::number(answer.score),
        counted(answer.tokens, "token", "tokens"),
        data::number(answer.kl)
    )
}
