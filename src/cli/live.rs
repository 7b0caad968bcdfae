//! The live line of a run, on standard error.

use std::time::{Duration, Instant};

use data::{
    duration, fixed,
    metrics::{KL_REF, Metric, TOKENS_PER_SEC, Told},
};
use engine::protocol::{HowFar, LogLevel};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::output;

/// Where there is no terminal, a line this often (and at every evaluation).
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// On a terminal a bar with the newest numbers; elsewhere a line now and then. With `--json` to a pipe just as well: it
/// has standard output for itself.
pub struct Live {
    bar: ProgressBar,
    reader: Reader,
    total: u64,
    /// The drift that the last evaluation measured, and at which step.
    drift: Option<String>,
    last_line: Instant,
    phase: String,
}

/// Who has standard error before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Somebody at a terminal.
    Person,
    /// A file or a pipe that is read later.
    Log,
    /// A script that has the numbers as `--json`: it needs no second copy of them, but what went wrong.
    Script,
}

impl Live {
    pub fn new(is_json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let reader = match (bar.is_hidden(), is_json) {
            (false, _) => Reader::Person,
            (true, false) => Reader::Log,
            (true, true) => Reader::Script,
        };
        Self { bar, reader, total: 0, drift: None, last_line: Instant::now(), phase: String::new() }
    }

    pub fn phase(&mut self, what: &str, done: Option<HowFar>) {
        self.bar.set_style(output::style("{msg}"));
        match done {
            Some(done) => self.bar.set_message(format!("{what}, {done}")),
            None => self.bar.set_message(what.to_owned()),
        }
        self.bar.tick();
        if self.total == 0 && self.phase != what {
            what.clone_into(&mut self.phase);
            self.plain(what);
        }
    }

    pub fn started(&mut self, first_step: u64, total: u64) {
        self.total = total;
        self.bar.set_length(total);
        self.bar.set_position(first_step.saturating_sub(1));
    }

    pub fn step(&mut self, step: u64, metrics: &[(String, f64)], eta_secs: Option<f64>) {
        let shown = numbers(metrics);
        let speed = find(metrics, TOKENS_PER_SEC).map(|speed| format!("{speed:.0} tokens/s"));
        let left = eta_secs.map(|secs| format!("{} left", duration(secs)));
        let line = |drift: Option<String>| {
            let parts = [Some(shown.clone()), drift, speed.clone(), left.clone()];
            parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
        };
        self.bar.set_style(output::style("{bar:24} {pos}/{len} {msg}"));
        self.bar.set_position(step);
        self.bar.set_message(line(self.drift.clone()));
        if self.last_line.elapsed() >= PLAIN_EVERY || step == self.total {
            // In a log the evaluation has a line of its own.
            self.plain(&format!("step {step}/{}  {}", self.total, line(None)));
        }
    }

    pub fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) {
        self.drift = find(metrics, KL_REF).map(|kl| format!("{KL_REF} {} at step {step}", fixed(kl, 3)));
        self.say(&format!("step {step}: held out {}", numbers(metrics)));
    }

    pub fn logged(&mut self, level: LogLevel, text: &str) {
        match level {
            LogLevel::Info => self.say(text),
            LogLevel::Warning => self.warn(&format!("warning: {text}")),
            LogLevel::Error => self.warn(&format!("error: {text}")),
        }
    }

    pub fn saved(&mut self, step: u64) {
        self.say(&format!("step {step}: checkpoint saved"));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A line that stays, above the bar.
    fn say(&mut self, text: &str) {
        match self.reader {
            Reader::Person => self.bar.println(text),
            Reader::Log => self.plain(text),
            Reader::Script => {}
        }
    }

    /// The same, for scripts too.
    fn warn(&mut self, text: &str) {
        match self.reader {
            Reader::Person | Reader::Log => self.say(text),
            Reader::Script => output::note(text),
        }
    }

    fn plain(&mut self, text: &str) {
        if self.reader == Reader::Log {
            self.last_line = Instant::now();
            output::note(text);
        }
    }
}

/// What was measured under this name.
pub fn find(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
}

/// "loss -0.500  margin 0.021": what is told of a run, as far as it is there.
fn numbers(metrics: &[(String, f64)]) -> String {
    Metric::headlines(Told::OfARun, |name| find(metrics, name).is_some())
        .filter_map(|(stored, name)| Some(format!("{} {:.3}", stored.metric.short, find(metrics, &name)?)))
        .collect::<Vec<_>>()
        .join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_are_there_are_shown() {
        let metrics = [("loss".to_owned(), -0.5), ("kl/ref".to_owned(), 0.0214)];
        assert_eq!(numbers(&metrics), "loss -0.500  KL(ref ‖ policy) 0.021");
    }
}
