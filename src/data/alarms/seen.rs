//! What the rules look at: of each metric the first few values, and the last few.

use std::collections::VecDeque;

use crate::{
    config::{Method, RunConfig},
    metrics::{
        self, CHOSEN_CHANGE, END_KNOWN, ENDED, ENDED_HIGH, ENDED_LOW, HELD_OUT_ACCURACY, HELD_OUT_ACCURACY_HIGH,
        HELD_OUT_ACCURACY_LOW, HELD_OUT_MARGIN, HELD_OUT_MARGIN_HIGH, HELD_OUT_MARGIN_LOW, KL_POLICY, KL_REF,
        OWN_MARKS_GAIN, PREFERENCE_LOSS, REFERENCE_ENDED, REJECTED_CHANGE,
    },
};

/// A mean of so many steps tells a trend from the noise of a step's pairs.
pub const FEW: usize = 10;
/// So many of the last values are kept.
const KEPT: usize = 40;

/// The metrics that any rule reads.
const WATCHED: [&str; 26] = [
    PREFERENCE_LOSS,
    "loss/reference",
    "rewards/accuracies",
    "rewards/margins",
    "logps/chosen",
    CHOSEN_CHANGE,
    REJECTED_CHANGE,
    "grad_norm",
    "push/asleep",
    HELD_OUT_ACCURACY,
    HELD_OUT_ACCURACY_LOW,
    HELD_OUT_ACCURACY_HIGH,
    HELD_OUT_MARGIN,
    HELD_OUT_MARGIN_LOW,
    HELD_OUT_MARGIN_HIGH,
    "eval_loss/reference",
    KL_REF,
    KL_POLICY,
    ENDED,
    ENDED_LOW,
    ENDED_HIGH,
    END_KNOWN,
    REFERENCE_ENDED,
    OWN_MARKS_GAIN,
    "stop/taught",
    "answers/repeated",
];

/// The settings that rules read, and the numbers.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: Method,
    pub kl_limit: Option<f64>,
    pub beta: f64,
    /// λ_ref.
    pub held: f64,
    pub warmup: u64,
    tails: [Tail; WATCHED.len()],
}

/// A metric by step.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    count: usize,
    first: Vec<(u64, f64)>,
    last: VecDeque<(u64, f64)>,
    /// The largest value so far.
    best: Option<(u64, f64)>,
}

impl Seen {
    pub fn new(config: &RunConfig) -> Self {
        Self {
            method: config.objective.kind,
            kl_limit: config.train.kl_limit,
            beta: config.objective.beta,
            held: config.objective.reference_weight(),
            warmup: config.optimizer.warmup_steps,
            tails: Default::default(),
        }
    }

    /// Whether anything came that a rule reads.
    pub fn take(&mut self, step: u64, metrics: &[(String, f64)]) -> bool {
        let mut any = false;
        for (name, value) in metrics.iter().filter(|(name, _)| !metrics::says_nothing(name, metrics)) {
            if let Some(place) = WATCHED.iter().position(|known| known == name)
                && value.is_finite()
            {
                self.tails[place].push(step, *value);
                any = true;
            }
        }
        any
    }

    /// Forgets everything and takes these in, a metric at a time, by step.
    pub fn refill<'p>(&mut self, points: impl Fn(&str) -> &'p [[f64; 2]]) {
        for (name, tail) in WATCHED.iter().zip(&mut self.tails) {
            *tail = Tail::default();
            for [step, value] in points(name).iter().filter(|[_, value]| value.is_finite()) {
                tail.push(*step as u64, *value);
            }
        }
    }

    /// The numbers of a metric; it must be one of the watched.
    pub fn of(&self, name: &str) -> &Tail {
        static NOTHING: Tail = Tail { count: 0, first: Vec::new(), last: VecDeque::new(), best: None };
        debug_assert!(WATCHED.contains(&name), "{name}");
        WATCHED.iter().position(|known| *known == name).map_or(&NOTHING, |place| &self.tails[place])
    }
}

impl Tail {
    fn push(&mut self, step: u64, value: f64) {
        self.count += 1;
        if self.first.len() < FEW {
            self.first.push((step, value));
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back((step, value));
        if self.best.is_none_or(|(_, best)| value > best) {
            self.best = Some((step, value));
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn latest(&self) -> Option<(u64, f64)> {
        self.last.back().copied()
    }

    /// The value that came first.
    pub fn first(&self) -> Option<f64> {
        self.first.first().map(|(_, value)| *value)
    }

    /// The value before the first step.
    pub fn at_start(&self) -> Option<f64> {
        self.first.first().filter(|(step, _)| *step == 0).map(|(_, value)| *value)
    }

    /// The largest value so far.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best
    }

    /// The last `count` values, oldest first; nothing while there are fewer.
    pub fn last(&self, count: usize) -> Option<Vec<(u64, f64)>> {
        let skip = self.last.len().checked_sub(count)?;
        Some(self.last.iter().skip(skip).copied().collect())
    }

    /// Mean of the last few, and the step of the oldest of them.
    pub fn recent(&self) -> Option<(u64, f64)> {
        let last = self.last(FEW)?;
        Some((last[0].0, last.iter().map(|(_, value)| value).sum::<f64>() / FEW as f64))
    }

    /// Mean of the first few.
    pub fn beginning(&self) -> Option<f64> {
        (self.first.len() == FEW).then(|| self.first.iter().map(|(_, value)| value).sum::<f64>() / FEW as f64)
    }
}
