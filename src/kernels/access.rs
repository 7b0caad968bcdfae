//! Slices of the processor's tensors, without a copy and with a typed error where that is impossible.

use std::{
    marker::PhantomData,
    ops::{Deref, Range},
};

use candle_core::{CpuStorage, InplaceOp1, Storage, StorageRef, WithDType};

use super::{KernelError, Result, Slot, Tensor};

/// A tensor read as a slice; holds its storage's read lock.
pub(super) struct View<'a, T = f32> {
    guard: StorageRef<'a>,
    range: Range<usize>,
    kind: PhantomData<T>,
}

impl<T> View<'_, T> {
    /// What tells one storage from another.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref::<Storage>(&self.guard).addr()
    }
}

impl<T: WithDType> Deref for View<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let Storage::Cpu(storage) = &*self.guard else {
            unreachable!("`read` has checked the device");
        };
        match T::cpu_storage_as_slice(storage) {
            Ok(data) => &data[self.range.clone()],
            Err(_) => unreachable!("`read` has checked the element type"),
        }
    }
}

/// The f32 elements of a contiguous tensor in the processor's memory.
pub(super) fn read<'a>(operation: &'static str, operand: &'static str, tensor: &'a Tensor) -> Result<View<'a>> {
    read_as(operation, operand, tensor)
}

/// The elements of a contiguous tensor in the processor's memory, if they are of this type.
pub(super) fn read_as<'a, T: WithDType>(
    operation: &'static str,
    operand: &'static str,
    tensor: &'a Tensor,
) -> Result<View<'a, T>> {
    if tensor.dtype() != T::DTYPE {
        return Err(KernelError::ElementType { operation, operand, got: tensor.dtype(), expected: T::DTYPE.as_str() });
    }
    let (guard, layout) = tensor.candle()?.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(KernelError::NotContiguous { operation, operand });
    };
    if !matches!(&*guard, Storage::Cpu(_)) {
        return Err(KernelError::Device { operation, operand });
    }
    Ok(View { guard, range: start..end, kind: PhantomData })
}

/// Lets `change` rewrite a contiguous f32 tensor in place. `readers` are the views the caller holds meanwhile: one that
/// shares the storage would wait for itself for ever, so that is an error.
pub(super) fn rewrite<R>(
    operation: &'static str,
    operand: &'static str,
    tensor: &Tensor,
    readers: &[&View<'_>],
    change: impl FnOnce(&mut [f32]) -> R,
) -> Result<R> {
    let own = read(operation, operand, tensor)?.address();
    if readers.iter().any(|reader| reader.address() == own) {
        return Err(KernelError::Aliased { operation, operand });
    }
    let op = Rewrite { operation, change: std::cell::Cell::new(Some(change)), result: std::cell::Cell::new(None) };
    tensor.candle()?.inplace_op1(&op)?;
    op.result.into_inner().ok_or(KernelError::Device { operation, operand })
}

/// The closure of [`rewrite`] as candle wants it.
struct Rewrite<F, R> {
    operation: &'static str,
    change: std::cell::Cell<Option<F>>,
    result: std::cell::Cell<Option<R>>,
}

impl<R, F: FnOnce(&mut [f32]) -> R> InplaceOp1 for Rewrite<F, R> {
    fn name(&self) -> &'static str {
        self.operation
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &candle_core::Layout) -> candle_core::Result<()> {
        if let (CpuStorage::F32(data), Some((start, end)), Some(change)) =
            (storage, layout.contiguous_offsets(), self.change.take())
        {
            self.result.set(Some(change(&mut data[start..end])));
        }
        Ok(())
    }
}

/// Rows and columns of a matrix.
pub(super) fn matrix(operation: &'static str, operand: &'static str, dims: &[usize]) -> Result<(usize, usize)> {
    match dims {
        &[rows, cols] => Ok((rows, cols)),
        dims => Err(KernelError::Shape { operation, operand, got: dims.to_vec(), expected: "a matrix".into() }),
    }
}

/// Checks a tensor's shape.
pub(super) fn expect_dims(
    operation: &'static str,
    operand: &'static str,
    dims: &[usize],
    expected: &[usize],
) -> Result<()> {
    if dims == expected {
        return Ok(());
    }
    let expected = format!("{expected:?}");
    Err(KernelError::Shape { operation, operand, got: dims.to_vec(), expected })
}

/// Checks that a slot has the size of its parameter and lies inside its buffer, and gives its range.
pub(super) fn slot_range(operation: &'static str, slot: Slot, len: usize, buffer: usize) -> Result<Range<usize>> {
    if slot.len != len || slot.offset + slot.len > buffer {
        let message = format!("slot {slot:?} does not fit a parameter of {len} elements in a buffer of {buffer}");
        return Err(KernelError::Value { operation, message });
    }
    Ok(slot.offset..slot.offset + slot.len)
}

/// An error about a plain value.
pub(super) fn fault<T>(operation: &'static str, message: String) -> Result<T> {
    Err(KernelError::Value { operation, message })
}
