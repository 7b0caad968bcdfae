//! The strip that has a model write answers to be labelled, and the one that tells how that goes.

use std::sync::Arc;

use data::counted;
use egui::{Align, Button, DragValue, Key, Layout, Modifiers, RichText, Role, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    actions::spelled,
    candidates::CandidatesCommand,
    drafts::one_line,
    pairs::{PairsCommand, PairsView, Strip},
    references::EVERYDAY,
};
use store::{PairQuery, Sort};

use super::editor;
use crate::{parts, prompt, screens::answers::source, theme::space};

/// Characters of a prompt that are seen behind the reason why it has no pair.
const PROMPT: usize = 60;

/// The longest name of weights that is seen whole.
const SOURCE: f32 = 250.0;

/// Asks, wherever the caret is in the form.
const ASK: &str = "Ctrl+Enter";

/// Lines of prompts that are seen at once.
const LINES: usize = 4;

/// The form, when it was asked for.
pub fn strip(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    if view.strip == Strip::Sample {
        let fill = parts::palette(ui).accent_soft;
        parts::strip(ui, fill, |ui| {
            ui.set_width(ui.available_width());
            form(ui, workspace, view, commands);
        });
    }
}

fn form(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    // Before the field takes it for a new line.
    let asks = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
    let mut label = None;
    ui.horizontal_wrapped(|ui| {
        label = Some(ui.label("Prompts, one a line").on_hover_text("{Ada|Ben} in a prompt stands for each of them").id);
        ui.checkbox(&mut view.candidates.of_pairs, "Those of the pairs")
            .on_hover_text("The prompts of the pairs that are there already, each once");
        let about = "Text, one a line, or JSON lines with a prompt or messages each";
        if ui.button("From a file…").on_hover_text(about).clicked() {
            commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Take(None))));
        }
        if ui.button("Everyday prompts").on_hover_text("40 that anybody may ask").clicked() {
            view.candidates.of_pairs = false;
            *view.candidates.typed_mut() = EVERYDAY.join("\n");
        }
        beside(ui, workspace, view, commands);
    });
    let (for_references, enabled) = (view.candidates.references, !view.candidates.of_pairs);
    let edit = TextEdit::multiline(view.candidates.typed_mut())
        .id_salt(("prompts to answer", for_references))
        .hint_text("Why is the sky blue?\nWrite a {short|formal} note of thanks")
        .desired_rows(LINES)
        .desired_width(f32::INFINITY);
    ui.add_enabled_ui(enabled, |ui| {
        let area = ScrollArea::vertical().id_salt("prompts scroll").min_scrolled_height(76.0).max_height(76.0);
        area.show(ui, |ui| {
            let mut field = ui.add(edit);
            if let Some(label) = label {
                field = field.labelled_by(label);
            }
            // Not in the frame of the click: a field gives the caret up when something else is clicked.
            if view.strip_opens && !ui.input(|input| input.pointer.any_click()) {
                view.strip_opens = false;
                field.request_focus();
            }
        });
    });
    let form = &mut view.candidates;
    ui.horizontal_wrapped(|ui| {
        let for_pairs = !form.references;
        parts::together(ui, "whose answers", |ui| {
            ui.set_max_width(SOURCE);
            ui.add_enabled_ui(for_pairs, |ui| {
                source::choose(ui, "Whose answers", &mut form.source, None, workspace, 170.0);
            });
        });
        let answers = DragValue::new(&mut form.answers).range(2..=8);
        setting_if(ui, for_pairs, "Answers", answers, "To each prompt");
        let temperature = DragValue::new(&mut form.temperature).range(0.1..=3.0).speed(0.01);
        setting(ui, "Temperature", temperature, "Higher gives answers that differ more");
        let longest = DragValue::new(&mut form.longest_tokens).range(1..=8192).suffix(" tokens");
        setting(ui, "Longest", longest, "An answer of so many tokens is stopped");
        setting(ui, "Seed", DragValue::new(&mut form.seed), "The same seed gives the same answers");
    });
    ui.horizontal_wrapped(|ui| {
        ui.checkbox(&mut form.references, "As reference answers").on_hover_text(
            "One answer of the start model to each prompt, for the KL term: what it shall go on saying where no pair asks \
             for something else",
        );
        let may = form.may_pilaf();
        ui.add_enabled(may, egui::Checkbox::new(&mut form.pilaf, "Optimistic and pessimistic"))
            .on_hover_text(
                "Half of the pairs get one answer that goes further than the run has gone and one that goes less far \
                 (PILAF): where your label tells most",
            )
            .on_disabled_hover_text("Compares a run with its start; choose a run");
        if may && form.pilaf {
            let share = DragValue::new(&mut form.share).range(0.0..=1.0).speed(0.01);
            setting(ui, "Share", share, "Of the prompts, which get such a pair");
            let strength = DragValue::new(&mut form.strength).range(0.01..=1.0).speed(0.01);
            setting(ui, "Strength", strength, "How far apart the two answers are");
        }
        let top_p = DragValue::new(&mut form.top_p).range(0.01..=1.0).speed(0.01);
        setting(ui, "Top p", top_p, "Draws from the likeliest tokens that have this share of the probability together");
    });
    go(ui, workspace, view, asks, commands);
}

/// What is asked besides what is typed.
fn beside(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let form = &mut view.candidates;
    let count = form.beside(&workspace.pairs.waiting).len();
    if count == 0 {
        return;
    }
    let (taken, about) = if form.references {
        (counted(count, "prompt of a file", "prompts of a file"), "For reference answers; a click drops them")
    } else {
        let about = "Taken in without answers, and kept in the project until a pair is about them; a click drops them";
        (counted(count, "prompt that waits", "prompts that wait"), about)
    };
    if !ui.button(format!("and {taken} ×")).on_hover_text(about).clicked() {
        return;
    }
    if form.references {
        form.given = Arc::default();
    } else {
        commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::DropWaiting)));
    }
}

/// The button that asks, and what becomes of the answers.
fn go(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, asks: bool, commands: &Commands) {
    let chat = workspace.project.as_ref().is_none_or(|project| project.has_template);
    let typed = view.candidates.prompts_to_answer(&mut view.to_answer, &workspace.pairs.waiting, chat).len();
    let obstacle = view.candidates.obstacle(&workspace.runs, &workspace.pairs, typed);
    ui.horizontal_wrapped(|ui| {
        let prompts = if view.candidates.of_pairs { 0 } else { typed };
        let word = match prompts {
            0 => "Write answers".to_owned(),
            1 => "Answer 1 prompt".to_owned(),
            more => format!("Answer {more} prompts"),
        };
        let button = Button::new(&word).right_text(parts::key(ui, &spelled(ASK)));
        let mut go = ui.add_enabled(obstacle.is_none(), button);
        prompt::name(&go, Role::Button, &word);
        if let Some(obstacle) = &obstacle {
            go = go.on_disabled_hover_text(obstacle);
        }
        if go.clicked() || (asks && obstacle.is_none()) {
            commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Ask)));
        }
        if ui.button("Close").clicked() {
            view.strip = Strip::None;
        }
        let what = if view.candidates.references {
            "Best for prompts that no pair is about; one that has a reference answer already gets this one instead"
        } else {
            "The answers come as unlabelled pairs, to be labelled blind"
        };
        parts::caption(ui, what);
    });
}

/// A number and its label, which stay together where the row is broken.
fn setting(ui: &mut Ui, name: &str, value: DragValue<'_>, about: &str) {
    setting_if(ui, true, name, value, about);
}

fn setting_if(ui: &mut Ui, enabled: bool, name: &str, value: DragValue<'_>, about: &str) {
    parts::together(ui, name, |ui| {
        ui.add_enabled_ui(enabled, |ui| {
            let label = ui.label(name);
            ui.add(value).labelled_by(label.id).on_hover_text(about);
        });
    });
}

/// In a labelling session: that a model writes, or why nothing came of it.
pub fn in_a_session(ui: &mut Ui, workspace: &Workspace) {
    let Some(drawing) = &workspace.pairs.candidates else { return };
    if drawing.is_busy() {
        parts::caption(ui, "A model writes; what it has written is asked at the end");
    } else if let Some(trouble) = drawing.trouble() {
        let palette = parts::palette(ui);
        parts::strip(ui, palette.warning_soft, |ui| {
            ui.set_width(ui.available_width());
            ui.add(egui::Label::new(RichText::new(trouble).color(palette.strong)).wrap());
        });
    }
}

/// How it goes, what came of it, and prompts without a pair.
pub fn under_way(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let Some(drawing) = &workspace.pairs.candidates else {
        return;
    };
    let palette = parts::palette(ui);
    let is_fine = drawing.refused.is_empty() && !matches!(drawing.end, Some(Err(_)));
    let is_settled = !drawing.is_busy() && workspace.saving.under_way == 0;
    // What it invites to was done.
    if is_fine && is_settled && !drawing.references && drawing.came > 0 && workspace.pairs.counts.unlabelled == 0 {
        commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Close)));
        return;
    }
    parts::strip(ui, if is_fine { palette.accent_soft } else { palette.warning_soft }, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(drawing.summary()).color(palette.strong));
            if drawing.is_busy() {
                ui.scope(|ui| {
                    ui.set_width(160.0);
                    parts::progress(ui, drawing.share(), "Answers written");
                });
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if drawing.is_busy() {
                    let stopping = drawing.control.stopping();
                    if ui.add_enabled(!stopping, Button::new("Stop writing")).clicked() {
                        drawing.control.stop();
                    }
                } else {
                    if ui.button("Close").clicked() {
                        commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Close)));
                    }
                    let about = "One pair at a time, the newest first";
                    let any = drawing.came > 0 && !drawing.references;
                    if any && ui.button("Label them").on_hover_text(about).clicked() {
                        label_newest(view, commands);
                    }
                }
            });
        });
        if !drawing.refused.is_empty() {
            ScrollArea::vertical().id_salt("prompts without a pair").max_height(80.0).auto_shrink([false, true]).show(
                ui,
                |ui| {
                    for (prompt, reason) in &drawing.refused {
                        let line = format!("{reason}: “{}”", one_line(prompt, PROMPT));
                        ui.add(egui::Label::new(line).wrap().selectable(true)).on_hover_text(prompt);
                    }
                },
            );
        }
    });
    ui.add_space(space::XS);
}

/// The newest pairs first: those that were just written.
fn label_newest(view: &mut PairsView, commands: &Commands) {
    if let Some(draft) = view.draft.take() {
        editor::close(draft, commands);
    }
    let sort = Sort { descending: true, ..Sort::default() };
    let query = PairQuery { sort, ..PairQuery::default() };
    commands.push(Command::Pairs(PairsCommand::Label { query, only: None, relabel: false, from: None }));
}
