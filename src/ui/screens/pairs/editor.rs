//! One pair, to be read and changed: prompt on top, the answers side by side, what was said about them below.

use data::{Answer, Change, Choice, Edit, Origin, Pair, PairId, Prompt, Role, Strength, Turn};
use egui::{Align, Key, Layout, RichText, Role as WidgetRole, ScrollArea, TextStyle, Ui};
use state::{
    Command, Commands, Workspace,
    difference::{Differences, word_count},
    drafts::{self, AnswerVerdict, Draft, EditProgress},
    pairs::{Caret, PairsCommand, PairsView},
    ribbon::RibbonView,
    tokens::{Spot, TokensOf},
};
use train::objective::Objective;

use super::{about, circle, origin, scores};
use crate::{
    marked::{self, TextMark},
    parts, pieces,
    prompt::{self, Edited},
    ribbon,
    theme::space,
    tokens,
    writing::{Field, Marks},
};

/// Below this width the verdict takes two rows.
const VERDICT: f32 = 590.0;

/// Below this width the answers stand under each other.
const SIDE_BY_SIDE: f32 = 420.0;
/// Points that a button beside an answer's name takes.
const BUTTON: f32 = 76.0;
/// Of the button that puts a third answer among the worse ones.
const WORSE: &str =
    "Worse than the chosen answer too: a run that takes several rejected answers trains on all of them at once";

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, objective: &Objective, commands: &Commands) {
    let Some(mut draft) = view.draft.take() else {
        let next = if view.selected.is_some() { "Reading the pair…" } else { "Choose a pair in the table" };
        parts::empty(ui, "No pair is open", next);
        return;
    };
    let id = draft.pair.id;
    let mut edited = Edited::default();
    let mut deleted = false;
    if let Some(ahead) = &mut view.typed_ahead
        && view.caret == Some(Caret::Prompt)
        && !ahead.is_empty()
    {
        first_text(&mut draft.pair.prompt).push_str(&std::mem::take(ahead));
        edited.changed = true;
    }
    ui.push_id(("pair", id.0), |ui| {
        deleted = header(ui, &mut draft, view, commands);
        ScrollArea::vertical().id_salt("editor").auto_shrink([false, false]).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - space::M);
            if view.caret == Some(Caret::Prompt) {
                prompt::ask_caret(ui, 0);
                if view.typed_ahead.is_none() {
                    view.caret = None;
                }
            }
            edited.join(prompt::edit_with(ui, &mut draft.pair.prompt, marks(view)));
            ui.add_space(space::XS);
            edited.join(verdict(ui, &mut draft.pair, workspace.now_ms));
            edited.join(answers(ui, &mut draft.pair, view, workspace.now_ms));
            ui.horizontal(|ui| {
                for (word, on, about) in [
                    ("Tokens", &mut view.tokens, "What the model sees of this pair, token by token (I)"),
                    ("White space", &mut view.white_space, "Mark spaces, tabs and line ends (W)"),
                ] {
                    if ui.add(egui::Button::new(word).selected(*on)).on_hover_text(about).clicked() {
                        *on = !*on;
                    }
                }
            });
            if view.tokens {
                let sheet = &view.table.sheet;
                let limits = (sheet.max_prompt_tokens, sheet.max_answer_tokens);
                inspector(ui, &draft.pair, limits, &mut view.ribbon, workspace, commands);
            }
            ui.add_space(space::XS);
            edited.join(about::ui(ui, &mut draft.pair, view, workspace));
            circle::of_pair(ui, id, workspace, view, commands);
            about::history(ui, id, workspace, commands);
            scores::detail(ui, workspace, view, objective, id, commands);
        });
    });
    if deleted {
        delete(draft.pair, workspace, view, commands);
        return;
    }
    if edited.changed {
        draft.typed(workspace.now_ms);
    }
    if edited.finished || (draft.progress() == EditProgress::Typing && !ui.text_edit_focused()) {
        commit(&mut draft, commands);
    }
    // Leaving a field with Esc leads back to the table.
    if edited.finished && ui.input(|input| input.key_pressed(Key::Escape)) {
        view.caret = Some(Caret::Table);
    }
    view.draft = Some(draft);
}

fn marks(view: &PairsView) -> Marks<'_> {
    Marks { white_space: view.white_space, search: &view.filter.search }
}

fn first_text(prompt: &mut Prompt) -> &mut String {
    match prompt {
        Prompt::Text(text) => text,
        Prompt::Chat(turns) => {
            if turns.is_empty() {
                turns.push(Turn::new(Role::User, ""));
            }
            &mut turns[0].content
        }
    }
}

/// The tokens of the pair's answers as training sees them.
fn inspector(
    ui: &mut Ui,
    pair: &Pair,
    (max_prompt, max_answer): (usize, usize),
    ribbon: &mut RibbonView,
    workspace: &Workspace,
    commands: &Commands,
) {
    ui.add_space(space::XS);
    let shown = drafts::sides(pair).map_or_else(|| (0..pair.answers.len()).collect::<Vec<_>>(), |sides| sides.to_vec());
    let names: Vec<String> = shown.iter().map(|index| answer_name(pair, *index)).collect();
    let subject = TokensOf::Pair {
        prompt: pair.prompt.clone(),
        answers: shown.iter().map(|index| pair.answers[*index].clone()).collect(),
        max_prompt,
        max_answer,
    };
    let log_probs = ribbon::controls(ui, workspace, ribbon, &subject, commands);
    tokens::tinted(ui, workspace, Spot::Pair, subject, &names, (ribbon.tint, log_probs.as_deref()), commands);
}

fn answer_name(pair: &Pair, index: usize) -> String {
    match drafts::place(pair, index) {
        AnswerVerdict::Chosen => "Chosen".to_owned(),
        AnswerVerdict::Rejected => "Rejected".to_owned(),
        AnswerVerdict::Other if pair.worse().contains(&index) => format!("Answer {}, worse too", index + 1),
        AnswerVerdict::Other => format!("Answer {}", index + 1),
    }
}

/// Hands everything typed to the project. The field was left.
fn commit(draft: &mut Draft, commands: &Commands) {
    if let Some(typed) = draft.commit() {
        commands.push(Command::Pairs(PairsCommand::Typed(typed)));
    }
}

/// Adds a pair and opens it; what is typed from now on goes into its prompt.
pub fn open_new(change: Change, view: &mut PairsView, commands: &Commands) {
    view.typed_ahead = Some(String::new());
    commands.push(Command::Pairs(PairsCommand::Change { change, open: true }));
}

/// Another pair is opened. What the project refused because the pair had changed is told to be left out.
pub fn close(mut draft: Draft, commands: &Commands) {
    if draft.is_stale() {
        commands.push(Command::Pairs(PairsCommand::LeftOut(draft.pair.id)));
    } else {
        commit(&mut draft, commands);
    }
}

/// True when the pair is to be deleted.
fn header(ui: &mut Ui, draft: &mut Draft, view: &mut PairsView, commands: &Commands) -> bool {
    let mut deleted = false;
    ui.horizontal(|ui| {
        parts::heading(ui, &format!("Pair {}", draft.pair.id.0));
        let progress = draft.progress();
        let saved = parts::caption(ui, progress.word());
        saved.on_hover_text("What you type is saved when you pause and when you leave the field");
        if progress == EditProgress::Refused {
            let again = parts::quiet(ui, true, "Save it all the same");
            let is_gone = draft.is_gone();
            let (over, back) = if is_gone {
                ("The pair was deleted; this brings it back", "Let the pair go, and what was typed in it")
            } else {
                ("Over what the pair is now", "Show the pair as it is now")
            };
            if again.on_hover_text(over).clicked()
                && let Some(typed) = draft.again()
            {
                commands.push(Command::Pairs(PairsCommand::Typed(typed)));
            }
            if parts::quiet(ui, true, "Discard").on_hover_text(back).clicked() {
                draft.discard();
                if is_gone {
                    view.select(None);
                }
            }
        }
        let pair = &draft.pair;
        parts::at_right(ui, "pair actions", |ui| {
            let difference = egui::Button::new("Difference").selected(view.difference);
            if ui.add(difference).on_hover_text("Mark the words that only one answer has (D)").clicked() {
                view.difference = !view.difference;
            }
            if ui.button("Duplicate").on_hover_text("A copy without verdict").clicked() {
                open_new(duplicate(pair), view, commands);
            }
            deleted = ui.button("Delete").on_hover_text("Delete this pair (Del); undo brings it back").clicked();
        });
    });
    deleted
}

/// Deletes a pair and shows its neighbour: the next one, or the one before.
pub fn delete(pair: Pair, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let list = std::sync::Arc::clone(view.list(&workspace.pairs));
    let at = list.iter().position(|id| *id == pair.id);
    let before = || at?.checked_sub(1).and_then(|at| list.get(at));
    let neighbour = at.and_then(|at| list.get(at + 1)).or_else(before);
    view.select(neighbour.copied());
    commands.push(Command::Pairs(PairsCommand::Delete(Box::new(pair))));
    view.draft = None;
    view.caret = Some(Caret::Table);
}

fn duplicate(pair: &Pair) -> Change {
    let copy = Pair { id: PairId::NEW, verdict: None, source: None, ..pair.clone() };
    Change::new(format!("Duplicate pair {}", pair.id.0), vec![Edit::add(copy)])
}

/// What is said about the pair, in one row.
fn verdict(ui: &mut Ui, pair: &mut Pair, now_ms: i64) -> Edited {
    let mut choice = pair.choice();
    let wide = ui.available_width() > VERDICT;
    let layout = if wide { Layout::left_to_right(Align::Center) } else { Layout::top_down(Align::Min) };
    ui.allocate_ui_with_layout(egui::vec2(ui.available_width(), 0.0), layout, |ui| {
        if let Some(Choice::Better { chosen, rejected, strength }) = pair.choice() {
            ui.horizontal(|ui| {
                let better = |strength| Some(Choice::Better { chosen, rejected, strength });
                parts::segmented(
                    ui,
                    &mut choice,
                    &[
                        (better(Strength::Slightly), "Slightly", "The chosen answer is slightly better"),
                        (better(Strength::Clearly), "Clearly", "The chosen answer is clearly better"),
                        (better(Strength::Strongly), "Strongly", "The chosen answer is better without a doubt"),
                    ],
                );
                if ui.button("Swap").on_hover_text("The rejected answer is the better one after all").clicked() {
                    choice = Some(Choice::Better { chosen: rejected, rejected: chosen, strength });
                }
            });
        }
        parts::segmented(
            ui,
            &mut choice,
            &[
                (Some(Choice::Tie), "Tie", "Equally good; carries no push under MPO"),
                (Some(Choice::BothBad), "Both bad", "Not trained on"),
                (Some(Choice::Skip), "Skip", "Not trained on"),
                (None, "Unlabelled", "No verdict yet"),
            ],
        );
    });
    set_choice(pair, choice, now_ms)
}

fn set_choice(pair: &mut Pair, choice: Option<Choice>, now_ms: i64) -> Edited {
    if choice == pair.choice() {
        return Edited::default();
    }
    drafts::decide(pair, choice, now_ms);
    Edited::AT_ONCE
}

fn answers(ui: &mut Ui, pair: &mut Pair, view: &mut PairsView, now_ms: i64) -> Edited {
    let mut edited = Edited::default();
    let mut pressed = None;
    let shown = drafts::sides(pair).unwrap_or([0, 0]);
    let wide = ui.available_width() >= SIDE_BY_SIDE;
    let mut one = |ui: &mut Ui, pair: &mut Pair, place: usize| {
        let index = shown[place];
        let other = pair
            .answers
            .get(shown[1 - place])
            .filter(|_| view.difference && shown[0] != shown[1])
            .map(|answer| answer.text.clone());
        let beside = other.as_deref().map(|other| Beside { other, place });
        let (done, press) = answer(ui, pair, index, beside, view);
        edited.join(done);
        pressed = pressed.or(press.map(|press| (index, press)));
    };
    if pair.answers.is_empty() {
        parts::caption(ui, "This pair has no answers yet");
    } else if shown[0] == shown[1] {
        one(ui, pair, 0);
    } else if wide {
        parts::two_columns(ui, 0.0, |ui, place| one(ui, pair, place));
    } else {
        for place in 0..2 {
            one(ui, pair, place);
        }
    }
    let spare: Vec<usize> = (0..pair.answers.len()).filter(|index| !shown.contains(index)).collect();
    for index in spare {
        let (done, press) = answer(ui, pair, index, None, view);
        edited.join(done);
        pressed = pressed.or(press.map(|press| (index, press)));
    }
    if parts::quiet_row(ui, |ui| parts::quiet(ui, true, "Add answer"))
        .on_hover_text(
            "A pair may hold more than two answers; the verdict is about two of them, and those that are worse too",
        )
        .clicked()
    {
        pair.answers.push(Answer::new("", Origin::Human));
        view.caret = Some(Caret::Answer(pair.answers.len() - 1));
        edited.join(Edited::AT_ONCE);
    }
    match pressed {
        Some((index, Press::Better)) => {
            // Against the answer beside it; a third one goes against the one that is chosen now.
            let rejected = if index == shown[0] { shown[1] } else { shown[0] };
            let strength = match pair.choice() {
                Some(Choice::Better { strength, .. }) => strength,
                _ => Strength::Clearly,
            };
            let choice = Choice::Better { chosen: index, rejected, strength };
            edited.join(set_choice(pair, Some(choice), now_ms));
        }
        Some((index, Press::Worse)) => {
            drafts::toggle_worse(pair, index);
            edited.join(Edited::AT_ONCE);
        }
        Some((index, Press::Remove)) => {
            drafts::remove_answer(pair, index);
            view.caret = Some(Caret::Answer(index.min(pair.answers.len().saturating_sub(1))));
            edited.join(Edited::AT_ONCE);
        }
        Some((index, Press::PutBack)) => {
            if let Some(answer) = pair.answers.get_mut(index)
                && let Origin::Edited { text, .. } = &answer.origin
            {
                answer.text.clone_from(text);
                edited.join(Edited::AT_ONCE);
            }
        }
        None => {}
    }
    edited
}

#[derive(Debug, Clone, Copy)]
enum Press {
    Better,
    Worse,
    Remove,
    PutBack,
}

/// One answer as a card: what it is, where it came from, its text.
fn answer(
    ui: &mut Ui,
    pair: &mut Pair,
    index: usize,
    beside: Option<Beside<'_>>,
    view: &mut PairsView,
) -> (Edited, Option<Press>) {
    let palette = parts::palette(ui);
    let place = drafts::place(pair, index);
    let word = answer_name(pair, index);
    let line = match place {
        AnswerVerdict::Chosen => palette.chosen,
        AnswerVerdict::Rejected => palette.rejected,
        AnswerVerdict::Other => palette.hairline,
    };
    let mark = match place {
        AnswerVerdict::Rejected => TextMark { ground: palette.rejected_soft, line: palette.rejected },
        AnswerVerdict::Chosen | AnswerVerdict::Other => TextMark { ground: palette.chosen_soft, line: palette.chosen },
    };
    let removable = pair.answers.len() > 2;
    let ranks = (place == AnswerVerdict::Other && pair.is_decided()).then(|| pair.worse().contains(&index));
    let mut press = None;
    let answers = pair.answers.len();
    let Some(answer) = pair.answers.get_mut(index) else {
        return (Edited::default(), None);
    };
    let mut edited = Edited::default();
    // As in a prompt: a removal must not hand one answer's undo to another.
    ui.push_id(("answer", index, answers), |ui| {
        prompt::card_frame(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                ui.label(RichText::new(&word).strong().color(palette.strong));
                let was = matches!(answer.origin, Origin::Edited { .. });
                let buttons = usize::from(place == AnswerVerdict::Other)
                    + usize::from(ranks.is_some())
                    + usize::from(removable)
                    + usize::from(was);
                origin::ui(ui, &answer.origin, BUTTON * buttons as f32);
                parts::at_right(ui, "answer actions", |ui| {
                    if place == AnswerVerdict::Other {
                        let button = parts::quiet(ui, true, "Better");
                        prompt::name(&button, WidgetRole::Button, &format!("{word} is better"));
                        if button.clicked() {
                            press = Some(Press::Better);
                        }
                    }
                    if let Some(on) = ranks {
                        let button = ui.add(egui::Button::new("Worse too").selected(on));
                        prompt::name(&button, WidgetRole::Button, &format!("Answer {} is worse too", index + 1));
                        if button.on_hover_text(WORSE).clicked() {
                            press = Some(Press::Worse);
                        }
                    }
                    if was {
                        let button = parts::quiet(ui, true, "Put back");
                        prompt::name(&button, WidgetRole::Button, &format!("Put back the original of {word}"));
                        if button.on_hover_text("The text as it was before it was edited").clicked() {
                            press = Some(Press::PutBack);
                        }
                    }
                    if removable {
                        let button = parts::quiet(ui, true, "Remove");
                        prompt::name(&button, WidgetRole::Button, &format!("Remove {word}"));
                        if button.clicked() {
                            press = Some(Press::Remove);
                        }
                    }
                });
            });
            let (rect, _) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 2.0), egui::Sense::hover());
            ui.painter().rect_filled(rect, 1.0, line);
            let takes_caret = view.caret == Some(Caret::Answer(index));
            if takes_caret && !ui.input(|input| input.pointer.any_click()) {
                view.caret = None;
            }
            let name = format!("{word} text");
            let marks = Marks { white_space: view.white_space, search: &view.filter.search };
            let field = Field { marks, takes_caret, ..Field::new(&name, "text") };
            edited = text(ui, field, &mut answer.text, beside, mark, &mut view.differences);
            parts::caption(ui, count_words(&answer.text));
        });
    });
    (edited, press)
}

/// The answer that one is compared with, and which of the two stands first.
#[derive(Clone, Copy)]
struct Beside<'a> {
    other: &'a str,
    place: usize,
}

/// The text of an answer, its own words marked against the other's.
fn text(
    ui: &mut Ui,
    field: Field<'_>,
    text: &mut String,
    beside: Option<Beside<'_>>,
    mark: TextMark,
    differences: &mut Differences,
) -> Edited {
    let font = TextStyle::Body.resolve(ui.style());
    let color = ui.visuals().text_color();
    let mut layouter = |ui: &Ui, buffer: &dyn egui::TextBuffer, width: f32| {
        let text = buffer.as_str();
        // Asked for in one order for both sides, so that the two are compared once.
        let difference = beside.map(|Beside { other, place }| match place {
            0 => differences.soon(text, other),
            _ => differences.soon(other, text),
        });
        let spans = match (&difference, beside) {
            (Some(difference), Some(Beside { place: 0, .. })) => &difference.left[..],
            (Some(difference), _) => &difference.right[..],
            (None, _) => &[],
        };
        let job = marked::job(text, spans, &font, color, mark, width);
        pieces::layout(ui, marked::searched(ui, job, field.marks.search))
    };
    Field { hint: "Write an answer", rows: 4, ..field }.show_as(ui, text, Some(&mut layouter))
}

pub fn count_words(text: &str) -> String {
    match word_count(text) {
        1 => "1 word".to_owned(),
        words => format!("{words} words, {} characters", text.chars().count()),
    }
}
