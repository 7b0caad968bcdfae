//! What can go wrong at the face of a kernel: always a mistake of the caller or a device that is not covered.

use candle_core::DType;

/// A kernel was asked for something it cannot do.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// An operand has the wrong shape.
    #[error("{operation}: {operand} has shape {got:?}, expected {expected}")]
    Shape {
        operation: &'static str,
        operand: &'static str,
        got: Vec<usize>,
        expected: String,
    },
    /// An operand is a strided view.
    #[error("{operation}: {operand} is not contiguous; call `contiguous()` on it first")]
    NotContiguous {
        operation: &'static str,
        operand: &'static str,
    },
    /// An operand has an element type the kernel does not read.
    #[error("{operation}: {operand} has element type {got:?}, expected {expected}")]
    ElementType {
        operation: &'static str,
        operand: &'static str,
        got: DType,
        expected: &'static str,
    },
    /// An operand lives on another device than the implementation works on.
    #[error("{operation}: {operand} is not in the memory of the processor")]
    Device {
        operation: &'static str,
        operand: &'static str,
    },
    /// The tensor to change shares its storage with one that is read by the same call.
    #[error(
        "{operation}: {operand} is to be changed but shares its storage with an operand that is read"
    )]
    Aliased {
        operation: &'static str,
        operand: &'static str,
    },
    /// A plain value (an index, a slot, a layout) does not fit the tensors it speaks about.
    #[error("{operation}: {message}")]
    Value {
        operation: &'static str,
        message: String,
    },
    /// candle refused.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of a kernel.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;
