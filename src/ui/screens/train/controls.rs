//! What can be done with the shown run: steer it while it goes, move it while it waits, go on with it when it has
//! ended.

use data::config::typed;
use egui::{Button, Key, RichText, TextEdit, Ui};
use state::{
    Command, Commands, Workspace,
    models::ModelsCommand,
    runs::{LiveRun, Runs, can_continue},
    train::{Extending, RunCommand, Sheet, TrainView, how_far},
};
use store::{RunRecord, RunStatus};

use crate::{parts, prompt, writing};

/// The buttons beside the run's name, laid out from the right.
pub fn ui(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut TrainView,
    record: &RunRecord,
    live: Option<&LiveRun>,
    commands: &Commands,
) {
    if let Some(live) = live {
        steer(ui, live, commands);
        branch_off(ui, &workspace.runs, view, record);
    } else if let Some(place) = workspace.runs.place(record.id) {
        queued(ui, &workspace.runs, place, record, commands);
    } else {
        ended(ui, workspace, view, record, commands);
    }
}

fn send(commands: &Commands, command: RunCommand) {
    commands.push(Command::Runs(command));
}

/// A run of its own, from one of the checkpoints, or from the run's settings.
fn branch_off(ui: &mut Ui, runs: &Runs, view: &mut TrainView, record: &RunRecord) {
    let missing = runs.no_weights(record.id);
    let fork = ui
        .add_enabled(missing.is_none(), Button::new("Fork…"))
        .on_hover_text("F: a run of its own from one of its checkpoints, with other settings or without some pairs")
        .on_disabled_hover_text(missing.unwrap_or_default());
    if fork.clicked() {
        view.set_up_fork(runs, record.id, runs.fork_point(record));
    }
}

fn steer(ui: &mut Ui, live: &LiveRun, commands: &Commands) {
    let stop = ui
        .add_enabled(!live.stopping, Button::new("Stop"))
        .on_hover_text("Finishes this step, writes a checkpoint and ends; the run can be continued later");
    if stop.clicked() {
        send(commands, RunCommand::Stop);
    }
    let word = if live.paused { "Resume" } else { "Pause" };
    let pause = ui.add_enabled(!live.stopping, Button::new(word)).on_hover_text("Space");
    if pause.clicked() {
        send(commands, RunCommand::SetPaused(!live.paused));
    }
    let checkpoint = ui
        .add_enabled(!live.stopping, Button::new("Checkpoint"))
        .on_hover_text("Writes a checkpoint after this step and keeps it: later ones do not take its place");
    if checkpoint.clicked() {
        send(commands, RunCommand::Checkpoint);
    }
}

fn queued(ui: &mut Ui, runs: &Runs, place: usize, record: &RunRecord, commands: &Commands) {
    let leaving = runs.is_leaving(record.id);
    let cancel = ui
        .add_enabled(!leaving, Button::new("Cancel"))
        .on_hover_text("Takes it out of the queue; it stays among the runs, and Resume puts it back at the end");
    prompt::name(&cancel, egui::Role::Button, &format!("Cancel {}", record.name));
    if cancel.clicked() {
        send(commands, RunCommand::Withdraw(record.id));
    }
    let last = runs.waiting.len().saturating_sub(1);
    let later =
        ui.add_enabled(place < last && !leaving, Button::new("Later")).on_hover_text("Lets the run behind it go first");
    if later.on_disabled_hover_text("It is the last of the queue").clicked() {
        send(commands, RunCommand::Move(record.id, place + 1));
    }
    let sooner =
        ui.add_enabled(place > 0 && !leaving, Button::new("Sooner")).on_hover_text("Goes before the run ahead of it");
    if sooner.on_disabled_hover_text("It is the next").clicked() {
        send(commands, RunCommand::Move(record.id, place - 1));
    }
}

fn ended(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, record: &RunRecord, commands: &Commands) {
    let runs = &workspace.runs;
    if runs.elsewhere().is_some_and(|going| going.id == record.id) {
        let is_writable = workspace.project.as_ref().is_some_and(|project| !project.read_only);
        let enabled = is_writable && !runs.asked_to_stop.contains(&record.id);
        let paused = record.status == RunStatus::Paused;
        let pause = ui.add_enabled(enabled, Button::new(if paused { "Go on" } else { "Pause" }));
        let about = "The program that trains it rests within a moment; its weights stay in memory there";
        if pause.on_hover_text(about).clicked() {
            send(commands, RunCommand::PauseElsewhere(record.id, !paused));
        }
        let stop = ui.add_enabled(enabled, Button::new("Stop")).on_hover_text(
            "The program that trains it finishes this step, writes a checkpoint and ends the run; it can be continued here",
        );
        if stop.clicked() {
            send(commands, RunCommand::StopElsewhere(record.id));
        }
    }
    if ui.button("New run").clicked() {
        view.leave_fork();
        view.sheet = Sheet::Launch;
    }
    let again = ui.button("Again…").on_hover_text("A new run from the settings of this one, to be changed first");
    prompt::name(&again, egui::Role::Button, "Run again with changes");
    if again.clicked() {
        view.set_up_again(runs, record.id);
    }
    branch_off(ui, runs, view, record);
    if record.step > 0 {
        let missing = runs.no_weights(record.id);
        let export = ui
            .add_enabled(missing.is_none(), Button::new("Export…"))
            .on_hover_text("As an adapter or a whole model that other programs read")
            .on_disabled_hover_text(missing.unwrap_or_default());
        if export.clicked() {
            commands.push(Command::Models(ModelsCommand::ShowRun(record.id)));
        }
    }
    if record.status == RunStatus::Completed {
        let missing = runs.no_weights(record.id);
        let longer = ui
            .add_enabled(missing.is_none(), Button::new("Extend…"))
            .on_hover_text("Goes on from its last checkpoint with more steps")
            .on_disabled_hover_text(missing.unwrap_or_default());
        if longer.clicked() {
            view.ask_how_long(record);
        }
    }
    if can_continue(record.status) {
        let anew = runs.would_start_again(record);
        let word = if anew { "Resume…" } else { "Resume" };
        let go_on = ui.button(word).on_hover_text(runs.continuation(record));
        prompt::name(&go_on, egui::Role::Button, "Resume");
        if go_on.clicked()
            && let Some(command) = view.resume(runs, record)
        {
            send(commands, command);
        }
    }
}

/// A run that has done all its steps can be given more.
pub fn longer(ui: &mut Ui, view: &mut TrainView, record: &RunRecord, commands: &Commands) {
    let Some(Extending { text, wants_caret, .. }) = view.extending.as_mut().filter(|asked| asked.run == record.id)
    else {
        return;
    };
    let steps = typed::count("Steps", text).and_then(|steps| {
        let least = record.step + 1;
        if steps < least {
            Err(format!("It has done {}; Steps must be {least} or more", record.step))
        } else {
            Ok(steps)
        }
    });
    let mut done = false;
    ui.horizontal_wrapped(|ui| {
        let label = parts::caption(ui, "Steps in all");
        let field = TextEdit::singleline(text).id_salt("steps in all").desired_width(80.0).show(ui);
        let response = field.response.response.labelled_by(label.id);
        if writing::give_caret(ui, &response, *wants_caret) {
            *wants_caret = false;
            // What is typed takes the place of what is offered.
            writing::choose_all(ui, response.id, text, field.state);
        }
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let go_on = ui.add_enabled(steps.is_ok(), Button::new("Go on"));
        if let Ok(steps) = steps
            && (go_on.clicked() || entered)
        {
            send(commands, RunCommand::Extend(record.id, steps));
            done = true;
        } else if entered {
            response.request_focus();
        }
        done |= ui.input(|input| input.key_pressed(Key::Escape)) && response.lost_focus();
        done |= ui.button("Cancel").clicked();
        if let Err(sentence) = &steps {
            ui.label(RichText::new(sentence).color(parts::palette(ui).error));
        }
    });
    parts::caption(ui, "From here on its learning rate follows the curve of a run of that length");
    if done {
        view.extending = None;
    }
}

/// What Resume would do, and the question before it replaces what was measured.
pub fn going_on(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, record: &RunRecord, commands: &Commands) {
    let runs = &workspace.runs;
    let is_idle = !runs.is_going(record.id) && runs.place(record.id).is_none();
    if !is_idle || !can_continue(record.status) {
        return;
    }
    if view.again != Some(record.id) || !runs.would_start_again(record) {
        parts::caption(ui, runs.continuation(record));
        return;
    }
    let palette = parts::palette(ui);
    parts::strip(ui, palette.warning_soft, |ui| {
        let text = format!(
            "{} has no checkpoint to go on from. Starting it again begins at step 0 and replaces its charts and answers up to step {}",
            record.name, record.step
        );
        ui.add(egui::Label::new(RichText::new(text).color(palette.warning)).wrap());
        ui.horizontal_wrapped(|ui| {
            if ui.button("Start it again").clicked() {
                view.again = None;
                send(commands, RunCommand::Continue(record.id));
            }
            if ui.button("Leave it as it is").clicked() {
                view.again = None;
            }
        });
    });
}

/// "Queued, 2nd, 0 of 300 steps; waits for MPO 1": the one that is going counts as the first.
pub fn waits(runs: &Runs, place: usize, record: &RunRecord) -> String {
    /// So many are named; of more, all but the last of these.
    const NAMED: usize = 3;
    if runs.is_leaving(record.id) {
        return "Cancelled; it leaves the queue as soon as the engine has a moment".to_owned();
    }
    let ahead = runs.live.iter().chain(runs.waiting.iter().take(place));
    let mut names: Vec<String> = ahead.map(|ahead| runs.name(ahead.run)).collect();
    let turn = data::ordinal(names.len() + 1);
    if names.len() > NAMED {
        let others = names.len() - (NAMED - 1);
        names.truncate(NAMED - 1);
        names.push(format!("{others} others"));
    }
    let names = match &names[..] {
        [] => "the engine".to_owned(),
        [only] => only.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    };
    format!("Queued, {turn}, {}; waits for {names}", how_far(runs, record))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use store::{Revision, RunId, RunStatus};

    fn record(id: i64, config_toml: &str, total_steps: u64) -> RunRecord {
        RunRecord {
            id: RunId(id),
            name: format!("Run {id}"),
            method: "MPO anchored-sum".to_owned(),
            status: RunStatus::Queued,
            config_toml: config_toml.to_owned(),
            revision: Revision(1),
            total_steps,
            ..RunRecord::default()
        }
    }

    #[test]
    fn g11_a_queued_run_says_its_place_and_what_it_waits_for() {
        let mut runs = Runs::default();
        for id in 1..=9 {
            runs.queue(LiveRun::new(RunId(id), Arc::default()));
        }
        let second = record(2, "[train]\nsteps = 300\n", 0);
        let fourth = record(4, "[train]\nepochs = 2.0\n", 0);
        let counted = record(3, "", 1);
        runs.set_records(vec![record(1, "", 1), second.clone(), counted.clone(), fourth.clone()]);
        assert_eq!(waits(&runs, 0, &second), "Queued, 2nd, 0 of 300 steps; waits for Run 1");
        assert_eq!(waits(&runs, 2, &fourth), "Queued, 4th, 0 steps of 2 epochs; waits for Run 1, Run 2 and Run 3");
        assert!(waits(&runs, 7, &record(9, "", 1)).ends_with("9th, 0 of 1 step; waits for Run 1, Run 2 and 6 others"));
        assert_eq!(waits(&runs, 1, &counted), "Queued, 3rd, 0 of 1 step; waits for Run 1 and Run 2");
        runs.waiting[1].stopping = true;
        assert!(waits(&runs, 1, &counted).starts_with("Cancelled"));
    }
}
