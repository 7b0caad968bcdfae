//! Answers that a run's rules have judged: what was counted, to be read.

use data::counted;
use egui::{ComboBox, Label, RichText, Role, ScrollArea, Slider, Ui};
use state::{
    Command, Commands, Workspace,
    answers::{AnswersCommand, AnswersView},
    drafts,
    judged::{JudgedView, Listed, OfRun},
    runs::Loaded,
};
use store::{JudgedAnswer, RunId};

use super::rules;
use crate::{
    parts, prompt,
    theme::{size, space},
};

/// Answers of a page: each is laid out anew in every frame.
const PAGE: usize = 60;
/// Points from which all controls stand in one row.
const ONE_ROW: f32 = 940.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut AnswersView, commands: &Commands) {
    if view.judged.writing.is_some() {
        rules::ui(ui, workspace, &mut view.judged, commands);
        return;
    }
    let run = view.run.or_else(|| workspace.runs.records.last().map(|run| run.id));
    let of_run = run.and_then(|run| workspace.judged.of(run));
    if let Some(run) = run
        && of_run.is_none_or(|of_run| of_run.loaded != Loaded::Asked && !is_here(of_run, view.judged.step))
    {
        commands.push(Command::Answers(AnswersCommand::ReadJudged(run, view.judged.step)));
    }
    controls(ui, workspace, run, of_run, view, commands);
    ui.add_space(space::S);
    match of_run {
        Some(of_run) if !of_run.answers.is_empty() => {
            shares(ui, of_run);
            ui.add_space(space::XS);
            list(ui, of_run, &mut view.judged);
        }
        _ => nothing_yet(ui, run.is_some()),
    }
}

fn is_here(of_run: &OfRun, step: Option<u64>) -> bool {
    of_run.loaded == Loaded::Ready && of_run.shows(step)
}

fn controls(
    ui: &mut Ui,
    workspace: &Workspace,
    run: Option<RunId>,
    of_run: Option<&OfRun>,
    view: &mut AnswersView,
    commands: &Commands,
) {
    let narrow = ui.available_width() < ONE_ROW;
    ui.horizontal(|ui| {
        if let Some(run) = run {
            which_run(ui, workspace, run, view);
        }
        if let Some(of_run) = of_run {
            which_step(ui, of_run, &mut view.judged);
            if !narrow {
                which_answers(ui, of_run, &mut view.judged);
            }
        }
        parts::at_right(ui, "rules", |ui| {
            let about = "What counts as what: judge.toml in the project's folder";
            if ui.button("Edit rules…").on_hover_text(about).clicked() {
                commands.push(Command::Answers(AnswersCommand::WriteRules));
            }
        });
    });
    if narrow && let Some(of_run) = of_run {
        ui.horizontal(|ui| which_answers(ui, of_run, &mut view.judged));
    }
}

fn which_run(ui: &mut Ui, workspace: &Workspace, run: RunId, view: &mut AnswersView) {
    let combo = ComboBox::from_id_salt("judged run")
        .selected_text(workspace.runs.name(run))
        .width(180.0)
        .truncate()
        .show_ui(ui, |ui| {
            for record in workspace.runs.records.iter().rev() {
                if ui.selectable_label(record.id == run, &record.name).clicked() {
                    view.run = Some(record.id);
                    view.judged.step = None;
                    view.judged.pages = 0;
                }
            }
        });
    prompt::name(&combo.response, Role::ComboBox, "Run");
}

fn which_step(ui: &mut Ui, of_run: &OfRun, view: &mut JudgedView) {
    let Some(shown) = view.step.filter(|step| of_run.steps.contains(step)).or(of_run.steps.last().copied()) else {
        return;
    };
    let last = of_run.steps.len() - 1;
    let mut at = of_run.steps.iter().position(|step| *step == shown).unwrap_or(last);
    if last > 0 {
        ui.spacing_mut().slider_width = 160.0;
        let slider = ui.add(Slider::new(&mut at, 0..=last).show_value(false));
        prompt::name(&slider, Role::Slider, "Step");
        if slider.changed() {
            // At the end the list follows the run.
            view.step = (at < last).then(|| of_run.steps[at]);
        }
    }
    ui.label(format!("Step {}", of_run.steps[at]));
}

fn which_answers(ui: &mut Ui, of_run: &OfRun, view: &mut JudgedView) {
    let every = "All rules";
    let combo = ComboBox::from_id_salt("judged rule")
        .selected_text(view.rule.as_deref().unwrap_or(every))
        .width(150.0)
        .truncate()
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut view.rule, None, every);
            for (name, _) in of_run.shares() {
                ui.selectable_value(&mut view.rule, Some(name.to_owned()), name);
            }
        });
    prompt::name(&combo.response, Role::ComboBox, "Rule");
    parts::segmented(
        ui,
        &mut view.listed,
        &[
            (Listed::All, "All", "Every answer that was judged"),
            (Listed::Counted, "Counted", "Answers that the rule counts"),
            (Listed::NotCounted, "Not counted", "Answers that it does not count"),
        ],
    );
}

/// What came out for each rule.
fn shares(ui: &mut Ui, of_run: &OfRun) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        for (name, share) in of_run.shares() {
            let text = format!(
                "{name} {} ({} to {})",
                data::percent(share.share()),
                data::percent(share.low),
                data::percent(share.high)
            );
            let about = format!("{} of {} answers; 95 % interval", share.counted, share.of);
            // Whole: a row breaks between two rules, not inside one.
            ui.add(Label::new(RichText::new(text).color(parts::palette(ui).strong)).extend()).on_hover_text(about);
        }
    });
}

fn list(ui: &mut Ui, of_run: &OfRun, view: &mut JudgedView) {
    let listed: Vec<&JudgedAnswer> = of_run.answers.iter().filter(|answer| view.lists(answer)).collect();
    let shown = (PAGE * (view.pages + 1)).min(listed.len());
    ui.separator();
    ScrollArea::vertical().id_salt("judged answers").auto_shrink([false, false]).show(ui, |ui| {
        if listed.is_empty() {
            parts::caption(ui, "No answer of this kind");
        }
        for (index, answer) in listed[..shown].iter().enumerate() {
            ui.push_id(index, |ui| row(ui, answer));
        }
        let left = listed.len() - shown;
        if left > 0 && ui.button(format!("Show more of {}", counted(left, "answer", "answers"))).clicked() {
            view.pages += 1;
        }
    });
}

fn row(ui: &mut Ui, answer: &JudgedAnswer) {
    let palette = parts::palette(ui);
    ui.spacing_mut().item_spacing.y = space::XS;
    ui.horizontal_wrapped(|ui| {
        parts::caption(ui, format!("{} ·", answer.group));
        parts::caption(ui, drafts::preview(&answer.prompt, 240));
        for (name, counts) in &answer.said {
            let (sign, color) = if *counts { ("✔", palette.good) } else { ("–", palette.weak) };
            ui.label(RichText::new(format!("{sign} {name}")).size(size::SMALL).color(color))
                .on_hover_text(if *counts { "Counts" } else { "Does not count" });
        }
        if !answer.ended {
            parts::caption(ui, "cut at the limit");
        }
    });
    ui.add(Label::new(RichText::new(&answer.answer).color(palette.text)).wrap());
    ui.separator();
}

fn nothing_yet(ui: &mut Ui, any_run: bool) {
    let (what, next) = if any_run {
        ("Nothing of this run was judged", "“Edit rules…” says what counts as what; the next run is judged by it")
    } else {
        (
            "No run yet",
            "Say with “Edit rules…” what counts as what, then start a run: every evaluation judges its answers",
        )
    };
    parts::empty(ui, what, next);
}
