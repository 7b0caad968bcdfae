//! The launch sheet: settings on the left, what they do on the right, the start button below both.

use egui::{Align, Frame, Layout, Margin, Panel, RichText, ScrollArea, TextEdit, Ui};

use super::{preflight, sandbox};
use crate::{
    data::{
        config::{Margin as PairMargin, Method, Schedule, TrainConfig},
        counted,
    },
    objective::Objective,
    state::{
        Command, Commands, Workspace,
        fields::{self, Field},
        launch::Checked,
        metric,
        train::{Preflight, RunCommand, TrainView},
    },
    ui::{
        field, parts,
        theme::{size, space},
    },
};

/// Below this the sandbox moves under the settings.
const TWO_COLUMNS: f32 = 780.0;
const SIDE: f32 = 330.0;

/// What stands behind "More settings".
const MEASURING: [Field; 5] =
    [fields::EVAL_EVERY, fields::SAMPLE_EVERY, fields::CHECKPOINT_EVERY, fields::KEEP, fields::EVAL_FRACTION];
const DETAILS: [Field; 7] = [
    fields::WARMUP,
    fields::WEIGHT_DECAY,
    fields::CLIP,
    fields::SEED,
    fields::MAX_PROMPT,
    fields::MAX_ANSWER,
    fields::RSLORA,
];
const FOLDERS: [Field; 2] = [fields::ADAPTER, fields::CONTINUE];
const MACHINE: [Field; 7] = [
    fields::DEVICE,
    fields::THREADS,
    fields::PRIORITY,
    fields::MEMORY,
    fields::DTYPE,
    fields::RECOMPUTE,
    fields::ROW_TOKENS,
];

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    let checked = view.launch.checked().clone();
    start_bar(ui, workspace, view, &checked, commands);
    let wide = ui.available_width() >= TWO_COLUMNS;
    if wide {
        Panel::right("launch side")
            .exact_size(SIDE)
            .resizable(false)
            .show_separator_line(false)
            .frame(Frame::NONE.inner_margin(Margin { left: space::L as i8, ..Margin::ZERO }))
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
        sandbox::ui(ui, &Objective::of(&checked.config.objective), checked.faulty_loss());
    });
}

fn settings(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    ui.spacing_mut().item_spacing.y = space::M;
    section(ui, "What to tune", |ui| {
        what(ui, workspace, view, checked, commands);
    });
    section(ui, "Method", |ui| method(ui, view, checked));
    section(ui, "Adapter", |ui| {
        if view.launch.is_on(fields::FULL.key) {
            field::row(ui, &mut view.launch, &[fields::FULL]);
        } else {
            let list = [fields::RANK, fields::ALPHA, fields::TARGETS, fields::FULL];
            field::row(ui, &mut view.launch, &list);
        }
    });
    section(ui, "Length and learning rate", |ui| {
        let list = [fields::STEPS, fields::EPOCHS, fields::PAIRS_PER_STEP, fields::LEARNING_RATE];
        field::row(ui, &mut view.launch, &list);
        ui.horizontal(|ui| {
            parts::caption(ui, "Schedule");
            let mut schedule = checked.config.optimizer.schedule;
            let words = [
                (Schedule::Cosine, "Cosine", "Falls along a cosine to zero"),
                (Schedule::Linear, "Linear", "Falls in a straight line to zero"),
                (Schedule::Constant, "Constant", "Stays at its peak"),
            ];
            if parts::segmented(ui, &mut schedule, &words) {
                let word = words.iter().find(|w| w.0 == schedule).map_or("", |w| w.1);
                view.launch.set("optimizer.schedule", word.to_lowercase());
            }
        });
    });
    // A fault that nobody sees cannot be mended: with one the settings stay unfolded.
    let folded = || [&MEASURING[..], &DETAILS, &FOLDERS, &MACHINE].into_iter().flatten();
    let faulty = folded().any(|field| checked.problems.contains_key(field.key));
    let more = view.more || faulty;
    let word = if more { "Fewer settings" } else { "More settings" };
    let fold = ui.add_enabled(!faulty, egui::Button::new(word)).on_disabled_hover_text("One of them cannot be used");
    if fold.clicked() {
        view.more = !view.more;
    }
    if more {
        section(ui, "Measuring and keeping", |ui| {
            field::row(ui, &mut view.launch, &MEASURING);
            parts::caption(ui, kept(&checked.config.train));
        });
        section(ui, "Details", |ui| {
            field::row(ui, &mut view.launch, &DETAILS);
            for folder in FOLDERS {
                field::folder(ui, &mut view.launch, folder, commands);
            }
        });
        section(ui, "Machine", |ui| field::row(ui, &mut view.launch, &MACHINE));
    }
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
        let counts = project.counts;
        let line = format!(
            "{} of {} {} a preference; {} tied, {} set aside by their label",
            counts.better,
            counted(counts.total(), "pair", "pairs"),
            if counts.better == 1 { "has" } else { "have" },
            counts.tie,
            counts.both_bad + counts.skip
        );
        ui.label(line);
    }
    ui.horizontal_top(|ui| {
        let gap = space::L;
        let width = (ui.available_width() - gap) / 2.0;
        ui.spacing_mut().item_spacing.x = gap;
        ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = space::XS;
            let label = parts::caption(ui, "Name of the run");
            ui.add(
                TextEdit::singleline(&mut view.name)
                    .id_salt("run name")
                    .hint_text(default_name(workspace, checked))
                    .desired_width(width),
            )
            .labelled_by(label.id);
        });
        ui.allocate_ui_with_layout(egui::vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
            ui.set_width(width);
            field::folder(ui, &mut view.launch, fields::MODEL, commands);
        });
    });
}

/// "MPO anchored-sum 3": the method and a running number.
fn default_name(workspace: &Workspace, checked: &Checked) -> String {
    let number = workspace.runs.records.last().map_or(1, |run| run.id.0 + 1);
    format!("{} {number}", Objective::of(&checked.config.objective).name())
}

fn method(ui: &mut Ui, view: &mut TrainView, checked: &Checked) {
    let palette = parts::palette(ui);
    let mut kind = checked.config.objective.kind;
    let methods = [
        (Method::Mpo, "MPO", "Maximum Preference Optimization, arXiv 2312.16430"),
        (Method::Dpo, "DPO", "Direct Preference Optimization, arXiv 2305.18290"),
        (Method::Ipo, "IPO", "Identity Preference Optimization, arXiv 2310.12036"),
    ];
    if parts::segmented(ui, &mut kind, &methods) {
        view.launch.set_method(kind);
    }
    let objective = Objective::of(&checked.config.objective);
    ui.label(RichText::new(objective.loss_formula()).size(size::HEADING).color(palette.strong));
    ui.label(RichText::new(objective.margin().formula()).color(palette.text));
    ui.horizontal(|ui| {
        parts::caption(ui, "Margin");
        let anchored = [
            (PairMargin::AnchoredSum, "Anchored sum", "Starts at 0 for every pair: a typical data set starts awake"),
            (
                PairMargin::AnchoredMean,
                "Anchored mean",
                "Per token, and starts at 0: long answers count no more than short ones",
            ),
        ];
        let free = [
            (PairMargin::Sum, "Sum", "Reference-free: pairs of unlike length may sleep from the start"),
            (PairMargin::Mean, "Mean", "Reference-free, per token"),
        ];
        let mut margin = checked.config.objective.margin();
        let choices = match kind {
            Method::Mpo => [anchored, free].concat(),
            Method::Dpo | Method::Ipo => anchored.to_vec(),
        };
        if parts::segmented(ui, &mut margin, &choices) {
            view.launch.set_margin(margin);
        }
    });
    if let Some(problem) = checked.problems.get("objective.margin") {
        ui.label(RichText::new(problem).size(size::SMALL).color(palette.error));
    }
    let list: &[Field] = match kind {
        Method::Mpo => &[fields::BETA, fields::LAMBDA_REF, fields::LAMBDA_PRE],
        Method::Dpo => &[fields::BETA, fields::LAMBDA_REF, fields::LAMBDA_PRE, fields::SMOOTHING],
        Method::Ipo => &[fields::TAU, fields::LAMBDA_REF, fields::LAMBDA_PRE, fields::BETA],
    };
    field::row(ui, &mut view.launch, list);
    if kind == Method::Dpo && checked.config.objective.label_smoothing > 0.0 {
        field::row(ui, &mut view.launch, &[fields::ROBUST]);
    }
    let weights = &checked.config.objective;
    let mut total = "Trained on L".to_owned();
    for (weight, term) in [
        (weights.reference_weight(), "loss on reference answers"),
        (weights.retention_weight(), "loss on retention text"),
    ] {
        if weight != 0.0 {
            total = format!("{total} + {} × {term}", metric::number(weight));
        }
    }
    parts::caption(ui, total);
}

/// Why the run cannot start now, if it cannot.
fn obstacle(workspace: &Workspace, checked: &Checked) -> Option<String> {
    if let Some(sentence) = checked.problems.values().next() {
        let more = checked.problems.len() - 1;
        return Some(match more {
            0 => sentence.clone(),
            _ => format!("{sentence}; {more} more to mend"),
        });
    }
    if preflight::refuses(&workspace.preflight, &checked.config) {
        return Some("The check found a reason not to start; it is on the right".to_owned());
    }
    None
}

fn start_bar(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, checked: &Checked, commands: &Commands) {
    let palette = parts::palette(ui);
    let obstacle = obstacle(workspace, checked);
    Panel::bottom("start bar")
        .resizable(false)
        .show_separator_line(true)
        .frame(Frame::NONE.inner_margin(Margin {
            top: space::M as i8,
            ..Margin::ZERO
        }))
        .show(ui, |ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let start = ui.add_enabled_ui(obstacle.is_none(), |ui| {
                    parts::primary(ui, "Start run")
                });
                if start.inner.clicked() {
                    let name = view.name.trim();
                    let name = if name.is_empty() {
                        default_name(workspace, checked)
                    } else {
                        name.to_owned()
                    };
                    commands.push(Command::Runs(RunCommand::Start {
                        name,
                        config: Box::new(checked.config.clone()),
                    }));
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
                if check.clicked() {
                    let config = Box::new(checked.config.clone());
                    commands.push(Command::Runs(RunCommand::Check(config)));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let (text, color) = match (&obstacle, workspace.runs.last_in_line()) {
                        (Some(sentence), _) => (sentence.clone(), palette.error),
                        (None, Some(last)) => (
                            format!("Waits its turn after {}", workspace.runs.name(last.run)),
                            palette.weak,
                        ),
                        (None, None) => (String::new(), palette.weak),
                    };
                    ui.add(egui::Label::new(RichText::new(text).color(color)).wrap());
                });
            });
        });
}
