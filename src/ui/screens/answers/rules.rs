//! The rule set while it is being written: its text, and beside it what is wrong with it or what it asks for.

use data::counted;
use egui::{FontId, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    answers::AnswersCommand,
    judged::{JudgedView, Meaning},
};

use crate::{
    parts,
    theme::{size, space},
};

/// Width of what is said about the text.
const BESIDE: f32 = 280.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut JudgedView, commands: &Commands) {
    let Some(draft) = &mut view.writing else {
        return;
    };
    let probes = workspace.answers.probes.as_deref().unwrap_or_default();
    let fits = draft.check(probes).is_ok();
    let mut done = false;
    ui.horizontal(|ui| {
        let can_save = fits && draft.is_changed();
        ui.add_enabled_ui(can_save, |ui| {
            let why = if fits { "Nothing has changed" } else { "Mend what stands beside the text first" };
            if parts::primary(ui, "Save rules").on_disabled_hover_text(why).clicked() {
                let (before, text) = (draft.saved.clone(), draft.text.clone());
                commands.push(Command::Answers(AnswersCommand::SaveRules { before, text }));
            }
        });
        let word = if draft.is_changed() { "Discard changes" } else { "Close" };
        done = ui.button(word).clicked();
        parts::caption(ui, "judge.toml in the project's folder; a run keeps the rules that it began with");
    });
    ui.add_space(space::S);
    let height = ui.available_height();
    ui.horizontal_top(|ui| {
        let width = ui.available_width() - BESIDE - space::L;
        ScrollArea::vertical().id_salt("rules").max_height(height).auto_shrink([false, false]).max_width(width).show(
            ui,
            |ui| {
                let field = TextEdit::multiline(&mut draft.text)
                    .id_salt("rules text")
                    .font(FontId::monospace(size::SMALL + 1.0))
                    .code_editor()
                    .desired_width(width)
                    .desired_rows(24)
                    .show(ui)
                    .response;
                field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, true, "Rules"));
                if std::mem::take(&mut draft.opened) {
                    field.request_focus();
                }
            },
        );
        ui.vertical(|ui| {
            ui.set_width(BESIDE);
            match draft.check(probes) {
                Ok(meaning) => says(ui, meaning),
                Err(faults) => {
                    let palette = parts::palette(ui);
                    parts::heading(ui, &counted(faults.len(), "fault", "faults"));
                    for fault in faults {
                        parts::caption(ui, format!("Line {}", fault.line));
                        ui.add(egui::Label::new(RichText::new(&fault.sentence).color(palette.error)).wrap());
                    }
                }
            }
        });
    });
    if done {
        view.writing = None;
    }
}

/// What the rules ask of every evaluation.
fn says(ui: &mut Ui, meaning: &Meaning) {
    parts::heading(ui, &counted(meaning.rules.len(), "rule", "rules"));
    let prompts = counted(meaning.prompts, "prompt", "prompts");
    let answers = counted(meaning.answers, "answer", "answers");
    ui.add(egui::Label::new(format!("Every evaluation asks {prompts} and judges {answers}")).wrap());
    for name in &meaning.rules {
        parts::caption(ui, format!("judged/{name}"));
    }
}
