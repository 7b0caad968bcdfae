//! A choice of weights: the base model, a run at a checkpoint or as it is now, a guest.

use egui::{ComboBox, Role, Ui};
use state::{
    Workspace,
    ask::{AnswerSource, Guest},
};
use store::{RunId, RunRecord};

use crate::prompt;

/// `name`: what it is to whoever cannot see it.
pub fn choose(
    ui: &mut Ui,
    name: &str,
    source: &mut AnswerSource,
    guest: Option<&Guest>,
    workspace: &Workspace,
    width: f32,
) {
    let combo = ComboBox::from_id_salt(name)
        .selected_text(word(*source, guest, workspace))
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            ui.selectable_value(source, AnswerSource::Base, "Base model");
            if let Some(guest) = guest {
                ui.selectable_value(source, AnswerSource::Guest, &guest.name);
            }
            for record in workspace.runs.records.iter().rev() {
                of_run(ui, source, workspace, record);
            }
        });
    prompt::name(&combo.response, Role::ComboBox, name);
}

/// A run's newest weights and its checkpoints. One without any cannot be asked, and says why.
fn of_run(ui: &mut Ui, source: &mut AnswerSource, workspace: &Workspace, record: &RunRecord) {
    let runs = &workspace.runs;
    let now = AnswerSource::Run { run: record.id, step: None };
    let missing = if runs.is_going(record.id) { None } else { runs.no_weights(record.id) };
    ui.add_enabled_ui(missing.is_none(), |ui| {
        let word = match missing {
            Some(_) => format!("{}, no checkpoint", record.name),
            None => word(now, None, workspace),
        };
        let newest = ui.selectable_value(source, now, word);
        newest.on_disabled_hover_text(missing.unwrap_or_default());
    });
    for step in runs.checkpoints(record.id).iter().rev() {
        let at = AnswerSource::Run { run: record.id, step: Some(*step) };
        ui.selectable_value(source, at, word(at, None, workspace));
    }
}

fn word(source: AnswerSource, guest: Option<&Guest>, workspace: &Workspace) -> String {
    let name = |run: RunId| workspace.runs.name(run);
    match source {
        AnswerSource::Base => "Base model".to_owned(),
        AnswerSource::Run { run, step: None } if workspace.runs.is_going(run) => format!("{}, as it is now", name(run)),
        AnswerSource::Run { run, step: None } => format!("{}, newest checkpoint", name(run)),
        AnswerSource::Run { .. } | AnswerSource::Guest => source.describe(guest, name, |_| None),
    }
}
