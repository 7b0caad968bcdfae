//! How a folder is to be loaded.

use std::path::PathBuf;

use data::config::{Precision, Recompute};

use super::{AdapterShape, scalar::ScalarHead};
use ::kernels::{DType, Multiplier, Place, device::DeviceChoice};

/// How a folder is to be loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    pub precision: Precision,
    /// Adapters (what [`super::adapter::load`] reads) that belong to the reference: always on, never trained.
    pub frozen_adapters: Vec<PathBuf>,
    /// A new adapter on top, the only thing that is trained. Not together with `full`.
    pub adapter: Option<AdapterShape>,
    /// An adapter that is trained further instead of a new one: its own rank, scale and layers count, and of `adapter`
    /// only the dropout and the seed. The reference has it as it is on disk. Not together with `full`.
    pub continued: Option<PathBuf>,
    /// An adapter that lies beside the model is left out, though Transformers applies it.
    pub bare: bool,
    /// A head that makes one number of a hidden state, trained beside the adapter. Not together with `full`.
    pub scalar: Option<ScalarHead>,
    /// Train every weight. Without it and without `adapter`, nothing is trained.
    pub full: bool,
    /// What takes the products where the precision leaves a choice; absent = the quickest here, measured. A run goes on
    /// with what it began with.
    pub multiplier: Option<Multiplier>,
    pub recompute: Recompute,
    /// Where the policy lives. It stays on the thread that loads it.
    pub device: DeviceChoice,
}

impl LoadOptions {
    pub(super) fn trains_an_adapter(&self) -> bool {
        self.adapter.is_some() || self.continued.is_some()
    }

    /// What an accelerator's activations are, and what matrices that are not trained are rounded to.
    pub(super) fn activations(&self, place: &Place) -> DType {
        match self.precision {
            Precision::Bf16 => DType::BF16,
            Precision::Q8_0 | Precision::Q4K if !place.has_own_kernels() => DType::BF16,
            _ => DType::F32,
        }
    }
}
