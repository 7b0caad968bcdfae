//! The queue: which runs wait, in which order; moved by keys, by buttons, or by dragging a name.

use egui::{Align, Button, CursorIcon, Label, Layout, RichText, Role, Sense, Stroke, StrokeKind, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    train::{RunCommand, TrainView, how_far},
};
use store::{RunId, RunRecord};

use crate::{
    parts, prompt,
    theme::{RADIUS, space},
};

/// A run on its way to another place.
struct Carried(RunId);

pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, commands: &Commands) {
    let runs = &workspace.runs;
    let queue = runs.queue_shown();
    if queue.is_empty() {
        return;
    }
    let is_elsewhere = runs.waiting.is_empty();
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = space::XS;
        ui.horizontal_wrapped(|ui| {
            parts::heading(ui, "Queue");
            let whose = if is_elsewhere {
                "Another program trains them one after the other"
            } else {
                "They go one after the other"
            };
            let (sooner, later) = (key_of(Action::InQueue(false)), key_of(Action::InQueue(true)));
            parts::caption(ui, format!("{whose}; drag a name, or {sooner} and {later} move the one that is shown"));
        });
        let mut moved = None;
        for (place, record) in queue.iter().enumerate() {
            let row = ui.push_id(record.id.0, |ui| row(ui, workspace, view, (place, queue.len()), record, commands));
            let row = row.response;
            if row.dnd_hover_payload::<Carried>().is_some_and(|carried| carried.0 != record.id) {
                let stroke = Stroke::new(1.5, parts::palette(ui).accent);
                ui.painter().rect_stroke(row.rect, RADIUS, stroke, StrokeKind::Inside);
            }
            if let Some(carried) = row.dnd_release_payload::<Carried>() {
                moved = Some((carried.0, place));
            }
        }
        if let Some((run, place)) = moved {
            commands.push(Command::Runs(RunCommand::Move(run, place)));
        }
    });
    ui.add_space(space::S);
}

fn row(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut TrainView,
    (place, count): (usize, usize),
    record: &RunRecord,
    commands: &Commands,
) {
    let (runs, palette) = (&workspace.runs, parts::palette(ui));
    let leaving = runs.is_leaving(record.id);
    ui.horizontal(|ui| {
        let act = |ui: &mut Ui, enabled: bool, sign: &str, what: &str, command: RunCommand| {
            let button = ui.add_enabled(enabled && !leaving, Button::new(sign).min_size(egui::vec2(26.0, 0.0)));
            prompt::name(&button, Role::Button, &format!("{what}: {}", record.name));
            if button.on_hover_text(what).clicked() {
                commands.push(Command::Runs(command));
            }
        };
        act(ui, place > 0, "↑", "Sooner", RunCommand::Move(record.id, place.saturating_sub(1)));
        act(ui, place + 1 < count, "↓", "Later", RunCommand::Move(record.id, place + 1));
        parts::caption(ui, if place == 0 { "next".to_owned() } else { data::ordinal(place + 1) });
        let shown = view.shown == Some(record.id);
        let color = if shown { palette.accent } else { palette.strong };
        let name =
            Label::new(RichText::new(&record.name).color(color)).selectable(false).sense(Sense::click_and_drag());
        let name = ui.add(name).on_hover_cursor(CursorIcon::Grab);
        name.dnd_set_drag_payload(Carried(record.id));
        if name.clicked() {
            view.shown = Some(record.id);
        }
        parts::caption(ui, how_far(runs, record));
        if runs.place(record.id).is_some() {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                act(ui, true, "×", "Out of the queue", RunCommand::Withdraw(record.id));
            });
        }
    });
}
