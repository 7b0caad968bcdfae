//! Reference answers and retention text: read, edited, dropped, pinned; and what of the pairs' topics they speak for.

use data::{ReferenceAnswer, TopicCoverage, counted};
use egui::{Button, Frame, Label, Margin, RichText, Role as WidgetRole, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    candidates::CandidatesCommand,
    drafts::one_line,
    pairs::{PairsCommand, PairsData, PairsView, Strip},
    references::{ReferenceAct, References, ReferencesCommand, ReferencesData, ReferencesView, Shown, suggested},
};

use super::{candidates, editor::count_words, intake};
use crate::{
    parts, prompt,
    split::Split,
    theme::{size, space},
    writing::Field,
};

const ROW: f32 = 26.0;
/// Characters of a line of the list.
const LINE: usize = 160;

fn of(command: ReferencesCommand) -> Command {
    Command::Pairs(PairsCommand::References(command))
}

/// What a key does here.
pub fn act(act: ReferenceAct, ui: &Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let known = workspace.pairs.references.known.as_deref();
    let references = &mut view.references;
    let send = |command| commands.push(of(command));
    match act {
        ReferenceAct::Move(way) => {
            leave(references, commands);
            references.go(way, known.map_or(0, |known| known.count(references.shown)));
        }
        ReferenceAct::Turn => {
            let other = if references.shown == Shown::Answers { Shown::Retention } else { Shown::Answers };
            turn_to(other, references, commands);
        }
        ReferenceAct::Edit => references.wants_caret = true,
        ReferenceAct::Pin | ReferenceAct::Drop => {
            let is_pin = act == ReferenceAct::Pin;
            match (references.shown, known) {
                (Shown::Answers, Some(known)) => {
                    if let Some(stored) = known.answers.get(references.selected) {
                        pin_or_drop(is_pin, stored, &workspace.pairs.references, references, commands);
                    }
                }
                (Shown::Retention, Some(known)) => {
                    let text = known.retention.get(references.selected).filter(|_| !is_pin);
                    if let Some(text) = text {
                        send(ReferencesCommand::DropText(text.clone()));
                    }
                }
                (_, None) => {}
            }
        }
        ReferenceAct::PutBack => {
            if let Some(last) = references.dropped.pop() {
                send(ReferencesCommand::Change { before: None, after: Some(last) });
            }
        }
        ReferenceAct::Undo | ReferenceAct::Redo => {
            leave(references, commands);
            send(ReferencesCommand::Turn { back: act == ReferenceAct::Undo });
        }
        ReferenceAct::Write => {
            turn_to(Shown::Retention, references, commands);
            references.wants_caret = true;
        }
        ReferenceAct::Everyday => commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Everyday))),
        ReferenceAct::Suggest => suggest(known.map_or(&[], |known| &known.retention), view),
        ReferenceAct::Sample => {
            view.candidates.references = true;
            intake::toggle(ui, view, Strip::Sample);
        }
        ReferenceAct::WhiteSpace => view.white_space = !view.white_space,
        ReferenceAct::Leave => close(view, commands),
    }
}

/// The answers, or the retention texts.
fn turn_to(shown: Shown, view: &mut ReferencesView, commands: &Commands) {
    if view.shown != shown {
        leave(view, commands);
        view.shown = shown;
        view.selected = 0;
    }
}

/// Prompts from the retention texts wait in the strip to be answered.
fn suggest(texts: &[String], view: &mut PairsView) {
    view.candidates.references = true;
    view.candidates.of_pairs = false;
    view.candidates.reference_prompts = suggested(texts).join("\n");
    view.strip = Strip::Sample;
    view.strip_opens = true;
}

/// What is typed is saved first.
fn pin_or_drop(
    is_pin: bool,
    stored: &ReferenceAnswer,
    data: &ReferencesData,
    view: &mut ReferencesView,
    commands: &Commands,
) {
    if let Some(change) = view.typed() {
        commands.push(of(change));
    }
    let now = view.draft.take().map_or_else(|| stored.clone(), |(before, _)| before);
    let after = is_pin.then(|| ReferenceAnswer { pinned: !now.pinned, ..now.clone() });
    if !is_pin {
        view.drop(now.clone(), data);
    }
    commands.push(of(ReferencesCommand::Change { before: Some(now), after }));
}

/// The key of an act, for the hover text of what does the same.
fn key(act: ReferenceAct) -> String {
    key_of(Action::Reference(act))
}

/// The whole screen in place of the pairs.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let data = &workspace.pairs;
    if data.references.is_missing(data.revision) {
        commands.push(of(ReferencesCommand::Read));
    }
    header(ui, workspace, view, commands);
    candidates::strip(ui, workspace, view, commands);
    if workspace.pairs.candidates.is_some() {
        parts::below(ui, "references under way", |ui| candidates::under_way(ui, workspace, view, commands));
    }
    let Some(known) = &data.references.known else {
        parts::empty(ui, "Reading the reference answers…", "");
        return;
    };
    ui.add_space(space::XS);
    coverage(ui, &known.coverage);
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        let mut shown = view.references.shown;
        let words = [
            counted(known.answers.len(), "reference answer", "reference answers"),
            counted(known.retention.len(), "retention text", "retention texts"),
        ];
        let choices = [
            (Shown::Answers, words[0].as_str(), "The model's own answers: the KL term keeps them as they are"),
            (Shown::Retention, words[1].as_str(), "Texts that the model shall go on knowing"),
        ];
        parts::segmented(ui, &mut shown, &choices);
        turn_to(shown, &mut view.references, commands);
        if view.references.shown == Shown::Retention {
            take_in(ui, &mut view.references, commands);
        }
    });
    ui.add_space(space::XS);
    let width = ui.available_width();
    let frame = Frame::NONE.inner_margin(Margin { right: space::M as i8, ..Margin::ZERO });
    Split::left("references list", width * 0.4, 200.0..=(width - 300.0).max(201.0)).frame(frame).show(ui, |ui| {
        match view.references.shown {
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
        }
    });
    match view.references.shown {
        Shown::Answers => {
            let settled = workspace.saving.under_way == 0 && data.references.is_settled(data.revision);
            view.references.forget_put_back(known, &data.references);
            answer(ui, data, known, &mut view.references, (view.white_space, settled), commands);
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
                suggest(texts, view);
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
fn close(view: &mut PairsView, commands: &Commands) {
    if let Some(typed) = view.references.close() {
        commands.push(of(typed));
    }
    view.strip = Strip::None;
    // What is asked for among the pairs is pairs.
    view.candidates.references = false;
}

/// What is typed is saved.
fn leave(view: &mut ReferencesView, commands: &Commands) {
    if let Some(typed) = view.leave() {
        commands.push(of(typed));
    }
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
    let area = ScrollArea::vertical().id_salt("references rows").auto_shrink([false, false]);
    view.page = (ui.available_height() / ROW) as usize;
    area.show_rows(ui, ROW, count, |ui, range| {
        if std::mem::take(&mut view.reveal) && !range.contains(&view.selected) {
            let down = (view.selected as f32 - range.start as f32) * ROW;
            let row = egui::Rect::from_min_size(ui.max_rect().left_top() + egui::vec2(0.0, down), egui::vec2(1.0, ROW));
            ui.scroll_to_rect_animation(row, None, egui::style::ScrollAnimation::none());
        }
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
    });
    if let Some(at) = clicked {
        leave(view, commands);
        view.selected = at;
    }
}

/// `settled`: what is known is what the project has, and nothing is on its way there.
fn answer(
    ui: &mut Ui,
    data: &PairsData,
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
            let about = format!("A pinned answer stays when its prompt is sampled again ({})", key(ReferenceAct::Pin));
            pin = ui.add(Button::new(word).selected(stored.pinned)).on_hover_text(about).clicked();
            let about = format!("It can be put back ({})", key(ReferenceAct::Drop));
            drop = ui.button("Drop").on_hover_text(about).clicked();
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
                    let takes_caret = std::mem::take(&mut view.wants_caret);
                    let field = Field::new("Reference answer", "answer");
                    let field = Field { rows: 5, hint: "What the model says", takes_caret, ..field };
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
        pin_or_drop(pin, stored, &data.references, view, commands);
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
            let takes_caret = std::mem::take(&mut view.wants_caret);
            let field = Field { rows: 3, hint, takes_caret, ..Field::new("New retention text", "new text") };
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
                    if ui.button("Drop").on_hover_text(key(ReferenceAct::Drop)).clicked() {
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
