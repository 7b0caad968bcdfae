//! How long the window's frames take, for whoever asks with `RUST_LOG=nudge::frames=debug`.

use std::time::{Duration, Instant};

use data::PairId;

const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Frame times since the last report: the processor time of logic, layout and painting, without the wait for the
/// screen.
pub struct FramePace {
    since: Instant,
    millis: Vec<f32>,
    /// The pair that a labelling session asked about in the frame before.
    asked: Option<PairId>,
    /// Those of them in which a key led to the next pair.
    to_next: Vec<f32>,
}

impl Default for FramePace {
    fn default() -> Self {
        Self { since: Instant::now(), millis: Vec::new(), asked: None, to_next: Vec::new() }
    }
}

impl FramePace {
    /// Takes in how long the frame before took, in seconds. `asked`: the pair that a labelling session asks about now.
    pub fn note(&mut self, last_frame: Option<f32>, asked: Option<PairId>) {
        if !tracing::enabled!(target: "nudge::frames", tracing::Level::DEBUG) {
            return;
        }
        let millis = last_frame.map(|secs| secs * 1e3);
        let before = std::mem::replace(&mut self.asked, asked);
        if before.is_some() && asked.is_some() && before != asked {
            self.to_next.extend(millis);
        }
        self.millis.extend(millis);
        if self.since.elapsed() < REPORT_EVERY || self.millis.is_empty() {
            return;
        }
        let quantile = |sorted: &[f32], share: f32| sorted[((sorted.len() - 1) as f32 * share) as usize];
        for millis in [&mut self.millis, &mut self.to_next] {
            millis.sort_by(f32::total_cmp);
        }
        let labels = if self.to_next.is_empty() {
            String::new()
        } else {
            let (count, middle) = (self.to_next.len(), quantile(&self.to_next, 0.5));
            format!("; those of {count} keys to the next pair: median {middle:.1} ms")
        };
        tracing::debug!(
            target: "nudge::frames",
            "{} frames: median {:.1} ms, 99 of 100 within {:.1} ms, longest {:.1} ms{labels}",
            self.millis.len(),
            quantile(&self.millis, 0.5),
            quantile(&self.millis, 0.99),
            quantile(&self.millis, 1.0),
        );
        *self = Self { asked, ..Self::default() };
    }
}
