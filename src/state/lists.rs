//! What is made of all pairs for somebody who waits, such as lists: which of them is still wanted, and how far it is.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

/// How much of something was done, told by whoever does it; in thousandths.
#[derive(Debug, Default)]
struct Share(AtomicU64);

impl Share {
    fn tell(&self, done: f32) {
        self.0.store((1000.0 * done) as u64, Ordering::Relaxed);
    }

    /// Of 1; absent where it has hardly begun, or takes no time.
    fn done(&self) -> Option<f32> {
        Some(self.0.load(Ordering::Relaxed) as f32 / 1000.0).filter(|done| *done > 0.0)
    }
}

/// Shared with whoever makes them.
#[derive(Debug, Default)]
pub struct Lists {
    newest: AtomicU64,
    looked_at: Share,
}

impl Lists {
    /// One more is asked for; the ones before need not be made any more.
    pub fn ask(&self) -> u64 {
        self.looked_at.tell(0.0);
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn is_newest(&self, list: u64) -> bool {
        self.newest.load(Ordering::Relaxed) == list
    }

    /// `done`, of 1, of a list has been looked at. `Break`: nobody waits for it.
    pub fn tell(&self, list: u64, done: f32) -> ControlFlow<()> {
        if !self.is_newest(list) {
            return ControlFlow::Break(());
        }
        self.looked_at.tell(done);
        ControlFlow::Continue(())
    }

    /// How far the newest is.
    pub fn done(&self) -> Option<f32> {
        self.looked_at.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_list_is_made_and_told_of() {
        let lists = Lists::default();
        let first = lists.ask();
        assert_eq!((lists.tell(first, 0.0), lists.done()), (ControlFlow::Continue(()), None));
        assert_eq!((lists.tell(first, 0.5), lists.done()), (ControlFlow::Continue(()), Some(0.5)));
        let second = lists.ask();
        assert_eq!((lists.tell(first, 0.6), lists.done()), (ControlFlow::Break(()), None));
        assert!(lists.is_newest(second));
    }
}
