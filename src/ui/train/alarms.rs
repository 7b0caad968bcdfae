//! What a run's numbers say is wrong, with what can be done about it.

use data::{
    alarms::Alarm,
    metrics::{CHARTS, ChartId},
};
use egui::{Button, Label, RichText, Role, Ui};
use state::{
    Command, Commands, Workspace,
    runs::{History, Live},
    train::{RunCommand, TrainView},
};
use store::RunRecord;

use crate::{parts, prompt};

/// So many are told at once; the others follow when these are dealt with.
const AT_ONCE: usize = 2;

pub fn ui(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut TrainView,
    record: &RunRecord,
    live: Option<&Live>,
    history: &History,
    commands: &Commands,
) {
    let unseen = || history.alarms.iter().filter(|alarm| !view.ignored.contains(&(record.id, alarm.kind)));
    let more = unseen().count().saturating_sub(AT_ONCE);
    let told: Vec<&Alarm> = unseen().take(AT_ONCE).collect();
    for alarm in told {
        strip(ui, workspace, view, (record, alarm), live, commands);
    }
    if more > 0 {
        parts::caption(ui, format!("{more} more when these are dealt with"));
    }
}

fn strip(
    ui: &mut Ui,
    workspace: &Workspace,
    view: &mut TrainView,
    (record, alarm): (&RunRecord, &Alarm),
    live: Option<&Live>,
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    parts::strip(ui, palette.warning_soft, |ui| {
        ui.set_width(ui.available_width());
        let text = format!("{}. {}", alarm.kind.title(), alarm.sentence);
        ui.add(Label::new(RichText::new(text).color(palette.warning)).wrap());
        ui.horizontal_wrapped(|ui| {
            let send = |command| commands.push(Command::Runs(command));
            for cure in workspace.runs.cures(record.id, alarm) {
                if let Some(start) = workspace.runs.mending(record, alarm, cure) {
                    let word = format!("Fork from step {} with {}", start.at, cure.words());
                    let about = match live {
                        Some(_) => "Stops this run with a checkpoint and goes on from before as a run of its own",
                        None => "Goes on from before as a run of its own; this one stays as it is",
                    };
                    if ui.button(word).on_hover_text(about).clicked() {
                        view.ignored.insert((record.id, alarm.kind));
                        send(RunCommand::Mend(Box::new(start)));
                    }
                }
            }
            if let Some(live) = live
                && ui.add_enabled(!live.stopping, Button::new("Stop the run")).clicked()
            {
                send(RunCommand::Stop);
            }
            let ignore = ui.button("Ignore").on_hover_text("It is not told again of this run");
            prompt::name(&ignore, Role::Button, &format!("Ignore: {}", alarm.kind.title()));
            if ignore.clicked() {
                view.ignored.insert((record.id, alarm.kind));
            }
            parts::caption(ui, evidence(alarm));
        });
    });
}

/// "See “Who moved”, steps 11 to 20".
fn evidence(alarm: &Alarm) -> String {
    let title = |id: ChartId| CHARTS.iter().find(|chart| chart.id == id && chart.in_window).map(|chart| chart.title);
    let steps = if alarm.from == alarm.to {
        format!("step {}", alarm.to)
    } else {
        format!("steps {} to {}", alarm.from, alarm.to)
    };
    match title(alarm.kind.chart()) {
        Some(title) => format!("See “{title}”, {steps}"),
        None => format!("Seen in the sampled answers, {steps}"),
    }
}
