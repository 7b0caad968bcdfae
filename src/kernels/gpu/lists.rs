//! Lists of numbers that shaders read: positions, plans, targets. Layer after layer asks for the same ones, so the last
//! few stay on the card.

use std::{collections::VecDeque, sync::Mutex};

/// How many stay. A step has a handful: a plan of queries and one of keys for each width of attention, positions,
/// targets.
const RECENT: usize = 16;

/// Words of a list that is worth keeping at most: 4 MiB.
const LONGEST: usize = 1 << 20;

/// The lists that were asked for last, the last one first.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<VecDeque<(Vec<u32>, wgpu::Buffer)>>);

impl Lists {
    /// The buffer that has exactly these numbers.
    pub(super) fn find(&self, list: &[u32]) -> Option<wgpu::Buffer> {
        let mut recent = self.0.lock().ok()?;
        let at = recent.iter().position(|(known, _)| known == list)?;
        let found = recent.remove(at)?;
        let buffer = found.1.clone();
        recent.push_front(found);
        Some(buffer)
    }

    /// Keeps a buffer that nobody writes to any more. Whether it was kept.
    pub(super) fn keep(&self, list: &[u32], buffer: &wgpu::Buffer) -> bool {
        let Ok(mut recent) = self.0.lock() else { return false };
        if list.len() > LONGEST {
            return false;
        }
        recent.push_front((list.to_vec(), buffer.clone()));
        recent.truncate(RECENT);
        true
    }

    pub(super) fn clear(&self) {
        if let Ok(mut recent) = self.0.lock() {
            recent.clear();
        }
    }
}
