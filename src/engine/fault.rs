//! Faults that tests inject at the seam between the loop and the policy. Not compiled into the product.

use std::sync::Arc;

use super::{
    error::{EngineError, Result},
    helm::Helm,
};
use crate::model::PolicyError;

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    None,
    Panic,
    OutOfMemory,
    NonFiniteGradient,
}

/// Asked at every step.
#[derive(Clone)]
pub struct Fault(Arc<dyn Fn(u64) -> Mishap + Send + Sync>);

impl Fault {
    pub fn at(mishap: impl Fn(u64) -> Mishap + Send + Sync + 'static) -> Self {
        Self(Arc::new(mishap))
    }
}

impl Default for Fault {
    fn default() -> Self {
        Self::at(|_| Mishap::None)
    }
}

/// Fails where a kernel might: before a micro-batch.
pub fn strike(helm: &Helm<'_>, step: u64) -> Result<()> {
    let Fault(mishap) = &helm.desk.fault;
    match mishap(step) {
        Mishap::None | Mishap::NonFiniteGradient => Ok(()),
        Mishap::Panic => panic!("an injected panic"),
        Mishap::OutOfMemory => {
            let words = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
            let error = candle_core::Error::Cuda(words.into());
            Err(EngineError::Policy(PolicyError::from(error)))
        }
    }
}

/// What is added to this step's gradient norm: 0, or no number.
pub fn spoiled_by(helm: &Helm<'_>, step: u64) -> f64 {
    let Fault(mishap) = &helm.desk.fault;
    if mishap(step) == Mishap::NonFiniteGradient { f64::NAN } else { 0.0 }
}
