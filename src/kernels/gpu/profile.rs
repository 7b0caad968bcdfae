//! What each shader takes by the card's own clock, when somebody asks.

use std::collections::BTreeMap;

use super::{super::Result, driver::Driver};

/// Bytes of one reading of the clock.
const READING: u64 = 8;

/// The time of one shader's runs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KernelTime {
    pub name: &'static str,
    pub runs: u64,
    pub seconds: f64,
    /// Multiplications, where they are what it does; 0 where it does other things.
    pub products: u64,
}

/// A clock reading before and after each run of a batch, and the sums so far.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) readings: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    mapped: wgpu::Buffer,
    /// Of the batch that is being recorded: shader and multiplications.
    runs: Vec<(&'static str, u64)>,
    sums: BTreeMap<&'static str, KernelTime>,
}

impl Profile {
    /// For batches of so many runs.
    pub(super) fn new(device: &wgpu::Device, runs: usize) -> Self {
        let count = 2 * runs as u32;
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("clock"),
                size: u64::from(count) * READING,
                usage,
                mapped_at_creation: false,
            })
        };
        Self {
            readings: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("clock"),
                ty: wgpu::QueryType::Timestamp,
                count,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            mapped: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            runs: Vec::new(),
            sums: BTreeMap::new(),
        }
    }

    /// The next run is recorded: where its two readings go.
    pub(super) fn next(&mut self, name: &'static str, products: u64) -> (u32, u32) {
        let at = 2 * self.runs.len() as u32;
        self.runs.push((name, products));
        (at, at + 1)
    }

    /// Behind the last run of a batch.
    pub(super) fn close(&self, encoder: &mut wgpu::CommandEncoder) {
        if !self.runs.is_empty() {
            let count = 2 * self.runs.len() as u32;
            encoder.resolve_query_set(&self.readings, 0..count, &self.resolved, 0);
            encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.mapped, 0, u64::from(count) * READING);
        }
    }

    /// Takes in the batch that was handed over. Waits for it.
    pub(super) fn take_in(&mut self, driver: &Driver) -> Result<()> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let len = 2 * self.runs.len() as u64 * READING;
        let tick = f64::from(driver.queue.get_timestamp_period()) / 1e9;
        let runs = std::mem::take(&mut self.runs);
        let sums = &mut self.sums;
        driver.read_mapped(&self.mapped, len, |bytes| {
            let readings = bytes.as_chunks::<{ READING as usize }>().0.iter().map(|&bytes| u64::from_le_bytes(bytes));
            let readings: Vec<u64> = readings.collect();
            for (&(name, products), ends) in runs.iter().zip(readings.as_chunks::<2>().0) {
                let sum = sums.entry(name).or_insert(KernelTime { name, ..KernelTime::default() });
                sum.runs += 1;
                sum.products += products;
                sum.seconds += ends[1].saturating_sub(ends[0]) as f64 * tick;
            }
        })
    }

    /// The sums, the longest first.
    pub(super) fn told(self) -> Vec<KernelTime> {
        let mut told: Vec<KernelTime> = self.sums.into_values().collect();
        told.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        told
    }
}
