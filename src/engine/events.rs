//! Sending events without ever waiting for whoever listens.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam::channel::{Sender, TrySendError};

use crate::protocol::Event;

/// Called after events were queued; a window asks for a repaint in it.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Saving history events beyond this are dropped: the project has them all.
const BACKLOG_OF_HISTORY: usize = 1024;

/// The engine's end of the event queue.
///
/// Training never waits here. While the queue is full, answers and outcomes are kept until there is room, of steps and
/// phases only the newest survives, and streamed tokens are dropped (the whole answer follows).
pub struct Reporter {
    events: Sender<Event>,
    waker: Waker,
    backlog: VecDeque<Event>,
    newest_step: Option<Event>,
    newest_phase: Option<Event>,
    /// Nobody listens any more.
    gone: bool,
}

/// What may happen to an event when there is no room for it.
enum Worth {
    /// Only the newest one counts.
    Newest,
    /// Part of something that follows whole.
    Droppable,
    /// In the project too; kept as long as the backlog is short.
    History,
    /// Someone waits for it.
    Essential,
}

fn worth(event: &Event) -> Worth {
    match event {
        Event::Phase { .. } | Event::Resting { .. } | Event::Scored { .. } | Event::Step { .. } => Worth::Newest,
        Event::Token { .. } => Worth::Droppable,
        Event::Evaluated { .. } | Event::Sampled { .. } | Event::Saved { .. } | Event::Logged { .. } => Worth::History,
        Event::Started { .. }
        | Event::Paused { .. }
        | Event::Continued { .. }
        | Event::SaveFailed { .. }
        | Event::Finished { .. }
        | Event::Generated { .. }
        | Event::Drawn { .. }
        | Event::AllDrawn { .. }
        | Event::AllScored { .. }
        | Event::TokensRead { .. }
        | Event::Preflight { .. }
        | Event::Failed { .. } => Worth::Essential,
    }
}

impl Reporter {
    pub fn new(events: Sender<Event>, waker: Waker) -> Self {
        Self { events, waker, backlog: VecDeque::new(), newest_step: None, newest_phase: None, gone: false }
    }

    pub fn send(&mut self, event: Event) {
        self.flush();
        if self.gone {
            return;
        }
        if !self.backlog.is_empty() {
            self.keep(event);
            return;
        }
        match self.events.try_send(event) {
            Ok(()) => (self.waker)(),
            Err(TrySendError::Full(event)) => self.keep(event),
            Err(TrySendError::Disconnected(_)) => self.listener_left(),
        }
    }

    /// Nobody can answer any more.
    pub fn is_alone(&self) -> bool {
        self.gone
    }

    /// Sends what was kept, as far as there is room. Returns whether something is still waiting.
    pub fn flush(&mut self) -> bool {
        let mut sent = false;
        while let Some(event) =
            self.backlog.pop_front().or_else(|| self.newest_phase.take()).or_else(|| self.newest_step.take())
        {
            match self.events.try_send(event) {
                Ok(()) => sent = true,
                Err(TrySendError::Full(event)) => {
                    match worth(&event) {
                        Worth::Newest => self.keep(event),
                        _ => self.backlog.push_front(event),
                    }
                    break;
                }
                Err(TrySendError::Disconnected(_)) => {
                    self.listener_left();
                    break;
                }
            }
        }
        if sent {
            (self.waker)();
        }
        !self.backlog.is_empty() || self.newest_step.is_some() || self.newest_phase.is_some()
    }

    /// Before the thread ends: gives a slow listener a moment to take what is still waiting.
    pub fn finish(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.flush() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn keep(&mut self, event: Event) {
        match worth(&event) {
            Worth::Newest if matches!(event, Event::Step { .. }) => self.newest_step = Some(event),
            Worth::Newest => self.newest_phase = Some(event),
            Worth::Droppable => {}
            Worth::History if self.backlog.len() >= BACKLOG_OF_HISTORY => {}
            Worth::History => self.backlog.push_back(event),
            Worth::Essential => {
                if matches!(event, Event::Finished { .. }) {
                    // A step told after the end of its run would bring the run back to life on the screen.
                    self.newest_step = None;
                    self.newest_phase = None;
                }
                self.backlog.push_back(event);
            }
        }
    }

    fn listener_left(&mut self) {
        self.gone = true;
        self.backlog.clear();
        self.newest_step = None;
        self.newest_phase = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crossbeam::channel::{Receiver, bounded};

    use super::*;
    use crate::protocol::RequestId;
    use store::RunId;
    use train::run::host::Outcome;

    fn reporter(room: usize) -> (Reporter, Receiver<Event>, Arc<AtomicUsize>) {
        let (sender, receiver) = bounded(room);
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let waker: Waker = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Reporter::new(sender, waker), receiver, woken)
    }

    fn step(step: u64) -> Event {
        Event::Step { run: RunId(1), step, total_steps: 100, metrics: Vec::new(), eta_secs: None }
    }

    fn finished() -> Event {
        Event::Finished { run: RunId(1), outcome: Outcome::Completed }
    }

    fn token() -> Event {
        Event::Token { request: RequestId(1), text: "a".to_owned() }
    }

    /// A short name for each event received.
    fn received(events: &Receiver<Event>) -> Vec<String> {
        events
            .try_iter()
            .map(|event| match event {
                Event::Step { step, .. } => format!("step {step}"),
                Event::Finished { .. } => "finished".to_owned(),
                Event::Token { .. } => "token".to_owned(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_full_queue_keeps_the_newest_step_and_every_outcome() {
        let (mut reporter, events, _) = reporter(2);
        for number in 0..5 {
            reporter.send(step(number));
        }
        reporter.send(token());
        assert_eq!(received(&events), ["step 0", "step 1"]);
        assert!(!reporter.flush(), "everything fits now");
        assert_eq!(received(&events), ["step 4"]);
    }

    #[test]
    fn no_step_follows_the_end_of_its_run() {
        let (mut reporter, events, _) = reporter(1);
        reporter.send(step(0));
        reporter.send(step(1));
        reporter.send(finished());
        assert_eq!(received(&events), ["step 0"]);
        assert!(!reporter.flush());
        assert_eq!(received(&events), ["finished"]);
    }

    #[test]
    fn a_listener_that_left_costs_nothing() {
        let (mut reporter, events, woken) = reporter(1);
        reporter.send(step(0));
        drop(events);
        for number in 0..10 {
            reporter.send(step(number));
        }
        reporter.send(finished());
        assert!(!reporter.flush());
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}
