//! The step-0 log-probs that a run is measured against, as far as it has needed them.

use std::time::Duration;

use data::counted;
use store::Project;

use super::{log_probs::Sums, reference::StartWeights};

/// Σ log π_ref by document, as far as the run has needed them.
pub struct Anchors {
    pub origin: StartWeights,
    /// The run's own hold on the project is needed at the same time.
    pub cache: Project,
    /// Of chosen and rejected answer of each training pair.
    pub(super) train: Vec<Option<Vec<f64>>>,
    /// Of the held-out pairs that are measured.
    pub(super) eval: Option<Sums>,
    /// Of the reference answers that are measured.
    pub(super) references: Option<Sums>,
    /// Training pairs whose values are here, and how many of them were computed by this run.
    pub(super) known: usize,
    pub(super) computed: usize,
    /// Time that it took, pauses left out; it counts for no step.
    pub(super) spent: Duration,
    /// The same for the weights of its tokens.
    weighed: Duration,
    /// The start model stands in for the run's own weights, which answer nobody meanwhile.
    pub(super) stand_in: bool,
}

impl Anchors {
    pub fn new(origin: StartWeights, cache: Project, pairs: usize) -> Self {
        Self {
            origin,
            cache,
            train: vec![None; pairs],
            eval: None,
            references: None,
            known: 0,
            computed: 0,
            spent: Duration::ZERO,
            weighed: Duration::ZERO,
            stand_in: false,
        }
    }

    /// Of a training pair: chosen, then rejected; nothing before a step has met it.
    pub fn of_pair(&self, index: usize) -> &[f64] {
        self.train[index].as_deref().unwrap_or_default()
    }

    /// Of the held-out pairs that are measured, in their order.
    pub fn of_held_out(&self, index: usize) -> &[f64] {
        self.eval.as_ref().and_then(|eval| eval.get(index)).map_or(&[], Vec::as_slice)
    }

    /// Σ over all reference answers that are measured.
    pub fn of_references(&self) -> f64 {
        self.references.iter().flatten().flatten().sum()
    }

    /// Time that pairs took once, pauses left out; it counts for no step.
    pub fn spent(&self) -> Duration {
        self.spent + self.weighed
    }

    /// So long it took to weigh the tokens of some pairs, once.
    pub fn weighed_in(&mut self, time: Duration) {
        self.weighed += time;
    }

    /// Seconds that pairs will take which the next `visits` visits meet for the first time.
    pub fn secs_to_come(&self, visits: u64) -> f64 {
        let unknown = (self.train.len() - self.known) as u64;
        unknown.min(visits) as f64 * self.spent().as_secs_f64() / self.known.max(1) as f64
    }

    /// The training pairs are others now: `before` gives the place that a pair had, where it is the same. `measured`:
    /// the held-out pairs that are measured stay.
    pub fn move_to(&mut self, pairs: usize, before: impl Fn(usize) -> Option<usize>, measured: bool) {
        let old = std::mem::take(&mut self.train);
        self.train = (0..pairs).map(|index| before(index).and_then(|place| old[place].clone())).collect();
        self.known = self.train.iter().flatten().count();
        if !measured {
            self.eval = None;
        }
    }

    /// For the log, when the run ends.
    pub fn summary(&self) -> Option<String> {
        let weighed = if self.weighed.is_zero() {
            String::new()
        } else {
            format!(", and to weigh tokens {:.1} s", self.weighed.as_secs_f64())
        };
        (self.computed > 0).then(|| {
            format!(
                "Reference log-probs: {} computed on the way, which took {:.1} s{weighed}; the speeds leave that out",
                counted(self.computed, "pair was", "pairs were"),
                self.spent.as_secs_f64()
            )
        })
    }
}
