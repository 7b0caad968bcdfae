//! The charts in their grid: one line a run, a band a group of seeds.

use data::{
    Across,
    metrics::{self, judged},
};
use egui::{Align, Layout, Rect, Stroke, StrokeKind, Ui};
use state::{
    Command, Commands,
    compare::{CompareView, along::CurveForm, frontier::hangs_from},
    runs::{History, Mark, Runs},
    seeds,
    series::Series,
    train::RunCommand,
};
use store::{RunId, RunRecord};

use super::paths;
use crate::{
    chart::{Band, Carried, Chart, ChartMark, Line},
    parts,
    theme::{RADIUS, space},
};

/// Under this name the charts share their cursor and their view.
pub const GROUP: &str = "compare";
/// A chart alone in its row may be higher than one among others.
const ALONE: std::ops::RangeInclusive<f32> = 240.0..=420.0;
/// Of what is seen, about three rows.
const AMONG_OTHERS: std::ops::RangeInclusive<f32> = 248.0..=380.0;
const AMONG_OTHERS_SHARE: f32 = 0.33;
/// A chart needs this much.
const NARROWEST: f32 = 280.0;

/// Runs that differ in their seed only.
struct Group<'r> {
    name: String,
    members: Vec<&'r RunRecord>,
    ids: Vec<RunId>,
}

impl Group<'_> {
    /// The member that has come the farthest: where it stood across, the others stood too.
    fn lead<'r>(&self, runs: &'r Runs) -> Option<(RunId, &'r History)> {
        let histories = self.ids.iter().filter_map(|run| Some((*run, runs.history(*run)?)));
        histories.max_by(|(_, one), (_, other)| one.last_step().total_cmp(&other.last_step()))
    }
}

/// The groups among what is shown. Over time and drift each run is a line of its own: seeds take unlike long there.
fn groups<'r>(runs: &Runs, shown: &[&'r RunRecord], across: Across) -> Vec<Group<'r>> {
    if matches!(across, Across::Seconds | Across::Drift) {
        return Vec::new();
    }
    let groups = seeds::groups(runs, shown).into_iter().filter(|group| group.members.len() > 1).map(|group| {
        let members: Vec<&RunRecord> = group.members.iter().map(|place| shown[*place]).collect();
        Group { name: group.name, ids: members.iter().map(|record| record.id).collect(), members }
    });
    groups.collect()
}

pub fn ui(
    ui: &mut Ui,
    runs: &Runs,
    view: &mut CompareView,
    shown: &[&RunRecord],
    present: &[String],
    commands: &Commands,
) {
    let charts = view.board.charts(present);
    let across = view.board.x;
    let groups = groups(runs, shown, across);
    if !groups.is_empty() {
        parts::caption(
            ui,
            "Runs that differ in their seed only are one line, their mean, in a band from lowest to highest",
        );
    }
    view.along.set(across, view.board.smoothing);
    if across == Across::Seconds {
        for record in shown {
            if let Some(to) = runs.history(record.id).and_then(History::all_times_wanted) {
                commands.push(Command::Runs(RunCommand::ReadTimes(record.id, to)));
            }
        }
    }
    let gap = space::M;
    let room = ui.available_width();
    let fit = ((room + gap) / (NARROWEST + gap)) as usize;
    let columns = view.board.columns.min(fit).min(charts.len()).max(1);
    let width = (room - gap * (columns as f32 - 1.0)) / columns as f32;
    let height = if columns == 1 && charts.len() == 1 {
        (ui.available_height() * 0.55).clamp(*ALONE.start(), *ALONE.end())
    } else {
        (ui.clip_rect().height() * AMONG_OTHERS_SHARE).clamp(*AMONG_OTHERS.start(), *AMONG_OTHERS.end())
    };
    let (mut moved, happened) = (None, happened(runs, shown, &groups));
    for row in charts.chunks(columns) {
        // Charts out of sight are averaged and laid along their axis when they come into it.
        if ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, egui::vec2(room, height))) {
            for metric in row {
                prepare(runs, view, shown, &groups, metric);
            }
        }
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for metric in row {
                let cell = ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    if across.grows() {
                        let marks = marks(view, &happened, &groups, runs);
                        Chart { marks, ..chart(runs, view, shown, &groups, metric, height) }.show(ui);
                    } else {
                        paths::chart(ui, runs, shown, view, metric, height);
                    }
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

/// Smooths, averages and lays along its axis what this chart shows, where that changed.
fn prepare(runs: &Runs, view: &mut CompareView, shown: &[&RunRecord], groups: &[Group<'_>], metric: &str) {
    let CompareView { board, smooth, means, along, .. } = view;
    let (weight, over_steps) = (board.smoothing, board.x == Across::Steps);
    let alone = || series(runs, shown, metric).filter(|(record, _)| !is_grouped(record, groups));
    if weight > 0.0 {
        smooth.update(weight, alone().map(|(record, series)| (record.id, metric, series)));
    }
    for group in groups {
        let of: Vec<&Series> = series(runs, &group.members, metric).map(|(_, series)| series).collect();
        if !of.is_empty() {
            means.update(&group.ids, metric, &of, weight);
        }
    }
    if over_steps || !board.x.grows() {
        return;
    }
    for (record, raw) in alone() {
        let Some(history) = runs.history(record.id) else { continue };
        if along.follow(record.id, history) {
            along.update(record.id, metric, CurveForm::Measured, raw);
            if let Some([low, high]) = interval(history, &metrics::interval(metric)) {
                along.update(record.id, metric, CurveForm::Low, low);
                along.update(record.id, metric, CurveForm::High, high);
            }
            if let Some(smoothed) = smooth.get(record.id, metric).filter(|_| weight > 0.0) {
                along.update(record.id, metric, CurveForm::Smoothed, smoothed);
            }
        }
    }
    for group in groups {
        let Some((first, history)) = group.lead(runs) else { continue };
        let Some(spread) = means.get(&group.ids, metric) else { continue };
        if along.follow(first, history) {
            along.update(first, metric, CurveForm::Mean, spread.smoothed.as_ref().unwrap_or(&spread.mean));
            along.update(first, metric, CurveForm::Low, &spread.low);
            along.update(first, metric, CurveForm::High, &spread.high);
        }
    }
}

/// The ends of a share's 95 % interval, where a run has measured them.
fn interval<'r>(history: &'r History, ends: &[String; 2]) -> Option<[&'r Series; 2]> {
    let [low, high] = ends.each_ref().map(|end| history.series(end));
    Some([low?, high?])
}

/// What was done to a run on the way, or where it left its parent.
struct Happened {
    run: RunId,
    step: u64,
    look: usize,
    text: String,
}

/// Newest last, run by run; the newest of so many that nobody reads them all.
fn happened(runs: &Runs, shown: &[&RunRecord], groups: &[Group<'_>]) -> Vec<Happened> {
    const MOST: usize = 100;
    let look = |record: &RunRecord| {
        let group = groups.iter().find(|group| group.ids.contains(&record.id));
        group.map_or(record, |group| group.members[0]).look()
    };
    let of = |record: &&RunRecord| {
        let (run, look, parent) = (record.id, look(record), record.parent_step.unwrap_or(0));
        let told = |step, what: &str| Happened { run, step, look, text: format!("{what} ({})", record.name) };
        let from =
            record.parent.filter(|_| parent > 0).map(|of| told(parent, &format!("forked from {}", runs.name(of))));
        let changes = runs.history(run).into_iter().flat_map(History::changes);
        // What was changed up to there was changed of its parent.
        let mut changes: Vec<&Mark> = changes.filter(|mark| parent == 0 || mark.step > parent).collect();
        drop(changes.drain(..changes.len().saturating_sub(MOST)));
        from.into_iter().chain(changes.into_iter().map(|mark| told(mark.step, &mark.text))).collect::<Vec<_>>()
    };
    shown.iter().flat_map(of).collect()
}

/// The same on what is across; without what has no place there.
fn marks<'a>(view: &CompareView, happened: &'a [Happened], groups: &[Group<'_>], runs: &Runs) -> Vec<ChartMark<'a>> {
    let place = |of: &Happened| {
        if view.board.x == Across::Steps {
            return Some(of.step as f64);
        }
        let lead = groups.iter().find(|group| group.ids.contains(&of.run)).and_then(|group| group.lead(runs));
        view.along.place(lead.map_or(of.run, |(lead, _)| lead), of.step as f64)
    };
    let mark = |of: &'a Happened| Some(ChartMark { place: place(of)?, text: &of.text, look: Some(of.look) });
    happened.iter().filter_map(mark).collect()
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
    // A curve as it lies along the axis; nothing where the run has not counted what is across.
    let laid = |run: RunId, form: CurveForm, over_steps: Option<&'a Series>| match view.board.x {
        Across::Steps => over_steps,
        _ => view.along.get(run, metric, form),
    };
    let hinge = |record: &RunRecord| {
        let step = hangs_from(record, shown)?;
        if view.board.x == Across::Steps { Some(step) } else { view.along.place(record.id, step) }
    };
    let ends = metrics::interval(metric);
    let mut drawn = 0;
    for (record, raw) in series(runs, shown, metric).filter(|(record, _)| !is_grouped(record, groups)) {
        let line = |series| Line::new(&record.name, series, record.look()).hanging_from(hinge(record));
        let smoothed = if view.board.smoothing > 0.0 { view.smooth.get(record.id, metric) } else { None };
        let Some(raw) = laid(record.id, CurveForm::Measured, Some(raw)) else { continue };
        drawn += 1;
        if let Some([low, high]) = runs.history(record.id).and_then(|history| interval(history, &ends))
            && let Some(low) = laid(record.id, CurveForm::Low, Some(low))
            && let Some(high) = laid(record.id, CurveForm::High, Some(high))
        {
            bands.push(Band { low, high, look: record.look(), name: String::new() });
        }
        match smoothed.and_then(|smoothed| laid(record.id, CurveForm::Smoothed, Some(smoothed))) {
            Some(smoothed) => lines.extend([line(raw).faint(), marked(line(smoothed))]),
            None => lines.push(marked(line(raw))),
        }
    }
    let measured = groups.iter().filter_map(|group| Some((group, view.means.get(&group.ids, metric)?)));
    for (group, spread) in measured {
        let Some((first, _)) = group.lead(runs) else { continue };
        let look = group.members[0].look();
        let mean = spread.smoothed.as_ref().unwrap_or(&spread.mean);
        let of = |form, series| laid(first, form, Some(series));
        if let (Some(mean), Some(low), Some(high)) =
            (of(CurveForm::Mean, mean), of(CurveForm::Low, &spread.low), of(CurveForm::High, &spread.high))
        {
            drawn += series(runs, &group.members, metric).count();
            lines.push(marked(Line::new(&group.name, mean, look).hanging_from(hinge(group.members[0]))));
            bands.push(Band { low, high, look, name: String::new() });
        }
    }
    let last_step = lines.iter().filter_map(|line| line.series.last_step()).fold(0.0, f64::max);
    Chart {
        id: metric,
        title: metrics::caption(metric),
        lines,
        bands,
        group: GROUP,
        across: view.board.x,
        last_step,
        height,
        scale: view.board.scale,
        clip: view.board.clip,
        metric,
        about: about(metric),
        note: missing(shown.len() - drawn, view.board.x),
        moves: true,
        ..Chart::default()
    }
}

fn about(metric: &str) -> &'static str {
    if judged::rule(metric).is_some() {
        return "The share of answers that the rule counts, in its 95 % interval";
    }
    metrics::StoredMetric::of(metric).map_or("", |stored| stored.metric.about)
}

/// Why a ticked run has no line.
fn missing(runs: usize, across: Across) -> String {
    let what = match across {
        Across::Steps => "this",
        Across::Pairs => "this, or not counted its pairs",
        Across::Tokens => "this, or not counted its tokens",
        Across::Seconds => "this, or its times are being read",
        Across::Drift => "this where it measured its drift",
    };
    match runs {
        0 => String::new(),
        1 => format!("One of the ticked runs has not measured {what}"),
        n => format!("{n} of the ticked runs have not measured {what}"),
    }
}
