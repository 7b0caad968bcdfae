//! The launch sheet: settings on the left, what they do on the right, the start button below both.

use std::path::Path;

use data::{
    config::{
        Group, Margin, Method, ModelConfig, ObjectiveConfig, OptimizerConfig, RunConfig, Setting, TrainConfig, Word,
    },
    counted,
};
use egui::{Align, Frame, Layout, Panel, RichText, ScrollArea, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    launch::Checked,
    sandbox::InWords,
    train::{LaunchButton, Preflight, RunCommand, TrainView},
};
use store::Counts;
use train::{
    importance::kind_of,
    objective::{Objective, formula, formula_parts, name, total},
};

use super::{fork, preflight, questions, sandbox};
use crate::{
    field, parts,
    theme::{size, space},
};

/// Below this the sandbox moves under the settings.
const TWO_COLUMNS: f32 = 780.0;
/// Width of the sandbox: its share of a wide window.
const SIDE: std::ops::RangeInclusive<f32> = 330.0..=620.0;
const SIDE_SHARE: f32 = 0.28;
/// A name or a path that is longer can be scrolled.
const WIDEST_FIELD: f32 = 560.0;

/// What stands behind "All settings".
const FOLDED: [Group; 8] = [
    Group::Method,
    Group::Adapter,
    Group::Length,
    Group::Texts,
    Group::Measuring,
    Group::Details,
    Group::Folders,
    Group::Machine,
];

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    follow(workspace, view);
    view.hold_what_stays();
    let checked = view.launch.checked().clone();
    look_ahead(workspace, view, &checked, commands);
    start_bar(ui, workspace, view, &checked, commands);
    let wide = ui.available_width() >= TWO_COLUMNS;
    if wide {
        Panel::right("launch side")
            .exact_size((ui.available_width() * SIDE_SHARE).clamp(*SIDE.start(), *SIDE.end()))
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::NONE.inner_margin(egui::Margin { left: space::L as i8, ..egui::Margin::ZERO }))
            .show(ui, |ui| {
                ScrollArea::vertical()
                    .id_salt("launch side")
                    .show(ui, |ui| side(ui, workspace, view, &checked, commands));
            });
    }
    egui::CentralPanel::no_frame().show(ui, |ui| {
        ScrollArea::vertical().id_salt("launch sheet").auto_shrink([false, false]).show(ui, |ui| {
            settings(ui, workspace, view, &checked, commands);
            if !wide {
                ui.add_space(space::S);
                side(ui, workspace, view, &checked, commands);
            }
            ui.add_space(space::L);
        });
    });
}

fn side(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    if !matches!(workspace.preflight, Preflight::NotAsked) {
        parts::card(ui, |ui| {
            ui.set_width(ui.available_width());
            preflight::ui(ui, &workspace.preflight, &checked.config, &mut view.launch, commands);
        });
        ui.add_space(space::XS);
    }
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        if let Some(method) = InWords::of(checked.config.objective.kind) {
            sandbox::by_scores(ui, &method, &formula(&checked.config.objective));
            return;
        }
        sandbox::ui(ui, workspace, &Objective::of(&checked.config.objective), checked.faulty_loss(), commands);
    });
}

fn settings(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    ui.spacing_mut().item_spacing.y = space::M;
    fork::head(ui, workspace, view, &checked.config, commands);
    section(ui, "How", |ui| questions::ui(ui, workspace, view, checked, commands));
    // A fault that nobody sees cannot be mended: with one the settings stay unfolded.
    let faulty = FOLDED.into_iter().flat_map(Setting::under).any(|setting| checked.problems.contains_key(setting.key));
    let more = view.more || faulty;
    ui.horizontal(|ui| {
        let word = if more { "Fewer settings" } else { "All settings" };
        let fold =
            ui.add_enabled(!faulty, egui::Button::new(word)).on_disabled_hover_text("One of them cannot be used");
        if fold.clicked() {
            view.more = !view.more;
        }
        questions::take_over(ui, workspace, view);
    });
    if more {
        section(ui, "Loss", |ui| method(ui, view, checked));
        section(ui, "Texts", |ui| {
            for file in Setting::under(Group::Texts) {
                field::folder(ui, &mut view.launch, file, commands);
            }
        });
        section(ui, "Adapter", |ui| {
            field::row(ui, &mut view.launch, &Setting::that_count(Group::Adapter, &checked.config));
        });
        section(ui, "Length and learning rate", |ui| {
            field::row(ui, &mut view.launch, &Setting::under(Group::Length));
            ui.horizontal(|ui| {
                let schedule = OptimizerConfig::SCHEDULE;
                parts::caption(ui, schedule.label);
                if let Some(word) = field::segmented(ui, schedule.words(), checked.config.optimizer.schedule.name()) {
                    view.launch.set(schedule.key, word);
                }
            });
            if let Some(reasons) = checked.reasons(|_| true) {
                parts::caption(ui, format!("Empty fields follow your data. {reasons}"));
            }
        });
    }
    if more {
        section(ui, "Measuring and keeping", |ui| {
            field::row(ui, &mut view.launch, &Setting::under(Group::Measuring));
            parts::caption(ui, kept(&checked.config.train));
        });
        section(ui, "Details", |ui| {
            field::row(ui, &mut view.launch, &Setting::under(Group::Details));
            for folder in Setting::under(Group::Folders) {
                field::folder(ui, &mut view.launch, folder, commands);
            }
        });
        section(ui, "Machine", |ui| field::row(ui, &mut view.launch, &Setting::under(Group::Machine)));
    }
    section(ui, "Or one run of each method", |ui| questions::compare(ui, workspace, view, checked, commands));
    section(ui, "What to tune", |ui| {
        what(ui, workspace, view, checked, commands);
    });
}

/// Empty fields follow the project's pairs, and the model that the sheet names.
pub fn follow(workspace: &Workspace, view: &mut TrainView) {
    let counts = workspace.project.as_ref().map(|project| project.counts.clone()).unwrap_or_default();
    view.launch.set_basis(counts.basis(parameters(workspace, view)));
    if let Some(project) = &workspace.project {
        view.launch.set_own(&project.own);
    }
}

/// Of the model that the sheet names, or of the project's.
fn parameters(workspace: &Workspace, view: &TrainView) -> Option<u64> {
    match view.launch.text(ModelConfig::PATH.key).trim() {
        "" => workspace.project.as_ref().and_then(|project| project.parameters),
        path => workspace.models.card(Path::new(path)).and_then(|card| card.parameters),
    }
}

/// Has it measured what a run takes, where that costs a moment and nothing else goes on.
fn look_ahead(workspace: &Workspace, view: &TrainView, checked: &Checked, commands: &Commands) {
    let is_idle = workspace.runs.last_in_line().is_none() && !matches!(workspace.preflight, Preflight::Waiting { .. });
    let may_start = is_idle && obstacle(workspace, checked).is_none();
    if may_start && workspace.pace.is_worth_a_look(&checked.config, parameters(workspace, view)) {
        commands.push(Command::Runs(RunCommand::Measure(Box::new(checked.config.clone()))));
    }
}

/// "= about 64 steps, 8 passes over about 65 pairs, 2 to 4 min, 310 MB".
fn outlook(workspace: &Workspace, checked: &Checked) -> Option<String> {
    let text = checked.outlook()?;
    let known = workspace.pace.estimate(&checked.config, checked.steps()?, &workspace.runs);
    Some(match known {
        Some(known) => format!("{text}, {}, {}", known.time(), data::size(known.peak_memory_bytes)),
        None => text,
    })
}

/// Which checkpoints stay on the disk.
fn kept(train: &TrainConfig) -> String {
    let when = match train.checkpoint_every {
        0 => "A checkpoint is written at the end".to_owned(),
        1 => "A checkpoint is written after every step".to_owned(),
        every => format!("A checkpoint is written every {every} steps and at the end"),
    };
    let earlier = match train.keep {
        0 => "no other one".to_owned(),
        1 => "1 earlier one".to_owned(),
        keep => format!("{keep} earlier ones"),
    };
    format!("{when}. Kept are the newest, the best on held-out pairs, those you ask for, and {earlier}")
}

fn section(ui: &mut Ui, title: &str, add: impl FnOnce(&mut Ui)) {
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::S;
        parts::heading(ui, title);
        add(ui);
    });
}

fn what(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    if let Some(project) = &workspace.project {
        ui.label(to_train_on(&project.counts, &checked.config));
    }
    ui.horizontal_top(|ui| {
        let gap = space::L;
        let width = ((ui.available_width() - gap) / 2.0).min(WIDEST_FIELD);
        ui.spacing_mut().item_spacing.x = gap;
        ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = space::XS;
            let label = parts::caption(ui, "Name of the run");
            ui.add(
                TextEdit::singleline(&mut view.name)
                    .id_salt("run name")
                    .hint_text(match &view.fork {
                        Some(form) => format!("{} from {}", workspace.runs.name(form.run), form.at),
                        None => store::unnamed(&name(&checked.config.objective), workspace.runs.next()),
                    })
                    .desired_width(width),
            )
            .labelled_by(label.id);
        });
        ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            field::folder(ui, &mut view.launch, ModelConfig::PATH, commands);
        });
    });
}

/// "10 of 12 pairs have a preference; 1 tied, 1 set aside by its label; 9 are trained on, 2 held out", or "about 9 are
/// trained on and about 2 held out" where the prompts decide.
fn to_train_on(counts: &Counts, config: &RunConfig) -> String {
    let basis = counts.basis(None);
    let trained_on = config.pairs_to_train_on(&basis);
    let all = counted(counts.total(), "pair", "pairs");
    let verb = if counts.better == 1 { "has" } else { "have" };
    let aside = counts.both_bad + counts.skip;
    let tied = (counts.tie > 0).then(|| format!("{} tied", counts.tie));
    let aside = (aside > 0).then(|| counted(aside, "set aside by its label", "set aside by their labels"));
    let rest: Vec<String> = tied.into_iter().chain(aside).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    let sides = match basis.pairs.saturating_sub(trained_on) {
        0 => String::new(),
        held_out if config.knows_sides(&basis) => {
            format!("; {} trained on, {held_out} held out", counted(trained_on, "is", "are"))
        }
        held_out => {
            format!("; about {} trained on and about {held_out} held out", counted(trained_on, "is", "are"))
        }
    };
    format!("{} of {all} {verb} a preference{rest}{sides}", counts.better)
}

fn method(ui: &mut Ui, view: &mut TrainView, checked: &Checked) {
    let palette = parts::palette(ui);
    let kind = checked.config.objective.kind;
    let (loss, rest) = formula_parts(&checked.config.objective);
    ui.label(RichText::new(loss).size(size::HEADING).color(palette.strong));
    ui.label(RichText::new(rest).color(palette.text));
    if Method::PREFERENCE.contains(&kind) {
        margin(ui, view, checked);
    }
    field::row(ui, &mut view.launch, &Setting::that_count(Group::Method, &checked.config));
    if let Some(weights) = kind_of(&checked.config) {
        ui.label(RichText::new(weights.formula()).color(palette.text));
        parts::caption(ui, weights.cost(checked.steps()));
    }
    if let Some(total) = total(&checked.config.objective) {
        parts::caption(ui, total);
    }
}

/// What of a pair the loss looks at.
fn margin(ui: &mut Ui, view: &mut TrainView, checked: &Checked) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        parts::caption(ui, ObjectiveConfig::MARGIN.label);
        let kind = checked.config.objective.kind;
        let fits = |word: &&Word| Margin::named(word.word).is_some_and(|margin| kind.takes(margin));
        let words: Vec<Word> = ObjectiveConfig::MARGIN.words().iter().filter(fits).copied().collect();
        if let Some(word) = field::segmented(ui, &words, checked.config.objective.margin().name()) {
            view.launch.set(ObjectiveConfig::MARGIN.key, word);
        }
    });
    if let Some(problem) = checked.problems.get("objective.margin") {
        ui.label(RichText::new(problem).size(size::SMALL).color(palette.error));
    }
}

/// Why the run cannot start now, if it cannot.
fn obstacle(workspace: &Workspace, checked: &Checked) -> Option<String> {
    if let Some(sentence) = nothing_to_learn(workspace) {
        return Some(sentence);
    }
    if let Some(sentence) = checked.problems.values().next() {
        let more = checked.problems.len() - 1;
        return Some(match more {
            0 => sentence.clone(),
            _ => format!("{sentence}; {more} more to mend"),
        });
    }
    let kind = checked.config.objective.kind;
    let is_fitted = || workspace.runs.reward_models().next().is_some();
    if kind.samples() && !is_fitted() {
        return Some(format!("{} needs a reward model; fit one first", name(&checked.config.objective)));
    }
    preflight::refusal(&workspace.preflight, &checked.config)
}

/// Why the project's pairs teach nothing, if they do not.
pub fn nothing_to_learn(workspace: &Workspace) -> Option<String> {
    let counts = &workspace.project.as_ref()?.counts;
    let sentence = match (counts.total(), counts.basis(None).pairs) {
        (0, _) => {
            "There are no pairs yet: in Pairs they come from a file, from prompts that a model answers, or from you"
        }
        (_, 0) => "No pair has a preference yet: L in Pairs asks which of two answers is better",
        _ => return None,
    };
    Some(sentence.to_owned())
}

fn start_bar(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    let palette = parts::palette(ui);
    let obstacle = obstacle(workspace, checked).or_else(|| fork::obstacle(view, &checked.config));
    let word = if view.fork.is_some() { "Start the fork" } else { "Start run" };
    Panel::bottom("start bar")
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::NONE.inner_margin(egui::Margin {
            top: space::M as i8,
            ..egui::Margin::ZERO
        }))
        .show(ui, |ui| {
            let pressed = view.pressed.take_if(|button| button.is_below());
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let start = ui.add_enabled_ui(obstacle.is_none(), |ui| {
                    parts::primary(ui, word)
                });
                if start.inner.clicked() || (pressed == Some(LaunchButton::Start) && obstacle.is_none()) {
                    if view.fork.is_some() {
                        fork::start(view, &checked.config, commands);
                        return;
                    }
                    let name = view.name.trim().to_owned();
                    questions::begin(view, name, checked.config.clone(), commands);
                }
                let waiting = matches!(workspace.preflight, Preflight::Waiting { .. });
                let check = ui
                    .add_enabled(
                        checked.problems.is_empty() && !waiting,
                        egui::Button::new(if waiting { "Checking…" } else { "Check first" })
                            .min_size(egui::vec2(96.0, 30.0)),
                    )
                    .on_hover_text(
                        "Loads the model and measures one step: usable pairs, sleeping pairs, golden values, memory, time",
                    );
                if check.clicked() || (pressed == Some(LaunchButton::Check) && check.enabled()) {
                    let config = Box::new(checked.config.clone());
                    commands.push(Command::Runs(RunCommand::Check(config)));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let (text, color) = match (&obstacle, workspace.runs.last_in_line()) {
                        (Some(sentence), _) => (sentence.clone(), palette.error),
                        (None, Some(last)) => {
                            let waits = format!("Waits its turn after {}", workspace.runs.name(last.run));
                            let text = [outlook(workspace, checked), Some(waits)].into_iter().flatten();
                            (text.collect::<Vec<_>>().join(" · "), palette.weak)
                        }
                        (None, None) => (outlook(workspace, checked).unwrap_or_default(), palette.text),
                    };
                    ui.add(egui::Label::new(RichText::new(text).color(color)).wrap());
                });
            });
        });
}
