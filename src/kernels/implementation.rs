//! Kernels and their operands at one place, so that those of one device can be held against another's.

use std::sync::Arc;

use super::{
    Kernels, Place,
    cpu::Cpu,
    gpu::{self, Card},
};

/// Kernels, and where their operands lie.
#[derive(Clone)]
pub(crate) struct Implementation {
    pub kernels: Arc<dyn Kernels>,
    pub place: Place,
}

impl Implementation {
    /// The hand-written one for the processor.
    pub(crate) fn cpu() -> Self {
        Self { kernels: Arc::new(Cpu::default()), place: Place::CPU }
    }

    /// That for a card, its activations kept in bf16.
    pub(crate) fn card(card: &Arc<Card>) -> Self {
        Self { kernels: gpu::kernels(card, true), place: Place::Gpu(Arc::clone(card)) }
    }
}
