//! Which labels each checkpoint of a run has seen, and which came later.

use egui::{Grid, Role, ScrollArea, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    seen::{SeenKey, SeenLabels, SeenOrLater, SeenPairs},
    train::{RunCommand, TrainView},
};
use store::{RunId, RunRecord};

use crate::{parts, prompt, theme::space};

/// Of the list; more checkpoints are scrolled to.
const HEIGHT: f32 = 112.0;

/// What the run was trained on and what of it is on the disk, and the list where it is open.
pub fn ui(ui: &mut Ui, workspace: &Workspace, view: &mut TrainView, record: &RunRecord, commands: &Commands) {
    let runs = &workspace.runs;
    let data = runs.revisions_in_words(record);
    let Some(saved) = runs.checkpoints_in_words(record.id) else {
        parts::caption(ui, data);
        return;
    };
    ui.horizontal_wrapped(|ui| {
        parts::caption(ui, format!("{data} · On the disk: {saved}"));
        let word = if view.seen_open { "Labels seen ⏷" } else { "Labels seen ⏵" };
        let toggle = parts::quiet(ui, true, word);
        prompt::name(&toggle, Role::Button, "Labels seen");
        let about = format!("Which labels each checkpoint has seen ({})", key_of(Action::SeenLabels));
        if toggle.on_hover_text(about).clicked() {
            view.seen_open = !view.seen_open;
        }
    });
    if !view.seen_open {
        return;
    }
    ask(workspace, record.id, commands);
    match runs.seen.of(record.id) {
        None => {
            parts::caption(ui, "Reading the checkpoints…");
        }
        Some(all) => list(ui, all, workspace, record, commands),
    }
}

/// Asks for what the checkpoints of a run have seen, where that is not known as of now.
pub fn ask(workspace: &Workspace, run: RunId, commands: &Commands) {
    let runs = &workspace.runs;
    let key = SeenKey { run, revision: workspace.pairs.revision, steps: runs.checkpoints(run).to_vec() };
    if !runs.seen.is_asked(&key) {
        commands.push(Command::Runs(RunCommand::ReadSeen(key)));
    }
}

fn list(ui: &mut Ui, all: &[SeenLabels], workspace: &Workspace, record: &RunRecord, commands: &Commands) {
    let area = ScrollArea::vertical().id_salt("labels seen").max_height(HEIGHT).auto_shrink([false, true]);
    area.show(ui, |ui| {
        Grid::new("labels seen").num_columns(4).spacing([space::L, 2.0]).show(ui, |ui| {
            for name in ["Checkpoint", "Labels seen", "Data revision", "Labelled since"] {
                parts::caption(ui, name);
            }
            ui.end_row();
            for seen in all {
                let SeenLabels { step, revision, revisions, of } = seen;
                let kept = workspace.runs.saved.get(&record.id).is_some_and(|saved| saved.asked_for.contains(step));
                ui.label(if kept { format!("Step {step}, kept") } else { format!("Step {step}") });
                let asked = |which| SeenPairs { run: record.id, step: *step, revision: *revision, which };
                let about = "Lists their pairs; held-out ones are among them";
                pairs(ui, &seen.count(), about, of.labels > 0, asked(SeenOrLater::Seen), commands);
                ui.label(revisions);
                let about = "Lists the pairs of these, as far as they are still there";
                pairs(ui, &of.later.or_none(), about, !of.later.is_none(), asked(SeenOrLater::Later), commands);
                ui.end_row();
            }
        });
    });
}

/// A number of labels, and the way to their pairs.
fn pairs(ui: &mut Ui, word: &str, about: &str, any: bool, asked: SeenPairs, commands: &Commands) {
    ui.horizontal(|ui| {
        ui.label(word);
        if !any {
            return;
        }
        let show = parts::quiet(ui, true, "Show").on_hover_text(about);
        let what = if asked.which == SeenOrLater::Seen { "seen by" } else { "labelled since" };
        prompt::name(&show, Role::Button, &format!("Show {word} {what} step {}", asked.step));
        if show.clicked() {
            commands.push(Command::Runs(RunCommand::ShowSeen(asked)));
        }
    });
}
