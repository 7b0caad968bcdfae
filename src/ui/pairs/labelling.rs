//! Labelling: one pair at a time, sides at random, everything on the keyboard.

use egui::{Align, Frame, Layout, RichText, Role as WidgetRole, ScrollArea, TextEdit, Ui};

use super::keys::{self, Act};

use crate::{
    data::{Pair, PairId, Strength},
    state::{
        Command, Commands, Workspace,
        difference::{Difference, Differences},
        drafts::{Draft, LONGEST_EDITABLE},
        labelling::{Judgement, Shown, Side},
        pairs::{LabelView, PairsCommand, PairsView},
    },
    ui::{
        marked::{self, Mark},
        parts, prompt,
        theme::{size, space},
    },
};

/// Size of the answers' letters.
const READING: f32 = 16.0;

/// Height of the line that names a column, with the gap under it.
const CAPTION: f32 = 34.0;

/// Pairs fetched ahead.
const AHEAD: usize = 4;

/// The whole screen while labelling goes on. Leaves by taking itself out of the view.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let Some(mut label) = view.labelling.take() else {
        return;
    };
    fetch(workspace, &label, commands);
    let current = label.session.current();
    let pair = current.and_then(|id| workspace.pairs.pairs.get(id));
    let mut act = keys::take(ui, &mut label);
    act = act.or(header(ui, &label, workspace));
    ui.add_space(space::S);
    match (current, pair) {
        (None, _) => act = act.or(finished(ui, &label)),
        (Some(id), None) if workspace.pairs.pairs.is_absent(id) => {
            // Deleted since the session began.
            label.session.pass(workspace.now_ms);
            ui.request_repaint();
        }
        (Some(_), None) => parts::empty(ui, "Reading the pair…", ""),
        (Some(id), Some(pair)) => {
            if let Some(shown) = label.session.shown(pair) {
                act = act.or(question(ui, pair, shown, &mut label, &mut view.differences));
            } else {
                // Fewer than two answers: nothing to judge.
                tracing::info!("pair {} has fewer than two answers and was passed over", id.0);
                label.session.pass(workspace.now_ms);
                ui.request_repaint();
            }
        }
    }
    lay_out_next(ui, workspace, &label);
    if label.keys {
        keys::overlay(ui);
    }
    if let Some(act) = act {
        apply(act, pair, &mut label, workspace, commands);
        if act == Act::Leave && label.editing.is_none() && !label.keys {
            if let Some(id) = current.or_else(|| view.list(&workspace.pairs).first().copied()) {
                view.select(Some(id));
            }
            return;
        }
        if act == Act::Leave {
            // Esc closes the innermost thing first.
            if label.keys {
                label.keys = false;
            } else {
                finish_editing(&mut label, commands);
            }
        }
    }
    view.labelling = Some(label);
}

fn apply(act: Act, pair: Option<&Pair>, label: &mut LabelView, workspace: &Workspace, commands: &Commands) {
    match act {
        Act::Judge(judgement) => {
            finish_editing(label, commands);
            let Some(pair) = pair else { return };
            if let Some((verdict, name)) = label.session.judge(pair, judgement, workspace.now_ms) {
                commands.push(Command::Pairs(PairsCommand::Judge {
                    pair: pair.id,
                    verdict: Some(verdict),
                    label: name,
                }));
            }
        }
        Act::Edit => {
            if label.editing.is_some() {
                finish_editing(label, commands);
            } else if let Some(pair) = pair {
                label.editing = Some(Draft::open(pair.clone()));
                label.editing_begins = true;
            }
        }
        Act::Difference => label.difference = !label.difference,
        Act::Undo => {
            if let Some(only) = label.session.undo_label().map(str::to_owned) {
                commands.push(Command::Pairs(PairsCommand::Undo { only: Some(only) }));
                label.session.undo(workspace.now_ms);
            }
        }
        Act::Keys => label.keys = !label.keys,
        Act::Leave => {}
    }
}

fn finish_editing(label: &mut LabelView, commands: &Commands) {
    if let Some(mut draft) = label.editing.take()
        && let Some(change) = draft.commit()
    {
        label.session.edited(draft.pair.id, change.label.clone());
        commands.push(Command::Pairs(PairsCommand::Change { change, open: false }));
    }
}

fn fetch(workspace: &Workspace, label: &LabelView, commands: &Commands) {
    let wanted: Vec<PairId> = label
        .session
        .current()
        .into_iter()
        .chain(label.session.upcoming(AHEAD).iter().copied())
        .filter(|id| workspace.pairs.pairs.is_missing(*id))
        .collect();
    if !wanted.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadPairs(wanted)));
    }
}

fn header(ui: &mut Ui, label: &LabelView, workspace: &Workspace) -> Option<Act> {
    let palette = parts::palette(ui);
    let progress = label.session.progress();
    let mut act = None;
    ui.horizontal(|ui| {
        ui.label(RichText::new("Label").size(size::TITLE).color(palette.strong));
        let share = progress.done as f32 / progress.total.max(1) as f32;
        ui.scope(|ui| {
            ui.set_width(140.0);
            parts::progress(ui, share, "Labelled in this session");
        });
        let pace = progress.per_minute.map_or_else(String::new, |pace| format!("  ·  {pace:.0} a minute"));
        ui.label(format!("{} of {}{pace}", progress.done, progress.total));
        let saving = &workspace.saving;
        let word = if saving.failed {
            "Not saved"
        } else if saving.under_way > 0 {
            "Saving…"
        } else if progress.done > 0 {
            "Saved"
        } else {
            ""
        };
        parts::caption(ui, word);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            for (text, hover, press) in [
                ("Leave", "Back to the table (Esc)", Act::Leave),
                ("Keys", "All keys of this mode (?)", Act::Keys),
                ("Undo", "Take the last label back (U)", Act::Undo),
                ("Difference", "Mark the words only one answer has (D)", Act::Difference),
                ("Edit", "Change the answers (E)", Act::Edit),
            ] {
                let on =
                    (press == Act::Difference && label.difference) || (press == Act::Edit && label.editing.is_some());
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
    shown: Shown,
    label: &mut LabelView,
    differences: &mut Differences,
) -> Option<Act> {
    let mut act = None;
    ui.push_id(("label", pair.id.0), |ui| {
        let (mut editing, difference) = (label.editing.take(), label.difference);
        let footer = 84.0;
        let height = ui.available_height() - footer;
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            ScrollArea::vertical().id_salt("prompt").max_height(height * 0.34).auto_shrink([false, true]).show(
                ui,
                |ui| match &mut editing {
                    Some(draft) => {
                        prompt::edit(ui, &mut draft.pair.prompt);
                    }
                    None => prompt::show(ui, &pair.prompt, READING),
                },
            );
        });
        let height = (ui.available_height() - footer).max(120.0);
        let compared = (difference && editing.is_none())
            .then(|| differences.between(&pair.answers[shown.left].text, &pair.answers[shown.right].text));
        parts::two_columns(ui, height, |ui, place| {
            let side = Side::BOTH[place];
            let index = shown.on(side);
            if let Some(draft) = &mut editing {
                let field = edit_column(ui, side, draft, index, height);
                if let Some(field) = field
                    && side == Side::Left
                    && std::mem::take(&mut label.editing_begins)
                {
                    field.request_focus();
                }
            } else {
                let text = &pair.answers[index].text;
                column(ui, side, text, compared.as_deref(), height);
            }
        });
        label.editing = editing;
        if pair.answers.len() > 2 {
            parts::caption(ui, format!("This pair has {} answers; two are asked about", pair.answers.len()));
        }
        act = buttons(ui);
    });
    act
}

fn side_word(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Left => ("1", "Left answer"),
        Side::Right => ("2", "Right answer"),
    }
}

/// Key and place of a column.
fn caption(ui: &mut Ui, side: Side) {
    let palette = parts::palette(ui);
    let (key, name) = side_word(side);
    ui.horizontal(|ui| {
        let key = RichText::new(key).monospace().size(size::SMALL);
        ui.label(key.color(palette.accent));
        parts::caption(ui, name);
    });
}

fn column(ui: &mut Ui, side: Side, text: &str, difference: Option<&Difference>, height: f32) {
    let palette = parts::palette(ui);
    let (_, name) = side_word(side);
    let mark = Mark { ground: palette.accent_soft, line: palette.accent };
    let frame = parts::card_frame(ui);
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        let inner = height - 2.0 * space::L - CAPTION;
        caption(ui, side);
        ui.set_min_height(inner);
        if text.len() > LONGEST_EDITABLE {
            marked::long_text(ui, name, text, inner);
            return;
        }
        ScrollArea::vertical().id_salt(name).max_height(inner).auto_shrink([false, true]).show(ui, |ui| {
            let spans = difference.map_or(&[][..], |difference| match side {
                Side::Left => &difference.left,
                Side::Right => &difference.right,
            });
            let font = egui::FontId::proportional(READING);
            let width = ui.available_width();
            let job = marked::job(text, spans, &font, palette.text, mark, width);
            marked::label(ui, job);
        });
    });
}

fn edit_column(ui: &mut Ui, side: Side, draft: &mut Draft, index: usize, height: f32) -> Option<egui::Response> {
    let (_, name) = side_word(side);
    let answer = draft.pair.answers.get_mut(index)?;
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        let inner = height - 2.0 * space::L - CAPTION;
        caption(ui, side);
        ui.set_min_height(inner);
        if answer.text.len() > LONGEST_EDITABLE {
            prompt::too_long(ui, name, &answer.text);
            return None;
        }
        ScrollArea::vertical()
            .id_salt(name)
            .max_height(inner)
            .show(ui, |ui| {
                let field = ui.add(
                    TextEdit::multiline(&mut answer.text)
                        .id_salt(("edit", index))
                        .font(egui::FontId::proportional(READING))
                        .frame(Frame::NONE)
                        .desired_width(f32::INFINITY)
                        .desired_rows(4),
                );
                Some(field.accessible_name(name))
            })
            .inner
    })
}

/// One button a verdict, with its key.
fn buttons(ui: &mut Ui) -> Option<Act> {
    let mut act = None;
    let palette = parts::palette(ui);
    ui.add_space(space::XS);
    let verdicts = [
        ("1", "Left is better", Judgement::Prefer(Side::Left, Strength::Clearly)),
        ("T", "Tie", Judgement::Tie),
        ("B", "Both bad", Judgement::BothBad),
        ("S", "Skip", Judgement::Skip),
        ("2", "Right is better", Judgement::Prefer(Side::Right, Strength::Clearly)),
    ];
    ui.horizontal(|ui| {
        let gap = ui.spacing().item_spacing.x;
        let unit = (ui.available_width() - 4.0 * gap) / 7.0;
        for (key, text, judgement) in verdicts {
            let wide = matches!(judgement, Judgement::Prefer(..));
            let width = if wide { 2.0 * unit } else { unit };
            let button = egui::Button::new(text)
                .right_text(RichText::new(key).monospace().color(palette.weak))
                .min_size(egui::vec2(width, 32.0));
            let button = ui.add_sized([width, 32.0], button);
            prompt::name(&button, WidgetRole::Button, text);
            if button.clicked() {
                act = Some(Act::Judge(judgement));
            }
        }
    });
    parts::caption(ui, "1 or 2 clearly  ·  with Shift strongly  ·  with Alt slightly  ·  ? all keys");
    act
}

fn finished(ui: &mut Ui, label: &LabelView) -> Option<Act> {
    let mut act = None;
    let progress = label.session.progress();
    parts::empty(
        ui,
        &format!("All done: {} labelled in this session", progress.done),
        "U takes the last one back, Esc returns to the table",
    );
    let habits = label.session.habits();
    ui.vertical_centered(|ui| {
        ui.add_space(space::S);
        let share = |(part, whole): (usize, usize)| 100.0 * part as f64 / whole as f64;
        if habits.left.1 >= 5 {
            parts::caption(
                ui,
                format!("You chose the left answer in {:.0} % of {}", share(habits.left), habits.left.1),
            );
        }
        if habits.longer.1 >= 5 {
            parts::caption(
                ui,
                format!("You chose the longer answer in {:.0} % of {}", share(habits.longer), habits.longer.1),
            );
        }
        ui.add_space(space::M);
        if parts::primary(ui, "Back to the table").clicked() {
            act = Some(Act::Leave);
        }
    });
    act
}

/// Lays the next pair out at the width it will have, so that it is there in the frame it is asked for.
fn lay_out_next(ui: &Ui, workspace: &Workspace, label: &LabelView) {
    let Some(pair) = label.session.upcoming(1).first().and_then(|id| workspace.pairs.pairs.get(*id)) else {
        return;
    };
    let Some(shown) = label.session.shown(pair) else {
        return;
    };
    let palette = parts::palette(ui);
    let mark = Mark { ground: palette.accent_soft, line: palette.accent };
    let font = egui::FontId::proportional(READING);
    let width = (ui.max_rect().width() - ui.spacing().item_spacing.x) / 2.0 - 2.0 * space::L - 2.0;
    for index in [shown.left, shown.right] {
        let text = &pair.answers[index].text;
        if text.len() <= LONGEST_EDITABLE {
            let job = marked::job(text, &[], &font, palette.text, mark, width);
            ui.fonts_mut(|fonts| fonts.layout_job(job));
        }
    }
}
