//! Takes in what the engine and the files thread have to say, within a time budget.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::App;
use crate::{
    engine::protocol::{Event, Outcome},
    state::{Notice, runs::Follow},
};

/// A frame may spend this long on messages; the rest waits for the next one.
const BUDGET: Duration = Duration::from_millis(8);

impl App {
    pub(super) fn receive(&mut self, ctx: &egui::Context) {
        self.workspace.now_ms = unix_ms();
        let start = Instant::now();
        loop {
            let from_transfers = self.transfers.take_in(&mut self.workspace, &mut self.views);
            let from_tokens = self.tokens.take_in(&mut self.workspace, &mut self.views);
            let from_models = self.models.take_in(&mut self.workspace, &mut self.views);
            let from_exports = self.exports.take_in(&mut self.workspace, &mut self.views);
            let from_comparisons = self.comparisons.take_in(&mut self.workspace, &mut self.views);
            // Last of all: it alone knows what is being saved.
            let from_files = self.files.take_in(&mut self.workspace, &mut self.views);
            let event = self.engine.events.try_recv().ok();
            let from_threads =
                from_files || from_transfers || from_tokens || from_models || from_exports || from_comparisons;
            let idle = !from_threads && event.is_none();
            if let Some(event) = event {
                self.take_event(event);
            }
            if idle {
                return;
            }
            if start.elapsed() > BUDGET {
                ctx.request_repaint();
                return;
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        if self.workspace.preflight.take(&event) {
            return;
        }
        match self.workspace.runs.take(&event) {
            Some(Follow::ReadHistory(run)) => self.load_history(run, true),
            Some(Follow::ReadRuns(run)) => {
                self.load_runs();
                self.load_history(run, true);
                if let Event::Finished { outcome: Outcome::Failed { error }, .. } = &event {
                    let name = self.workspace.runs.name(run);
                    let summary = format!("{name} failed; its charts and its last checkpoint stay");
                    self.workspace.notices.push(Notice::error(summary, error));
                }
            }
            Some(Follow::ReadCheckpoints) => self.load_checkpoints(),
            None => {}
        }
        self.take_answers_event(&event);
    }
}

fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
