//! The head of the launch sheet while it sets up a fork, and where a fork comes from.

use data::config::RunConfig;
use egui::{ComboBox, Response, Role, Ui, WidgetInfo};
use state::{
    Command, Commands, Workspace,
    fork::{ForkStart, Without},
    train::{RunCommand, TrainView},
};
use store::RunRecord;

use super::seen;
use crate::{parts, prompt};

/// Which checkpoint, and which pairs are left out; below it what is changed.
pub fn head(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, config: &RunConfig, commands: &Commands) {
    let Some(form) = &mut view.fork else {
        return;
    };
    let runs = &workspace.runs;
    seen::ask(workspace, form.run, commands);
    let run = form.run;
    let labels = |at: u64| {
        let known = runs.seen.of(run)?.iter().find(|seen| seen.step == at)?;
        Some(known.count())
    };
    let mut leave = false;
    parts::card(ui, |ui| {
        ui.set_width(ui.available_width());
        parts::heading(ui, &format!("Fork of {}", runs.name(form.run)));
        ui.horizontal_wrapped(|ui| {
            parts::caption(ui, "Goes on from step");
            let shown = step_word(form.at);
            let steps = ComboBox::from_id_salt("fork at").selected_text(&shown).width(120.0).show_ui(ui, |ui| {
                for at in runs.checkpoints(form.run).iter().rev().copied().chain([0]) {
                    let labels = labels(at).map_or_else(String::new, |labels| format!(" · {labels} seen"));
                    ui.selectable_value(&mut form.at, at, format!("{}{labels}", step_word(at)));
                }
            });
            named(&steps.response, &format!("Goes on from step {shown}"));
            parts::caption(ui, "and leaves out");
            let choices = Without::choices(&workspace.pairs);
            let chosen = choices.iter().find(|(choice, _)| *choice == form.without);
            let shown = chosen.map_or_else(|| form.without.words().unwrap_or_default(), |(_, words)| words.clone());
            let without = ComboBox::from_id_salt("fork without").selected_text(&shown).width(220.0).show_ui(ui, |ui| {
                for (choice, words) in choices {
                    ui.selectable_value(&mut form.without, choice, words);
                }
            });
            named(&without.response, &format!("Leaves out {shown}"));
            leave = ui.button("Set up a new run instead").clicked();
        });
        ui.label(form.changes(config));
        parts::caption(
            ui,
            "Weights, optimiser, order of the pairs and curves go on; what belongs to the checkpoint cannot be changed and says why",
        );
    });
    if leave {
        view.leave_fork();
    }
}

fn step_word(at: u64) -> String {
    if at == 0 { "0, its beginning".to_owned() } else { at.to_string() }
}

fn named(response: &Response, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, name));
}

/// Why a fork cannot start so, if it cannot.
pub fn obstacle(view: &TrainView, config: &RunConfig) -> Option<String> {
    let form = view.fork.as_ref()?;
    let steps = config.train.steps.filter(|steps| *steps <= form.at)?;
    Some(format!("Steps is {steps}; a fork at step {} needs more, because it counts those before it too", form.at))
}

/// The fork that the sheet has set up.
pub fn start(view: &TrainView, config: &RunConfig, commands: &Commands) {
    if let Some(form) = &view.fork {
        let name = Some(view.name.trim().to_owned()).filter(|name| !name.is_empty());
        let start = ForkStart {
            run: form.run,
            at: form.at,
            name,
            config: config.clone(),
            without: form.without.clone(),
            against: None,
        };
        commands.push(Command::Runs(RunCommand::Fork(Box::new(start))));
    }
}

/// "Forked from MPO 1 at step 40, without 12 pairs tagged “blunt”", with the way there.
pub fn origin(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, record: &RunRecord) {
    let Some(at) = record.parent_step else {
        return;
    };
    ui.horizontal_wrapped(|ui| {
        let without = record.left_out.as_ref().map_or_else(String::new, |left_out| format!(", without {left_out}"));
        match record.parent {
            Some(parent) => {
                parts::caption(ui, "Forked from");
                let name = workspace.runs.name(parent);
                let link = parts::quiet(ui, true, &name).on_hover_text("Shows the run that it was forked from");
                prompt::name(&link, Role::Button, &format!("Show {name}"));
                if link.clicked() {
                    view.shown = Some(parent);
                }
                parts::caption(ui, format!("at step {at}{without}"));
            }
            None => {
                parts::caption(ui, format!("Forked at step {at} from a run that was deleted since{without}"));
            }
        }
    });
}
