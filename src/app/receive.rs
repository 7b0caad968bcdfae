//! Takes in what the engine and the files thread have to say, within a time budget.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::App;
use crate::engine::protocol::Event;

/// A frame may spend this long on messages; the rest waits for the next one.
const BUDGET: Duration = Duration::from_millis(8);

impl App {
    pub(super) fn receive(&mut self, ctx: &egui::Context) {
        self.workspace.now_ms = unix_ms();
        let start = Instant::now();
        loop {
            let from_files = self.files.take_in(&mut self.workspace, &mut self.views);
            let event = self.engine.events.try_recv().ok();
            let idle = !from_files && event.is_none();
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

    #[expect(clippy::needless_pass_by_value, reason = "events are consumed")]
    fn take_event(&mut self, _event: Event) {}
}

fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
