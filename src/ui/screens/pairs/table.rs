//! The table of pairs: filters above, rows below. Only the rows on the screen are read and laid out.

use data::{PairId, Split, SplitRule, Strength};
use egui::{
    Align, ComboBox, EventFilter, Key, Label, Layout, Modifiers, Response, RichText, Role as WidgetRole, Sense,
    StrokeKind, TextEdit, Ui, WidgetInfo,
};
use egui_extras::{Column, TableBuilder};
use state::{
    Command, Commands, Workspace,
    filter::{ListedPairs, SortPairsBy},
    labelling::ScrollBy,
    pairs::{Caret, PairsCommand, PairsData, PairsView},
    scores::ScoresCommand,
    table::moved,
};
use store::{PairRow, PairScores, VerdictState};
use train::objective::{Number, Objective, Standing};

use super::{narrow, scores};
use crate::{
    parts, prompt,
    theme::{RADIUS, space},
    writing,
};

const ROW: f32 = 28.0;
/// In less width than this the filters make themselves small, to stand in one row.
const NARROW: f32 = 760.0;

/// Id of the search field, so that a key can move there.
const SEARCH: &str = "pairs search";

/// Search, filters, order.
pub fn filters(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView) {
    let data = &workspace.pairs;
    let width = ui.available_width();
    ui.horizontal_wrapped(|ui| {
        let is_narrow = width < NARROW;
        let spacing = ui.spacing_mut();
        (spacing.combo_width, spacing.item_spacing.x) = if is_narrow { (78.0, 6.0) } else { (96.0, space::S) };
        let search = ui.add(
            TextEdit::singleline(&mut view.filter.search)
                .id(egui::Id::unique(SEARCH))
                .hint_text(if is_narrow { "Search (/)" } else { "Search, or press /" })
                .desired_width(if is_narrow { 96.0 } else { (width * 0.22).min(260.0) }),
        );
        // Enter ends the search: on with the table.
        if search.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            view.caret = Some(Caret::Table);
        }
        search.accessible_name("Search pairs".to_owned());
        shown(ui, data, view);
        split(ui, view);
        tag(ui, data, view);
        narrow::toggle(ui, view);
        scores::filters(ui, workspace, view);
        sort(ui, view);
        scores::columns(ui, view);
    });
}

fn shown(ui: &mut Ui, data: &PairsData, view: &mut PairsView) {
    let shown = &mut view.filter.shown;
    let combo = ComboBox::from_id_salt("shown")
        .selected_text(format!("{} {}", shown.word(), shown.count(&data.counts)))
        .show_ui(ui, |ui| {
            for choice in ListedPairs::ALL {
                let text = format!("{}  {}", choice.word(), choice.count(&data.counts));
                ui.selectable_value(shown, choice, text);
            }
        });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by verdict");
}

fn split_word(split: Option<Split>, held_out: Option<bool>) -> &'static str {
    match (split, held_out) {
        (_, Some(true)) => "Held out",
        (_, Some(false)) => "Not held out",
        (None, None) => "Any split",
        (Some(Split::Auto), None) => "Split by prompt",
        (Some(Split::Train), None) => "Pinned to training",
        (Some(Split::Eval), None) => "Pinned to held-out",
    }
}

fn split(ui: &mut Ui, view: &mut PairsView) {
    let (split, held_out) = (&mut view.filter.split, &mut view.filter.held_out);
    let combo = ComboBox::from_id_salt("split").selected_text(split_word(*split, *held_out)).show_ui(ui, |ui| {
        for (pin, side) in [
            (None, None),
            (None, Some(true)),
            (None, Some(false)),
            (Some(Split::Auto), None),
            (Some(Split::Train), None),
            (Some(Split::Eval), None),
        ] {
            let choice = ui.selectable_label((*split, *held_out) == (pin, side), split_word(pin, side));
            if choice.clicked() {
                (*split, *held_out) = (pin, side);
            }
        }
    });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by split");
}

fn tag(ui: &mut Ui, data: &PairsData, view: &mut PairsView) {
    if data.tags.is_empty() && view.filter.tag.is_none() {
        return;
    }
    let tag = &mut view.filter.tag;
    let combo =
        ComboBox::from_id_salt("tag").selected_text(tag.as_deref().unwrap_or("Any tag").to_owned()).show_ui(ui, |ui| {
            ui.selectable_value(tag, None, "Any tag");
            for (name, count) in &data.tags {
                ui.selectable_value(tag, Some(name.clone()), format!("{name}  {count}"));
            }
        });
    prompt::name(&combo.response, WidgetRole::ComboBox, "Filter by tag");
}

fn sort(ui: &mut Ui, view: &mut PairsView) {
    let has_scores = view.scores.is_some();
    let filter = &mut view.filter;
    parts::together(ui, "order", |ui| {
        let combo = ComboBox::from_id_salt("sort")
            .selected_text(format!("By {}", filter.sort.word().to_lowercase()))
            .show_ui(ui, |ui| {
                let all = SortPairsBy::ALL.into_iter();
                for choice in all.filter(|choice| has_scores || !matches!(choice, SortPairsBy::Scores(_))) {
                    ui.selectable_value(&mut filter.sort, choice, choice.word());
                }
            });
        prompt::name(&combo.response, WidgetRole::ComboBox, "Sort by");
        let (arrow, what) = if filter.descending { ("↓", "Largest first") } else { ("↑", "Smallest first") };
        if ui.button(arrow).on_hover_text(what).clicked() {
            filter.descending = !filter.descending;
        }
    });
}

/// The rows. Asks for what is on the screen and not here yet.
pub fn rows(ui: &mut Ui, workspace: &Workspace, view: &mut PairsView, objective: &Objective, commands: &Commands) {
    let data = &workspace.pairs;
    let ids = std::sync::Arc::clone(view.list(data));
    let selected = view.selected.and_then(|selected| view.table.row.get(&ids, selected, |id| *id));
    let (mut missing, mut unscored): (Vec<PairId>, Vec<PairId>) = (Vec::new(), Vec::new());
    let scored = view.scores.is_some_and(|whose| data.scores.of(whose).is_some_and(|shown| shown.scoring.is_some()));
    let (numbers, with_verdict) = numbers(ui.available_width(), view);
    let mut sorted_by = None;
    let mut clicked = None;
    let rule = view.table.rule();
    ui.spacing_mut().item_spacing.y = 0.0;
    let stop = stop(ui, view);
    keep_in_sight(ui, view);
    let mut table = TableBuilder::new(ui)
        .id_salt("pairs")
        .striped(false)
        .sense(Sense::CLICK)
        .cell_layout(Layout::left_to_right(Align::Center))
        .auto_shrink([false, false])
        .animate_scrolling(false)
        .column(Column::exact(number_width(&ids)))
        .column(Column::exact(16.0))
        .column(Column::remainder().clip(true))
        .columns(Column::exact(NUMBER), numbers.len())
        .columns(Column::exact(VERDICT), usize::from(with_verdict));
    let end = view.table.reveal.take();
    if let Some(row) = end.or(selected.filter(|_| std::mem::take(&mut view.reveal))) {
        table = table.scroll_to_row(row, None);
    }
    table
        .header(24.0, |mut header| {
            let mut name = |name| {
                header.col(|ui| {
                    parts::caption(ui, name);
                });
            };
            name("Pair");
            name("");
            name("Prompt");
            for number in &numbers {
                header.col(|ui| {
                    if heading(ui, view.filter.sort, *number) {
                        sorted_by = Some(*number);
                    }
                });
            }
            if with_verdict {
                header.col(|ui| {
                    parts::caption(ui, "Verdict");
                });
            }
        })
        .body(|body| {
            body.rows(ROW, ids.len(), |mut row| {
                let id = ids[row.index()];
                let (place, is_open) = (row.index(), Some(row.index()) == selected);
                view.table.selected_drawn |= is_open;
                row.set_selected(view.table.chosen(&ids).map_or(is_open, |chosen| chosen.contains(place)));
                let known = data.rows.get(id);
                if data.rows.is_missing(id) {
                    missing.push(id);
                }
                if scored && data.scores.rows.is_missing(id) {
                    unscored.push(id);
                }
                let standing = scores::standing(workspace, view, objective, id);
                cells(&mut row, id, known, (&numbers, with_verdict), standing.as_ref(), (&view.filter.search, rule));
                if row.response().clicked() {
                    clicked = Some((place, id));
                }
            });
        });
    if stop.has_focus() {
        // Over the rows, which fill their ground.
        let stroke = ui.visuals().widgets.active.bg_stroke;
        ui.painter().rect_stroke(stop.rect, RADIUS, stroke, StrokeKind::Inside);
    }
    if let Some((place, id)) = clicked {
        let held = ui.input(|input| input.modifiers);
        if held.shift {
            view.table.draw_out(&ids, selected, place);
        } else if held.command {
            view.table.toggle(&ids, selected, place);
        } else {
            view.select(Some(id));
            view.table.row.know(&ids, id, place);
            view.reveal = false;
        }
    }
    if let Some(number) = sorted_by {
        let filter = &mut view.filter;
        filter.descending = filter.sort != SortPairsBy::Scores(number) || !filter.descending;
        filter.sort = SortPairsBy::Scores(number);
    }
    if !missing.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadRows(missing)));
    }
    if !unscored.is_empty() {
        scores::push(ScoresCommand::ReadRows(unscored), commands);
    }
}

/// Room for the longest number of a pair.
fn number_width(ids: &[PairId]) -> f32 {
    // Of very many they are not all looked at in every frame.
    const LOOKED_AT: usize = 10_000;
    const DIGIT: f32 = 6.5;
    let longest = if ids.len() > LOOKED_AT { WIDEST } else { ids.iter().map(|id| id.0).max().unwrap_or(0) };
    2.0 * space::XS + DIGIT * (longest.max(1).ilog10() + 1).max(3) as f32
}

/// Has as many digits as a pair's number is drawn with.
const WIDEST: i64 = 9_999_999;
/// Width of a column of numbers, and of the verdict's.
const NUMBER: f32 = 60.0;
const VERDICT: f32 = 76.0;
/// Points of what stands before the prompt, and what the prompt keeps.
const BEFORE: f32 = 84.0;
const PROMPT: f32 = 110.0;

/// The numbers that have room beside the prompt, the one that is sorted by among them, and whether the verdict has.
fn numbers(width: f32, view: &PairsView) -> (Vec<Number>, bool) {
    if view.scores.is_none() {
        return (Vec::new(), true);
    }
    let room = width - BEFORE - PROMPT;
    let with_verdict = room >= VERDICT + NUMBER;
    let left = if with_verdict { room - VERDICT } else { room };
    let most = (left / NUMBER).max(1.0) as usize;
    let mut numbers: Vec<Number> =
        Number::ALL.into_iter().filter(|number| view.table.has_column(*number)).take(most).collect();
    if let SortPairsBy::Scores(sorted) = view.filter.sort
        && !numbers.contains(&sorted)
    {
        numbers.truncate(most - 1);
        numbers.push(sorted);
    }
    (numbers, with_verdict)
}

/// The name of a column of numbers, which sorts by it.
fn heading(ui: &mut Ui, sort: SortPairsBy, number: Number) -> bool {
    let by = SortPairsBy::Scores(number);
    let palette = parts::palette(ui);
    let color = if sort == by { palette.accent } else { palette.weak };
    let text = RichText::new(number.heading()).small().color(color);
    let mut clicked = false;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.add_space(space::XS);
        let label = ui.add(Label::new(text).selectable(false).sense(Sense::CLICK)).on_hover_ui(|ui| {
            ui.label(format!("{}: {}", number.title(), number.about()));
            parts::caption(ui, "A click sorts");
        });
        prompt::name(&label, WidgetRole::Button, &format!("Sort by {}", by.word().to_lowercase()));
        clicked = label.clicked();
    });
    clicked
}

/// Where the table has become lower, as by a notice under it, the chosen row stays in sight if it was.
fn keep_in_sight(ui: &Ui, view: &mut PairsView) {
    let height = ui.available_height();
    let before = std::mem::replace(&mut view.table.height, height);
    let was_drawn = std::mem::take(&mut view.table.selected_drawn);
    view.reveal |= was_drawn && height < before;
}

/// The whole table is one stop of the Tab key; arrows move inside it.
fn stop(ui: &Ui, view: &mut PairsView) -> Response {
    let rect = ui.available_rect_before_wrap();
    let response = ui.interact(rect, table_id(), Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo::labeled(WidgetRole::Table, true, "Table of pairs"));
    if view.caret == Some(Caret::Table) && writing::give_caret(ui, &response, true) {
        view.caret = None;
    }
    if response.has_focus() {
        let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    }
    response
}

pub fn table_id() -> egui::Id {
    egui::Id::unique("table of pairs")
}

fn cells(
    row: &mut egui_extras::TableRow<'_, '_>,
    id: PairId,
    known: Option<&PairRow>,
    (numbers, with_verdict): (&[Number], bool),
    standing: Option<&(PairScores, Standing)>,
    (search, rule): (&str, SplitRule),
) {
    row.col(|ui| {
        ui.add_space(space::XS);
        parts::caption(ui, id.0.to_string());
    });
    let held_out = known.is_some_and(|row| row.is_held_out(rule));
    row.col(|ui| {
        if held_out {
            parts::caption(ui, "H").on_hover_text("Held out: runs are measured on it and not trained on it");
        }
    });
    row.col(|ui| {
        let palette = parts::palette(ui);
        match known {
            None => {
                ui.add(Label::new(RichText::new("…").color(palette.weak)).selectable(false));
            }
            Some(row) if row.prompt.is_empty() => {
                let text = RichText::new("Empty prompt").italics().color(palette.weak);
                ui.add(Label::new(text).truncate().selectable(false));
            }
            Some(row) => {
                ui.add(Label::new(narrow::marked(ui, row, search)).truncate().selectable(false));
            }
        }
    });
    for number in numbers {
        row.col(|ui| scores::cell(ui, standing.map(|(scores, standing)| number.of(scores, standing))));
    }
    if with_verdict {
        row.col(|ui| verdict(ui, known));
    }
    let name = known.map_or_else(
        || format!("Pair {}", id.0),
        |row| {
            let side = if held_out { ", held out" } else { "" };
            let worse = if row.worse > 1 { format!(" than {} answers", row.worse) } else { String::new() };
            format!("Pair {}, {}{worse}{side}: {}", id.0, verdict_word(row), row.prompt)
        },
    );
    row.response().widget_info(|| WidgetInfo::labeled(WidgetRole::Row, true, &name));
}

fn verdict(ui: &mut Ui, known: Option<&PairRow>) {
    if let Some(row) = known {
        let palette = parts::palette(ui);
        let color = if row.state == VerdictState::Unlabelled { palette.weak } else { palette.text };
        let word = match row.worse {
            0 | 1 => verdict_word(row).to_owned(),
            worse => format!("{} 1:{worse}", verdict_word(row)),
        };
        let shown = ui.add(Label::new(RichText::new(word).small().color(color)).selectable(false));
        if row.worse > 1 {
            shown.on_hover_text(format!("The chosen answer against {} rejected ones", row.worse));
        }
    }
}

fn verdict_word(row: &PairRow) -> &'static str {
    match (row.state, row.strength) {
        (VerdictState::Unlabelled, _) => "Unlabelled",
        (VerdictState::Better, Some(Strength::Slightly)) => "Slightly",
        (VerdictState::Better, Some(Strength::Clearly)) => "Clearly",
        (VerdictState::Better, _) => "Strongly",
        (VerdictState::Tie, _) => "Tie",
        (VerdictState::BothBad, _) => "Both bad",
        (VerdictState::Skip, _) => "Skipped",
    }
}

/// Puts the caret into the search field.
pub fn search(ui: &Ui) {
    ui.memory_mut(|memory| memory.request_focus(egui::Id::unique(SEARCH)));
}

/// Down leads from the search field into the table.
pub fn down_from_search(ui: &Ui, view: &mut PairsView) {
    let in_search = ui.memory(|memory| memory.has_focus(egui::Id::unique(SEARCH)));
    if in_search && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::ArrowDown)) {
        view.caret = Some(Caret::Table);
    }
}

/// Chooses another row.
pub fn step(data: &PairsData, view: &mut PairsView, way: ScrollBy) {
    let list = std::sync::Arc::clone(view.list(data));
    let Some(last) = list.len().checked_sub(1) else {
        return;
    };
    let at = view.selected.and_then(|selected| view.table.row.get(&list, selected, |id| *id));
    let to = match (way, at) {
        (ScrollBy::End, None) => last,
        (_, None) => 0,
        (way, Some(at)) => moved(at, last, way),
    };
    view.select(Some(list[to]));
    view.table.row.know(&list, list[to], to);
}

/// Chooses all rows from the open one to where the movement leads.
pub fn extend(data: &PairsData, view: &mut PairsView, way: ScrollBy) {
    let list = std::sync::Arc::clone(view.list(data));
    let at = view.selected.and_then(|selected| view.table.row.get(&list, selected, |id| *id));
    let Some(end) = view.table.draw_out_by(&list, at, way) else {
        return;
    };
    view.table.reveal = Some(end);
}
