//! The Compare screen: runs laid over each other, and what differs between them.

mod charts;
mod controls;
mod fought;
mod frontier;
mod list;
mod parallel;
mod paths;
mod table;
mod tables;

use egui::{Button, Frame, Panel, ScrollArea, Shape, Ui, containers::menu::MenuButton};
use engine::protocol::CurveFile;
use state::{
    Command, Commands, Views, Workspace,
    actions::{Action, entry, key_of},
    compare::{
        CompareView,
        board::ChartsOrTable,
        parallel::FEWEST,
        table::{columns_needed, unread},
    },
    runs::Loaded,
    train::RunCommand,
};

use crate::{icon::Pen, parts, theme::space};
pub use charts::GROUP;
pub use list::filter;

const LIST: f32 = 280.0;
/// So many of the runs, two and two, are told in words: all of four.
const SENTENCES: usize = 6;

/// Two curves.
pub(crate) fn icon(pen: &Pen<'_>) {
    pen.line(&[(0.06, 0.8), (0.4, 0.42), (0.94, 0.2)], 1.8);
    let dashed = [(0.06, 0.36), (0.46, 0.66), (0.94, 0.76)].map(|(x, y)| pen.at(x, y));
    pen.painter.extend(Shape::dashed_line(&dashed, pen.stroke(1.6), 3.0, 2.0));
}

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let view = &mut views.compare;
    ui.horizontal(|ui| {
        ui.vertical(|ui| parts::title(ui, "Compare", "Lay runs over each other"));
        parts::at_right(ui, "compare actions", |ui| actions(ui, workspace, view, commands));
    });
    ui.add_space(space::S);
    if workspace.runs.records.is_empty() {
        parts::empty(ui, "No run yet", "Start one on the Train screen; it appears here at once");
        return;
    }
    for record in view.shown(&workspace.runs) {
        let history = workspace.runs.history(record.id);
        if history.is_none_or(|history| history.loaded == Loaded::Absent) {
            commands.push(Command::Runs(RunCommand::Load(record.id)));
        }
    }
    let wanted = unread(&workspace.runs, &columns_needed(&view.board, &view.filter()));
    if !wanted.is_empty()
        && (view.board.face == ChartsOrTable::Table || !view.filter.is_empty() || has_many(workspace, view))
    {
        commands.push(Command::Runs(RunCommand::ReadCells(wanted)));
    }
    if view.board.face == ChartsOrTable::Table {
        table::ui(ui, workspace, view, commands);
        keep(ui, view, commands);
        return;
    }
    Panel::left("compare runs")
        .exact_size(LIST)
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::NONE.inner_margin(egui::Margin { right: space::L as i8, ..egui::Margin::ZERO }))
        .show(ui, |ui| list::ui(ui, workspace, view, commands));
    egui::CentralPanel::no_frame().show(ui, |ui| {
        ScrollArea::vertical()
            .id_salt("compare")
            .auto_shrink([false, false])
            .show(ui, |ui| overlay(ui, workspace, view, commands));
    });
    keep(ui, view, commands);
}

/// Whether parallel coordinates are drawn.
fn has_many(workspace: &Workspace, view: &CompareView) -> bool {
    view.shown(&workspace.runs).len() >= FEWEST
}

fn actions(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    let any = !view.shown(&workspace.runs).is_empty();
    let send = |command| commands.push(Command::Runs(command));
    let about = "The ticked runs on one page: settings, charts, answers, as HTML";
    if ui.add_enabled(any, Button::new("Report…")).on_hover_text(about).clicked() {
        send(RunCommand::PickReport);
    }
    ui.add_enabled_ui(any, |ui| {
        let (button, _) = MenuButton::new("Export").ui(ui, |ui| {
            for kind in CurveFile::ALL {
                let Some(line) = entry(Action::ExportCurves(kind)) else { continue };
                if ui.button(format!("{}…", line.name)).on_hover_text(line.help).clicked() {
                    send(RunCommand::PickCurves(kind));
                }
            }
        });
        button.on_hover_text("The charts that are shown, as pictures, numbers, or for TensorBoard");
    });
    if view.board.face == ChartsOrTable::Charts {
        let about = format!("Which charts there are, and in which order ({})", key_of(Action::ChooseCharts));
        let choose = Button::selectable(view.choosing, "Charts…").frame_when_inactive(true);
        if ui.add_enabled(any, choose).on_hover_text(about).clicked() {
            view.choosing = !view.choosing;
        }
    }
    let key = key_of(Action::CompareFace);
    let charts = format!("The ticked runs laid over each other ({key})");
    let table = format!("All runs with what they reached, to be filtered and sorted ({key})");
    parts::segmented(
        ui,
        &mut view.board.face,
        &[(ChartsOrTable::Charts, "Overlay", &charts[..]), (ChartsOrTable::Table, "Table", &table[..])],
    );
}

/// Keeps the arrangement with the project.
fn keep(ui: &Ui, view: &CompareView, commands: &Commands) {
    // A slider that is being dragged is no arrangement yet.
    if view.board != view.kept && !ui.input(|input| input.pointer.any_down()) {
        commands.push(Command::Runs(RunCommand::KeepBoard));
    }
}

fn overlay(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    let runs = &workspace.runs;
    let shown = view.shown(runs);
    // Those that are drawn come back below.
    view.marked.drawn.clear();
    if shown.is_empty() {
        parts::empty(ui, "No run is ticked", "Tick runs on the left to see them here");
        return;
    }
    let present = view.present.of(runs, &shown);
    if present.is_empty() {
        parts::empty(ui, "These runs have measured nothing yet", "Their charts fill as soon as the first step is done");
        return;
    }
    view.board.offer(&present);
    controls::ui(ui, view, &present);
    let wanted = runs.fought.wanted(&shown, workspace.pairs.revision);
    if !wanted.is_empty() {
        commands.push(Command::Runs(RunCommand::ReadFought(wanted)));
    }
    let told = view.fought.of(runs, &shown);
    let said = view.sentences.of(runs, &shown);
    for sentence in said.apart.iter().chain(&said.all).chain(&told.in_words()) {
        ui.label(sentence);
    }
    charts::ui(ui, runs, view, &shown, &present, commands);
    ui.add_space(space::S);
    for sentence in view.sentences.of(runs, &shown).every_two.iter().take(SENTENCES) {
        ui.label(sentence);
    }
    tables::summary(ui, runs, &shown, &present);
    ui.add_space(space::S);
    fought::ui(ui, workspace, &told, commands);
    frontier::ui(ui, runs, &shown, view, &present, commands);
    ui.add_space(space::S);
    if has_many(workspace, view) {
        parallel::ui(ui, runs, &shown, view);
        ui.add_space(space::S);
    }
    tables::settings(ui, runs, &shown, &mut view.differing);
    ui.add_space(space::L);
}
