//! What a run's numbers say is wrong, with what can be done about it.

use data::{
    alarms::Alarm,
    metrics::{CHARTS, ChartId},
};
use egui::{Button, Label, RichText, Role, Ui};
use state::{
    Command, Commands, Workspace,
    actions::{Action, key_of},
    fork::AlarmAct,
    runs::LiveRun,
    train::RunCommand,
};
use store::RunRecord;

use crate::{parts, prompt};

/// So many are told at once; the others follow when these are dealt with.
const AT_ONCE: usize = 2;

pub fn ui(ui: &mut Ui, workspace: &Workspace, record: &RunRecord, live: Option<&LiveRun>, commands: &Commands) {
    let more = workspace.runs.alarms(record.id).count().saturating_sub(AT_ONCE);
    for (place, alarm) in workspace.runs.alarms(record.id).take(AT_ONCE).enumerate() {
        strip(ui, workspace, (record, alarm), place == 0, live, commands);
    }
    if more > 0 {
        parts::caption(ui, format!("{more} more when these are dealt with"));
    }
}

/// `has_keys`: keys are about the first one.
fn strip(
    ui: &mut Ui,
    workspace: &Workspace,
    (record, alarm): (&RunRecord, &Alarm),
    has_keys: bool,
    live: Option<&LiveRun>,
    commands: &Commands,
) {
    let palette = parts::palette(ui);
    let key = |act| if has_keys { format!(" ({})", key_of(Action::Alarm(act))) } else { String::new() };
    parts::strip(ui, palette.warning_soft, |ui| {
        ui.set_width(ui.available_width());
        let text = format!("{}. {}", alarm.kind.title(), alarm.sentence);
        ui.add(Label::new(RichText::new(text).color(palette.warning)).wrap());
        ui.horizontal_wrapped(|ui| {
            let send = |command| commands.push(Command::Runs(command));
            for (place, start) in workspace.runs.remedies(record, alarm).into_iter().enumerate() {
                let word = format!("Fork from step {} with {}", start.fork.at, start.cure.words());
                let about = match live {
                    Some(_) => "Stops this run with a checkpoint and goes on from before as a run of its own",
                    None => "Goes on from before as a run of its own; this one stays as it is",
                };
                let key = AlarmAct::remedy(place).map_or_else(String::new, key);
                if ui.button(word).on_hover_text(format!("{about}{key}")).clicked() {
                    send(RunCommand::Mend(Box::new(start.fork)));
                }
            }
            if let Some(live) = live
                && ui.add_enabled(!live.stopping, Button::new("Stop the run")).clicked()
            {
                send(RunCommand::Stop);
            }
            let about = format!("It is not told again of this run{}", key(AlarmAct::Ignore));
            let ignore = ui.button("Ignore").on_hover_text(about);
            prompt::name(&ignore, Role::Button, &format!("Ignore: {}", alarm.kind.title()));
            if ignore.clicked() {
                send(RunCommand::Ignore(record.id, alarm.kind));
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
