//! How long the window's frames take, for whoever asks with `RUST_LOG=nudge::frames=debug`.

use std::time::{Duration, Instant};

const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Frame times since the last report: the processor time of logic, layout and painting, without the wait for the screen.
pub struct FramePace {
    since: Instant,
    millis: Vec<f32>,
}

impl Default for FramePace {
    fn default() -> Self {
        Self { since: Instant::now(), millis: Vec::new() }
    }
}

impl FramePace {
    /// Takes in how long the frame before took, in seconds.
    pub fn note(&mut self, last_frame: Option<f32>) {
        if !tracing::enabled!(target: "nudge::frames", tracing::Level::DEBUG) {
            return;
        }
        self.millis.extend(last_frame.map(|secs| secs * 1e3));
        if self.since.elapsed() < REPORT_EVERY || self.millis.is_empty() {
            return;
        }
        self.millis.sort_by(f32::total_cmp);
        let quantile = |share: f32| self.millis[((self.millis.len() - 1) as f32 * share) as usize];
        tracing::debug!(
            target: "nudge::frames",
            "{} frames: median {:.1} ms, 99 of 100 within {:.1} ms, longest {:.1} ms",
            self.millis.len(),
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
        );
        *self = Self::default();
    }
}
