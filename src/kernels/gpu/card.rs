//! One graphics card in use: its driver, its compiled shaders, its memory, and what is being recorded for it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    super::{KernelError, Result, device_memory::DeviceMemory},
    driver::{CardInfo, CardOptions, Driver},
    lists::Lists,
    pace::Pace,
    pool::Pool,
    profile::{KernelTime, Profile},
    recording::Recording,
    shader::{CUT_SHORT, Pipelines},
};

/// A card in use.
pub struct Card {
    pub(super) driver: Arc<Driver>,
    pub(super) pipelines: Pipelines,
    pub(super) pool: Arc<Pool>,
    pub(super) lists: Lists,
    pub(super) pace: Arc<Pace>,
    /// What every new buffer is filled with, in tests.
    pub(super) poison: Option<wgpu::Buffer>,
    recording: Mutex<Recording>,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.driver.fmt(f)
    }
}

impl Card {
    /// Takes a card into use.
    ///
    /// # Errors
    /// [`KernelError::NoDevice`] with a sentence about what to do.
    pub fn open(number: usize, options: CardOptions) -> Result<Arc<Self>> {
        let driver = Arc::new(Driver::open(number, options)?);
        let (pool, pace) = (Arc::default(), Arc::new(Pace::new(options.batch_work)));
        Ok(Arc::new(Self {
            recording: Mutex::new(Recording::new(&driver, &pool, &pace)),
            poison: options.poison.then(|| driver.poison()),
            pipelines: Pipelines::default(),
            lists: Lists::default(),
            driver,
            pool,
            pace,
        }))
    }

    /// What is known of it.
    pub fn info(&self) -> &CardInfo {
        &self.driver.info
    }

    /// Bytes that one operand of a shader may span.
    pub(super) fn binding_limit(&self) -> u64 {
        self.driver.binding_limit
    }

    /// Whether it still answers, and nothing makes what it computes doubtful.
    pub(crate) fn is_sound(&self) -> bool {
        // Whoever panicked in the middle of a recording has left a half one behind.
        self.driver.is_sound() && !self.recording.is_poisoned() && !self.pipelines.is_poisoned()
    }

    /// Breaks it, as a driver that falls over would: for tests.
    pub fn lose(&self) {
        self.driver.lose();
    }

    /// From now on it has no more than so many bytes, as if others had taken the rest: for tests. What is in use stays.
    pub fn limit_memory(&self, bytes: u64) {
        self.driver.limit_memory(bytes);
    }

    pub(super) fn recording(&self) -> Result<MutexGuard<'_, Recording>> {
        self.recording.lock().map_err(|_| self.driver.fault(CUT_SHORT))
    }

    /// Waits until everything that was asked for is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.recording()?.wait()
    }

    /// What this process has and may still take of the card's memory.
    pub(crate) fn memory(&self) -> DeviceMemory {
        let total = self.info().memory.room();
        let free = self.info().memory.free(self.pool.used());
        DeviceMemory { free, total, used: self.pool.held(), peak: self.pool.peak() }
    }

    /// Has [`DeviceMemory::peak`] begin anew, with what is in use.
    pub(crate) fn forget_peak(&self) {
        self.trim();
        self.pool.forget_peak();
    }

    /// Gives back to the driver what is held but not used.
    pub(crate) fn trim(&self) {
        self.lists.clear();
        self.pool.trim();
    }

    /// From now on every run of a shader is timed by the card's own clock, and each batch is waited for.
    ///
    /// # Errors
    /// A sentence, where the card has no clock that programs can read.
    pub fn watch(&self) -> Result<()> {
        if !self.driver.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(KernelError::Gpu(format!("{} has no clock that programs can read", self.info().name)));
        }
        let mut recording = self.recording()?;
        recording.wait()?;
        recording.watch();
        Ok(())
    }

    /// What each shader took since [`Card::watch`], the longest first; nothing is timed any more.
    pub fn watched(&self) -> Result<Vec<KernelTime>> {
        let mut recording = self.recording()?;
        recording.wait()?;
        Ok(recording.watched().map(Profile::told).unwrap_or_default())
    }
}
