//! The end of a labelling session: what came of it, and where it leads.

use std::sync::Arc;

use data::{counted, habits::CountOf};
use egui::{Button, Ui};
use state::{
    Command, Commands, Screen, Workspace,
    actions::{Action, key_of},
    candidates::{CandidatesCommand, CandidatesUnderWay},
    labelling::{Act, RepeatedLabels},
    pairs::{LabelView, Only, PairsCommand, PairsView, Strip},
};

use crate::{parts, theme::space};

/// What was pressed; whoever goes elsewhere leaves the session.
pub fn ui(
    ui: &mut Ui,
    workspace: &Workspace,
    label: &LabelView,
    view: &mut PairsView,
    commands: &Commands,
) -> Option<Act> {
    let mut act = None;
    let progress = label.session.progress(workspace.now_ms);
    let kept = if progress.kept > 0 { format!(", {} kept as they were", progress.kept) } else { String::new() };
    let minutes = progress.spent_ms / 60_000;
    let time =
        if minutes > 0 { format!(" in {}", counted(minutes as usize, "minute", "minutes")) } else { String::new() };
    parts::empty(
        ui,
        &format!("All done: {} labelled in this session{time}{kept}", progress.done),
        "U takes the last one back, Esc returns to the table",
    );
    ui.vertical_centered(|ui| {
        ui.add_space(space::S);
        habits(ui, label);
        let agreement = label.session.agreement();
        if let Some(RepeatedLabels { same, of, .. }) = &agreement {
            let share = 100.0 * *same as f64 / *of as f64;
            let what = if label.again {
                format!("Of {of} that had a verdict you said the same again of {same} ({share:.0} %)")
            } else {
                let labels = counted(*of, "label was", "labels were");
                format!("{labels} asked for twice, the sides swapped: you said the same again of {same} ({share:.0} %)")
            };
            parts::caption(ui, what);
        }
        ui.add_space(space::M);
        let train = parts::primary(ui, "Train with these labels");
        if train.on_hover_text("To the settings of the next run").clicked() {
            commands.push(Command::Go(Screen::Train));
            act = Some(Act::Leave);
        }
        let changed = agreement.map(|agreement| agreement.changed).unwrap_or_default();
        if !changed.is_empty() {
            let title = format!("{} that got another verdict", counted(changed.len(), "pair", "pairs"));
            if ui.button(format!("Look at the {title}")).clicked() {
                view.only = Some(Only { title, ids: Arc::new(changed), finding: None });
                act = Some(Act::Leave);
            }
        }
        if !workspace.runs.records.is_empty() && ui.button("Go through suspect labels").clicked() {
            commands.push(Command::Pairs(PairsCommand::Review));
            act = Some(Act::Leave);
        }
        let is_busy = workspace.pairs.candidates.as_ref().is_some_and(CandidatesUnderWay::is_busy);
        let next = ui.add_enabled(!is_busy, Button::new("Make the next pair")).on_hover_text(key_of(Action::NextPair));
        if next.clicked() {
            commands.push(Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Next)));
        }
        if ui.button("Have a model write the next pairs").clicked() {
            view.strip = Strip::Sample;
            view.strip_opens = true;
            act = Some(Act::Leave);
        }
        if ui.add(Button::new("Back to the table")).clicked() {
            act = Some(Act::Leave);
        }
    });
    act
}

fn habits(ui: &mut Ui, label: &LabelView) {
    let habits = label.session.habits();
    for (what, CountOf { count, of }) in [("left", habits.left), ("longer", habits.longer)] {
        if of >= 5 {
            let percent = 100.0 * count as f64 / of as f64;
            parts::caption(ui, format!("You chose the {what} answer in {percent:.0} % of {of}"));
        }
    }
}
