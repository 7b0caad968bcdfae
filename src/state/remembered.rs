//! A cache by pair that also knows what is on its way, what may be out of date, and what does not exist.

use std::collections::{HashMap, HashSet};

use data::PairId;

/// Rows and pairs kept in memory; a table of a million keeps only what was looked at last.
const REMEMBERED: usize = 4096;

/// A cache by pair that also knows what is on its way, so that a frame asks once.
#[derive(Debug)]
pub struct Remembered<T> {
    known: HashMap<PairId, T>,
    waiting: HashSet<PairId>,
    /// Known, shown, and to be read again.
    stale: HashSet<PairId>,
    /// Read, and found not to exist.
    absent: HashSet<PairId>,
    asked: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), waiting: HashSet::new(), stale: HashSet::new(), absent: HashSet::new(), asked: 0 }
    }
}

impl<T> Remembered<T> {
    pub fn get(&self, id: PairId) -> Option<&T> {
        self.known.get(&id)
    }

    /// Not known as it is now, and not on its way.
    pub fn is_missing(&self, id: PairId) -> bool {
        (!self.known.contains_key(&id) || self.stale.contains(&id))
            && !self.waiting.contains(&id)
            && !self.absent.contains(&id)
    }

    /// It was looked for and does not exist.
    pub fn is_absent(&self, id: PairId) -> bool {
        self.absent.contains(&id)
    }

    /// Notes that these are being read; gives back the ones that were not already.
    pub fn ask(&mut self, ids: Vec<PairId>) -> Vec<PairId> {
        let new: Vec<PairId> = ids.into_iter().filter(|id| self.is_missing(*id) && self.waiting.insert(*id)).collect();
        self.asked += new.len();
        new
    }

    /// How many were ever read from the project.
    pub fn asked(&self) -> usize {
        self.asked
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn put(&mut self, id: PairId, value: T) {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&id) {
            self.known.clear();
            self.stale.clear();
        }
        self.waiting.remove(&id);
        self.stale.remove(&id);
        self.absent.remove(&id);
        self.known.insert(id, value);
    }

    /// What was on its way came back: those still awaited do not exist.
    pub fn settle(&mut self, ids: &[PairId]) {
        for id in ids {
            if self.waiting.remove(id) {
                self.known.remove(id);
                self.stale.remove(id);
                self.absent.insert(*id);
            }
        }
    }

    /// It changed, and how is not known.
    pub fn forget(&mut self, id: PairId) {
        self.known.remove(&id);
        self.waiting.remove(&id);
        self.stale.remove(&id);
        self.absent.remove(&id);
    }

    /// It may have changed: shown as it was until it has been read again.
    pub fn expire(&mut self, id: PairId) {
        if self.known.contains_key(&id) {
            self.stale.insert(id);
        }
        self.waiting.remove(&id);
        self.absent.remove(&id);
    }

    /// Everything may have changed.
    pub fn expire_all(&mut self) {
        self.stale.extend(self.known.keys());
        self.waiting.clear();
        self.absent.clear();
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.waiting.clear();
        self.stale.clear();
        self.absent.clear();
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_asks_once() {
        let mut rows: Remembered<u8> = Remembered::default();
        let ids = vec![PairId(1), PairId(2)];
        assert_eq!(rows.ask(ids.clone()), ids);
        assert_eq!(rows.ask(ids.clone()), []);
        rows.put(PairId(1), 1);
        rows.settle(&ids);
        assert!(!rows.is_missing(PairId(1)));
        // The second one does not exist; no later frame asks again, until it is said to have changed.
        assert!(rows.is_absent(PairId(2)) && !rows.is_missing(PairId(2)));
        rows.expire(PairId(2));
        assert!(rows.is_missing(PairId(2)));
        rows.forget(PairId(1));
        assert!(rows.is_missing(PairId(1)));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut rows: Remembered<u8> = Remembered::default();
        for id in 0..3 * REMEMBERED as i64 {
            rows.put(PairId(id), 0);
            assert!(rows.len() <= REMEMBERED);
        }
        assert!(rows.get(PairId(3 * REMEMBERED as i64 - 1)).is_some());
    }
}
