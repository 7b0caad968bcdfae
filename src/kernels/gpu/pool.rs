//! Buffers that are used again.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Buffers that nobody uses now, and how much there is.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// By size, each with the batch in which it was last named.
    free: Mutex<BTreeMap<u64, Vec<(wgpu::Buffer, u64)>>>,
    /// The batch that is being recorded.
    batch: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    idle: AtomicU64,
}

impl Pool {
    /// A batch was handed over.
    pub(super) fn next_batch(&self) {
        self.batch.fetch_add(1, Ordering::Relaxed);
    }

    /// Batches that were handed over.
    #[cfg(test)]
    pub(super) fn batch(&self) -> u64 {
        self.batch.load(Ordering::Relaxed)
    }

    /// A buffer of about this size; one that no command names which is not handed over yet, if it is to be written `first`.
    pub(super) fn take(&self, size: u64, first: bool) -> Option<wgpu::Buffer> {
        let mut free = self.free.lock().ok()?;
        let batch = self.batch.load(Ordering::Relaxed);
        let (found, buffer) = free.range_mut(size..=size + size / 4).find_map(|(&found, buffers)| {
            let at = buffers.iter().rposition(|&(_, last)| !first || last < batch)?;
            Some((found, buffers.swap_remove(at).0))
        })?;
        self.idle.fetch_sub(found, Ordering::Relaxed);
        Some(buffer)
    }

    pub(super) fn put(&self, buffer: wgpu::Buffer) {
        let size = buffer.size();
        self.used.fetch_sub(size, Ordering::Relaxed);
        if let Ok(mut free) = self.free.lock() {
            self.idle.fetch_add(size, Ordering::Relaxed);
            free.entry(size).or_default().push((buffer, self.batch.load(Ordering::Relaxed)));
        }
    }

    pub(super) fn count(&self, size: u64) {
        let used = self.used.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(used, Ordering::Relaxed);
    }

    /// Gives back to the driver what nobody uses.
    pub(super) fn trim(&self) {
        if let Ok(mut free) = self.free.lock() {
            free.clear();
            self.idle.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes in use, the most there were, and bytes held for later.
    pub(super) fn bytes(&self) -> (u64, u64, u64) {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (read(&self.used), read(&self.peak), read(&self.idle))
    }
}
