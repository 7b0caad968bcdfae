//! The pair lens beside the charts: which pairs a stretch of steps met, and what it did to them.

use data::{PairId, counted};
use egui::{Align, Label, Layout, Margin, RichText, Role as WidgetRole, Sense, Ui, WidgetInfo};
use egui_extras::{Column, TableBuilder};
use state::{
    Command, Commands, Workspace,
    lens::{Effect, LensMove, LensView, SortedPairs, StepRange},
    pairs::PairsCommand,
    train::RunCommand,
};
use store::{PairInSteps, RunId};
use train::objective::Objective;

use super::GROUP;
use crate::{chart, parts, prompt, split::Split, theme::space};

const ROW: f32 = 26.0;
const NUMBER: f32 = 60.0;
/// Below this width the list stands under the charts.
const BESIDE: f32 = 860.0;

/// Takes what was brushed in the charts, and draws the list while it is open. `last`: the newest step, and whether
/// there will be more.
pub fn ui(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut LensView,
    (run, last, is_going): (RunId, u64, bool),
    objective: &Objective,
    commands: &Commands,
) {
    let stretch = view.stretch.filter(|stretch| stretch.run == run);
    if let Some((from, to)) = chart::brush(ui, GROUP, stretch.map(|stretch| (stretch.from, stretch.to))) {
        view.open(run, from, to.min(last.max(1)));
    }
    let Some(stretch) = view.stretch.filter(|stretch| stretch.run == run) else { return };
    let data = &workspace.lens;
    if data.is_due(stretch, last, is_going) {
        commands.push(Command::Runs(RunCommand::ReadStretch(stretch, last)));
    }
    let (effect, ascending) = (view.effect, view.ascending);
    if let Some((of, met)) = data.met.as_ref().filter(|(of, _)| of.run == run)
        && !view.listed.is_by(met, *of, effect, ascending, objective)
    {
        view.listed = SortedPairs::of(met, *of, effect, ascending, objective);
    }
    let split = if ui.available_width() > BESIDE {
        Split::right("pair lens beside", 400.0, 300.0..=560.0)
    } else {
        // Most of a low window: a few rows under its head.
        let height = (ui.available_height() * 0.6).clamp(210.0, 360.0);
        Split::bottom("pair lens below", height, 140.0..=420.0)
    };
    let frame = parts::card_frame(ui).outer_margin(Margin { left: space::M as i8, ..Margin::ZERO });
    split.frame(frame).show(ui, |ui| {
        // Else it shrinks to the sentence that stands there while the pairs are read, and stays so.
        ui.set_min_height(ui.available_height());
        head(ui, view, stretch, last, commands);
        rows(ui, workspace, view, objective, commands);
    });
}

fn head(ui: &mut Ui, view: &mut LensView, stretch: StepRange, last: u64, commands: &Commands) {
    ui.horizontal(|ui| {
        let pairs = counted(view.listed.rows.len(), "pair", "pairs");
        parts::heading(ui, &format!("{pairs} of {}", stretch.words()));
        parts::at_right(ui, "lens actions", |ui| {
            if ui.button("Close").on_hover_text("Back to the charts alone (Esc)").clicked() {
                view.stretch = None;
            }
        });
    });
    ui.horizontal_wrapped(|ui| {
        let mut go = None;
        for (word, name, about, to) in [
            ("◀", "Earlier steps", "As many steps before these (←)", LensMove::Earlier),
            ("▶", "Later steps", "As many steps after these (→)", LensMove::Later),
            ("−", "Fewer steps", "The later half of them (Shift →)", LensMove::Narrower),
            ("+", "More steps", "Twice as many, back from here (Shift ←)", LensMove::Wider),
        ] {
            let button = ui.button(word).on_hover_text(about);
            prompt::name(&button, WidgetRole::Button, name);
            if button.clicked() {
                go = Some(to);
            }
        }
        let chosen = Effect::ALL.map(|effect| (effect, effect.word(), effect.about()));
        parts::segmented(ui, &mut view.effect, &chosen);
        let (arrow, about) = if view.ascending { ("↑", "Smallest first (O)") } else { ("↓", "Largest first (O)") };
        if ui.button(arrow).on_hover_text(about).clicked() {
            view.ascending = !view.ascending;
        }
        if let Some(pair) = view.selected
            && ui.button("Open").on_hover_text("Show the pair, its curve and its tokens (Enter)").clicked()
        {
            commands.push(Command::ShowPair(pair));
        }
        if let Some(to) = go {
            view.go(to, stretch.run, last, &[]);
        }
    });
    ui.add_space(space::XS);
}

fn rows(ui: &mut Ui, workspace: &Workspace, view: &mut LensView, objective: &Objective, commands: &Commands) {
    let rows = std::sync::Arc::clone(&view.listed.rows);
    if rows.is_empty() {
        let is_read = workspace.lens.met.as_ref().is_some_and(|(of, _)| Some(*of) == view.stretch);
        let said = match (is_read, workspace.lens.failed) {
            (true, _) => "No pair was met in these steps",
            (false, true) => "These steps could not be read; choose others, or these again",
            (false, false) => "Reading the pairs…",
        };
        parts::caption(ui, said);
        return;
    }
    let selected = view.selected.and_then(|selected| view.row.get(&rows, selected, |met| met.pair));
    let mut missing: Vec<PairId> = Vec::new();
    let (mut clicked, mut opened) = (None, None);
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut table = TableBuilder::new(ui)
        .id_salt("pair lens rows")
        .striped(false)
        .sense(Sense::CLICK)
        .cell_layout(Layout::left_to_right(Align::Center))
        .auto_shrink([false, false])
        .min_scrolled_height(0.0)
        .animate_scrolling(false)
        .column(Column::exact(44.0))
        .column(Column::remainder().clip(true))
        .columns(Column::exact(NUMBER), Effect::ALL.len());
    if view.reveal
        && let Some(row) = selected
    {
        table = table.scroll_to_row(row, None);
        view.reveal = false;
    }
    table
        .header(22.0, |mut header| {
            for name in ["Pair", "Prompt", "Push", "Loss", "Change"] {
                header.col(|ui| {
                    parts::caption(ui, name);
                });
            }
        })
        .body(|body| {
            body.rows(ROW, rows.len(), |mut row| {
                let met = &rows[row.index()];
                row.set_selected(Some(row.index()) == selected);
                let known = workspace.pairs.rows.get(met.pair);
                if workspace.pairs.rows.is_missing(met.pair) {
                    missing.push(met.pair);
                }
                cells(&mut row, met, known.map_or("…", |row| row.prompt.as_str()), objective);
                if row.response().clicked() {
                    clicked = Some(met.pair);
                }
                if row.response().double_clicked() {
                    opened = Some(met.pair);
                }
            });
        });
    if clicked.is_some() {
        view.selected = clicked;
    }
    if let Some(pair) = opened {
        commands.push(Command::ShowPair(pair));
    }
    if !missing.is_empty() {
        commands.push(Command::Pairs(PairsCommand::ReadRows(missing)));
    }
}

fn cells(row: &mut egui_extras::TableRow<'_, '_>, met: &PairInSteps, text: &str, objective: &Objective) {
    row.col(|ui| {
        ui.add_space(space::XS);
        parts::caption(ui, met.pair.0.to_string());
    });
    row.col(|ui| {
        ui.add(Label::new(text).truncate().selectable(false));
    });
    for effect in Effect::ALL {
        row.col(|ui| {
            let value = effect.of(met, objective).map_or_else(|| "–".to_owned(), data::number);
            ui.add(Label::new(RichText::new(value).small().monospace()).selectable(false));
        });
    }
    let times = counted(met.visits, "visit", "visits");
    let name = format!("Pair {}, {times}, margin {}: {text}", met.pair.0, data::number(f64::from(met.margin)));
    row.response().widget_info(|| WidgetInfo::labeled(WidgetRole::Row, true, &name));
}
