//! Exporting a run: what, where to, how it goes, and what reading it back proved.

use data::size;
use egui::{Button, ComboBox, DragValue, RichText, Role, TextEdit, Ui};
use engine::protocol::{AdapterStrength, WhichCheckpoint};
use state::{
    Command, Commands, Workspace,
    export::{ExportCommand, ExportDone, ExportForm, ExportKind, ExportPlan, Exporting, sentences, title_of},
    models::ModelsCommand,
};
use store::{RunId, RunRecord};

use super::detail;
use crate::{parts, prompt, theme::space};

pub fn ui(ui: &mut Ui, workspace: &Workspace, form: &mut ExportForm, record: &RunRecord, commands: &Commands) {
    parts::heading(ui, "Export");
    match &workspace.models.exporting {
        Exporting::UnderWay { plan, control } => {
            let name = workspace.runs.name(plan.run);
            ui.label(format!("{} of {name}", plan.layout.noun()));
            parts::progress(ui, control.share(), "Progress of the export");
            ui.horizontal(|ui| {
                let phase =
                    if control.cancelled() { "Cancelling…".to_owned() } else { format!("{}…", control.phase()) };
                parts::caption(ui, phase);
                let cancel = ui.add_enabled(!control.cancelled(), Button::new("Cancel export"));
                if cancel.clicked() {
                    send(commands, ExportCommand::Cancel);
                }
            });
        }
        Exporting::Done(done) if done.plan.run == record.id => {
            proof(ui, done, commands);
        }
        Exporting::Failed { plan, error, replaceable } if plan.run == record.id => {
            fields(ui, workspace, form, record, commands);
            failure(ui, plan, error, *replaceable, commands);
        }
        Exporting::Idle | Exporting::Done(_) | Exporting::Failed { .. } => {
            fields(ui, workspace, form, record, commands);
        }
    }
}

fn send(commands: &Commands, command: ExportCommand) {
    commands.push(Command::Models(ModelsCommand::Export(command)));
}

fn fields(ui: &mut Ui, workspace: &Workspace, form: &mut ExportForm, record: &RunRecord, commands: &Commands) {
    let Some(project) = &workspace.project else {
        return;
    };
    for kinds in [&ExportKind::ALL[..3], &ExportKind::ALL[3..]] {
        let kinds: Vec<_> = kinds.iter().map(|kind| (*kind, kind.title(), kind.about())).collect();
        parts::segmented(ui, &mut form.layout, &kinds);
    }
    parts::caption(ui, form.layout.about());
    // A report tells of the whole run.
    if form.layout != ExportKind::Report {
        ui.horizontal_wrapped(|ui| {
            checkpoints(ui, workspace, form, record.id);
            if !form.layout.types().is_empty() {
                stored(ui, form);
            }
            let label = parts::caption(ui, "Strength");
            let strength = DragValue::new(&mut form.strength).range(0..=AdapterStrength::MOST).suffix(" %");
            ui.add(strength)
                .labelled_by(label.id)
                .on_hover_text("How much of what was trained goes out: 100 % is what was trained, 0 % the base model");
        });
    }
    let word = if form.layout.is_file() { "Target file" } else { "Target folder" };
    let label = parts::caption(ui, word);
    let target = form.target(&project.dir, &record.name);
    ui.horizontal(|ui| {
        const BUTTON: f32 = 84.0;
        let width = ui.available_width() - BUTTON - ui.spacing().item_spacing.x;
        let font = egui::TextStyle::Body.resolve(ui.style());
        let hint = parts::tail(ui, &target.display().to_string(), &font, width - 2.0 * space::L);
        let edit = TextEdit::singleline(&mut form.target).id_salt("export target").hint_text(hint).desired_width(width);
        ui.add(edit).labelled_by(label.id).on_hover_text(target.display().to_string());
        if ui.add(Button::new("Choose…").min_size(egui::vec2(BUTTON, 0.0))).clicked() {
            send(commands, ExportCommand::PickTarget(form.layout));
        }
    });
    ui.add_space(space::XS);
    let live = workspace.runs.live.as_ref();
    let trains = live.is_some_and(|live| live.run == record.id);
    // A report tells what was measured; everything else needs weights.
    let missing = if form.layout == ExportKind::Report { None } else { workspace.runs.no_weights(record.id) };
    let start = ui.add_enabled_ui(missing.is_none(), |ui| ui.horizontal(|ui| parts::primary(ui, "Export")).inner).inner;
    if let Some(missing) = missing {
        parts::caption(ui, missing);
    }
    if start.clicked() {
        let plan = ExportPlan {
            run: record.id,
            layout: form.layout,
            stored: form.stored(),
            strength: if form.layout == ExportKind::Report {
                AdapterStrength::default().as_percent()
            } else {
                form.strength
            },
            which: form.which,
            to: target,
            replace: false,
        };
        send(commands, ExportCommand::Start(Box::new(plan)));
    }
    if trains {
        let about = if form.layout == ExportKind::Report {
            "The run is still going: the report ends where it is now"
        } else {
            "The run is still going: its last checkpoint is exported, and both slow down"
        };
        parts::caption(ui, about);
    }
}

fn checkpoints(ui: &mut Ui, workspace: &Workspace, form: &mut ExportForm, run: RunId) {
    let steps: Vec<u64> = workspace.runs.checkpoints(run).iter().rev().copied().collect();
    // A step of another run may not exist here.
    if let WhichCheckpoint::Step(step) = form.which
        && !steps.contains(&step)
    {
        form.which = WhichCheckpoint::Newest;
    }
    let combo = ComboBox::from_id_salt("checkpoint")
        .selected_text(title_of(form.which))
        .width(180.0)
        .truncate()
        .show_ui(ui, |ui| {
            let named = [WhichCheckpoint::Newest, WhichCheckpoint::Best].into_iter();
            for which in named.chain(steps.into_iter().map(WhichCheckpoint::Step)) {
                ui.selectable_value(&mut form.which, which, title_of(which));
            }
        });
    prompt::name(&combo.response, Role::ComboBox, "Checkpoint");
}

fn stored(ui: &mut Ui, form: &mut ExportForm) {
    let mut chosen = form.stored();
    let combo =
        ComboBox::from_id_salt("stored as").selected_text(chosen.title()).width(140.0).truncate().show_ui(ui, |ui| {
            for stored in form.layout.types() {
                if ui.selectable_value(&mut chosen, *stored, stored.title()).clicked() {
                    form.stored = *stored;
                }
            }
        });
    prompt::name(&combo.response, Role::ComboBox, "Stored as");
}

fn proof(ui: &mut Ui, done: &ExportDone, commands: &Commands) {
    let palette = parts::palette(ui);
    parts::strip(ui, palette.accent_soft, |ui| {
        ui.set_width(ui.available_width());
        let line =
            format!("{} of step {} is written, {}", done.plan.layout.noun(), done.exported.step, size(done.bytes));
        ui.label(RichText::new(line).color(palette.strong));
        for sentence in done.exported.proof.iter().flat_map(sentences) {
            ui.label(format!("✔ {sentence}"));
        }
        for sentence in done.exported.passed_over.iter().chain(&done.exported.remarks) {
            ui.label(RichText::new(sentence).color(palette.warning));
        }
    });
    if done.exported.proof.is_some() {
        parts::caption(ui, "Its report.json and README.md say the same");
    }
    detail::place(ui, &done.plan.to, commands);
    if ui.button("Export once more").clicked() {
        send(commands, ExportCommand::Close);
    }
}

fn failure(ui: &mut Ui, plan: &ExportPlan, error: &str, replaceable: bool, commands: &Commands) {
    let palette = parts::palette(ui);
    parts::strip(ui, palette.error_soft, |ui| {
        ui.set_width(ui.available_width());
        ui.label(RichText::new(error).color(palette.error));
        if replaceable && ui.button("Replace it").clicked() {
            let plan = ExportPlan { replace: true, ..plan.clone() };
            send(commands, ExportCommand::Start(Box::new(plan)));
        }
    });
}
