//! The blind duel: whose answers are compared, one prompt at a time, and what came out.

use egui::{Button, DragValue, FontId, Label, RichText, Role, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    answers::{AnswersCommand, AnswersView},
    duel::{Duel, DuelAnswers, DuelCommand, DuelForm, DuelPress, DuelPrompts, MOST_PROMPTS},
    labelling::Side,
};

use super::source;
use crate::{
    marked::{self, TextMark},
    parts, prompt,
    theme::{size, space},
};

/// Points under the answers: the buttons.
const FOOTER: f32 = 52.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
    let send = |command| commands.push(Command::Answers(AnswersCommand::Duel(command)));
    match &workspace.answers.duel {
        None => form(ui, workspace, view, &send),
        Some(duel) if duel.revealed || duel.is_over() => result(ui, duel, &send),
        Some(duel) => {
            header(ui, duel, &send);
            ui.add_space(space::S);
            match duel.shown() {
                Some(shown) => question(ui, duel, &shown, &send),
                None => parts::empty(
                    ui,
                    "The next two answers are being written…",
                    "Verdicts go on as soon as both are there",
                ),
            }
        }
    }
}

fn form(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, send: &dyn Fn(DuelCommand)) {
    let guest = view.ask.guest.clone();
    let form = &mut view.duel;
    ScrollArea::vertical().id_salt("duel form").show(ui, |ui| {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = space::S;
            parts::heading(ui, "Who answers");
            ui.label(
                "Both answer the same prompts. You see two answers at a time and say which is better; whose it was comes \
                 out at the end.",
            );
            ui.horizontal_wrapped(|ui| {
                let [first, second] = &mut form.sides;
                source::choose(ui, "First side", first, guest.as_ref(), workspace, 260.0);
                ui.label("against");
                source::choose(ui, "Second side", second, guest.as_ref(), workspace, 260.0);
            });
            ui.add_space(space::XS);
            parts::heading(ui, "Prompts");
            prompts(ui, form);
            ui.horizontal_wrapped(|ui| {
                let number = |ui: &mut Ui, name: &str, value: DragValue<'_>, about: &str| {
                    ui.horizontal(|ui| {
                        let label = ui.label(name);
                        ui.add(value).labelled_by(label.id).on_hover_text(about);
                    });
                };
                let temperature = DragValue::new(&mut form.temperature).range(0.0..=3.0).speed(0.01);
                number(ui, "Temperature", temperature, "0 = the likeliest answer of each");
                let longest = DragValue::new(&mut form.longest_tokens).range(1..=8192).suffix(" tokens");
                number(ui, "Longest", longest, "An answer of so many tokens is stopped");
                let about = "Decides the answers and who stands on which side";
                number(ui, "Seed", DragValue::new(&mut form.seed), about);
            });
            ui.add_space(space::XS);
            let obstacle = form.obstacle(workspace);
            ui.horizontal(|ui| {
                let begin = ui.add_enabled_ui(obstacle.is_none(), |ui| parts::primary(ui, "Begin")).inner;
                if begin.clicked() {
                    send(DuelCommand::Begin);
                }
                if let Some(obstacle) = &obstacle {
                    parts::caption(ui, obstacle);
                } else {
                    parts::caption(ui, "Also while a run trains; it waits for the answers meanwhile");
                }
            });
        });
    });
}

fn prompts(ui: &mut Ui, form: &mut DuelForm) {
    let about = format!("Prompts that neither side was trained on; {MOST_PROMPTS} of them where there are more");
    ui.horizontal(|ui| {
        parts::segmented(
            ui,
            &mut form.of,
            &[
                (DuelPrompts::HeldOut, "Held-out pairs", about.as_str()),
                (DuelPrompts::Probes, "Probe prompts", "Those that are answered as a run goes on"),
                (DuelPrompts::Typed, "My own", "One a line"),
            ],
        );
    });
    if form.of == DuelPrompts::Typed {
        let field = TextEdit::multiline(&mut form.typed)
            .id_salt("duel prompts")
            .hint_text("Why is the sky blue?\nWrite a short note of thanks")
            .desired_rows(5)
            .desired_width(f32::INFINITY);
        let field = ui.add(field);
        prompt::name(&field, Role::MultilineTextInput, "Prompts, one a line");
    }
}

fn header(ui: &mut Ui, duel: &Duel, send: &dyn Fn(DuelCommand)) {
    ui.horizontal(|ui| {
        let (judged, of) = duel.progress();
        ui.scope(|ui| {
            ui.set_width(140.0);
            parts::progress(ui, judged as f32 / of.max(1) as f32, "Prompts judged");
        });
        ui.label(format!("{judged} of {of}"));
        parts::caption(ui, duel.so_far());
        parts::at_right(ui, "duel actions", |ui| {
            if ui.button("End and tell").on_hover_text("Whose answers they were, by the verdicts so far").clicked() {
                send(DuelCommand::Reveal);
            }
            let undo = ui.add_enabled(duel.can_undo(), Button::new("Undo"));
            if undo.on_hover_text("Take the last verdict back (U)").clicked() {
                send(DuelCommand::Undo);
            }
            if duel.is_writing() {
                let word = format!("Stop writing ({:.0} %)", 100.0 * duel.share_written());
                let stop = ui.add_enabled(!duel.control.stopping(), Button::new(word));
                if stop.on_hover_text("The answers that are there can be judged").clicked() {
                    send(DuelCommand::Stop);
                }
            }
        });
    });
}

fn question(ui: &mut Ui, duel: &Duel, shown: &DuelAnswers<'_>, send: &dyn Fn(DuelCommand)) {
    ui.push_id(("duel", duel.current()), |ui| {
        let height = ui.available_height() - FOOTER;
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            ScrollArea::vertical().id_salt("prompt").max_height(height * 0.3).auto_shrink([false, true]).show(
                ui,
                |ui| {
                    prompt::show(ui, shown.prompt, size::HEADING, false);
                },
            );
        });
        let height = (ui.available_height() - FOOTER).max(100.0);
        parts::two_columns(ui, height, |ui, place| {
            parts::card(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.set_min_height(height - 2.0 * space::L);
                ScrollArea::vertical().id_salt(("answer", place)).auto_shrink([false, false]).show(ui, |ui| {
                    let palette = parts::palette(ui);
                    let mark = TextMark { ground: palette.accent_soft, line: palette.accent };
                    let font = FontId::proportional(size::HEADING);
                    let text = &shown.answers[place].text;
                    let job = marked::job(text, &[], &font, palette.text, mark, ui.available_width());
                    marked::label(ui, job);
                });
            });
        });
    });
    buttons(ui, send);
}

fn buttons(ui: &mut Ui, send: &dyn Fn(DuelCommand)) {
    let weak = parts::palette(ui).weak;
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        let gap = ui.spacing().item_spacing.x;
        let width = (ui.available_width() - 3.0 * gap) / 4.0;
        for (key, word, press) in [
            ("1", "Left is better", DuelPress::Better(Side::Left)),
            ("T", "Tie", DuelPress::Tie),
            ("S", "Pass", DuelPress::Pass),
            ("2", "Right is better", DuelPress::Better(Side::Right)),
        ] {
            let button = Button::new(word).right_text(RichText::new(key).monospace().color(weak));
            let button = ui.add_sized([width, 32.0], button);
            prompt::name(&button, Role::Button, word);
            if button.clicked() {
                send(DuelCommand::Press(press));
            }
        }
    });
}

fn result(ui: &mut Ui, duel: &Duel, send: &dyn Fn(DuelCommand)) {
    let palette = parts::palette(ui);
    ScrollArea::vertical().id_salt("duel result").show(ui, |ui| {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = space::S;
            let mut sentences = duel.result().into_iter();
            if let Some(first) = sentences.next() {
                ui.add(Label::new(RichText::new(first).size(size::HEADING).color(palette.strong)).wrap());
            }
            for sentence in sentences {
                ui.add(Label::new(sentence).wrap());
            }
            if let Some(error) = &duel.error {
                ui.add(Label::new(RichText::new(error).color(palette.error)).wrap());
            }
            ui.add_space(space::XS);
            ui.horizontal(|ui| {
                let (judged, _) = duel.progress();
                let word = if duel.is_kept() { "Kept as pairs" } else { "Keep as pairs" };
                let keep = ui.add_enabled(judged > 0 && !duel.is_kept(), Button::new(word));
                if keep
                    .on_hover_text("Labelled pairs of the project, with their answers' origin; one undo step")
                    .clicked()
                {
                    send(DuelCommand::Save);
                }
                let undo = ui.add_enabled(duel.can_undo(), Button::new("Undo"));
                if undo.on_hover_text("Take the last verdict back (U)").clicked() {
                    send(DuelCommand::Undo);
                }
                if ui.button("Another duel").clicked() {
                    send(DuelCommand::Close);
                }
            });
            for (prompt, reason) in duel.silent() {
                ui.add(Label::new(format!("“{}”: {reason}", prompt.last_text())).truncate());
            }
        });
    });
}
