//! How long a run is: in steps, or as many as its epochs take.

use super::TrainConfig;

use serde::{Deserialize, Serialize};

/// The steps of a run and the pairs that each of them takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    pub steps: u64,
    per_step: usize,
    /// Pairs met in all after `done`, where epochs say so: the last step takes what is left of them.
    in_all: Option<u64>,
    done: Done,
}

/// An end of an epoch from which on a run counts anew: other pairs may have joined it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Done {
    pub steps: u64,
    pub epochs: u32,
}

impl Length {
    /// `pairs`: how many there are to train on.
    pub fn of(config: &TrainConfig, pairs: usize) -> Self {
        Self::after(Done::default(), config, pairs)
    }

    /// Of a run that meets `pairs` an epoch from `done` on.
    pub fn after(done: Done, config: &TrainConfig, pairs: usize) -> Self {
        /// What a product such as 0.1 × 30 may be too large by.
        const ROUNDING: f64 = 1e-6;
        let per_step = config.pairs_per_step.min(pairs).max(1);
        if let Some(steps) = config.steps {
            return Self { steps, per_step, in_all: None, done };
        }
        let least = if done.steps == 0 { 1.0 } else { 0.0 };
        let epochs = config.epochs - f64::from(done.epochs);
        let in_all = (epochs * pairs as f64 - ROUNDING).ceil().max(least) as u64;
        Self { steps: done.steps + in_all.div_ceil(per_step as u64), per_step, in_all: Some(in_all), done }
    }

    /// Every step takes as many, as runs did that began before an epoch was exactly one.
    pub fn in_whole_steps(self) -> Self {
        Self { in_all: None, ..self }
    }

    /// Pairs that a step (counted from 1) takes.
    pub fn pairs_of(self, step: u64) -> usize {
        let before = step.saturating_sub(1 + self.done.steps).saturating_mul(self.per_step as u64);
        match self.in_all {
            Some(in_all) if step == self.steps => (in_all.saturating_sub(before) as usize).clamp(1, self.per_step),
            Some(_) | None => self.per_step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(config: &TrainConfig, pairs: usize) -> Vec<usize> {
        let length = Length::of(config, pairs);
        (1..=length.steps).map(|step| length.pairs_of(step)).collect()
    }

    #[test]
    fn dl4_an_epoch_meets_every_pair_once() {
        let of = |epochs, pairs_per_step| TrainConfig { epochs, pairs_per_step, ..TrainConfig::default() };
        assert_eq!(pairs(&of(1.0, 4), 5), [4, 1]);
        assert_eq!(pairs(&of(2.0, 4), 5), [4, 4, 2]);
        assert_eq!(pairs(&of(1.5, 4), 5), [4, 4]);
        assert_eq!(pairs(&of(1.0, 16), 5), [5]);
        assert_eq!(pairs(&of(0.1, 1), 30), [1, 1, 1]);
        assert_eq!(pairs(&of(0.01, 4), 5), [1]);
        // Two pairs join after the first epoch, whose last step was cut short for it: two epochs are left.
        let joined = Length::after(Done { steps: 2, epochs: 1 }, &of(3.0, 4), 7);
        assert_eq!((3..=joined.steps).map(|step| joined.pairs_of(step)).collect::<Vec<_>>(), [4, 4, 4, 2]);
        assert_eq!(Length::after(Done { steps: 2, epochs: 1 }, &of(1.0, 4), 7).steps, 2, "nothing is left");
        let old = Length::of(&of(1.0, 4), 5).in_whole_steps();
        assert_eq!((old.steps, old.pairs_of(2)), (2, 4));
    }

    #[test]
    fn steps_win_over_epochs_and_are_all_whole() {
        let config = TrainConfig { steps: Some(3), pairs_per_step: 4, ..TrainConfig::default() };
        assert_eq!(pairs(&config, 5), [4, 4, 4]);
    }
}
