//! Panels of a factor: as many lines as a tile has, in steps along the depth.

/// Rows and columns of a tile: lines of a panel.
pub(super) const SIDE: usize = 32;

/// Pairs of neighbours along the depth in one step of a panel.
pub(super) const PAIRS: usize = 16;

/// Numbers along the depth in one step.
pub(super) const STEP: usize = 2 * PAIRS;

/// Two neighbours along the depth, the first in the low half.
pub(super) type Pair = u32;

/// A step of a panel: of the left factor `[line][pair]`, of the right one `[pair][line]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Step(pub(super) [Pair; SIDE * PAIRS]);

impl Step {
    pub(super) const ZERO: Self = Self([0; SIDE * PAIRS]);
}
