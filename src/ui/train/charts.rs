//! The charts of a run, in a grid that follows the width of the window.

use egui::Ui;

use crate::{
    data::{Scale, config::RunConfig},
    objective::Objective,
    state::{moved, runs::History, series::Series},
    ui::{
        chart::{self, Chart, Level, Line},
        parts,
        theme::{Palette, space},
    },
};

const HEIGHT: f32 = 232.0;
/// A chart needs this much.
const NARROWEST: f32 = 316.0;

pub fn ui(ui: &mut Ui, config: &RunConfig, history: &History) {
    let charts = list(ui, config, history);
    parts::caption(ui, chart::GESTURES);
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
}

/// Builds one chart from the metrics that are there.
struct Builder<'a> {
    history: &'a History,
    last_step: f64,
}

impl<'a> Builder<'a> {
    fn chart(&self, id: &'a str, title: &str, metric: &'a str, lines: Vec<Line<'a>>) -> Chart<'a> {
        Chart {
            id,
            title: title.to_owned(),
            lines,
            band: None,
            levels: Vec::new(),
            marks: &self.history.marks,
            group: "run",
            last_step: self.last_step,
            height: HEIGHT,
            scale: Scale::Linear,
            metric,
            note: String::new(),
        }
    }

    fn series(&self, name: &str) -> Option<&'a Series> {
        self.history.series(name)
    }

    fn line(&self, caption: &str, name: &str, look: usize) -> Option<Line<'a>> {
        Some(Line::new(caption, self.series(name)?, look))
    }

    fn held_out(&self, caption: &str, name: &str, look: usize) -> Option<Line<'a>> {
        Some(self.line(caption, name, look)?.with_points())
    }
}

fn list<'a>(ui: &Ui, config: &RunConfig, history: &'a History) -> Vec<Chart<'a>> {
    let palette = parts::palette(ui);
    let build = Builder { history, last_step: history.last_step() };

    let loss = build.chart(
        "loss",
        "Loss",
        "loss",
        [
            build.line("whole", "loss", 0),
            build.line("preference", "loss/preference", 1),
            build.line("reference", "loss/reference", 2),
            build.line("retention", "loss/retention", 3),
            build.held_out("held out", "eval_loss", 4),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );

    let mut margin = build.chart(
        "margin",
        "Margin",
        "margin/q50",
        [build.line("median", "margin/q50", 0), build.held_out("held-out median", "eval_margin/q50", 1)]
            .into_iter()
            .flatten()
            .collect(),
    );
    margin.band = build
        .series("margin/q10")
        .zip(build.series("margin/q90"))
        .map(|(low, high)| (low, high, "shaded: 10 to 90 %".to_owned()));
    if let Some(target) = Objective::of(&config.objective).target_margin() {
        margin.levels.push(Level { value: target, name: format!("target {}", crate::state::metric::number(target)) });
    }

    let accuracy = build.chart(
        "accuracy",
        "Preference accuracy",
        "rewards/accuracies",
        [
            build.line("this step", "rewards/accuracies", 6).map(|line| line.solid().thin()),
            build.held_out("held out", "eval_rewards/accuracies", 0),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );

    vec![
        loss,
        margin,
        accuracy,
        moved_chart(&build, palette),
        drift(&build),
        sleeping(&build),
        gradient(&build),
        learning_rate(&build),
        speed(&build),
    ]
}

/// Change of the summed log-probs since step 0, around zero.
fn moved_chart<'a>(build: &Builder<'a>, palette: &Palette) -> Chart<'a> {
    const CHOSEN: &str = "logps/chosen_change";
    const REJECTED: &str = "logps/rejected_change";
    let mut chart = build.chart(
        "moved",
        "Who moved",
        CHOSEN,
        [
            build.line("chosen", CHOSEN, 0).map(|line| line.color(palette.chosen)),
            build.line("rejected", REJECTED, 1).map(|line| line.color(palette.rejected)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );
    let latest = |name| build.history.latest(name);
    chart.note = match (latest(CHOSEN), latest(REJECTED)) {
        (Some(chosen), Some(rejected)) => moved::sentence(chosen, rejected),
        _ => "Change of the answers' log-probs since step 0, in nats".to_owned(),
    };
    chart
}

fn drift<'a>(build: &Builder<'a>) -> Chart<'a> {
    let mut chart = build.chart(
        "drift",
        "KL drift",
        "kl/ref",
        [build.held_out("kl/ref", "kl/ref", 0), build.held_out("kl/policy_k3", "kl/policy_k3", 1)]
            .into_iter()
            .flatten()
            .collect(),
    );
    "Nats per token; kl/ref is forward, on held-out reference answers, kl/policy_k3 the k3 estimate on the policy's own"
        .clone_into(&mut chart.note);
    chart
}

/// Pairs that get almost no push: won for good, or given up as wrong labels.
fn sleeping<'a>(build: &Builder<'a>) -> Chart<'a> {
    let mut chart = build.chart(
        "sleeping",
        "Sleeping pairs",
        "push/asleep",
        build.line("of this step's pairs", "push/asleep", 6).map(Line::solid).into_iter().collect(),
    );
    "Pairs that get almost no push: won, or hopelessly lost".clone_into(&mut chart.note);
    chart
}

fn speed<'a>(build: &Builder<'a>) -> Chart<'a> {
    build.chart(
        "speed",
        "Tokens a second",
        "tokens_per_sec",
        build.line("tokens/s", "tokens_per_sec", 2).map(Line::solid).into_iter().collect(),
    )
}

fn gradient<'a>(build: &Builder<'a>) -> Chart<'a> {
    build.chart(
        "gradient",
        "Gradient norm",
        "grad_norm",
        build.line("before clipping", "grad_norm", 3).map(Line::solid).into_iter().collect(),
    )
}

fn learning_rate<'a>(build: &Builder<'a>) -> Chart<'a> {
    build.chart(
        "learning rate",
        "Learning rate",
        "learning_rate",
        build.line("learning rate", "learning_rate", 4).map(Line::solid).into_iter().collect(),
    )
}
