//! All runs as a table: filtered, sorted, with any metric or setting as a column.

use data::metrics;
use egui::{
    Align, Button, ComboBox, DragValue, Grid, Layout, Rect, RichText, ScrollArea, Sense, TextWrapMode, Ui, UiBuilder,
};
use state::{
    Commands, Workspace,
    compare::{
        CompareView,
        board::{Board, SortRunsBy},
        differences,
        table::{self, Cell},
    },
    runs::Runs,
};
use store::{Pick, RunColumn, RunFilter, RunRecord, RunValue};

use super::{list, tables::LONGEST_NAME};
use crate::{
    legend, parts, prompt,
    screens::train,
    theme::{self, size, space},
};

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    let runs = &workspace.runs;
    ui.horizontal_wrapped(|ui| {
        list::filter_field(ui, view, 300.0);
        ui.checkbox(&mut view.board.archived, "Archived too").on_hover_text("Runs that were put away");
        let columns = Button::selectable(view.choosing, "Columns…").frame_when_inactive(true);
        if ui.add(columns).on_hover_text("Which columns there are, and in which order").clicked() {
            view.choosing = !view.choosing;
        }
    });
    if view.choosing {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            choose(ui, runs, &mut view.board);
        });
    }
    if let Some(record) = view.draft.as_ref().and_then(|draft| runs.record(draft.run)) {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width().min(560.0));
            list::edit(ui, view, record, commands);
        });
    }
    let filter: RunFilter = view.filter();
    let rows = table::rows(runs, &view.board, &filter);
    let all = runs.records.iter().filter(|record| view.board.archived || !record.marks.archived).count();
    let told = if rows.len() == all { format!("{all} runs") } else { format!("{} of {all} runs", rows.len()) };
    parts::caption(
        ui,
        format!("{told} · A click on a head sorts by it, best first; another one turns the order round"),
    );
    if rows.is_empty() {
        parts::empty(
            ui,
            "No run fits",
            "Words look in name, method, tags and note; kl/ref<0.05 compares what was measured",
        );
        return;
    }
    let rows: Vec<(usize, RunRecord)> = rows.into_iter().map(|(depth, record)| (depth, record.clone())).collect();
    ScrollArea::both().id_salt("table of runs").auto_shrink([false, false]).show(ui, |ui| {
        let columns = view.board.table.clone();
        Grid::new("table of runs").striped(true).spacing([space::L, space::XS]).show(ui, |ui| {
            let bottom = heads(ui, &mut view.board);
            // Rows that are scrolled up end below the heads.
            ui.set_clip_rect(ui.clip_rect().intersect(Rect::everything_below(bottom)));
            for (depth, record) in &rows {
                row(ui, runs, view, (*depth, record), &rows, &columns, commands);
            }
        });
    });
}

/// The first row, which stays in sight when the others are scrolled. Gives its lower edge.
fn heads(ui: &mut Ui, board: &mut Board) -> f32 {
    let down = (ui.clip_rect().top() - ui.cursor().top()).max(0.0);
    let stays = |ui: &mut Ui, add: &mut dyn FnMut(&mut Ui)| {
        let mut place = ui.available_rect_before_wrap();
        place.max.y = place.min.y;
        let place = place.translate(egui::vec2(0.0, down));
        let mut head = ui.new_child(UiBuilder::new().max_rect(place).layout(Layout::left_to_right(Align::Min)));
        add(&mut head);
        ui.allocate_exact_size(head.min_rect().size(), Sense::hover());
        head.min_rect().bottom()
    };
    let mut bottom = ui.cursor().top() + down;
    let columns = board.table.iter().map(|column| (table::title(column), SortRunsBy::Column(column.clone())));
    let fixed = [
        ("Run", SortRunsBy::Name),
        ("No.", SortRunsBy::Made),
        ("Method", SortRunsBy::Method),
        ("Steps", SortRunsBy::Step),
    ];
    let fixed = fixed.map(|(word, by)| (word.to_owned(), by));
    let all: Vec<(String, SortRunsBy)> = fixed.into_iter().chain(columns).collect();
    for (place, (title, by)) in all.into_iter().enumerate() {
        // Behind the steps stand tags and note, which nothing is sorted by.
        if place == 4 {
            stays(ui, &mut |ui| {
                parts::caption(ui, "Tags and note");
            });
        }
        let is_by = board.sort == by;
        let sign = match (is_by, board.reversed) {
            (false, _) => "",
            (true, false) => " ⏷",
            (true, true) => " ⏶",
        };
        let text = RichText::new(format!("{title}{sign}")).size(size::SMALL);
        let order = if is_by && board.reversed { ", turned round" } else { "" };
        let name = if is_by { format!("Sorted by {title}{order}") } else { format!("Sort by {title}") };
        let lower = stays(ui, &mut |ui| {
            let head = ui.add(Button::new(text.clone()).frame(false).wrap_mode(TextWrapMode::Extend));
            parts::focus_ring(ui, &head);
            prompt::name(&head, egui::Role::Button, &name);
            if let SortRunsBy::Column(column) = &by {
                head.clone().on_hover_text(column.to_string());
            }
            if head.clicked() {
                board.reversed = is_by && !board.reversed;
                board.sort = by.clone();
            }
        });
        bottom = bottom.max(lower);
    }
    ui.end_row();
    bottom
}

fn row(
    ui: &mut Ui,
    runs: &Runs,
    view: &mut CompareView,
    (depth, record): (usize, &RunRecord),
    rows: &[(usize, RunRecord)],
    columns: &[RunColumn],
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    ui.push_id(record.id.0, |ui| {
        ui.horizontal(|ui| {
            let mut on = view.shown(runs).iter().any(|run| run.id == record.id);
            let tick = ui.add_enabled(!record.marks.archived, egui::Checkbox::without_text(&mut on));
            prompt::name(&tick, egui::Role::CheckBox, &record.name);
            if tick.on_hover_text("Lays it over the other ticked runs").changed() {
                view.pick(runs, record.id, on);
            }
            let look = record.look();
            legend::sample(ui, theme::series_color(palette, look), theme::series_pattern(look));
            let pin = if record.marks.pinned { "📌 " } else { "" };
            let text = RichText::new(format!("{}{pin}{}", train::branch(depth), record.name)).color(palette.strong);
            let edit = ui.scope(|ui| {
                ui.set_max_width(LONGEST_NAME);
                ui.add(Button::new(text).frame(false).truncate())
            });
            let edit = edit.inner;
            parts::focus_ring(ui, &edit);
            prompt::name(&edit, egui::Role::Button, &format!("Edit {}", record.name));
            if edit.on_hover_text(format!("{}\nName, colour, tags, note", record.name)).clicked() {
                list::begin_edit(view, runs, record, commands);
            }
        });
    });
    ui.label(RichText::new(record.id.0.to_string()).color(palette.weak));
    ui.label(&record.method);
    let (word, color) = train::status_word(record.status, palette);
    ui.label(RichText::new(record.step.to_string())).on_hover_text(RichText::new(word).color(color));
    said(ui, record);
    for column in columns {
        let cell = table::cell(runs, record, column);
        let text = RichText::new(table::words(column, &cell));
        if is_best(runs, rows, column, &cell) {
            ui.label(text.color(palette.good)).on_hover_text("Best of these");
        } else if cell == Cell::Nothing {
            ui.label(text.color(palette.weak));
        } else {
            ui.label(text);
        }
    }
    ui.end_row();
}

/// Tags as chips, then the note, as far as there is room for it.
fn said(ui: &mut Ui, record: &RunRecord) {
    const MOST: usize = 40;
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        for tag in &record.marks.tags {
            parts::chip(ui, tag, palette.weak);
        }
        let note = record.marks.note.lines().next().unwrap_or_default();
        if !note.is_empty() {
            let short: String = note.chars().take(MOST).collect();
            let short = if short.len() < record.marks.note.len() { format!("{short}…") } else { short };
            ui.label(RichText::new(short).color(palette.weak)).on_hover_text(&record.marks.note);
        }
        if record.marks.archived {
            parts::caption(ui, "archived");
        }
    });
}

fn is_best(runs: &Runs, rows: &[(usize, RunRecord)], column: &RunColumn, cell: &Cell) -> bool {
    let Cell::Value(RunValue::Number(own)) = cell else { return false };
    let others = rows.iter().filter_map(|(_, other)| match table::cell(runs, other, column) {
        Cell::Value(RunValue::Number(value)) => Some(value),
        _ => None,
    });
    let mut others = others.peekable();
    let better = table::better(runs, column);
    rows.len() > 1 && others.peek().is_some() && others.all(|other| better.is_best(*own, other))
}

/// The columns in their order, each with what can be done with it; metrics and settings that could be more of them.
fn choose(ui: &mut Ui, runs: &Runs, board: &mut Board) {
    parts::heading(ui, "Columns");
    let count = board.table.len();
    let (mut moved, mut removed) = (None, None);
    for (place, column) in board.table.iter_mut().enumerate() {
        ui.push_id(place, |ui| {
            ui.horizontal(|ui| {
                let title = table::title(column);
                let act = |ui: &mut Ui, enabled: bool, sign: &str, what: &str| {
                    let button = ui.add_enabled(enabled, Button::new(sign).min_size(egui::vec2(26.0, 0.0)));
                    prompt::name(&button, egui::Role::Button, &format!("{what}: {title}"));
                    button.on_hover_text(what).clicked()
                };
                if act(ui, place > 0, "↑", "Earlier") {
                    moved = Some((place, place - 1));
                }
                if act(ui, place + 1 < count, "↓", "Later") {
                    moved = Some((place, place + 1));
                }
                if act(ui, true, "×", "Remove") {
                    removed = Some(place);
                }
                if let RunColumn::Metric(pick, _) = column {
                    picked(ui, pick, &title);
                }
                ui.label(&title).on_hover_text(column.to_string());
            });
        });
    }
    if let Some((from, to)) = moved {
        board.table.swap(from, to);
    }
    if let Some(place) = removed {
        board.table.remove(place);
    }
    ui.horizontal_wrapped(|ui| {
        let records: Vec<&RunRecord> = runs.records.iter().collect();
        let measured = state::compare::metrics_present(runs, &records);
        let added = more(ui, "Add a metric", measured.iter().map(|name| (metrics::caption(name), name.clone())));
        board.table.extend(added.map(|name| RunColumn::Metric(Pick::Last, name)));
        let tables: Vec<_> = records.iter().filter_map(|record| Some(&runs.settings(record.id)?.table)).collect();
        // Those that differ are what one looks for.
        let set = differences(&tables).into_iter().map(|difference| {
            let label = table::title(&RunColumn::Setting(difference.key.clone()));
            (label, difference.key)
        });
        let added = more(ui, "Add a setting", set);
        board.table.extend(added.map(RunColumn::Setting));
    });
}

/// Which of its values stands for a run.
fn picked(ui: &mut Ui, pick: &mut Pick, title: &str) {
    let word = |pick: Pick| match pick {
        Pick::Last => "last",
        Pick::Highest => "highest",
        Pick::Lowest => "lowest",
        Pick::At(_) => "at step",
    };
    let combo = ComboBox::from_id_salt("pick").selected_text(word(*pick)).width(84.0).show_ui(ui, |ui| {
        for choice in [Pick::Last, Pick::Highest, Pick::Lowest, Pick::At(100)] {
            if ui.selectable_label(word(*pick) == word(choice), word(choice)).clicked() {
                *pick = choice;
            }
        }
    });
    prompt::name(&combo.response, egui::Role::ComboBox, &format!("Which value of {title}"));
    if let Pick::At(step) = pick {
        let field = ui.add(DragValue::new(step));
        prompt::name(&field, egui::Role::SpinButton, &format!("Step of {title}"));
    }
}

fn more(ui: &mut Ui, what: &str, choices: impl Iterator<Item = (String, String)>) -> Option<String> {
    let mut chosen = None;
    let combo =
        ComboBox::from_id_salt(what).selected_text(format!("{what}…")).width(200.0).height(420.0).show_ui(ui, |ui| {
            for (caption, name) in choices {
                if ui.selectable_label(false, caption).on_hover_text(&name).clicked() {
                    chosen = Some(name);
                }
            }
        });
    prompt::name(&combo.response, egui::Role::ComboBox, what);
    chosen
}
