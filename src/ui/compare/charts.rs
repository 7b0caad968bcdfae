//! The charts in their grid: one line a run, a band a group of seeds.

use data::{Scale, metrics};
use egui::{Align, Layout, Stroke, StrokeKind, Ui};
use state::{
    compare::{CompareView, frontier::hangs_from},
    runs::Runs,
    seeds,
    series::Series,
};
use store::{RunId, RunRecord};

use super::list::look;
use crate::{
    chart::{Band, Carried, Chart, Line},
    parts,
    theme::{RADIUS, space},
};

/// A chart alone in its row may be higher than one among others.
const ALONE: std::ops::RangeInclusive<f32> = 240.0..=420.0;
const AMONG_OTHERS: f32 = 248.0;
/// A chart needs this much.
const NARROWEST: f32 = 280.0;

/// Runs that differ in their seed only.
struct Group<'r> {
    name: String,
    members: Vec<&'r RunRecord>,
    ids: Vec<RunId>,
}

pub fn ui(ui: &mut Ui, runs: &Runs, view: &mut CompareView, shown: &[&RunRecord], present: &[String]) {
    let charts = view.board.charts(present);
    let groups: Vec<Group<'_>> = seeds::groups(runs, shown)
        .into_iter()
        .map(|members| Group {
            name: seeds::name(&members),
            ids: members.iter().map(|record| record.id).collect(),
            members,
        })
        .collect();
    if !groups.is_empty() {
        parts::caption(
            ui,
            "Runs that differ in their seed only are one line, their mean, in a band from lowest to highest",
        );
    }
    for metric in &charts {
        prepare(runs, view, shown, &groups, metric);
    }
    let gap = space::M;
    let room = ui.available_width();
    let fit = ((room + gap) / (NARROWEST + gap)) as usize;
    let columns = view.board.columns.min(fit).min(charts.len()).max(1);
    let width = (room - gap * (columns as f32 - 1.0)) / columns as f32;
    let height = if columns == 1 && charts.len() == 1 {
        (ui.available_height() * 0.55).clamp(*ALONE.start(), *ALONE.end())
    } else {
        AMONG_OTHERS
    };
    let mut moved = None;
    for row in charts.chunks(columns) {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for metric in row {
                let cell = ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    chart(runs, view, shown, &groups, metric, height).show(ui);
                });
                let cell = cell.response;
                if cell.dnd_hover_payload::<Carried>().is_some_and(|carried| carried.0 != *metric) {
                    let stroke = Stroke::new(2.0, parts::palette(ui).accent);
                    ui.painter().rect_stroke(cell.rect, RADIUS, stroke, StrokeKind::Inside);
                }
                if let Some(carried) = cell.dnd_release_payload::<Carried>() {
                    moved = Some((carried, metric));
                }
            }
        });
        ui.add_space(gap - ui.spacing().item_spacing.y);
    }
    if let Some((carried, place_of)) = moved {
        view.board.move_to(&carried.0, place_of);
    }
}

fn series<'r>(
    runs: &'r Runs,
    shown: &'r [&'r RunRecord],
    metric: &'r str,
) -> impl Iterator<Item = (&'r RunRecord, &'r Series)> {
    shown.iter().filter_map(move |record| Some((*record, runs.history(record.id)?.series(metric)?)))
}

/// Smooths and averages what this chart shows, where that changed.
fn prepare(runs: &Runs, view: &mut CompareView, shown: &[&RunRecord], groups: &[Group<'_>], metric: &str) {
    let weight = view.board.smoothing;
    if weight > 0.0 {
        let alone = series(runs, shown, metric).filter(|(record, _)| !is_grouped(record, groups));
        view.smooth.update(weight, alone.map(|(record, series)| (record.id, metric, series)));
    }
    for group in groups {
        let of: Vec<&Series> = series(runs, &group.members, metric).map(|(_, series)| series).collect();
        if of.len() == group.members.len() {
            view.means.update(&group.ids, metric, &of, weight);
        }
    }
}

fn is_grouped(record: &RunRecord, groups: &[Group<'_>]) -> bool {
    groups.iter().any(|group| group.ids.contains(&record.id))
}

fn chart<'a>(
    runs: &'a Runs,
    view: &'a CompareView,
    shown: &'a [&'a RunRecord],
    groups: &'a [Group<'_>],
    metric: &'a str,
    height: f32,
) -> Chart<'a> {
    let sparse = metrics::is_rare(metric);
    let marked = |line: Line<'a>| if sparse { line.with_points() } else { line };
    let (mut lines, mut bands) = (Vec::new(), Vec::new());
    for (record, raw) in series(runs, shown, metric).filter(|(record, _)| !is_grouped(record, groups)) {
        let from = hangs_from(record, shown);
        let line = |series| Line::new(&record.name, series, look(record.id)).hanging_from(from);
        match view.smooth.get(record.id, metric).filter(|_| view.board.smoothing > 0.0) {
            Some(smoothed) => lines.extend([line(raw).faint(), marked(line(smoothed))]),
            None => lines.push(marked(line(raw))),
        }
    }
    let measured = groups.iter().filter_map(|group| Some((group, view.means.get(&group.ids, metric)?)));
    for (group, spread) in measured {
        let look = look(group.ids[0]);
        let mean = spread.smoothed.as_ref().unwrap_or(&spread.mean);
        lines.push(marked(Line::new(&group.name, mean, look).hanging_from(hangs_from(group.members[0], shown))));
        bands.push(Band { low: &spread.low, high: &spread.high, look, name: String::new() });
    }
    let measured = || series(runs, shown, metric);
    Chart {
        id: metric,
        title: metrics::caption(metric),
        lines,
        bands,
        levels: Vec::new(),
        marks: &[],
        group: "compare",
        last_step: measured().filter_map(|(_, series)| series.last_step()).fold(0.0, f64::max),
        height,
        scale: if view.board.log { Scale::Log } else { Scale::Linear },
        metric,
        about: metrics::Stored::of(metric).map_or("", |stored| stored.metric.about),
        note: match shown.len() - measured().count() {
            0 => String::new(),
            1 => "One of the ticked runs did not measure this".to_owned(),
            n => format!("{n} of the ticked runs did not measure this"),
        },
        moves: true,
    }
}
