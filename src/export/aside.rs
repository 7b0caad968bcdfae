//! A folder that is whole or not there: written beside its place, synced, then renamed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{ExportError, card::REPORT};

/// A folder on its way to its place. What was written is removed unless [`Aside::finish`] is reached.
pub struct Aside {
    target: PathBuf,
    folder: tempfile::TempDir,
}

impl Aside {
    /// Refuses a target that holds something, unless it is an earlier export of ours and `overwrite` says so.
    pub fn new(target: &Path, overwrite: bool) -> Result<Self, ExportError> {
        let target = std::path::absolute(target).map_err(write_error(target))?;
        if is_occupied(&target) {
            let ours = target.join(REPORT).is_file();
            if !(ours && overwrite) {
                return Err(ExportError::Occupied { path: target, ours });
            }
        }
        let parent = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(write_error(parent))?;
        let folder =
            tempfile::Builder::new().prefix(".nudge-export-").tempdir_in(parent).map_err(write_error(parent))?;
        Ok(Self { target, folder })
    }

    /// Where it will be.
    pub fn target(&self) -> PathBuf {
        self.target.clone()
    }

    /// Where to write.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    /// Syncs every file and puts the folder in its place.
    pub fn finish(self) -> Result<PathBuf, ExportError> {
        let written = self.path();
        let failed = write_error(&written);
        let sync = || -> std::io::Result<()> {
            for entry in fs::read_dir(&written)? {
                File::open(entry?.path())?.sync_all()?;
            }
            Ok(())
        };
        sync().map_err(failed)?;
        if self.target.exists() {
            fs::remove_dir_all(&self.target).map_err(write_error(&self.target))?;
        }
        fs::rename(&written, &self.target).map_err(write_error(&self.target))?;
        Ok(self.target)
    }
}

fn is_occupied(target: &Path) -> bool {
    match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => target.exists(),
    }
}

/// Wraps an I/O error with the path it is about.
pub fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Write { path, source }
}
