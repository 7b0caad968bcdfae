//! Output buffers that are written once: no zeros first.
#![expect(
    unsafe_code,
    reason = "a freshly allocated buffer is handed out before it is initialised, and cut in disjoint parts"
)]

use std::{marker::PhantomData, mem::MaybeUninit, ops::Range};

use candle_core::{Shape, WithDType};

use super::{Place, Result, Tensor};

/// A buffer of numbers whose content does not exist yet.
pub(super) struct Fresh<T = f32>(Vec<T>);

impl<T: WithDType> Fresh<T> {
    pub(super) fn new(len: usize) -> Self {
        Self(Vec::with_capacity(len))
    }

    /// The elements, to be written.
    pub(super) fn uninit(&mut self) -> &mut [MaybeUninit<T>] {
        self.0.spare_capacity_mut()
    }

    /// The buffer as a tensor.
    ///
    /// # Safety
    /// Every one of the first `shape` elements has been written.
    pub(super) unsafe fn tensor(self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        // SAFETY: the caller has written them.
        let data = unsafe { self.vec(shape.elem_count()) };
        Tensor::from_vec(data, shape, &Place::CPU)
    }

    /// The buffer as a vector of `len` elements.
    ///
    /// # Safety
    /// Every one of the first `len` elements has been written.
    pub(super) unsafe fn vec(mut self, len: usize) -> Vec<T> {
        assert!(len <= self.0.capacity());
        // SAFETY: within the capacity, and the caller has written them.
        unsafe { self.0.set_len(len) };
        self.0
    }
}

/// A slice that several threads write at once, each its own places.
pub(super) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: it only gives out parts through `part`, whose callers promise that no two overlap.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), lifetime: PhantomData }
    }

    /// Has the memory around an element brought near, two lines of the cache, because it is written soon. A tile's rows
    /// lie far apart, and no processor foresees that.
    pub(super) fn prefetch(&self, at: usize) {
        let start = self.start.wrapping_add(at);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, which changes nothing and may name any address.
        unsafe {
            std::arch::asm!(
                "prefetchw [{0}]",
                "prefetchw [{0} + 64]",
                in(reg) start,
                options(nostack, preserves_flags, readonly)
            );
        }
        let _ = start;
    }

    /// Where an element is.
    pub(super) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len);
        // SAFETY: inside the slice.
        unsafe { self.start.add(index) }
    }

    /// # Safety
    /// No two parts that live at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "the point of the type; see the safety condition")]
    pub(super) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the slice; the caller promises that it is alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Views initialised floats as a place to write to.
///
/// # Safety
/// Nothing but floats is written through the view: whoever lent the slice reads it again.
pub(super) unsafe fn as_uninit(slice: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    let len = slice.len();
    // SAFETY: same layout; the caller leaves no place without a float.
    unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast(), len) }
}
