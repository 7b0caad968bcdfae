//! The order in which data is met: shuffled anew each epoch, exact to continue from a checkpoint.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// An endless walk over `len` items, each once an epoch. The permutation is a function of seed, stream and epoch, so
/// the position alone is its whole state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    seed: u64,
    /// Tells apart the walks over pairs, reference answers and retention text.
    stream: u32,
    len: usize,
    epoch: u32,
    /// Items of this epoch already met.
    cursor: usize,
    /// Made when first needed.
    #[serde(skip)]
    permutation: Vec<u32>,
}

impl PartialEq for Order {
    /// The permutation follows from the rest.
    fn eq(&self, other: &Self) -> bool {
        let position = |order: &Self| (order.seed, order.stream, order.len, order.epoch, order.cursor);
        position(self) == position(other)
    }
}

impl Order {
    pub fn new(len: usize, seed: u64, stream: u32) -> Self {
        Self { seed, stream, len, epoch: 0, cursor: 0, permutation: Vec::new() }
    }

    /// Epochs walked, with the fraction of the present one.
    pub fn epochs(&self) -> f64 {
        f64::from(self.epoch) + self.cursor as f64 / self.len.max(1) as f64
    }

    /// The next `count` items, across epoch borders; at most one epoch's worth, so that no step meets an item twice
    /// merely because the data is small.
    pub fn take(&mut self, count: usize) -> Vec<usize> {
        (0..count.min(self.len)).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> usize {
        if self.cursor == self.len {
            self.epoch += 1;
            self.cursor = 0;
            self.permutation.clear();
        }
        if self.permutation.is_empty() {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(u64::from(self.stream) << 32 | u64::from(self.epoch));
            self.permutation = (0..self.len as u32).collect();
            self.permutation.shuffle(&mut rng);
        }
        self.cursor += 1;
        self.permutation[self.cursor - 1] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_once_an_epoch_and_each_epoch_in_another_order() {
        let mut order = Order::new(50, 3, 0);
        let first = order.take(50);
        let second = order.take(50);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_ne!(first, Order::new(50, 4, 0).take(50));
        assert_ne!(first, Order::new(50, 3, 1).take(50));
    }

    #[test]
    fn a_stored_position_goes_on_exactly() {
        let mut order = Order::new(7, 1, 0);
        order.take(5);
        order.take(5);
        let stored = serde_json::to_string(&order).unwrap();
        let mut again: Order = serde_json::from_str(&stored).unwrap();
        assert_eq!(again, order);
        assert_ne!(again, Order::new(7, 1, 0));
        for _ in 0..5 {
            assert_eq!(again.take(4), order.take(4));
        }
    }

    #[test]
    fn a_step_never_meets_more_than_there_is() {
        assert_eq!(Order::new(3, 0, 0).take(8).len(), 3);
        assert!(Order::new(0, 0, 0).take(8).is_empty());
    }
}
