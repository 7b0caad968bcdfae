//! How much memory a card has. wgpu does not say; Vulkan does.
#![expect(unsafe_code, reason = "the driver's own handle is asked a question that changes nothing")]

/// Bytes of the largest heap on the card itself, where its interface says so. A card without memory of its own shares the
/// processor's.
pub(super) fn own_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    #[cfg(not(target_vendor = "apple"))]
    {
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
    #[cfg(target_vendor = "apple")]
    {
        let _ = adapter;
        None
    }
}
