//! Takes in what other threads have to say, within a time budget: jobs that came back, the engine, and whoever sends
//! commands.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::protocol::{Event, Outcome};
use state::{
    Command, Notice,
    runs::Follow,
    train::{Preflight, RunCommand},
};

use super::{App, desktop};

/// A frame may spend this long on messages; the rest waits for the next one.
const BUDGET: Duration = Duration::from_millis(8);

impl App {
    /// What is to be done after one message is done before the next is taken in: that one may be about another project.
    pub(super) fn receive(&mut self, frame: &eframe::Frame) {
        self.workspace.now_ms = unix_ms();
        let start = Instant::now();
        loop {
            let job = self.jobs.take_in(&mut self.workspace, &mut self.views);
            let event = self.engine.events.try_recv().ok();
            if job.is_none() && event.is_none() {
                break;
            }
            for command in job.into_iter().flatten() {
                self.apply(command, frame);
            }
            for command in event.map(|event| self.take_event(event)).into_iter().flatten() {
                self.apply(command, frame);
            }
            if start.elapsed() > BUDGET {
                self.ctx.request_repaint();
                break;
            }
        }
        for command in self.inbox.take() {
            self.apply(command, frame);
        }
    }

    /// Folds an event into the state; what is to be done next comes out of it.
    fn take_event(&mut self, event: Event) -> Vec<Command> {
        if self.workspace.preflight.take(&event) {
            if let Preflight::Ready { config, report } = &self.workspace.preflight {
                self.workspace.pace.note(config.clone(), report);
            }
            return Vec::new();
        }
        if self.workspace.pace.take(&event) {
            return Vec::new();
        }
        let save = self.take_candidates_event(&event);
        if !save.is_empty() {
            return save;
        }
        if self.workspace.ribbon.take(&event) || self.take_scores_event(&event) {
            return Vec::new();
        }
        if let Event::SaveFailed { run, .. } = &event {
            let name = self.workspace.runs.name(*run);
            self.call_for_attention(&format!(
                "{name} waits: its checkpoint could not be saved, and what to do is asked"
            ));
        }
        let next = match self.workspace.runs.take(&event) {
            Some(Follow::ReadHistory(run)) => vec![RunCommand::Reload(run)],
            Some(Follow::ReadRuns(run)) => {
                if let Event::Finished { outcome, .. } = &event {
                    self.call_for_attention(&ended(&self.workspace.runs.name(run), outcome));
                }
                if let Event::Finished { outcome: Outcome::Failed { error }, .. } = &event {
                    let name = self.workspace.runs.name(run);
                    let summary = format!("{name} failed; its charts and its last checkpoint stay");
                    self.workspace.notices.push(Notice::error(summary, error));
                }
                vec![RunCommand::List, RunCommand::Reload(run)]
            }
            Some(Follow::ReadCheckpoints) => vec![RunCommand::ListCheckpoints],
            None => Vec::new(),
        };
        self.take_answers_event(&event);
        next.into_iter().map(Command::Runs).collect()
    }
}

impl App {
    /// Where the window is not looked at, the system's bar of windows calls to it and the desktop tells why.
    fn call_for_attention(&self, what: &str) {
        // While the window is hidden no frame is drawn, and only the raw input says that it is.
        if !self.ctx.input(|input| input.raw.focused) {
            let wish = egui::UserAttentionType::Informational;
            self.ctx.send_viewport_cmd(egui::ViewportCommand::RequestUserAttention(wish));
            let project = self.workspace.project.as_ref().map_or("", |project| &project.name);
            desktop::tell(what, project, Duration::ZERO);
        }
    }
}

/// "Run 3 is done".
fn ended(name: &str, outcome: &Outcome) -> String {
    let what = match outcome {
        Outcome::Completed => "is done",
        Outcome::Stopped { .. } => "has stopped",
        Outcome::Failed { .. } => "failed",
    };
    format!("{name} {what}")
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
