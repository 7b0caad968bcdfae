//! What can go wrong at the face of a kernel: always a mistake of the caller or a device that is not covered.

use candle_core::DType;

/// A kernel was asked for something it cannot do.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// An operand has the wrong shape.
    #[error("{operation}: {operand} has shape {got:?}, expected {expected}")]
    Shape { operation: &'static str, operand: &'static str, got: Vec<usize>, expected: String },
    /// An operand is a strided view.
    #[error("{operation}: {operand} is not contiguous; call `contiguous()` on it first")]
    NotContiguous { operation: &'static str, operand: &'static str },
    /// An operand has an element type the kernel does not read.
    #[error("{operation}: {operand} has element type {got:?}, expected {expected}")]
    ElementType { operation: &'static str, operand: &'static str, got: DType, expected: &'static str },
    /// An operand lives on another device than the implementation works on.
    #[error("{operation}: {operand} is in the memory of another device")]
    Device { operation: &'static str, operand: &'static str },
    /// The tensor to change shares its storage with one that is read by the same call.
    #[error("{operation}: {operand} is to be changed but shares its storage with an operand that is read")]
    Aliased { operation: &'static str, operand: &'static str },
    /// A plain value (an index, a slot, a layout) does not fit the tensors it speaks about.
    #[error("{operation}: {message}")]
    Value { operation: &'static str, message: String },
    /// The device that was asked for is not there; a sentence about what to do.
    #[error("{0}")]
    NoDevice(String),
    /// The device had no room for a tensor: the same work in smaller pieces may succeed.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// A graphics card could not do what was asked; in the driver's words.
    #[error("{0}")]
    Gpu(String),
    /// The driver of a graphics card gave up. Nothing on it can be read any more.
    #[error("{0}. Go on from the last checkpoint, on this card or on another device: what is saved is whole")]
    DeviceLost(String),
    /// candle refused.
    #[error(transparent)]
    Candle(candle_core::Error),
}

impl From<candle_core::Error> for KernelError {
    fn from(error: candle_core::Error) -> Self {
        // The backends' own error types exist only in builds with them; their words are the same everywhere.
        let words = error.to_string();
        let is_full = ["OUT_OF_MEMORY", "ALLOC_FAILED", "out of memory"].iter().any(|full| words.contains(full));
        if is_full { Self::OutOfMemory(words) } else { Self::Candle(error) }
    }
}

/// The result of a kernel.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_is_told_from_other_errors() {
        // As cudarc and cuBLAS say it.
        for words in
            ["DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", "CublasError(CUBLAS_STATUS_ALLOC_FAILED)"]
        {
            let error = KernelError::from(candle_core::Error::Cuda(words.into()).bt());
            assert!(matches!(error, KernelError::OutOfMemory(_)), "{error}");
        }
        let error = KernelError::from(candle_core::Error::Cuda("DriverError(CUDA_ERROR_INVALID_VALUE)".into()));
        assert!(matches!(error, KernelError::Candle(_)), "{error}");
    }
}
