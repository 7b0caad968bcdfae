//! How much memory a device has, and what of it is taken.

/// The memory of a device that has its own, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What this process can still take, what it holds back for itself included.
    pub free: u64,
    pub total: u64,
    /// What this process uses, and the most that it has used since the peak was last forgotten.
    pub used: u64,
    pub peak: u64,
}
