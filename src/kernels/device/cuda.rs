//! CUDA: opening, names, and the memory pool that tensors are taken from.
#![expect(unsafe_code, reason = "the driver's memory pools have no safe face")]

use candle_core::{
    CudaDevice, Device,
    backend::BackendDevice as _,
    cuda_backend::cudarc::driver::{
        CudaContext, result,
        sys::{self, CUmemPool_attribute as Attribute, CUmemoryPool, CUresult},
    },
};

use crate::device_memory::DeviceMemory;

/// How many devices the driver knows, or why it does not say.
pub(super) fn count() -> Result<usize, String> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if let Some(library) = super::lazy::missing() {
        return Err(format!(
            "CUDA does not answer, because this machine lacks {library}; install NVIDIA's driver and the CUDA libraries that the README names, or choose \"cpu\""
        ));
    }
    CudaContext::device_count()
        .map(|count| count.max(0) as usize)
        .map_err(|error| format!("CUDA does not answer ({error}); install NVIDIA's driver and the CUDA libraries that the README names, or choose \"cpu\""))
}

pub(super) fn name(number: usize) -> Option<String> {
    let device = result::device::get(number as i32).ok()?;
    result::device::get_name(device).ok()
}

/// Opens a device on the current thread's own stream. Memory that a step gives back stays with this process, so that
/// the next step need not ask the driver for it.
pub(super) fn open(number: usize) -> Result<Device, String> {
    let known = count()?;
    if number >= known {
        return Err(format!(
            "cuda:{number} was asked for, but there are {known} CUDA devices here, counted from 0; choose another, or \"auto\" or \"cpu\""
        ));
    }
    let device = CudaDevice::new(number).map_err(|error| {
        format!("cuda:{number} could not be opened ({error}); update NVIDIA's driver, or choose \"cpu\"")
    })?;
    let mut keep_all = u64::MAX;
    if let Some(pool) = pool(&device) {
        // SAFETY: the pool is the device's own; the attribute is a u64 and the call reads one.
        let done = unsafe {
            sys::cuMemPoolSetAttribute(pool, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, (&raw mut keep_all).cast())
        };
        if done != CUresult::CUDA_SUCCESS {
            tracing::debug!("cuda:{number} keeps no memory between steps: {done:?}");
        }
    }
    Ok(Device::Cuda(device))
}

pub(super) fn memory(device: &CudaDevice) -> Option<DeviceMemory> {
    device.cuda_stream().context().bind_to_thread().ok()?;
    let (free, total) = result::mem_get_info().ok()?;
    let (free, total) = (free as u64, total as u64);
    let Some(pool) = pool(device) else {
        let used = total - free;
        return Some(DeviceMemory { free, total, used, peak: used });
    };
    let used = attribute(pool, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?;
    let held = attribute(pool, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
    Some(DeviceMemory {
        free: free + held.saturating_sub(used),
        total,
        used,
        peak: attribute(pool, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?,
    })
}

/// Has the most that was used begin anew.
pub(super) fn forget_peak(device: &CudaDevice) {
    let mut nothing = 0_u64;
    if let (Ok(()), Some(pool)) = (device.synchronize(), pool(device)) {
        // SAFETY: the pool is the device's own; the attribute is a u64, the call reads one, and 0 is what may be set.
        let done = unsafe {
            sys::cuMemPoolSetAttribute(pool, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, (&raw mut nothing).cast())
        };
        if done != CUresult::CUDA_SUCCESS {
            tracing::debug!("the device's peak of memory is that of the whole process: {done:?}");
        }
    }
}

pub(super) fn trim(device: &CudaDevice) {
    // What is still queued may use what was given back.
    if let (Ok(()), Some(pool)) = (device.synchronize(), pool(device)) {
        // SAFETY: the pool is the device's own, and nothing in use is taken from it.
        let done = unsafe { sys::cuMemPoolTrimTo(pool, 0) };
        if done != CUresult::CUDA_SUCCESS {
            tracing::debug!("unused device memory was not given back: {done:?}");
        }
    }
}

/// The pool that the device's tensors come from; `None` where the device has none.
fn pool(device: &CudaDevice) -> Option<CUmemoryPool> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return None;
    }
    let handle = result::device::get(context.ordinal() as i32).ok()?;
    let mut pool: CUmemoryPool = std::ptr::null_mut();
    // SAFETY: writes one handle.
    let done = unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, handle) };
    (done == CUresult::CUDA_SUCCESS).then_some(pool)
}

fn attribute(pool: CUmemoryPool, which: Attribute) -> Option<u64> {
    let mut value = 0_u64;
    // SAFETY: the attributes asked for here are u64, and the call writes one.
    let done = unsafe { sys::cuMemPoolGetAttribute(pool, which, (&raw mut value).cast()) };
    (done == CUresult::CUDA_SUCCESS).then_some(value)
}
