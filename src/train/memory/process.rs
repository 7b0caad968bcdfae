//! What the machine has free, and what this process uses.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use kernels::{Place, device};
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Bytes of memory this process holds; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let pid = Pid::from_u32(std::process::id());
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

/// Bytes of memory that can still be taken; 0 where the system does not say.
pub fn free_bytes() -> u64 {
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    system.available_memory()
}

/// Bytes of memory that the machine has; 0 where the system does not say.
pub fn total_bytes() -> u64 {
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    system.total_memory()
}

/// Bytes that can still be taken where a policy lives: on its device, or of the machine's memory.
pub fn free_on(place: &Place) -> u64 {
    device::memory(place).map_or_else(free_bytes, |memory| memory.free)
}

/// Bytes that this process holds there.
pub fn used_on(place: &Place) -> u64 {
    device::memory(place).map_or_else(resident_bytes, |memory| memory.used)
}

/// The most bytes this process held since its start, or since [`forget_peak`]; what it holds now where the system keeps
/// no such mark.
pub fn peak_resident_bytes() -> u64 {
    high_water_mark().unwrap_or_else(resident_bytes)
}

/// Linux keeps the mark itself, to the page.
fn high_water_mark() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Lets the system's mark start again from what is held now. False where it keeps none.
fn forget_peak() -> bool {
    high_water_mark().is_some() && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Seconds of processor time that all threads of this process used so far.
pub fn processor_secs() -> f64 {
    let pid = Pid::from_u32(std::process::id());
    let Ok(mut system) = System::new() else {
        return 0.0;
    };
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_cpu(),
    );
    let process = system.process(pid);
    process.map_or(0.0, |process| process.accumulated_cpu_time() as f64 / 1e3)
}

/// Watches this process's memory while something is tried: by the system's own mark where it keeps one, else by looking
/// every few milliseconds.
pub struct PeakWatch {
    done: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    before: u64,
    thread: Option<std::thread::JoinHandle<()>>,
    marked: bool,
}

impl PeakWatch {
    pub fn start() -> std::io::Result<Self> {
        let before = resident_bytes();
        if forget_peak() {
            return Ok(Self {
                done: Arc::default(),
                peak: Arc::new(AtomicU64::new(before)),
                before,
                thread: None,
                marked: true,
            });
        }
        let done = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(before));
        let thread = {
            let (done, peak) = (Arc::clone(&done), Arc::clone(&peak));
            std::thread::Builder::new().name("nudge-memory".to_owned()).spawn(move || {
                while !done.load(Ordering::Acquire) {
                    peak.fetch_max(resident_bytes(), Ordering::AcqRel);
                    std::thread::sleep(Duration::from_millis(2));
                }
            })?
        };
        Ok(Self { done, peak, before, thread: Some(thread), marked: false })
    }

    /// (bytes held at the peak, bytes that came on top of what was held at the start).
    pub fn finish(mut self) -> (u64, u64) {
        self.end();
        let now = if self.marked { peak_resident_bytes() } else { resident_bytes() };
        let peak = self.peak.load(Ordering::Acquire).max(now);
        (peak, peak.saturating_sub(self.before))
    }

    fn end(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for PeakWatch {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers() {
        assert!(free_bytes() > 0);
        if cfg!(target_os = "linux") {
            assert!(resident_bytes() > 1 << 20);
        }
    }

    #[test]
    fn a_large_allocation_is_seen() {
        if resident_bytes() == 0 {
            return;
        }
        let watch = PeakWatch::start().unwrap();
        let block = vec![1u8; 64 << 20];
        let touched: u64 = block.iter().step_by(4096).map(|&byte| u64::from(byte)).sum();
        assert!(touched > 0);
        let held = watch.finish().1;
        assert!(held > 32 << 20, "saw {held} bytes");
        drop(block);
    }
}
