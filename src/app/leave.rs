//! Asks the window to leave, from any thread.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use engine::Farewell;

/// Asks an open window to save and close, from any thread; asked before it is open, it closes right away.
#[derive(Debug, Clone, Default)]
pub struct Leave(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    /// Whether the window trains a run.
    trains: AtomicBool,
    /// What wakes the window, and what tells its engine without waiting for it.
    window: OnceLock<(egui::Context, Farewell)>,
}

impl Leave {
    /// A run that is going stops with a checkpoint, even where the window cannot draw; then the window closes. Gives
    /// whether there is such a run.
    pub fn ask(&self) -> bool {
        self.0.asked.store(true, Ordering::Release);
        if let Some((ctx, engine)) = self.0.window.get() {
            engine.say();
            ctx.request_repaint();
        }
        self.0.trains.load(Ordering::Acquire)
    }

    /// Notes whether there is a run to be stopped.
    pub(super) fn note(&self, trains: bool) {
        self.0.trains.store(trains, Ordering::Release);
    }

    /// Whoever has to be told.
    pub(super) fn tell(&self, ctx: &egui::Context, engine: Farewell) {
        // One window a program, so it is told once.
        self.0.window.set((ctx.clone(), engine)).ok();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }
}
