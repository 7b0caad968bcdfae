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
    /// By size.
    free: Mutex<BTreeMap<u64, Vec<wgpu::Buffer>>>,
    used: AtomicU64,
    idle: AtomicU64,
    /// The most that was held.
    peak: AtomicU64,
}

impl Pool {
    /// A buffer of about this size. What is recorded from now on comes after all that reads it.
    pub(super) fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut free = self.free.lock().ok()?;
        let (found, buffer) =
            free.range_mut(size..=size + size / 4).find_map(|(&found, buffers)| Some((found, buffers.pop()?)))?;
        self.idle.fetch_sub(found, Ordering::Relaxed);
        Some(buffer)
    }

    pub(super) fn put(&self, buffer: wgpu::Buffer) {
        let size = buffer.size();
        self.used.fetch_sub(size, Ordering::Relaxed);
        if let Ok(mut free) = self.free.lock() {
            self.idle.fetch_add(size, Ordering::Relaxed);
            free.entry(size).or_default().push(buffer);
        }
    }

    pub(super) fn count(&self, size: u64) {
        self.used.fetch_add(size, Ordering::Relaxed);
        self.peak.fetch_max(self.held(), Ordering::Relaxed);
    }

    /// Bytes in use and held for later.
    pub(super) fn held(&self) -> u64 {
        self.used.load(Ordering::Relaxed) + self.idle.load(Ordering::Relaxed)
    }

    /// What is held now is the most from here on.
    pub(super) fn forget_peak(&self) {
        self.peak.store(self.held(), Ordering::Relaxed);
    }

    /// Gives back to the driver what nobody uses.
    pub(super) fn trim(&self) {
        if let Ok(mut free) = self.free.lock() {
            free.clear();
            self.idle.store(0, Ordering::Relaxed);
        }
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes that were held.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}
