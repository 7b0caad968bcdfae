//! How much is handed over at once: what the card was last seen to do in a hundredth of a second, so that a stop acts
//! soon, a frame of the desktop comes in between and no driver's watchdog bites, however fast the card is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How long a batch should take.
const BATCH: Duration = Duration::from_millis(10);

/// Multiplications in a batch before anything was seen: a hundredth of a second on a small card.
const AT_FIRST: u64 = 1_000_000_000;

/// The least, so that handing over is not all that is done, and the most.
const LIMITS: (u64, u64) = (50_000_000, 1_000_000_000_000);

/// Multiplications in a batch.
#[derive(Debug)]
pub(super) struct Pace {
    budget: AtomicU64,
    /// For tests: it stays as it is.
    is_fixed: bool,
}

impl Pace {
    pub(super) fn new(fixed: Option<u64>) -> Self {
        Self { budget: AtomicU64::new(fixed.unwrap_or(AT_FIRST)), is_fixed: fixed.is_some() }
    }

    /// Multiplications that a batch, and any one run in it, should have at most.
    pub(super) fn budget(&self) -> u64 {
        self.budget.load(Ordering::Relaxed)
    }

    /// A batch of this much work took no longer than this. Small ones say nothing of what a large one would take.
    pub(super) fn learn(&self, work: u64, took: Duration) {
        let budget = self.budget();
        let is_slow = took > BATCH;
        if self.is_fixed || (work < budget / 2 && !is_slow) {
            return;
        }
        let seconds = took.as_secs_f64().max(1e-6);
        let fits = (work as f64 * BATCH.as_secs_f64() / seconds) as u64;
        // A single measurement may be a neighbour's doing.
        let next = fits.clamp(budget / 4, budget * 2).clamp(LIMITS.0, LIMITS.1);
        self.budget.store(if is_slow { next.min(budget) } else { next.max(budget) }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The budget after many batches on a card that does so many multiplications a second.
    fn settled(rate: f64) -> u64 {
        let pace = Pace::new(None);
        for _ in 0..40 {
            let work = pace.budget();
            pace.learn(work, Duration::from_secs_f64(work as f64 / rate));
        }
        pace.budget()
    }

    #[test]
    fn a_batch_takes_a_hundredth_of_a_second_on_slow_cards_and_fast_ones() {
        for rate in [5e9, 1e11, 3e12, 4e13] {
            let seconds = settled(rate) as f64 / rate;
            assert!((0.008..=0.012).contains(&seconds), "{rate:e} a second: {seconds} s");
        }
    }

    #[test]
    fn one_disturbed_batch_changes_little_and_small_ones_nothing() {
        let pace = Pace::new(None);
        let before = pace.budget();
        pace.learn(before / 10, Duration::from_micros(50));
        assert_eq!(pace.budget(), before);
        pace.learn(before, Duration::from_secs(5));
        assert_eq!(pace.budget(), before / 4);
        pace.learn(before / 4, Duration::ZERO);
        assert_eq!(pace.budget(), before / 2);
        // A small one that takes long shows that a large one would take longer.
        pace.learn(before / 100, Duration::from_millis(20));
        assert!(pace.budget() < before / 2);
        let fixed = Pace::new(Some(7));
        fixed.learn(7, Duration::from_secs(1));
        assert_eq!(fixed.budget(), 7);
    }
}
