//! The charts of a run, in a grid that follows the width of the window.

use data::{
    config::RunConfig,
    metrics::{self, CHARTS, ChartId, LineLook, judged},
};
use egui::Ui;
use state::{
    chart_words,
    runs::{History, Loaded, Runs},
    series::Series,
};
use store::RunRecord;
use train::objective::Objective;

use crate::{
    chart::{self, Band, Chart, ChartLevel, ChartMark, Line},
    parts,
    theme::{Palette, space},
};

/// Under this name the charts share their cursor and their view.
pub const GROUP: &str = "run";
const HEIGHT: f32 = 232.0;
/// A chart needs this much.
const NARROWEST: f32 = 316.0;

pub fn ui(ui: &mut Ui, runs: &Runs, record: &RunRecord, config: &RunConfig, history: &History) {
    let shares = runs.shares_of(history);
    let mut charts = list(ui, &shares, config, history);
    let has_ended = runs.has_ended(record) && history.loaded == Loaded::Ready;
    // Of a run that goes on an empty chart may fill; of one that is away it would have by its first step.
    let is_told = has_ended || (record.away.is_some() && history.last_step() > 0.0);
    let empty: Vec<Chart<'_>> = charts.extract_if(.., |chart| is_told && chart.lines.is_empty()).collect();
    if charts.is_empty() {
        parts::caption(ui, "It ended before anything was measured");
        return;
    }
    parts::caption(ui, format!("{} · Shift + drag shows the pairs of those steps (B: of the newest)", chart::GESTURES));
    let gap = space::M;
    let room = ui.available_width();
    let columns = (((room + gap) / (NARROWEST + gap)) as usize).clamp(1, 3);
    let width = (room - gap * (columns as f32 - 1.0)) / columns as f32;
    let mut charts = charts.into_iter();
    loop {
        let row: Vec<Chart<'_>> = charts.by_ref().take(columns).collect();
        if row.is_empty() {
            break;
        }
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = gap;
            for chart in row {
                ui.allocate_ui_with_layout(egui::vec2(width, 0.0), egui::Layout::top_down(egui::Align::Min), |ui| {
                    ui.set_width(width);
                    chart.show(ui);
                });
            }
        });
        ui.add_space(gap - ui.spacing().item_spacing.y);
    }
    if !empty.is_empty() {
        let titles: Vec<&str> = empty.iter().map(|chart| chart.title.as_str()).collect();
        parts::caption(ui, chart_words::not_measured(&titles, record));
    }
}

fn list<'a>(ui: &Ui, shares: &'a [String], config: &RunConfig, history: &'a History) -> Vec<Chart<'a>> {
    let palette = parts::palette(ui);
    let last_step = history.last_step();
    let mut charts: Vec<Chart<'a>> = CHARTS
        .iter()
        .filter(|chart| chart.in_window && chart.suits(config.objective.kind))
        .map(|chart| drawn(palette, *chart, config, history, last_step))
        .collect();
    let judged = shares.iter().filter_map(|share| {
        Some(judged_chart(share, judged::rule(share)?, history.series(share)?, history, last_step))
    });
    let drift = CHARTS.iter().find(|chart| chart.id == ChartId::Drift).map(|chart| chart.title);
    let place = charts.iter().position(|chart| Some(chart.id) == drift).map_or(charts.len(), |place| place + 1);
    charts.splice(place..place, judged);
    charts
}

/// The share of answers that a rule counts, in its interval.
fn judged_chart<'a>(name: &'a str, rule: &str, series: &'a Series, history: &'a History, last_step: f64) -> Chart<'a> {
    let [low, high] = judged::interval(name).map(|end| history.series(&end));
    Chart {
        id: name,
        title: metrics::caption(name),
        lines: vec![Line::new(rule, series, 0).solid().with_points()],
        bands: Band::shaded(low.zip(high), "95 % interval"),
        marks: ChartMark::all(&history.marks),
        group: GROUP,
        last_step,
        height: HEIGHT,
        metric: name,
        note: chart_words::of_a_rule(name, rule, history).unwrap_or_default(),
        ..Chart::default()
    }
}

/// A chart with the lines of what was measured.
fn drawn<'a>(
    palette: &Palette,
    chart: metrics::MetricChart,
    config: &RunConfig,
    history: &'a History,
    last_step: f64,
) -> Chart<'a> {
    let lines = chart.lines();
    let edge = |look: LineLook| {
        let (name, ..) = lines.iter().find(|(_, _, line)| line.look == look)?;
        history.series(name)
    };
    let is_alone = lines.len() == 1;
    let line = |name: &str, line: metrics::MetricLine| {
        let drawn = |look| history.series(name).map(|series| Line::new(line.name, series, look));
        let drawn = match line.look {
            LineLook::Series(look) if is_alone => drawn(look)?.solid(),
            LineLook::Series(look) => drawn(look)?,
            LineLook::Noise(look) => drawn(look)?.solid().thin(),
            LineLook::Chosen => drawn(0)?.color(palette.chosen),
            LineLook::Rejected => drawn(1)?.color(palette.rejected),
            LineLook::Low | LineLook::High => return None,
        };
        Some(if metrics::is_rare(name) { drawn.with_points() } else { drawn })
    };
    Chart {
        id: chart.title,
        title: chart.title.to_owned(),
        lines: lines.iter().filter_map(|(name, _, of)| line(name, *of)).collect(),
        bands: Band::shaded(edge(LineLook::Low).zip(edge(LineLook::High)), chart.band),
        levels: levels(chart.id, config),
        marks: ChartMark::all(&history.marks),
        group: GROUP,
        last_step,
        height: HEIGHT,
        metric: chart.metric,
        note: chart_words::sentence(chart.id, config, history).unwrap_or_default(),
        about: chart.note,
        ..Chart::default()
    }
}

/// IPO pulls margins to a target; the drift may have a limit.
fn levels(chart: ChartId, config: &RunConfig) -> Vec<ChartLevel> {
    let level = |value: Option<f64>, what: &str| {
        value.map(|value| ChartLevel { value, name: format!("{what} {}", data::number(value)) })
    };
    let level = match chart {
        ChartId::Margin => level(Objective::of(&config.objective).target_margin(), "target"),
        ChartId::Drift => level(config.train.kl_limit, "limit"),
        _ => None,
    };
    level.into_iter().collect()
}
