//! Whoever waits for a folder to be written or an adapter to be proven: hears of phases, and may say stop.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use train::run::host::{CurrentWeights, Host, Rest, RunEvent, Signal, Wishes};

/// A host of a run that takes no step.
pub struct Listener<'a> {
    on_event: &'a mut dyn FnMut(RunEvent),
    stop: &'a AtomicBool,
    wishes: Wishes,
}

impl<'a> Listener<'a> {
    pub fn new(on_event: &'a mut dyn FnMut(RunEvent), stop: &'a AtomicBool) -> Self {
        Self { on_event, stop, wishes: Wishes::default() }
    }
}

impl Host for Listener<'_> {
    fn signal(&self) -> Signal {
        if self.stop.load(Ordering::Acquire) { Signal::Stop } else { Signal::GoOn }
    }

    fn attend(&mut self, _: Option<CurrentWeights<'_>>, patience: Option<Duration>) -> Vec<Rest> {
        if let Some(patience) = patience {
            std::thread::sleep(patience);
        }
        Vec::new()
    }

    fn wishes(&mut self) -> &mut Wishes {
        &mut self.wishes
    }

    fn tell(&mut self, told: RunEvent) {
        (self.on_event)(told);
    }

    fn is_alone(&self) -> bool {
        true
    }
}
