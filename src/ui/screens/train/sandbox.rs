//! The loss sandbox: loss and push over the margin, for the settings as they stand.

use std::sync::Arc;

use data::Scale;
use egui::{Id, RichText, Role, Stroke, Ui, WidgetInfo};
use egui_plot::{AxisHints, HLine, Line, LineStyle, Plot, PlotPoints, Points, Span, VLine};
use state::{
    Command, Commands, Workspace,
    pairs::PairsCommand,
    sandbox::{Dots, InWords, LossAndPush},
    scores::{ScoresCommand, Whose},
    series::Series,
};
use train::objective::Objective;

use crate::{
    chart, parts,
    theme::{self, size},
};

/// The project's pairs are dots on the curves, where they have scores.
///
/// `faulty`: a setting of the method that cannot be used, by its label. Curves for another value than the one that
/// stands there would mislead.
pub fn ui(ui: &mut Ui, workspace: &Workspace, objective: &Objective, faulty: Option<&str>, commands: &Commands) {
    parts::heading(ui, "What a pair feels");
    ui.label(objective.in_words());
    let curves = if faulty.is_none() { remembered(ui, objective) } else { None };
    let Some(curves) = curves else {
        let what = faulty.unwrap_or("the settings of the method");
        parts::caption(ui, format!("The curves appear when {what} can be used"));
        return;
    };
    let scores = &workspace.pairs.scores;
    if scores.asked.is_none() {
        let whose = scores.shown.as_ref().map_or(Whose::Start, |shown| shown.whose);
        commands.push(Command::Pairs(PairsCommand::Scores(ScoresCommand::Read(whose))));
    }
    let shown = scores.shown.as_ref().filter(|shown| !shown.sample.is_empty());
    let dots = shown.map_or_else(Dots::default, |shown| Dots::of(objective, &shown.sample, curves.reach()));
    ui.add_space(theme::space::XS);
    curve(ui, "Loss over margin", (&curves.loss, &dots.loss), &curves, 0);
    parts::caption(ui, objective.loss_formula());
    ui.add_space(theme::space::XS);
    curve(ui, "Push over margin", (&curves.push, &dots.push), &curves, 1);
    parts::caption(ui, objective.push_formula());
    parts::caption(
        ui,
        match shown {
            Some(shown) => dots.in_words(shown.sampled, &shown.whose.describe(&workspace.runs)),
            None => "Pairs that have scores are dots here (in Pairs, G and then Shift G)".to_owned(),
        },
    );
    let sentence = match (curves.awake, curves.target) {
        (_, Some(target)) => format!("Target margin 1/(2τ) = {}", data::number(target)),
        (Some((low, high)), None) => format!(
            "Pairs with a margin between {} and {} are awake; outside they get almost no push",
            data::number(low),
            data::number(high)
        ),
        (None, None) => String::new(),
    };
    if !sentence.is_empty() {
        parts::caption(ui, sentence);
    }
}

/// The same place for a method without curves: what it does, by what formulas, and what that costs.
pub fn by_scores(ui: &mut Ui, method: &InWords, formula: &str) {
    parts::heading(ui, "What a step does");
    ui.label(method.what);
    ui.add_space(theme::space::XS);
    for part in formula.split(",  ") {
        ui.add(egui::Label::new(RichText::new(part).color(parts::palette(ui).strong)).wrap());
    }
    ui.add_space(theme::space::XS);
    parts::caption(ui, method.cost);
}

/// The curves are worked out again only when the settings change.
fn remembered(ui: &Ui, objective: &Objective) -> Option<Arc<LossAndPush>> {
    type Kept = (Objective, Option<Arc<LossAndPush>>);
    let id = Id::unique("loss sandbox");
    if let Some((of, curves)) = ui.data(|data| data.get_temp::<Kept>(id))
        && of == *objective
    {
        return curves;
    }
    let curves = LossAndPush::of(objective).map(Arc::new);
    ui.data_mut(|data| data.insert_temp(id, (*objective, curves.clone())));
    curves
}

fn curve(ui: &mut Ui, title: &str, (series, dots): (&Series, &[[f64; 2]]), curves: &LossAndPush, look: usize) {
    let palette = parts::palette(ui);
    ui.label(RichText::new(title).size(size::SMALL).color(palette.strong));
    let axis = |axis: AxisHints<'static>| chart::looks(axis, palette).formatter(|mark, _| data::number(mark.value));
    let points: Vec<[f64; 2]> = series.points().to_vec();
    let values = points.iter().map(|point| point[1]).chain([0.0]);
    let up = chart::axis_of(values, "", Scale::Linear).padded(0.05);
    let response = Plot::new(title)
        .height(96.0)
        .show_background(false)
        .show_grid([false, true])
        .grid_color(palette.hairline)
        .x_grid_spacer(|grid| chart::round_marks(grid, 5))
        .y_grid_spacer(|grid| chart::round_marks(grid, 3))
        .custom_x_axes(vec![axis(AxisHints::new_x())])
        .custom_y_axes(vec![axis(AxisHints::new_y()).min_thickness(34.0)])
        .show_x(false)
        .show_y(false)
        .show_crosshair(false)
        .allow_scroll(false)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_axis_zoom_drag(false)
        .allow_boxed_zoom(false)
        .set_margin_fraction(egui::vec2(0.05, 0.0))
        .include_y(up.low)
        .include_y(up.high)
        .show(ui, |plot| {
            if let Some((low, high)) = curves.awake {
                plot.span(Span::new("", low..=high).fill(palette.accent_soft).border_width(0.0));
            }
            let weak = Stroke::new(1.0, palette.hairline);
            plot.hline(HLine::new("", 0.0).stroke(weak).allow_hover(false));
            plot.vline(VLine::new("", 0.0).stroke(weak).allow_hover(false));
            if let Some(target) = curves.target {
                plot.vline(
                    VLine::new("", target)
                        .stroke(Stroke::new(1.0, palette.weak))
                        .style(LineStyle::dashed_dense())
                        .allow_hover(false),
                );
            }
            plot.line(
                Line::new("", PlotPoints::new(points))
                    .color(theme::series_color(palette, look))
                    .width(2.0)
                    .allow_hover(false),
            );
            if !dots.is_empty() {
                plot.points(
                    Points::new("", PlotPoints::new(dots.to_vec()))
                        .color(palette.strong.gamma_multiply(0.45))
                        .radius(2.0)
                        .allow_hover(false),
                );
            }
        });
    let at_zero = series.nearest(0.0).map_or(0.0, |point| point[1]);
    let name = format!("{title}, {} at margin 0", data::number(at_zero));
    response.response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
}
