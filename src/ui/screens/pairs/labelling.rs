//! Labelling: one pair at a time, sides at random, everything on the keyboard.

use data::{Pair, Strength};
use egui::{RichText, Role as WidgetRole, ScrollArea, Ui};
use state::{
    Command, Commands, Workspace,
    drafts::{self, Draft, EditProgress},
    labelling::{Act, Judgement, ScrollPart, ShownAnswers, Side},
    order::{Amendment, FLAG},
    pairs::{LabelHabits, LabelMark, LabelView, PairsCommand, PairsView, ScrollExtent},
};

use super::{
    ahead, candidates,
    columns::{self, Column, READING},
    ended, marks, ordering,
};
use crate::{
    parts,
    prompt::{self, Edited},
    theme::{size, space},
    writing::Marks,
};

/// Characters of a prompt that is folded to a line.
const FOLDED: usize = 240;

/// The whole screen while labelling goes on. Leaves by taking itself out of the view.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let Some(mut label) = view.labelling.take() else {
        return;
    };
    ahead::fetch(workspace, &label, commands);
    let now = |label: &LabelView| {
        let current = label.session.current();
        (current, current.and_then(|id| workspace.pairs.pairs.get(id)))
    };
    let (current, pair) = now(&label);
    label.turn_to(current);
    let mut act = label.presses.next(current.is_none() || (pair.is_some() && label.drawn == current));
    if !label.presses.is_empty() {
        ui.request_repaint();
    }
    // What leads on is carried out first: the next pair is drawn in the frame of the key. What is written may have keys
    // of this frame yet.
    let is_written = label.field.is_some() || label.editing.is_some();
    if let Some(first) = act.take_if(|act| act.leads_on() && !is_written) {
        apply(first, pair, &mut label, &mut view.label, workspace, commands);
    }
    let (current, pair) = now(&label);
    label.turn_to(current);
    act = act.or(header(ui, &label, view.white_space, workspace));
    if label.again {
        parts::caption(
            ui,
            "Going through labelled pairs again: 1, 2, T and B give a new verdict, K and S keep the one there is, V shows it",
        );
    }
    candidates::in_a_session(ui, workspace);
    ui.add_space(space::S);
    match (current, pair) {
        (None, _) => act = act.or(ended::ui(ui, workspace, &label, view, commands)),
        (Some(id), None) if workspace.pairs.pairs.is_absent(id) => {
            // Deleted since the session began.
            label.session.pass(workspace.now_ms);
            ui.request_repaint();
        }
        (Some(_), None) => parts::empty(ui, "Reading the pair…", ""),
        (Some(id), Some(pair)) => {
            if let Some(shown) = label.session.shown(pair) {
                label.drawn = Some(id);
                let (press, is_marked) = question(ui, pair, shown, &mut label, view, workspace.now_ms);
                act = act.or(press);
                if is_marked {
                    end_field(pair, &mut label, commands);
                }
            } else {
                // Fewer than two answers: nothing to judge.
                tracing::info!("pair {} has fewer than two answers and was passed over", id.0);
                label.session.pass(workspace.now_ms);
                ui.request_repaint();
            }
        }
    }
    ahead::lay_out(ui, workspace, &label);
    if let Some(act) = act {
        if act == Act::WhiteSpace {
            view.white_space = !view.white_space;
        }
        if act == Act::Fold {
            view.label.folded = !view.label.folded;
        }
        if act == Act::Leave && label.field.is_some() {
            if let Some(pair) = pair {
                let left = label.leave_field(pair);
                put(pair, left, commands);
            }
            label.field = None;
            view.labelling = Some(label);
            return;
        }
        if act == Act::Leave && label.editing.is_none() {
            if let Some(id) = current.or_else(|| view.list(&workspace.pairs).first().copied()) {
                view.select(Some(id));
            }
            return;
        }
        apply(act, pair, &mut label, &mut view.label, workspace, commands);
    }
    view.labelling = Some(label);
}

fn apply(
    act: Act,
    pair: Option<&Pair>,
    label: &mut LabelView,
    habits: &mut LabelHabits,
    workspace: &Workspace,
    commands: &Commands,
) {
    let ordered = pair.filter(|pair| habits.orders && pair.answers.len() > 2);
    match act {
        // While several are put in order the first two digits pick as the others do.
        Act::Judge(Judgement::Prefer(side, _)) if ordered.is_some() => {
            apply(Act::Pick(side as usize), pair, label, habits, workspace, commands);
        }
        Act::Judge(judgement) => {
            finish_editing(label, commands);
            let Some(pair) = pair else { return };
            end_field(pair, label, commands);
            if let Some((verdict, name)) = label.session.judge(pair, judgement, workspace.now_ms) {
                commands.push(Command::Pairs(PairsCommand::Judge {
                    pair: pair.id,
                    verdict: Some(verdict),
                    label: name,
                }));
            }
        }
        Act::Skip => {
            // Of a pair that is asked about twice, too: nobody knows that it has one.
            let kept = (label.again || label.session.is_repeat()) && pair.is_some_and(|pair| pair.verdict.is_some());
            let act = if kept { Act::Keep } else { Act::Judge(Judgement::Skip) };
            apply(act, pair, label, habits, workspace, commands);
        }
        Act::Keep => {
            finish_editing(label, commands);
            if let Some(pair) = pair {
                end_field(pair, label, commands);
            }
            label.session.keep(workspace.now_ms);
        }
        Act::Scroll(part, way) => {
            let extent = match part {
                ScrollPart::Answers => &mut label.scroll.answers,
                ScrollPart::Prompt => &mut label.scroll.prompt,
            };
            columns::scroll(extent, way);
        }
        Act::Edit => {
            if label.editing.is_some() {
                finish_editing(label, commands);
            } else if let Some(pair) = pair {
                label.editing = Some(Draft::open(pair.clone()));
                label.editing_begins = true;
            }
        }
        Act::Pick(place) => {
            if let Some(pair) = ordered {
                pick(place, pair, label, habits, workspace, commands);
            }
        }
        Act::Order => {
            habits.orders = !habits.orders;
            label.order.clear();
        }
        Act::Reveal => label.reveals = !label.reveals,
        Act::Flag => {
            if let Some(pair) = pair {
                let on = !marks::is_flagged(pair);
                let word = if on { "Flag" } else { "Unflag" };
                let flag = Amendment::Tag(FLAG.to_owned(), on);
                amend(pair, flag, format!("{word} pair {}", pair.id.0), label, commands);
            }
        }
        Act::Tag | Act::Note => {
            if let Some(pair) = pair {
                let mark = if act == Act::Tag { LabelMark::Tag } else { LabelMark::Note };
                if label.field.as_ref().is_some_and(|field| field.mark != mark) {
                    end_field(pair, label, commands);
                }
                label.begin_field(mark, pair);
            }
        }
        Act::Difference => label.difference = !label.difference,
        Act::Undo if label.order.pop().is_some() => {}
        Act::Undo => {
            // By the button while something is written: that is kept, as the step that is taken back the next time.
            if pair.is_some_and(|pair| end_field(pair, label, commands)) {
                return;
            }
            if let Some(only) = label.session.undo_label().map(str::to_owned) {
                commands.push(Command::Pairs(PairsCommand::Undo { only: Some(only), sure: true }));
            }
            // A pair that was only kept is gone back to; the journal knows nothing of it.
            label.session.undo(workspace.now_ms);
        }
        // Esc closes the innermost thing first.
        Act::EndEditing | Act::Leave => finish_editing(label, commands),
        Act::WhiteSpace | Act::Fold => {}
    }
}

/// The next best answer. The last one needs no key.
fn pick(
    place: usize,
    pair: &Pair,
    label: &mut LabelView,
    habits: &LabelHabits,
    workspace: &Workspace,
    commands: &Commands,
) {
    let shown = label.session.shown_all(pair);
    let Some(&picked) = shown.get(place).filter(|picked| !label.order.contains(picked)) else {
        return;
    };
    label.order.push(picked);
    if label.order.len() + 1 < shown.len() {
        return;
    }
    let mut order = std::mem::take(&mut label.order);
    order.extend(shown.into_iter().find(|index| !order.contains(index)));
    finish_editing(label, commands);
    end_field(pair, label, commands);
    let pairs = habits.derived.pairs(&order).len();
    let (verdict, name) = label.session.ordered(pair, &order, pairs, workspace.now_ms);
    let amendment = Amendment::Order { order, derived: habits.derived, verdict };
    commands.push(Command::Pairs(PairsCommand::Amend { pair: pair.id, amendment, label: name }));
}

/// What was written in the field is put to the pair. True when it says something new.
fn end_field(pair: &Pair, label: &mut LabelView, commands: &Commands) -> bool {
    let ended = label.end_field(pair);
    put(pair, ended, commands)
}

fn put(pair: &Pair, ended: Option<(Amendment, String)>, commands: &Commands) -> bool {
    let Some((amendment, label)) = ended else { return false };
    commands.push(Command::Pairs(PairsCommand::Amend { pair: pair.id, amendment, label }));
    true
}

/// A change that the session can take back, and that leaves the pair on the screen.
fn amend(pair: &Pair, amendment: Amendment, name: String, label: &mut LabelView, commands: &Commands) {
    label.session.edited(pair.id, name.clone(), false);
    commands.push(Command::Pairs(PairsCommand::Amend { pair: pair.id, amendment, label: name }));
}

fn finish_editing(label: &mut LabelView, commands: &Commands) {
    let Some(mut draft) = label.editing.take() else { return };
    if draft.is_stale() {
        commands.push(Command::Pairs(PairsCommand::LeftOut(draft.pair.id)));
    } else if let Some(typed) = draft.commit() {
        label.session.edited(draft.pair.id, typed.change.label.clone(), typed.goes_on);
        commands.push(Command::Pairs(PairsCommand::Typed(typed)));
    }
}

fn header(ui: &mut Ui, label: &LabelView, white_space: bool, workspace: &Workspace) -> Option<Act> {
    let palette = parts::palette(ui);
    let progress = label.session.progress(workspace.now_ms);
    let mut act = None;
    ui.horizontal(|ui| {
        let title = if label.again { "Relabel" } else { "Label" };
        ui.label(RichText::new(title).size(size::TITLE).color(palette.strong));
        let passed = progress.done + progress.kept;
        let share = passed as f32 / progress.total.max(1) as f32;
        ui.scope(|ui| {
            ui.set_width(140.0);
            parts::progress(ui, share, "Labelled in this session");
        });
        let pace = progress.per_minute.map_or_else(String::new, |pace| format!("  ·  {pace:.0} a minute"));
        ui.label(format!("{passed} of {}{pace}", progress.total)).on_hover_text(match progress.minutes_left() {
            Some(left) => format!("About {:.0} min left at this pace", left.ceil()),
            None => "Labelled in this session".to_owned(),
        });
        let minutes = progress.spent_ms / 60_000;
        if minutes > 0 {
            parts::caption(ui, format!("{minutes} min")).on_hover_text("At it so far, breaks left out");
        }
        // The minute after this one is shown when it has come.
        let rest = 60_000 - progress.spent_ms.rem_euclid(60_000);
        ui.request_repaint_after(std::time::Duration::from_millis(rest.max(100) as u64));
        let saving = &workspace.saving;
        let word = if saving.failed {
            "Not saved"
        } else if saving.under_way > 0 {
            "Saving…"
        } else if label.editing.as_ref().is_some_and(|draft| draft.progress() == EditProgress::Typing) {
            EditProgress::Typing.word()
        } else if progress.done > 0 {
            "Saved"
        } else {
            ""
        };
        parts::caption(ui, word);
        parts::at_right(ui, "labelling actions", |ui| {
            for (text, hover, press) in [
                ("Edit", "Change the answers (E)", Act::Edit),
                ("Difference", "Mark the words only one answer has (D)", Act::Difference),
                ("White space", "Mark spaces, tabs and line ends (W)", Act::WhiteSpace),
                ("Undo", "Take the last label back (U)", Act::Undo),
                ("Leave", "Back to the table (Esc)", Act::Leave),
            ] {
                let on = (press == Act::Difference && label.difference)
                    || (press == Act::WhiteSpace && white_space)
                    || (press == Act::Edit && label.editing.is_some());
                let button = egui::Button::new(text).selected(on);
                if ui.add(button).on_hover_text(hover).clicked() {
                    act = Some(press);
                }
            }
        });
    });
    act
}

/// Prompt, two columns, and the keys under them.
fn question(
    ui: &mut Ui,
    pair: &Pair,
    shown: ShownAnswers,
    label: &mut LabelView,
    view: &mut PairsView,
    now_ms: i64,
) -> (Option<Act>, bool) {
    let (mut act, mut is_marked) = (None, false);
    let white_space = view.white_space;
    ui.push_id(("label", pair.id.0), |ui| {
        let (mut editing, difference) = (label.editing.take(), label.difference);
        let marks = Marks { white_space, ..Marks::NONE };
        let mut edited = Edited::default();
        let footer = 84.0;
        let height = ui.available_height() - footer;
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            let area = ScrollArea::vertical().id_salt("prompt").max_height(height * 0.34).auto_shrink([false, true]);
            if let Some(draft) = &mut editing {
                area.show(ui, |ui| edited.join(prompt::edit_with(ui, &mut draft.pair.prompt, marks)));
            } else if view.label.folded {
                let line = drafts::preview(&pair.prompt, FOLDED);
                ui.add(egui::Label::new(RichText::new(line).size(READING)).truncate());
            } else {
                let at = label.scroll.prompt.at;
                let area = area.vertical_scroll_offset(at);
                let shown = area.show(ui, |ui| prompt::show(ui, &pair.prompt, READING, white_space));
                label.scroll.prompt = ScrollExtent { at, ..ScrollExtent::default() };
                columns::follow(&mut label.scroll.prompt, at, &shown);
            }
        });
        let done = marks::ui(ui, pair, shown, label, view);
        (act, is_marked) = (done.act, done.is_marked);
        let height = (ui.available_height() - footer).max(120.0);
        if view.label.orders && pair.answers.len() > 2 && editing.is_none() {
            let all = label.session.shown_all(pair);
            let picked = (&all[..], &label.order[..]);
            act = act.or(ordering::ui(ui, pair, picked, height, &mut label.scroll.answers, white_space));
            act = act.or(buttons(ui, label.again && pair.verdict.is_some(), Asked::All));
            return;
        }
        let compared = (difference && editing.is_none())
            .then(|| view.differences.soon(&pair.answers[shown.left].text, &pair.answers[shown.right].text));
        let at = label.scroll.answers.at;
        let mut extent = ScrollExtent { at, ..ScrollExtent::default() };
        let both = ui.available_rect_before_wrap();
        parts::two_columns(ui, height, |ui, place| {
            let side = Side::BOTH[place];
            let index = shown.on(side);
            if let Some(draft) = &mut editing {
                let takes_caret = side == Side::Left && label.editing_begins;
                edited.join(columns::edit_column(ui, side, draft, index, height, (white_space, takes_caret)));
            } else {
                let text = &pair.answers[index].text;
                let column = Column { side, text, difference: compared.as_deref(), height, white_space };
                let area = column.show(ui, at);
                columns::follow(&mut extent, at, &area);
            }
        });
        if editing.is_none() {
            columns::wheel(ui, both, &mut extent);
            label.scroll.answers = extent;
        }
        if !ui.input(|input| input.pointer.any_click()) {
            label.editing_begins = false;
        }
        if let Some(draft) = &mut editing
            && edited.changed
        {
            draft.typed(now_ms);
        }
        label.editing = editing;
        if pair.answers.len() > 2 {
            let count = pair.answers.len();
            parts::caption(ui, format!("This pair has {count} answers; two are asked about, O puts all in order"));
        }
        act = act.or(buttons(ui, label.again && pair.verdict.is_some(), Asked::Two));
    });
    (act, is_marked)
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Two,
    /// All answers, of which none is left or right.
    All,
}

/// One button a verdict, with its key. With `labelled` the pair has a verdict that skipping does not touch: that takes
/// Shift.
fn buttons(ui: &mut Ui, labelled: bool, asked: Asked) -> Option<Act> {
    let mut act = None;
    let palette = parts::palette(ui);
    ui.add_space(space::XS);
    let better = |side| Act::Judge(Judgement::Prefer(side, Strength::Clearly));
    let verdicts = [
        ("1", "Left is better", better(Side::Left)),
        ("T", "Tie", Act::Judge(Judgement::Tie)),
        ("B", "Both bad", Act::Judge(Judgement::BothBad)),
        ("S", "Skip", Act::Skip),
        ("K", "Keep", Act::Keep),
        ("2", "Right is better", better(Side::Right)),
    ];
    ui.horizontal(|ui| {
        let gap = ui.spacing().item_spacing.x;
        let unit = (ui.available_width() - 5.0 * gap) / 7.4;
        for (key, text, press) in verdicts {
            let wide = matches!(press, Act::Judge(Judgement::Prefer(..)));
            if wide && asked == Asked::All {
                continue;
            }
            let width = match press {
                _ if wide => 1.6 * unit,
                Act::Judge(Judgement::BothBad) => 1.2 * unit,
                _ => unit,
            };
            let button = egui::Button::new(text)
                .right_text(RichText::new(key).monospace().color(palette.weak))
                .min_size(egui::vec2(width, 32.0));
            let button = ui.add_sized([width, 32.0], button);
            prompt::name(&button, WidgetRole::Button, text);
            let button = match press {
                Act::Keep => button.on_hover_text("Leaves the pair as it is and goes on (K)"),
                Act::Skip if labelled => {
                    button.on_hover_text("Keeps the verdict there is; Shift S skips the pair all the same")
                }
                _ => button,
            };
            if button.clicked() {
                act = Some(press);
            }
        }
    });
    parts::caption(
        ui,
        if asked == Asked::All {
            "1, 2, 3 … pick the best, the next best …  ·  U takes the last one back  ·  ? all keys"
        } else {
            "1 or 2 clearly  ·  with Shift strongly  ·  with Alt slightly  ·  ? all keys"
        },
    );
    act
}
