//! The status strip: the run that is going, what it needs from the person, and whether everything is saved.

use data::{
    Extent, Scale,
    metrics::{LOSS, MEMORY_MB},
};
use egui::{Align, Button, Frame, Layout, Margin, Panel, RichText, Role, Stroke, Ui, WidgetInfo};
use engine::protocol::{HowFar, SaveAnswer};
use state::{
    Closing, Command, Commands, Screen, Views, Workspace,
    command::CloseAnswer,
    runs::LiveRun,
    series::{self, Series},
    train::{RunCommand, Sheet},
};

use store::RunStatus;

use super::{
    icon::{self, Transport},
    parts,
    theme::{self, size, space},
};

/// A run's name is cut where it would be wider.
const NAME: f32 = 220.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let palette = parts::palette(ui);
    let frame = Frame::NONE.fill(palette.rail).inner_margin(Margin::symmetric(space::M as i8, 5));
    Panel::bottom("status").resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ui.set_min_height(26.0);
        ui.horizontal(|ui| {
            if let Some(live) = &workspace.runs.live {
                run(ui, workspace, views, live, commands);
            } else {
                let text = match workspace.runs.elsewhere() {
                    Some(run) => {
                        let is_asked = workspace.runs.asked_to_stop.contains(&run.id);
                        let enabled = !is_asked && workspace.project.as_ref().is_some_and(|project| !project.read_only);
                        let paused = run.status == RunStatus::Paused;
                        let pause = if paused {
                            ("Resume the run in the other program", Transport::Play)
                        } else {
                            ("Pause the run in the other program", Transport::Pause)
                        };
                        if transport(ui, enabled, pause.0, pause.1) {
                            commands.push(Command::Runs(RunCommand::PauseElsewhere(run.id, !paused)));
                        }
                        if transport(ui, enabled, "Stop the run in the other program", Transport::Stop) {
                            commands.push(Command::Runs(RunCommand::StopElsewhere(run.id)));
                        }
                        let verb = match (is_asked, paused) {
                            (true, _) => "is stopping",
                            (false, true) => "rests",
                            (false, false) => "is going",
                        };
                        format!("{} {verb} in another program: step {} of {}", run.name, run.step, run.total_steps)
                    }
                    None => "No run is going".to_owned(),
                };
                ui.label(RichText::new(text).small().color(palette.weak));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                saving(ui, workspace, views);
            });
        });
    });
    closing(ui, workspace, commands);
    unsaved(ui, workspace, commands);
}

fn run(ui: &mut Ui, workspace: &Workspace, views: &mut Views, live: &LiveRun, commands: &Commands) {
    let palette = parts::palette(ui);
    let small = |text: String| RichText::new(text).size(size::SMALL).color(palette.text);
    let pause = if live.paused { ("Resume the run", Transport::Play) } else { ("Pause the run", Transport::Pause) };
    let enabled = !live.stopping;
    if transport(ui, enabled, pause.0, pause.1) {
        commands.push(Command::Runs(RunCommand::SetPaused(!live.paused)));
    }
    if transport(ui, enabled, "Stop the run", Transport::Stop) {
        commands.push(Command::Runs(RunCommand::Stop));
    }
    let name = workspace.runs.name(live.run);
    let link = ui.scope(|ui| {
        // The rest of the strip keeps its place beside a long name.
        ui.set_max_width(NAME);
        ui.add(Button::new(RichText::new(&name).color(palette.strong)).frame(false).truncate())
    });
    parts::focus_ring(ui, &link.inner);
    if link.inner.on_hover_text(format!("{name}: show its charts")).clicked() {
        views.screen = Screen::Train;
        views.train.sheet = Sheet::Run;
        views.train.shown = Some(live.run);
    }
    let history = workspace.runs.history(live.run);
    match &live.phase {
        Some((what, Some(done @ HowFar::Share(_)))) => {
            ui.label(small(format!("{what}, {done}")));
        }
        Some((what, done)) => {
            // Between steps a run that samples is never without such a word; how far it is stands beside it.
            if live.step > 0 {
                ui.label(small(format!("step {} of {}", live.step, live.total_steps)));
            }
            ui.label(small(done.map_or_else(|| what.clone(), |done| format!("{what}, {done}"))));
        }
        None => {
            ui.label(small(format!("step {} of {}", live.step, live.total_steps)));
            let rest = if live.stopping {
                "stopping".to_owned()
            } else if live.paused {
                "paused".to_owned()
            } else {
                live.eta_secs.map(|eta| format!("{} left", data::duration(eta))).unwrap_or_default()
            };
            ui.label(small(rest));
        }
    }
    if let Some(series) = history.and_then(|history| history.series(LOSS)) {
        sparkline(ui, series);
    }
    match workspace.runs.waiting.len() {
        0 => {}
        n => {
            ui.label(small(format!("{n} queued")));
        }
    }
    if let Some(memory) = history.and_then(|history| history.latest(MEMORY_MB)) {
        ui.label(small(data::metrics::value(MEMORY_MB, memory)));
    }
}

fn transport(ui: &mut Ui, enabled: bool, name: &str, which: Transport) -> bool {
    let palette = parts::palette(ui);
    let response = ui.add_enabled(enabled, Button::new("").min_size(egui::vec2(28.0, 22.0))).on_hover_text(name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let picture = egui::Rect::from_center_size(response.rect.center(), egui::Vec2::splat(13.0));
    let color = if enabled { palette.text } else { palette.weak };
    icon::transport(ui.painter(), which, picture, color);
    response.clicked()
}

/// The loss so far, the size of a word.
fn sparkline(ui: &mut Ui, series: &Series) {
    let palette = parts::palette(ui);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(96.0, 18.0), egui::Sense::hover());
    let points = series.visible(&(f64::NEG_INFINITY..=f64::INFINITY), 48);
    let (first, last) = match (points.first(), points.last()) {
        (Some(first), Some(last)) if last[0] > first[0] => (first[0], last[0]),
        _ => return,
    };
    let Some(up) = Extent::around(points.iter().map(|point| point[1]), Scale::Linear) else {
        return;
    };
    let place = |[step, value]: &series::Point| {
        egui::pos2(
            rect.left() + rect.width() * ((step - first) / (last - first)) as f32,
            rect.bottom() - 2.0 - (rect.height() - 4.0) * ((value - up.low) / up.length()) as f32,
        )
    };
    let color = theme::series_color(palette, 0);
    for piece in series::pieces(&points) {
        ui.painter().line(piece.iter().map(place).collect(), Stroke::new(1.4, color));
    }
    if let Some([step, value]) = series.latest() {
        let name = format!("Loss {} at step {step:.0}", data::number(value));
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &name));
        response.on_hover_text(name);
    }
}

fn saving(ui: &mut Ui, workspace: &Workspace, views: &Views) {
    let Some(project) = &workspace.project else {
        return;
    };
    let palette = parts::palette(ui);
    let (word, color) = if project.read_only {
        ("Can only be read", palette.warning)
    } else if workspace.saving.failed {
        ("Not saved", palette.error)
    } else if workspace.saving.under_way > 0 {
        ("Saving…", palette.text)
    } else if views.pairs.is_typing() || views.pairs.references.is_typing() || workspace.saving.writing {
        ("Typing, not yet saved", palette.text)
    } else {
        ("Saved", palette.weak)
    };
    ui.label(RichText::new(word).small().color(color));
}

/// The window was asked to close while a run is going: a strip, no dialog.
fn closing(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let Some(live) = &workspace.runs.live else {
        return;
    };
    let name = workspace.runs.name(live.run);
    let text = match workspace.closing {
        Closing::No => return,
        Closing::Asked => format!("{name} is still going, and this window trains it"),
        Closing::ToBackground(_) => {
            format!("Closes as soon as {name} has written its checkpoint; it goes on from there in the background")
        }
        Closing::AfterRun if live.stopping => {
            format!("Closes as soon as {name} has written its checkpoint")
        }
        Closing::AfterRun => format!("Closes when {name} has ended"),
    };
    let palette = parts::palette(ui);
    Panel::bottom("closing")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::NONE.fill(palette.warning_soft).inner_margin(Margin::symmetric(space::XL as i8, space::S as i8)))
        .show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(text).color(palette.warning));
                let mut answer = |word: &str, about: &str, answer| {
                    if ui.button(word).on_hover_text(about).clicked() {
                        commands.push(Command::Close(answer));
                    }
                };
                if !live.stopping {
                    answer(
                        "Go on in the background",
                        "Saves a checkpoint; a process without a window goes on from it, to the same numbers, and then with the queue. A window that is opened meanwhile shows how far it is",
                        CloseAnswer::GoOnInBackground,
                    );
                    answer(
                        "Save a checkpoint and close",
                        "The run stands still until somebody resumes it",
                        CloseAnswer::StopAndClose,
                    );
                }
                if workspace.closing == Closing::Asked {
                    answer(
                        "Close when it has ended",
                        "And when those that wait behind it have ended too",
                        CloseAnswer::CloseAfterRun,
                    );
                }
                answer("Keep the window open", "Nothing changes", CloseAnswer::Stay);
            });
        });
}

/// A checkpoint could not be saved: the run waits for what the person says.
fn unsaved(ui: &mut Ui, workspace: &Workspace, commands: &Commands) {
    let live = workspace.runs.live.as_ref();
    let Some((live, reason)) = live.and_then(|live| Some((live, live.unsaved.as_ref()?))) else {
        return;
    };
    let palette = parts::palette(ui);
    Panel::bottom("unsaved")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::NONE.fill(palette.error_soft).inner_margin(Margin::symmetric(space::XL as i8, space::S as i8)))
        .show(ui, |ui| {
            let name = workspace.runs.name(live.run);
            let text = format!("{reason}. {name} waits with its weights in memory");
            ui.add(egui::Label::new(RichText::new(text).color(palette.error)).wrap());
            ui.horizontal_wrapped(|ui| {
                let mut answer = |word: &str, about: &str, command| {
                    if ui.button(word).on_hover_text(about).clicked() {
                        commands.push(Command::Runs(command));
                    }
                };
                answer(
                    "Try again",
                    "Saves it in the same place, for example after room was made",
                    RunCommand::Settle(SaveAnswer::TryAgain),
                );
                answer(
                    "Save elsewhere…",
                    "Saves this checkpoint and the next ones in a folder that you choose",
                    RunCommand::PickPlace,
                );
                answer(
                    "Go on without",
                    "Leaves this checkpoint out; the next one is tried when it is due",
                    RunCommand::Settle(SaveAnswer::GoOn),
                );
            });
        });
}
