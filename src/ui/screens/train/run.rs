//! A run: its head with progress and controls, charts, knobs, log.

use data::{config::Method, metrics::TOKENS_PER_SEC};
use egui::{Align, ComboBox, Layout, RichText, ScrollArea, Ui};
use engine::protocol::HowFar;
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    away,
    join_offer::JoinOffer,
    joining::JoiningKey,
    runs::{History, LiveRun, Loaded},
    train::{RunCommand, TrainView, how_far},
};
use store::{RunId, RunRecord, RunStatus};
use train::objective::Objective;

use super::{alarms, came_to, charts, controls, fork, knobs, lens, log, queue, rollout, scores, seen};
use crate::{
    parts,
    theme::{Palette, size, space},
};

/// Beside a run's name and its buttons there is room for its method from this on.
const WITH_METHOD: f32 = 620.0;
/// Room for the longest row of buttons beside a run's name and status.
const BUTTONS: f32 = 500.0;

/// `guided`: the strip below the screen says what to do next.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, guided: bool, commands: &Commands) {
    let Some(run) = workspace.runs.shown(view.shown) else {
        parts::empty(ui, "No run yet", "Choose Set up, look over the settings and press Start run");
        return;
    };
    let history = workspace.runs.history(run);
    if history.is_none_or(|history| history.loaded == Loaded::Absent) {
        commands.push(Command::Runs(RunCommand::Load(run)));
    }
    if let Some(history) = history {
        let key = JoiningKey { run, revision: workspace.pairs.revision, marks: history.marks.len() };
        if !workspace.runs.joining.is_asked(key) {
            commands.push(Command::Runs(RunCommand::ReadLabels(key)));
        }
    }
    let live = workspace.runs.live.as_ref().filter(|live| live.run == run);
    let (Some(record), Some(settings)) = (workspace.runs.record(run), workspace.runs.settings(run)) else {
        return;
    };
    head(ui, workspace, view, record, live, commands);
    let offer = workspace.runs.join_offer(record);
    if offer.is_some() || workspace.runs.alarms(run).next().is_some() {
        parts::below(ui, "of the run", |ui| {
            alarms::ui(ui, workspace, record, live, commands);
            if let Some(offer) = offer {
                joining(ui, workspace, record, offer, commands);
            }
        });
    }
    ui.add_space(space::S);
    let last = history.map_or(0, |history| history.last_step() as u64);
    let is_going = live.is_some();
    lens::ui(
        ui,
        workspace,
        &mut view.lens,
        (run, last, is_going),
        &Objective::of(&settings.config.objective),
        commands,
    );
    ScrollArea::vertical().id_salt("run").auto_shrink([false, false]).show(ui, |ui| {
        queue::ui(ui, workspace, view, commands);
        if let Some(what) = workspace.runs.came_to(record) {
            came_to::ui(ui, &workspace.runs, record, &what, guided);
        }
        let nothing = History::default();
        let history = history.unwrap_or(&nothing);
        if settings.config.objective.kind.samples() {
            rollout::ui(ui, workspace, &mut view.rollout, (run, last), commands);
            ui.add_space(space::M);
        }
        if settings.config.objective.kind == Method::Reward {
            scores::ui(ui, history);
        }
        charts::ui(ui, &workspace.runs, record, &settings.config, history);
        ui.add_space(space::M);
        if let Some(live) = live {
            parts::card(ui, |ui| {
                ui.set_width(ui.available_width());
                knobs::ui(ui, &mut view.knobs, live, &settings.config, commands);
            });
            ui.add_space(space::M);
        }
        log::ui(ui, run, history);
        ui.add_space(space::L);
    });
}

fn head(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut TrainView,
    record: &RunRecord,
    live: Option<&LiveRun>,
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    ui.horizontal(|ui| {
        pick(ui, workspace, view, record.id);
        let (word, color) = status_word(record.status, palette);
        parts::chip(ui, word, color);
        if ui.available_width() > WITH_METHOD && !record.name.contains(&record.method) {
            ui.label(RichText::new(&record.method).color(palette.weak));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            controls::ui(ui, workspace, view, record, live, commands);
        });
    });
    let (fraction, text) = progress(workspace, record, live);
    parts::progress(ui, fraction, &format!("Progress of {}", record.name));
    standing_line(ui, text, record);
    fork::origin(ui, workspace, view, record);
    seen::ui(ui, workspace, view, record, commands);
    if let Some(message) = &record.message {
        parts::strip(ui, palette.error_soft, |ui| {
            ui.add(egui::Label::new(RichText::new(message).color(palette.error)).wrap());
        });
    }
    controls::longer(ui, view, record, commands);
    controls::going_on(ui, workspace, view, record, commands);
}

/// Where the run stands, and at the right what it computes with. A run that waits may have much to say.
fn standing_line(ui: &mut Ui, text: String, record: &RunRecord) {
    let Some(arithmetic) = &record.arithmetic else {
        ui.add(egui::Label::new(text).wrap());
        return;
    };
    ui.horizontal(|ui| {
        ui.label(text);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = arithmetic.to_string();
            let caption = RichText::new(&text).size(size::SMALL).color(parts::palette(ui).weak);
            ui.add(egui::Label::new(caption).truncate()).on_hover_text(text);
        });
    });
}

/// Labels that the run has not seen, and whether they are to join it.
fn joining(
    ui: &mut Ui,
    workspace: &Workspace,
    record: &RunRecord,
    JoinOffer { text, press }: JoinOffer,
    commands: &Commands,
) {
    parts::strip(ui, parts::palette(ui).accent_soft, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(text);
            let is_read_only = workspace.project.as_ref().is_some_and(|project| project.read_only);
            if let Some(asks) = press.filter(|_| !is_read_only) {
                let word = if asks { "Take in at the next epoch" } else { "Not yet" };
                if ui.button(word).on_hover_text(key_of(Action::TakeIn)).clicked() {
                    commands.push(Command::Runs(RunCommand::TakeIn(record.id, asks)));
                }
            }
        });
    });
}

/// Which run is shown.
fn pick(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, shown: RunId) {
    let name = workspace.runs.name(shown);
    let response = ComboBox::from_id_salt("shown run")
        .selected_text(RichText::new(&name).heading())
        .width((ui.available_width() - BUTTONS).clamp(140.0, 220.0))
        .truncate()
        .show_ui(ui, |ui| {
            for (depth, record) in workspace.runs.tree() {
                let selected = record.id == shown;
                if ui.selectable_label(selected, format!("{}{}", branch(depth), record.name)).clicked() {
                    view.shown = Some(record.id);
                }
            }
        })
        .response;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, format!("Shown run {name}")));
}

/// What stands before a fork, under the run that it was forked from.
pub fn branch(depth: usize) -> String {
    if depth == 0 { String::new() } else { format!("{}└ ", "    ".repeat(depth - 1)) }
}

pub fn status_word(status: RunStatus, palette: &Palette) -> (&'static str, egui::Color32) {
    match status {
        RunStatus::Queued => ("Queued", palette.weak),
        RunStatus::Running => ("Running", palette.accent),
        RunStatus::Paused => ("Paused", palette.warning),
        RunStatus::Stopped => ("Stopped", palette.weak),
        RunStatus::Completed => ("Completed", palette.good),
        RunStatus::Failed => ("Failed", palette.error),
        RunStatus::Interrupted => ("Interrupted", palette.warning),
        RunStatus::Away => ("Away", palette.accent),
    }
}

/// Share done and the line under the bar.
fn progress(workspace: &Workspace, record: &RunRecord, live: Option<&LiveRun>) -> (f32, String) {
    let Some(live) = live else {
        let fraction = if record.total_steps == 0 { 0.0 } else { record.step as f32 / record.total_steps as f32 };
        return (fraction, standing(workspace, record));
    };
    if let Some((what, done)) = &live.phase {
        let busy = done.map_or_else(|| what.clone(), |done| format!("{what}, {done}"));
        return match done {
            Some(done @ HowFar::Share(share)) => (*share, format!("{what}, {done}")),
            // Between two steps the bar is the run's.
            _ if live.step > 0 => {
                (live.fraction(), format!("Step {} of {}{} · {busy}", live.step, live.total_steps, left(live)))
            }
            _ => (done.map_or_else(|| live.fraction(), HowFar::share), busy),
        };
    }
    let mut text = format!("Step {} of {}", live.step, live.total_steps);
    if live.stopping {
        text.push_str(" · stopping with a checkpoint");
    } else if live.paused {
        text.push_str(" · paused");
    } else {
        text.push_str(&left(live));
    }
    let speed = workspace.runs.history(live.run).and_then(|history| history.latest(TOKENS_PER_SEC));
    if let Some(speed) = speed {
        text = format!("{text} · {} tokens/s", data::number(speed));
    }
    (live.fraction(), text)
}

/// " · 3 min 20 s left", as far as that is known.
fn left(live: &LiveRun) -> String {
    live.eta_secs.map_or_else(String::new, |eta| format!(" · {} left", data::duration(eta)))
}

/// Where a run stands that is not going.
fn standing(workspace: &Workspace, record: &RunRecord) -> String {
    if let Some(place) = workspace.runs.place(record.id) {
        return controls::waits(&workspace.runs, place, record);
    }
    let reached = match record.total_steps {
        0 => how_far(&workspace.runs, record),
        total => format!("Step {} of {total}", record.step),
    };
    match away::heard(record, workspace.now_ms) {
        Some(heard) => format!("{reached} · {heard}"),
        None => reached,
    }
}
