//! Faults that tests inject at the seam between the loop and the policy. Not compiled into the product.

use std::sync::Arc;

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    None,
    Panic,
    NonFiniteGradient,
}

/// Asked once a step, before its first micro-batch.
#[derive(Clone)]
pub struct Fault(Arc<dyn Fn(u64) -> Mishap + Send + Sync>);

impl Fault {
    pub fn at(mishap: impl Fn(u64) -> Mishap + Send + Sync + 'static) -> Self {
        Self(Arc::new(mishap))
    }

    pub fn of_step(&self, step: u64) -> Mishap {
        (self.0)(step)
    }
}

impl Default for Fault {
    fn default() -> Self {
        Self::at(|_| Mishap::None)
    }
}
