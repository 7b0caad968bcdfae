//! How much memory a card has. wgpu does not say; Vulkan does; for the rest there is a rule.
#![cfg_attr(
    not(target_vendor = "apple"),
    expect(unsafe_code, reason = "the driver's own handle is asked a question that changes nothing")
)]

use data::size;
use serde::{Deserialize, Serialize};

/// What is planned with where a card has memory of its own and does not say how much.
const UNTOLD: u64 = 4 << 30;

/// The memory that is planned with, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardMemory {
    /// Its own, a tenth of which is left to the desktop.
    Own(u64),
    /// It works in the machine's memory: half of that, as drivers have it.
    Shared(u64),
    /// Its own, of which its interface does not say how much.
    Untold(u64),
}

impl CardMemory {
    pub(super) fn of(adapter: &wgpu::Adapter) -> Self {
        if let Some(own) = own_memory(adapter) {
            return Self::Own(own);
        }
        let machine = sysinfo::System::new().map_or(0, |mut system| {
            system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
            system.total_memory()
        });
        let half = if machine == 0 { UNTOLD } else { machine / 2 };
        let is_discrete = adapter.get_info().device_type == wgpu::DeviceType::DiscreteGpu;
        if is_discrete && cfg!(not(target_vendor = "apple")) {
            Self::Untold(half.min(UNTOLD))
        } else {
            Self::Shared(half)
        }
    }

    /// What a run may take of it.
    pub fn room(self) -> u64 {
        match self {
            Self::Own(bytes) => bytes / 10 * 9,
            Self::Shared(bytes) | Self::Untold(bytes) => bytes,
        }
    }

    /// What is planned with, and why that.
    pub fn in_words(self) -> String {
        let room = size(self.room());
        match self {
            Self::Own(bytes) => format!("plans with {room} of its {}", size(bytes)),
            Self::Shared(_) => format!("plans with {room}, half of the machine's memory, in which it works"),
            Self::Untold(_) => format!("plans with {room}, because its driver does not say how much memory it has"),
        }
    }

    /// Bytes still free when this process uses so many.
    pub(super) fn free(self, used: u64) -> u64 {
        let left = self.room().saturating_sub(used);
        let Self::Shared(_) = self else { return left };
        let available = sysinfo::System::new().map_or(0, |mut system| {
            system.refresh_memory_specifics(sysinfo::MemoryRefreshKind::nothing().with_ram());
            system.available_memory()
        });
        if available == 0 { left } else { left.min(available) }
    }
}

/// Bytes of the largest heap on the card itself, where its interface says so. A card without memory of its own shares
/// the processor's.
#[cfg(not(target_vendor = "apple"))]
fn own_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    if adapter.get_info().device_type != wgpu::DeviceType::DiscreteGpu {
        return None;
    }
    // SAFETY: the handle is neither destroyed nor used after this function.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = adapter.shared_instance().raw_instance();
    // SAFETY: the physical device belongs to this instance, and both live as long as the adapter.
    let properties = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
    let heaps = properties.memory_heaps.iter().take(properties.memory_heap_count as usize);
    // Bit 0 is DEVICE_LOCAL.
    heaps.filter(|heap| heap.flags.as_raw() & 1 == 1).map(|heap| heap.size).max()
}

/// Metal does not say.
#[cfg(target_vendor = "apple")]
fn own_memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_with_is_told_with_its_reason() {
        const GB: u64 = 1 << 30;
        let told = [CardMemory::Own(10 * GB), CardMemory::Shared(8 * GB), CardMemory::Untold(4 * GB)]
            .map(|memory| (memory.room() / GB, memory.in_words()));
        assert_eq!(told.each_ref().map(|told| told.0), [9, 8, 4]);
        assert!(told[0].1.contains("of its"), "{told:?}");
        assert!(told[1].1.contains("half of the machine's"), "{told:?}");
        assert!(told[2].1.contains("does not say"), "{told:?}");
    }

    #[test]
    fn what_others_take_of_shared_memory_is_not_free() {
        assert_eq!(CardMemory::Own(1000).free(100), 800);
        assert_eq!(CardMemory::Own(1000).free(2000), 0);
        assert!(CardMemory::Shared(u64::MAX).free(0) < 1 << 50);
    }
}
