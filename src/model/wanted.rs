//! Whether what is being loaded is still wanted: asked between tensors and between runs of a file, so that a stop acts
//! soon.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use super::LoadError;

/// Once it is not, it stays so.
pub(super) struct Wanted<'a> {
    watch: RefCell<&'a mut dyn FnMut() -> ControlFlow<()>>,
    stopped: Cell<bool>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(watch: &'a mut dyn FnMut() -> ControlFlow<()>) -> Self {
        Self { watch: RefCell::new(watch), stopped: Cell::new(false) }
    }

    pub(super) fn holds(&self) -> bool {
        if !self.stopped.get() && (self.watch.borrow_mut())().is_break() {
            self.stopped.set(true);
        }
        !self.stopped.get()
    }

    pub(super) fn check(&self) -> Result<(), LoadError> {
        if self.holds() { Ok(()) } else { Err(LoadError::Stopped) }
    }
}
