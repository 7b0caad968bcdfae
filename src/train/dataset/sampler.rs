//! The order in which data is met: shuffled anew each epoch, exact to continue from a checkpoint.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How a walk goes. A checkpoint keeps it, so that an older run goes on in the order it began in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// A step across an epoch border may meet an item twice. Checkpoints that name no way were written on this one.
    #[default]
    Plain,
    /// What a step met before the border comes later in the next epoch.
    Apart,
}

/// An endless walk over `len` items, each once an epoch and none twice in a step. The permutation is a function of
/// seed, stream, epoch, and of what the step that crossed into the epoch had met before, so the position is its whole
/// state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sampler {
    seed: u64,
    /// Tells apart the walks over pairs, reference answers and retention text.
    stream: u32,
    len: usize,
    epoch: u32,
    /// Items of this epoch already met.
    cursor: usize,
    #[serde(default)]
    way: Way,
    /// The last items of the epoch before, where the step that met them went on into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<u32>,
    /// How many items of this epoch that step met.
    #[serde(default)]
    first: usize,
    /// Made when first needed.
    #[serde(skip)]
    permutation: Vec<u32>,
}

impl PartialEq for Sampler {
    /// The permutation follows from the rest.
    fn eq(&self, other: &Self) -> bool {
        let position =
            |order: &Self| (order.seed, order.stream, order.len, order.epoch, order.cursor, order.way, order.first);
        position(self) == position(other) && self.before == other.before
    }
}

impl Sampler {
    pub fn new(len: usize, seed: u64, stream: u32) -> Self {
        Self {
            seed,
            stream,
            len,
            epoch: 0,
            cursor: 0,
            way: Way::Apart,
            before: Vec::new(),
            first: 0,
            permutation: Vec::new(),
        }
    }

    /// Epochs walked, with the fraction of the present one.
    pub fn epochs(&self) -> f64 {
        f64::from(self.epoch) + self.cursor as f64 / self.len.max(1) as f64
    }

    /// Whole epochs behind it, where it stands between two.
    pub fn at_border(&self) -> Option<u32> {
        (self.cursor == self.len).then_some(self.epoch + 1)
    }

    /// Items until the next end of an epoch.
    pub fn left(&self) -> usize {
        match self.len - self.cursor {
            0 => self.len,
            left => left,
        }
    }

    /// The walk over `len` other items that goes on with the next epoch.
    pub fn renewed(&self, len: usize) -> Self {
        Self {
            len,
            epoch: self.epoch + 1,
            cursor: 0,
            before: Vec::new(),
            first: 0,
            permutation: Vec::new(),
            ..self.clone()
        }
    }

    /// Whether an epoch is exactly one: false for runs from before steps were kept from meeting an item twice.
    pub fn keeps_epochs(&self) -> bool {
        self.way == Way::Apart
    }

    /// The next `count` items, across epoch borders; at most one epoch's worth, so that no step meets an item twice
    /// merely because the data is small.
    pub fn take(&mut self, count: usize) -> Vec<usize> {
        let count = count.min(self.len);
        let mut taken: Vec<u32> = Vec::with_capacity(count);
        while taken.len() < count {
            if self.cursor == self.len {
                self.epoch += 1;
                self.cursor = 0;
                self.permutation.clear();
                if self.way == Way::Apart {
                    self.first = count - taken.len();
                    self.before.clone_from(&taken);
                }
            }
            if self.permutation.is_empty() {
                self.permutation = self.permute();
            }
            taken.push(self.permutation[self.cursor]);
            self.cursor += 1;
        }
        taken.into_iter().map(|item| item as usize).collect()
    }

    /// This epoch's items: a shuffle in which those of `before` wait until the step that met them is over.
    fn permute(&self) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(self.stream) << 32 | u64::from(self.epoch));
        let mut shuffled: Vec<u32> = (0..self.len as u32).collect();
        shuffled.shuffle(&mut rng);
        if self.before.is_empty() {
            return shuffled;
        }
        let mut permutation = Vec::with_capacity(self.len);
        let mut waiting = Vec::new();
        for item in shuffled {
            if permutation.len() < self.first && self.before.contains(&item) {
                waiting.push(item);
                continue;
            }
            permutation.push(item);
            if permutation.len() == self.first {
                permutation.append(&mut waiting);
            }
        }
        permutation
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_item_once_an_epoch_and_each_epoch_in_another_order() {
        let mut order = Sampler::new(50, 3, 0);
        let first = order.take(50);
        let second = order.take(50);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_ne!(first, Sampler::new(50, 4, 0).take(50));
        assert_ne!(first, Sampler::new(50, 3, 1).take(50));
    }

    #[test]
    fn dl4_no_step_meets_an_item_twice_and_every_epoch_is_whole() {
        for (len, count) in [(5, 4), (5, 3), (7, 7), (7, 2), (12, 5), (3, 2), (2, 1), (40, 16)] {
            for seed in 0..20 {
                let mut order = Sampler::new(len, seed, 0);
                let mut met = Vec::new();
                for step in 0..4 * len {
                    let taken = order.take(count);
                    let apart: BTreeSet<usize> = taken.iter().copied().collect();
                    assert_eq!(apart.len(), count, "{len} items, {count} a step, seed {seed}, step {step}: {taken:?}");
                    met.extend(taken);
                }
                for epoch in met.chunks_exact(len) {
                    let all: BTreeSet<usize> = epoch.iter().copied().collect();
                    assert_eq!(all.len(), len, "{len} items, {count} a step, seed {seed}: {epoch:?}");
                }
            }
        }
    }

    #[test]
    fn a_stored_position_goes_on_exactly() {
        for steps in 0..9 {
            let mut order = Sampler::new(7, 1, 0);
            for _ in 0..steps {
                order.take(5);
            }
            let stored = serde_json::to_string(&order).unwrap();
            let mut again: Sampler = serde_json::from_str(&stored).unwrap();
            assert_eq!(again, order);
            assert_ne!(again, Sampler::new(7, 2, 0));
            for _ in 0..9 {
                assert_eq!(again.take(5), order.take(5));
            }
        }
    }

    /// What an earlier version of this program wrote, and what it drew next.
    #[test]
    fn dl4_an_older_run_goes_on_in_the_order_it_began_in() {
        let stored = r#"{"seed":1,"stream":0,"len":5,"epoch":0,"cursor":4}"#;
        let mut order: Sampler = serde_json::from_str(stored).unwrap();
        assert!(!order.keeps_epochs());
        let plain = |epoch: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            rng.set_stream(epoch);
            let mut items: Vec<usize> = (0..5).collect();
            items.shuffle(&mut rng);
            items
        };
        let expected: Vec<usize> = plain(0)[4..].iter().chain(&plain(1)).chain(&plain(2)).copied().collect();
        let drawn = [order.take(4), order.take(4)].concat();
        assert_eq!(drawn, expected[..8]);
        let again: Sampler = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
        assert!(again == order && !again.keeps_epochs());
    }

    #[test]
    fn other_items_begin_with_the_next_epoch() {
        let mut order = Sampler::new(7, 1, 0);
        assert_eq!((order.left(), order.at_border()), (7, None));
        order.take(5);
        assert_eq!((order.left(), order.at_border()), (2, None));
        order.take(2);
        assert_eq!((order.left(), order.at_border()), (7, Some(1)));
        let mut renewed = order.renewed(9);
        assert_eq!(renewed.epochs(), 1.0);
        let mut met = [renewed.take(5), renewed.take(4)].concat();
        met.sort_unstable();
        assert_eq!(met, (0..9).collect::<Vec<_>>());
        assert_eq!(renewed.at_border(), Some(2));
        let again = order.renewed(7).take(7);
        assert_eq!(again, order.take(7), "as many items come in the order they would have come in");
    }

    #[test]
    fn a_step_never_meets_more_than_there_is() {
        assert_eq!(Sampler::new(3, 0, 0).take(8).len(), 3);
        assert!(Sampler::new(0, 0, 0).take(8).is_empty());
    }
}
