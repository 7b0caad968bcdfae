//! Fixed prompts down, runs and their steps across. What changed against the first step is marked, what did not is
//! faded.

use data::{Prompt, Role, Turn, counted};
use egui::{
    Align, ComboBox, FontId, Label, Layout, PopupCloseBehavior, RichText, Role as WidgetRole, ScrollArea, Slider,
    TextEdit, Ui,
    containers::menu::{MenuButton, MenuConfig},
};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    answers::{AnswersCommand, AnswersView, Grid, Said},
    difference::{Differences, Span},
    drafts::{self, LONGEST_EDITABLE},
    runs::Loaded,
};
use store::{Probe, RunId};

use crate::{
    marked::{self, TextMark},
    parts, prompt,
    theme::{size, space},
};

/// Width of the prompts, and the least width of an answer.
const PROMPT: f32 = 180.0;
const ANSWER: f32 = 230.0;
/// Room for the number of a seed.
const SEED: f32 = 14.0;
const DRAWN: &str = "Drawn by a seed that is the same at every step: where it changes, the weights have";

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
    if view.editing.is_some() {
        edit_probes(ui, view, commands);
        return;
    }
    let runs = view.runs(&workspace.runs);
    for run in &runs {
        if workspace.answers.grid(*run).is_none_or(|grid| grid.loaded == Loaded::Absent) {
            commands.push(Command::Answers(AnswersCommand::ReadSamples(*run)));
        }
    }
    controls(ui, workspace, &runs, view);
    ui.add_space(space::S);
    let any = runs.iter().filter_map(|run| workspace.answers.grid(*run)).any(|grid| !grid.is_empty());
    if any {
        table(ui, workspace, &runs, view);
    } else {
        nothing_yet(ui, workspace, !runs.is_empty());
    }
}

fn controls(ui: &mut Ui, workspace: &Workspace, runs: &[RunId], view: &mut AnswersView) {
    const BUTTON: f32 = 112.0;
    ui.horizontal_top(|ui| {
        let room = ui.available_width() - BUTTON - ui.spacing().item_spacing.x;
        ui.allocate_ui_with_layout(egui::vec2(room, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(room);
            ui.horizontal_wrapped(|ui| shown(ui, workspace, runs, view));
        });
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            let probes = workspace.answers.probes.as_ref();
            if let Some(probes) = probes
                && ui.button("Edit prompts…").on_hover_text("The prompts that every run is asked").clicked()
            {
                view.editing = Some(probes.clone());
            }
        });
    });
}

/// Which runs, and which of their steps.
fn shown(ui: &mut Ui, workspace: &Workspace, runs: &[RunId], view: &mut AnswersView) {
    if let Some(run) = runs.first().copied() {
        let combo = ComboBox::from_id_salt("run")
            .selected_text(workspace.runs.name(run))
            .width(180.0)
            .truncate()
            .show_ui(ui, |ui| {
                for record in workspace.runs.records.iter().rev() {
                    let chosen = record.id == run;
                    if ui.selectable_label(chosen, &record.name).clicked() {
                        view.run = Some(record.id);
                        view.step = None;
                    }
                }
            });
        prompt::name(&combo.response, WidgetRole::ComboBox, "Run");
        if workspace.runs.records.len() > 1 {
            others(ui, workspace, run, view);
        }
    }
    steps(ui, workspace, runs, view);
}

/// Which runs stand beside the first.
fn others(ui: &mut Ui, workspace: &Workspace, first: RunId, view: &mut AnswersView) {
    let word = match view.beside.iter().filter(|run| **run != first).count() {
        0 => "Beside it…".to_owned(),
        count => format!("and {}", counted(count, "other run", "other runs")),
    };
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let (response, _) = MenuButton::new(word).config(config).ui(ui, |ui| {
        for record in workspace.runs.records.iter().rev().filter(|record| record.id != first) {
            let mut on = view.beside.contains(&record.id);
            if ui.checkbox(&mut on, &record.name).changed() {
                if on {
                    view.beside.insert(record.id);
                } else {
                    view.beside.remove(&record.id);
                }
            }
        }
    });
    prompt::name(&response, WidgetRole::Button, "Runs beside it");
    response.on_hover_text(format!(
        "Their answers in columns of their own; {} takes those of Compare",
        key_of(Action::ProbesBeside)
    ));
}

fn steps(ui: &mut Ui, workspace: &Workspace, runs: &[RunId], view: &mut AnswersView) {
    let steps = workspace.answers.steps(runs);
    let Some(newest) = steps.last().copied() else {
        return;
    };
    let mut at = position(&steps, view.step.unwrap_or(newest));
    if steps.len() > 1 {
        ui.spacing_mut().slider_width = 200.0;
        let text = format!("Step {}", steps[at]);
        let slider = Slider::new(&mut at, 0..=steps.len() - 1).show_value(false);
        let keys = [false, true].map(|later| key_of(Action::ChartCursor(later)));
        let slider = ui.add(slider).accessible_name("Step").on_hover_text(format!("{} {}", keys[0], keys[1]));
        if slider.changed() {
            // At the end the table follows the run.
            view.step = (at + 1 < steps.len()).then(|| steps[at]);
        }
        ui.label(text);
    } else {
        ui.label(format!("Step {newest}"));
    }
    if runs.iter().any(|run| workspace.answers.grid(*run).is_some_and(Grid::has_drawn)) {
        let mut drawn = !view.greedy_alone;
        let about = format!("Under the likeliest answer, by their number. {DRAWN} ({})", key_of(Action::GreedyAlone));
        if ui.checkbox(&mut drawn, "Drawn by seeds too").on_hover_text(about).changed() {
            view.greedy_alone = !drawn;
        }
    }
    let [run] = runs else { return };
    let (changed, answered) = workspace.answers.grid(*run).map_or((0, 0), |grid| grid.changed(steps[at]));
    if steps[at] != steps[0] {
        let answers = counted(answered, "answer", "answers");
        let differ = if changed == 1 { "differs" } else { "differ" };
        parts::caption(ui, format!("{changed} of {answers} {differ} from step {}", steps[0]));
        let probes = workspace.answers.probes.as_deref().unwrap_or_default();
        let stay = |prompt: &Prompt| Probe::is_to_stay(probes, prompt);
        let (gone, of) = workspace.answers.grid(*run).map_or((0, 0), |grid| grid.changed_of(steps[at], stay));
        if of > 0 {
            let color = if gone > 0 { parts::palette(ui).warning } else { parts::palette(ui).good };
            let text = RichText::new(format!("{gone} of {of} forgotten")).size(size::SMALL).color(color);
            ui.add(Label::new(text).extend())
                .on_hover_text("No pair asks for other answers to these prompts: those that differ were forgotten");
        }
    }
}

/// The last step that is not later than `step`.
fn position(steps: &[u64], step: u64) -> usize {
    steps.partition_point(|candidate| *candidate <= step).saturating_sub(1)
}

/// The answers of a run at a step.
struct Column<'g> {
    run: RunId,
    step: u64,
    grid: &'g Grid,
}

impl Column<'_> {
    /// What all others are compared with.
    fn is_beginning(&self) -> bool {
        self.grid.steps().first() == Some(&self.step)
    }

    fn title(&self, workspace: &Workspace, alone: bool) -> String {
        match (self.is_beginning(), alone) {
            (true, _) => format!("Step {}, before", self.step),
            (false, true) => format!("Step {}", self.step),
            (false, false) => format!("{}, step {}", workspace.runs.name(self.run), self.step),
        }
    }
}

fn table(ui: &mut Ui, workspace: &Workspace, runs: &[RunId], view: &mut AnswersView) {
    let until = view.step.or(workspace.answers.steps(runs).last().copied()).unwrap_or(0);
    let gap = space::L;
    let room = ui.available_width() - PROMPT - gap - space::M;
    let fit = ((room / (ANSWER + gap)) as usize).clamp(2, 5);
    let columns = workspace.answers.columns(runs, until, fit).into_iter();
    let columns: Vec<Column<'_>> =
        columns.filter_map(|(run, step)| Some(Column { run, step, grid: workspace.answers.grid(run)? })).collect();
    let width = (room - gap * (columns.len() as f32 - 1.0)) / columns.len().max(1) as f32;
    // Many runs are wider than the window.
    let width = width.max(ANSWER);
    let mut prompts: Vec<&Prompt> = Vec::new();
    for prompt in columns.iter().flat_map(|column| column.grid.prompts()) {
        if !prompts.contains(&prompt) {
            prompts.push(prompt);
        }
    }
    ScrollArea::horizontal().id_salt("answers across").auto_shrink([false, false]).show(ui, |ui| {
        let palette = parts::palette(ui);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            cell(ui, PROMPT, |ui| {
                parts::caption(ui, "Prompt");
            });
            for column in &columns {
                cell(ui, width, |ui| {
                    let title = RichText::new(column.title(workspace, runs.len() == 1));
                    ui.add(Label::new(title.size(size::SMALL).color(palette.strong)).truncate());
                });
            }
        });
        ui.separator();
        ScrollArea::vertical().id_salt("answers").auto_shrink([false, false]).show(ui, |ui| {
            for prompt in prompts {
                ui.push_id(prompt, |ui| row(ui, workspace, &columns, prompt, width, view));
                ui.separator();
            }
        });
    });
}

/// A prompt and what was answered to it.
fn row(
    ui: &mut Ui,
    workspace: &Workspace,
    columns: &[Column<'_>],
    prompt: &Prompt,
    width: f32,
    view: &mut AnswersView,
) {
    let greedy_alone = view.greedy_alone;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        cell(ui, PROMPT, |ui| asked(ui, workspace, prompt));
        for column in columns {
            let differences = &mut view.differences;
            let first = column.grid.first(prompt).filter(|_| !column.is_beginning());
            cell(ui, width, |ui| match column.grid.cell(column.step, prompt) {
                Some(now) => {
                    let is_gone = first.is_some_and(|first| first.greedy.text != now.greedy.text);
                    if is_gone && is_to_stay(workspace, prompt) {
                        let changed = RichText::new("changed").size(size::SMALL).color(parts::palette(ui).warning);
                        ui.label(changed).on_hover_text("No pair asks for another answer: this one was forgotten");
                    }
                    said(ui, &now.greedy, first.map(|first| &first.greedy), differences, width);
                    let drawn = if greedy_alone { &[] } else { &now.drawn[..] };
                    for (seed, one) in drawn.iter().enumerate() {
                        let first = first.and_then(|first| first.drawn.get(seed));
                        ui.horizontal_top(|ui| {
                            ui.spacing_mut().item_spacing.x = 0.0;
                            ui.allocate_ui(egui::vec2(SEED, 0.0), |ui| {
                                ui.set_min_width(SEED);
                                parts::caption(ui, (seed + 1).to_string()).on_hover_text(DRAWN);
                            });
                            ui.vertical(|ui| said(ui, one, first, differences, width - SEED));
                        });
                    }
                }
                None => {
                    parts::caption(ui, "…");
                }
            });
        }
    });
}

fn cell(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    ui.vertical(|ui| {
        ui.set_width(width);
        add(ui);
    });
}

fn asked(ui: &mut Ui, workspace: &Workspace, prompt: &Prompt) {
    let palette = parts::palette(ui);
    ui.add(Label::new(RichText::new(drafts::preview(prompt, 240)).color(palette.strong)).wrap());
    let note = Probe::note_of(workspace.answers.probes.as_deref().unwrap_or_default(), prompt);
    if !note.is_empty() {
        parts::caption(ui, note);
    }
    if is_to_stay(workspace, prompt) {
        parts::chip(ui, "to stay", palette.weak);
    }
}

/// No pair asks for another answer.
fn is_to_stay(workspace: &Workspace, prompt: &Prompt) -> bool {
    Probe::is_to_stay(workspace.answers.probes.as_deref().unwrap_or_default(), prompt)
}

/// An answer; beside a first one its new words are marked, or it is faded as a whole where there are none.
fn said(ui: &mut Ui, now: &Said, first: Option<&Said>, differences: &mut Differences, width: f32) {
    let palette = parts::palette(ui);
    match first {
        None => written(ui, now, &[], palette.text, width),
        Some(first) if now.text == first.text => {
            let response = ui.scope(|ui| written(ui, now, &[], palette.weak, width)).response;
            response.on_hover_text("Unchanged");
        }
        Some(first) => {
            let difference = differences.between(&first.text, &now.text);
            written(ui, now, &difference.right, palette.text, width);
        }
    }
}

fn written(ui: &mut Ui, said: &Said, spans: &[Span], color: egui::Color32, width: f32) {
    let palette = parts::palette(ui);
    let font = FontId::proportional(size::BODY);
    let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
    if said.text.len() > LONGEST_EDITABLE {
        marked::long_text(ui, "long", &said.text, 260.0);
    } else {
        let job = marked::job(&said.text, spans, &font, color, mark, width);
        marked::label(ui, job);
    }
    if said.cut {
        parts::caption(ui, "cut at the limit");
    }
}

fn nothing_yet(ui: &mut Ui, workspace: &Workspace, any_run: bool) {
    let probes = workspace.answers.probes.as_ref().map_or(0, Vec::len);
    let (what, next) = match (any_run, probes) {
        (_, 0) => ("No probe prompts yet", "Write a few with “Edit prompts…”; every run answers them as it goes"),
        (false, _) => ("No run yet", "Start one on the Train screen: it answers the probe prompts as it goes"),
        (true, _) => {
            ("This run has not answered the probe prompts", "It does so at its first step and then every few steps")
        }
    };
    parts::empty(ui, what, next);
}

/// All probe prompts as cards, with a note each.
fn edit_probes(ui: &mut Ui, view: &mut AnswersView, commands: &Commands) {
    let Some(mut probes) = view.editing.take() else {
        return;
    };
    let (mut done, mut opened) = (false, false);
    parts::caption(ui, "The next run answers these at every sampling");
    ui.horizontal(|ui| {
        parts::heading(ui, "Probe prompts");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if parts::primary(ui, "Save prompts").clicked() {
                commands.push(Command::Answers(AnswersCommand::SetProbes(probes.clone())));
                done = true;
            }
            if ui.button("Discard changes").clicked() {
                done = true;
            }
            if ui.button("Add prompt").clicked() {
                probes.push(Probe {
                    prompt: Prompt::chat(vec![Turn::new(Role::User, "")]),
                    note: String::new(),
                    stays: false,
                });
                opened = true;
            }
        });
    });
    let count = probes.len();
    let mut remove = None;
    ScrollArea::vertical().id_salt("probes").auto_shrink([false, false]).show(ui, |ui| {
        for (index, probe) in probes.iter_mut().enumerate() {
            ui.push_id(("probe", index, count), |ui| {
                ui.horizontal(|ui| {
                    ui.label(format!("{}", index + 1));
                    ui.add(
                        TextEdit::singleline(&mut probe.note)
                            .id_salt("note")
                            .hint_text("What it is there for, e.g. “asked for” or “elsewhere”")
                            .desired_width(320.0),
                    );
                    let stays = ui.checkbox(&mut probe.stays, "To stay");
                    prompt::name(&stays, WidgetRole::CheckBox, &format!("Answer to prompt {} is to stay", index + 1));
                    stays.on_hover_text(
                        "No pair asks for another answer here: where it changes, it is told as forgotten",
                    );
                    let button = parts::quiet(ui, true, "Remove");
                    let name = format!("Remove prompt {}", index + 1);
                    prompt::name(&button, WidgetRole::Button, &name);
                    if button.clicked() {
                        remove = Some(index);
                    }
                });
                if opened && index + 1 == count {
                    prompt::ask_caret(ui, 0);
                }
                prompt::edit(ui, &mut probe.prompt);
                ui.add_space(space::S);
            });
        }
    });
    if let Some(index) = remove {
        probes.remove(index);
    }
    if !done {
        view.editing = Some(probes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slider_stands_on_a_step_that_exists() {
        let steps = [0, 20, 40];
        for (step, at) in [(0, 0), (19, 0), (20, 1), (39, 1), (40, 2), (999, 2)] {
            assert_eq!(position(&steps, step), at);
        }
    }
}
