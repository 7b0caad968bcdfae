//! Buffers that are used again. What nobody uses is given back before more is held than ever was: rows of other lengths
//! need buffers of other sizes, and those of all of them together may be more than a card has.

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
            free.range_mut(size..=size + size / 8).find_map(|(&found, buffers)| Some((found, buffers.pop()?)))?;
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

    /// Gives back to the driver what nobody uses, the largest first, until so many bytes more are no more than were
    /// held at the peak.
    pub(super) fn make_room(&self, more: u64) {
        let Ok(mut free) = self.free.lock() else { return };
        while self.held() + more > self.peak() {
            let Some(mut largest) = free.last_entry() else { return };
            let size = *largest.key();
            if largest.get_mut().pop().is_some() {
                self.idle.fetch_sub(size, Ordering::Relaxed);
            }
            if largest.get().is_empty() {
                largest.remove();
            }
        }
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
