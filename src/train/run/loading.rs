//! A model on its way into memory while a run has begun: what is asked of the run is attended to between its tensors.

use std::{ops::ControlFlow, path::Path};

use model::{LoadError, LoadOptions, Policy};

use crate::{error::Result, run::context::Context};

/// `None` = stopped meanwhile.
pub fn load(context: &mut Context<'_>, folder: &Path, options: &LoadOptions) -> Result<Option<Policy>> {
    let mut failed = None;
    let loaded = Policy::load_watched(folder, options, &mut || {
        context.attend(None).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    });
    match (failed, loaded) {
        (Some(error), _) => Err(error),
        (None, Err(LoadError::Stopped)) => Ok(None),
        (None, loaded) => Ok(Some(loaded?)),
    }
}
