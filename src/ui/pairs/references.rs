//! Reference answers and retention text: read, edited, dropped, pinned; and what of the pairs' topics they speak for.

use data::{ReferenceAnswer, TopicCoverage, counted};
use egui::{Button, Frame, Label, Margin, Panel, RichText, Role as WidgetRole, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    candidates::CandidatesCommand,
    drafts::one_line,
    pairs::{PairsCommand, PairsView, Strip},
    references::{References, ReferencesCommand, ReferencesView, Shown, suggested},
};

use super::{candidates, editor::count_words, intake};
use crate::{
    parts, prompt,
    theme::{size, space},
    writing::Field,
};

const ROW: f32 = 26.0;
/// Characters of a line of the list.
const LINE: usize = 160;

fn of(command: ReferencesCommand) -> Command {
    Command::Pairs(PairsCommand::References(command))
}

/// The whole screen in place of the pairs.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    if data.references.is_missing(data.revision) {
        commands.push(of(ReferencesCommand::Read));
    }
    header(ui, workspace, view, commands);
    candidates::strips(ui, workspace, view, commands);
    let Some(known) = &data.references.known else {
        parts::empty(ui, "Reading the reference answers…", "");
        return;
    };
    ui.add_space(space::XS);
    coverage(ui, &known.coverage);
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        let before = view.references.shown;
        let words = [
            counted(known.answers.len(), "reference answer", "reference answers"),
            counted(known.retention.len(), "retention text", "retention texts"),
        ];
        let choices = [
            (Shown::Answers, words[0].as_str(), "The model's own answers: the KL term keeps them as they are"),
            (Shown::Retention, words[1].as_str(), "Texts that the model shall go on knowing"),
        ];
        parts::segmented(ui, &mut view.references.shown, &choices);
        if view.references.shown != before {
            leave(&mut view.references, commands);
            view.references.selected = 0;
        }
        if view.references.shown == Shown::Retention {
            take_in(ui, &mut view.references, commands);
        }
    });
    ui.add_space(space::XS);
    let width = ui.available_width();
    let frame = Frame::NONE.inner_margin(Margin { right: space::M as i8, ..Margin::ZERO });
    let list = Panel::left("references list").resizable(true).default_size(width * 0.4);
    list.size_range(200.0..=(width - 300.0).max(201.0)).show_separator_line(false).frame(frame).show(
        ui,
        |ui| match view.references.shown {
            Shown::Answers => {
                let line = |at: usize| {
                    let answer = &known.answers[at];
                    let mark = match (answer.pinned, known.is_against(answer)) {
                        (true, _) => "Pinned  ",
                        (false, true) => "Against  ",
                        (false, false) => "",
                    };
                    (mark, one_line(answer.prompt.last_text(), LINE))
                };
                rows(ui, known.answers.len(), &line, &mut view.references, commands);
            }
            Shown::Retention => {
                let line = |at: usize| ("", one_line(&known.retention[at], LINE));
                rows(ui, known.retention.len(), &line, &mut view.references, commands);
            }
        },
    );
    match view.references.shown {
        Shown::Answers => {
            let settled = workspace.saving.under_way == 0 && data.references.is_settled(data.revision);
            answer(ui, known, &mut view.references, (view.white_space, settled), commands);
        }
        Shown::Retention => retention(ui, known, &mut view.references, commands),
    }
}

fn header(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            let known = workspace.pairs.references.known.as_deref();
            let line = known.map_or_else(String::new, |known| {
                format!("{} answers, {}", known.answers.len(), counted(known.retention.len(), "text", "texts"))
            });
            parts::title(ui, "Reference", &line);
        });
        parts::at_right(ui, "reference actions", |ui| {
            let known = workspace.pairs.references.known.as_deref();
            if ui.button("Everyday prompts").on_hover_text("The start model answers 40 of them, now").clicked() {
                commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Everyday)));
            }
            let texts = known.map_or(&[][..], |known| &known.retention);
            let about = "Prompts from the beginnings of the retention texts, to be looked over and answered";
            let from_texts = ui.add_enabled(!texts.is_empty(), Button::new("From retention text")).on_hover_text(about);
            if from_texts.on_disabled_hover_text("There is no retention text yet").clicked() {
                view.candidates.references = true;
                view.candidates.of_pairs = false;
                view.candidates.prompts = suggested(texts).join("\n");
                view.strip = Strip::Sample;
                view.strip_opens = true;
            }
            let sample = Button::new("Sample…").selected(view.strip == Strip::Sample);
            if ui.add(sample).on_hover_text("The start model answers prompts of yours (M)").clicked() {
                view.candidates.references = true;
                intake::toggle(ui, view, Strip::Sample);
            }
            if parts::primary(ui, "Back to the pairs").on_hover_text("R").clicked() {
                close(view, commands);
            }
        });
    });
}

/// What is typed is saved; the pairs are shown again.
pub fn close(view: &mut PairsView, commands: &Commands) {
    leave(&mut view.references, commands);
    view.references.open = false;
    view.strip = Strip::None;
}

/// What is typed is saved.
fn leave(view: &mut ReferencesView, commands: &Commands) {
    if let Some(change) = view.typed() {
        commands.push(of(change));
    }
    view.draft = None;
}

/// The sentence, and the topics with how many reference answers each has.
fn coverage(ui: &mut Ui, coverage: &TopicCoverage) {
    let palette = parts::palette(ui);
    let fine = coverage.against == 0 && coverage.covered() > 0;
    parts::strip(ui, if fine { palette.accent_soft } else { palette.warning_soft }, |ui| {
        ui.set_width(ui.available_width());
        ui.add(Label::new(RichText::new(coverage.sentence()).color(palette.strong)).wrap());
        if coverage.topics.is_empty() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::vec2(space::M, 2.0);
            for topic in &coverage.topics {
                let text = RichText::new(format!("{} {}", topic.word, topic.references)).size(size::SMALL);
                let text = if topic.references > 0 { text.color(palette.strong) } else { text.color(palette.weak) };
                let pairs = counted(topic.pairs, "prompt of pairs", "prompts of pairs");
                let answers = counted(topic.references, "reference answer", "reference answers");
                ui.label(text).on_hover_text(format!("“{}”: {pairs}, {answers}", topic.word));
            }
            if coverage.apart > 0 {
                parts::caption(ui, format!("and {} of no topic", counted(coverage.apart, "prompt", "prompts")));
            }
        });
    });
}

/// A line each; only those on the screen are laid out.
fn rows(
    ui: &mut Ui,
    count: usize,
    line: &dyn Fn(usize) -> (&'static str, String),
    view: &mut ReferencesView,
    commands: &Commands,
) {
    if count == 0 {
        parts::empty(ui, "None yet", "Have the model write some, or put texts in");
        return;
    }
    view.selected = view.selected.min(count - 1);
    let mut clicked = None;
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().id_salt("references rows").auto_shrink([false, false]).show_rows(
        ui,
        ROW,
        count,
        |ui, range| {
            for at in range {
                let (mark, text) = line(at);
                let words = RichText::new(format!("{mark}{text}"));
                let button = Button::selectable(at == view.selected, words).truncate().right_text("");
                let row = ui.add_sized([ui.available_width(), ROW], button);
                prompt::name(&row, WidgetRole::Row, &format!("{mark}{text}"));
                if row.clicked() {
                    clicked = Some(at);
                }
            }
        },
    );
    if let Some(at) = clicked {
        leave(view, commands);
        view.selected = at;
    }
}

/// `settled`: what is known is what the project has, and nothing is on its way there.
fn answer(
    ui: &mut Ui,
    known: &References,
    view: &mut ReferencesView,
    (white_space, settled): (bool, bool),
    commands: &Commands,
) {
    let Some(stored) = known.answers.get(view.selected) else {
        put_back(ui, view, commands);
        return;
    };
    if view.draft.as_ref().is_none_or(|(before, after)| settled && before == after && before != stored) {
        view.draft = Some((stored.clone(), stored.clone()));
    }
    let (mut pin, mut drop) = (false, false);
    ui.horizontal(|ui| {
        parts::heading(ui, &format!("Answer {}", view.selected + 1));
        parts::at_right(ui, "reference answer", |ui| {
            let word = if stored.pinned { "Pinned" } else { "Pin" };
            let about = "A pinned answer stays when its prompt is sampled again";
            pin = ui.add(Button::new(word).selected(stored.pinned)).on_hover_text(about).clicked();
            drop = ui.button("Drop").on_hover_text("It can be put back").clicked();
        });
    });
    if known.is_against(stored) {
        parts::caption(ui, "A pair is about this very prompt: here the KL term pulls against the preference");
    }
    put_back(ui, view, commands);
    let mut finished = false;
    ScrollArea::vertical().id_salt("reference answer").auto_shrink([false, false]).show(ui, |ui| {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            prompt::show(ui, &stored.prompt, size::BODY, white_space);
        });
        if let Some((_, typed)) = &mut view.draft {
            ui.push_id(("reference", view.selected), |ui| {
                parts::card(ui, |ui| {
                    ui.set_width(ui.available_width());
                    let field =
                        Field { rows: 5, hint: "What the model says", ..Field::new("Reference answer", "answer") };
                    finished = field.show(ui, &mut typed.answer).finished;
                    parts::caption(ui, count_words(&typed.answer));
                });
            });
        }
    });
    if finished && let Some(change) = view.typed() {
        commands.push(of(change));
    }
    if pin || drop {
        if let Some(change) = view.typed() {
            commands.push(of(change));
        }
        let now = view.draft.take().map_or_else(|| stored.clone(), |(before, _)| before);
        let after = pin.then(|| ReferenceAnswer { pinned: !now.pinned, ..now.clone() });
        if drop {
            view.dropped.push(now.clone());
        }
        commands.push(of(ReferencesCommand::Change { before: Some(now), after }));
    }
}

/// What was dropped last.
fn put_back(ui: &mut Ui, view: &mut ReferencesView, commands: &Commands) {
    let Some(last) = view.dropped.last() else {
        return;
    };
    let text = format!("Put back “{}”", one_line(last.prompt.last_text(), 40));
    if parts::quiet_row(ui, |ui| parts::quiet(ui, true, &text)).clicked() {
        let after = view.dropped.pop();
        commands.push(of(ReferencesCommand::Change { before: None, after }));
    }
}

/// Retention text by hand or from a file.
fn take_in(ui: &mut Ui, view: &mut ReferencesView, commands: &Commands) {
    let edit =
        TextEdit::singleline(&mut view.path).id_salt("retention path").hint_text("Path of a text file, or JSON lines");
    ui.add(edit.desired_width(220.0)).accessible_name("File of retention text");
    let path = view.path.trim().to_owned();
    if ui.add_enabled(!path.is_empty(), Button::new("Take in")).clicked() {
        commands.push(of(ReferencesCommand::ReadTexts(path.into())));
        view.path.clear();
    }
    if ui.button("Browse…").clicked() {
        commands.push(of(ReferencesCommand::PickTexts));
    }
}

fn retention(ui: &mut Ui, known: &References, view: &mut ReferencesView, commands: &Commands) {
    ScrollArea::vertical().id_salt("retention").auto_shrink([false, false]).show(ui, |ui| {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            let hint = "A text that the model shall go on knowing; blank lines part one from the next";
            let field = Field { rows: 3, hint, ..Field::new("New retention text", "new text") };
            field.show(ui, &mut view.text);
            let any = !view.text.trim().is_empty();
            if ui.add_enabled(any, Button::new("Add text")).clicked() {
                commands.push(of(ReferencesCommand::AddText(std::mem::take(&mut view.text))));
            }
        });
        if let Some(text) = known.retention.get(view.selected) {
            ui.horizontal(|ui| {
                parts::heading(ui, &format!("Text {}", view.selected + 1));
                parts::caption(ui, count_words(text));
                parts::at_right(ui, "retention text", |ui| {
                    if ui.button("Drop").clicked() {
                        commands.push(of(ReferencesCommand::DropText(text.clone())));
                    }
                });
            });
            parts::card(ui, |ui| {
                ui.set_width(ui.available_width());
                prompt::show(ui, &data::Prompt::Text(text.clone()), size::BODY, false);
            });
        }
    });
}
