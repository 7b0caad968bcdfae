//! The Compare screen: runs laid over each other, and what differs between them.

mod frontier;
mod list;
mod tables;

use data::{
    Scale,
    metrics::{self, Stored},
};
use egui::{Button, ComboBox, Frame, Panel, RichText, ScrollArea, Slider, Ui};
use state::{
    Command, Commands, Workspace,
    compare::{CompareView, in_words, learned, metrics_present},
    runs::Loaded,
    seeds,
    series::Series,
    train::RunCommand,
};
use store::RunId;

use super::{
    chart::{self, Chart, Line},
    parts,
    theme::space,
};

const LIST: f32 = 264.0;
/// So many of the other runs are told in words against the first.
const SENTENCES: usize = 4;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView, commands: &Commands) {
    ui.horizontal(|ui| {
        ui.vertical(|ui| parts::title(ui, "Compare", "Lay runs over each other"));
        parts::at_right(ui, "compare actions", |ui| {
            let any = !view.shown(&workspace.runs).is_empty();
            let about = "The ticked runs on one page: settings, charts, answers, as HTML";
            if ui.add_enabled(any, Button::new("Report…")).on_hover_text(about).clicked() {
                commands.push(Command::Runs(RunCommand::PickReport));
            }
        });
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
            .show(ui, |ui| overlay(ui, workspace, view));
    });
}

fn overlay(ui: &mut Ui, workspace: &Workspace, view: &mut CompareView) {
    let runs = &workspace.runs;
    let shown = view.shown(runs);
    if shown.is_empty() {
        parts::empty(ui, "No run is ticked", "Tick runs on the left to see them here");
        return;
    }
    let present = metrics_present(runs, &shown);
    if present.is_empty() {
        parts::empty(ui, "These runs have measured nothing yet", "Their charts fill as soon as the first step is done");
        return;
    }
    if !present.contains(&view.metric) {
        let usual = [metrics::HELD_OUT_ACCURACY, metrics::ACCURACY, metrics::LOSS];
        let found = usual.iter().find(|name| present.iter().any(|p| p == *name));
        view.metric = found.map_or_else(|| present[0].clone(), |name| (*name).to_owned());
    }
    controls(ui, view, &present);
    parts::caption(ui, chart::GESTURES);

    let metric = view.metric.clone();
    let series = || {
        shown.iter().filter_map(|record| {
            let series = runs.history(record.id)?.series(&metric)?;
            Some((*record, series))
        })
    };
    let smooth = view.smoothing > 0.0;
    if smooth {
        let wanted = series().map(|(record, series)| (record.id, metric.as_str(), series));
        view.smooth.update(view.smoothing, wanted);
    }
    let sparse = metrics::is_rare(&metric);
    let mut lines = Vec::new();
    let groups = seeds::groups(runs, &shown);
    for (record, raw) in series() {
        let look = list::look(record.id);
        if groups.iter().flatten().any(|member| member.id == record.id) {
            lines.push(Line::new(&record.name, raw, look).faint());
            continue;
        }
        match view.smooth.get(record.id, &metric).filter(|_| smooth) {
            Some(smoothed) => {
                lines.push(Line::new(&record.name, raw, look).faint());
                lines.push(Line::new(&record.name, smoothed, look));
            }
            None => lines.push(Line::new(&record.name, raw, look)),
        }
        if sparse && let Some(line) = lines.last_mut() {
            line.points = true;
        }
    }
    let means: Vec<(Vec<RunId>, String)> =
        groups.iter().map(|group| (group.iter().map(|record| record.id).collect(), seeds::name(group))).collect();
    for (members, _) in &means {
        let of: Vec<&Series> = members.iter().filter_map(|run| runs.history(*run)?.series(&metric)).collect();
        if of.len() == members.len() {
            view.means.update(members, &metric, &of);
        }
    }
    for (members, name) in &means {
        if let Some(mean) = view.means.get(members, &metric) {
            let line = Line::new(name, mean, list::look(members[0]));
            lines.push(if sparse { line.with_points() } else { line });
        }
    }
    let last_step = series().filter_map(|(_, s)| s.last_step()).fold(0.0, f64::max);
    let missing = shown.len() - series().count();
    Chart {
        id: "overlay",
        title: metrics::caption(&metric),
        lines,
        band: None,
        levels: Vec::new(),
        marks: &[],
        group: "compare",
        last_step,
        height: (ui.available_height() * 0.55).clamp(240.0, 420.0),
        scale: if view.log { Scale::Log } else { Scale::Linear },
        metric: &metric,
        about: "",
        note: match missing {
            0 => String::new(),
            1 => "One of the ticked runs did not measure this".to_owned(),
            n => format!("{n} of the ticked runs did not measure this"),
        },
    }
    .show(ui);
    ui.add_space(space::S);
    for sentence in in_words(runs, &shown).into_iter().take(SENTENCES) {
        ui.label(sentence);
    }
    tables::summary(ui, runs, &shown);
    ui.add_space(space::S);
    frontier::ui(ui, runs, &shown, learned(&metric));
    ui.add_space(space::S);
    tables::settings(ui, runs, &shown);
    ui.add_space(space::L);
}

/// Below this the controls take two rows.
const ONE_ROW: f32 = 620.0;

fn controls(ui: &mut Ui, view: &mut CompareView, present: &[String]) {
    let one_row = ui.available_width() >= ONE_ROW;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        let label = parts::caption(ui, "Metric");
        ComboBox::from_id_salt("compare metric")
            .selected_text(metrics::caption(&view.metric))
            .width(250.0)
            .height(420.0)
            .truncate()
            .show_ui(ui, |ui| {
                for name in present {
                    let text = metrics::caption(name);
                    let about = Stored::of(name).map_or("", |stored| stored.metric.about);
                    ui.selectable_value(&mut view.metric, name.clone(), text).on_hover_ui(|ui| {
                        ui.label(RichText::new(name).monospace());
                        ui.label(about);
                    });
                }
            })
            .response
            .labelled_by(label.id);
        if one_row {
            ui.add_space(space::S);
            smoothing_and_scale(ui, view);
        }
    });
    if !one_row {
        ui.horizontal(|ui| smoothing_and_scale(ui, view));
    }
}

fn smoothing_and_scale(ui: &mut Ui, view: &mut CompareView) {
    ui.spacing_mut().item_spacing.x = space::S;
    let label = parts::caption(ui, "Smoothing");
    ui.scope(|ui| {
        ui.spacing_mut().slider_width = 110.0;
        // The rail of a slider has the ground of a button, which would vanish here.
        ui.visuals_mut().widgets.inactive.bg_fill = parts::palette(ui).hairline;
        ui.add(Slider::new(&mut view.smoothing, 0.0..=0.98).fixed_decimals(2))
            .labelled_by(label.id)
            .on_hover_text("Weight of the past in the moving average; the raw trace stays behind it");
    });
    ui.add_space(space::S);
    ui.checkbox(&mut view.log, "Log scale").on_hover_text("Values of zero or below are left out");
}
