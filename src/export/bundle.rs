//! A run in one file: what the project knows of it, and its newest checkpoint.

use std::{fs, path::Path};

use store::{Project, RunId};
use train::run::rotation;

use crate::{ExportError, aside::write_error};

/// What went into a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bundled {
    /// Of the weights in it; absent where the run has none on the disk.
    pub step: Option<u64>,
    pub bytes: u64,
}

/// Writes the bundle; a file that is there already is only replaced with `overwrite`, and of databases only a bundle.
pub fn bundle(project: &Project, run: RunId, to: &Path, overwrite: bool) -> Result<Bundled, ExportError> {
    let folders = project.run(run)?.checkpoints;
    let step = rotation::steps(&folders).last().copied();
    let mut files = Vec::new();
    if let Some((step, folder)) = step.and_then(|step| Some((step, rotation::find(&folders, step)?))) {
        let mut read = || -> std::io::Result<()> {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    let name =
                        format!("checkpoints/{}/{}", rotation::name_of(step), entry.file_name().to_string_lossy());
                    files.push((name, entry.path()));
                }
            }
            Ok(())
        };
        read().map_err(write_error(&folder))?;
    }
    let bytes = project.bundle(run, &files, to, overwrite)?;
    Ok(Bundled { step, bytes })
}
