//! Where a parameter lies in a flat buffer.

/// A range of a flat f32 buffer: one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// First element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}
