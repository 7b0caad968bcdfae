//! Where it is kept up how far a download is.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use data::download::Progress;

use super::HubError;

/// Whoever shows progress is called at most this often while bytes arrive.
const WAKE_EVERY: Duration = Duration::from_millis(100);
/// Speed is what arrived in this time.
const SPEED_OVER: Duration = Duration::from_secs(4);
/// And is told once this much time has passed: the first small files say little about the large ones.
const SPEED_AFTER: Duration = Duration::from_secs(1);
/// A wait ends this soon after it was cancelled.
const NAP: Duration = Duration::from_millis(25);

/// Called, from the download's thread, when there is something new to show.
pub(super) type Waker = Arc<dyn Fn() + Send + Sync>;

/// Where the download's thread writes its progress and reads whether it is to stop.
pub(super) struct Watch {
    state: Mutex<State>,
    cancelled: AtomicBool,
    waker: Waker,
}

struct State {
    shown: Progress,
    pace: Pace,
    /// Bytes that came over the network.
    received: u64,
    woken: Instant,
}

impl Watch {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            state: Mutex::new(State {
                shown: Progress::default(),
                pace: Pace::default(),
                received: 0,
                woken: Instant::now(),
            }),
            cancelled: AtomicBool::new(false),
            waker,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.lock().shown.clone()
    }

    /// Bytes that came over the network so far.
    pub(super) fn received(&self) -> u64 {
        self.lock().received
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// An error once it was cancelled.
    pub(super) fn go_on(&self) -> Result<(), HubError> {
        if self.is_cancelled() {
            return Err(HubError::Cancelled);
        }
        Ok(())
    }

    /// Sleeps, and wakes up early with an error when it is cancelled.
    pub(super) fn pause(&self, how_long: Duration) -> Result<(), HubError> {
        let end = Instant::now() + how_long;
        loop {
            self.go_on()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// Changes what is shown, and tells.
    pub(super) fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock().shown);
        self.wake();
    }

    /// `bytes` are there now, `received` of them came over the network since the last call.
    pub(super) fn advance(&self, bytes: u64, received: u64) {
        let due = {
            let mut state = self.lock();
            let now = Instant::now();
            state.shown.bytes = bytes;
            state.shown.bytes_per_sec = state.pace.add(now, received);
            state.received += received;
            let due = now.duration_since(state.woken) >= WAKE_EVERY;
            if due {
                state.woken = now;
            }
            due
        };
        if due {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        (self.waker)();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the last seconds.
#[derive(Default)]
struct Pace {
    arrived: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Counts, and tells bytes a second.
    fn add(&mut self, now: Instant, bytes: u64) -> f64 {
        // One entry for what arrives in quick succession.
        match self.arrived.back_mut() {
            Some((at, counted)) if now.duration_since(*at) < WAKE_EVERY / 2 => *counted += bytes,
            _ => self.arrived.push_back((now, bytes)),
        }
        while self.arrived.front().is_some_and(|(at, _)| now.duration_since(*at) > SPEED_OVER) {
            self.arrived.pop_front();
        }
        let Some((first, _)) = self.arrived.front() else {
            return 0.0;
        };
        let time = now.duration_since(*first);
        if time < SPEED_AFTER {
            return 0.0;
        }
        let sum: u64 = self.arrived.iter().map(|(_, bytes)| bytes).sum();
        sum as f64 / time.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_of_the_last_seconds_only() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let mut speed = 0.0;
        for tenth in 0..100 {
            let bytes = if tenth < 50 { 1_000_000 } else { 100_000 };
            speed = pace.add(start + Duration::from_millis(100 * tenth), bytes);
        }
        assert!((0.9e6..1.1e6).contains(&speed), "{speed}");
    }

    #[test]
    fn a_pause_ends_when_it_is_cancelled() {
        let watch = Watch::new(Arc::new(|| ()));
        watch.cancel();
        assert!(watch.pause(Duration::from_hours(1)).is_err());
    }
}
