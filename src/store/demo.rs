//! The demo: an ordinary project made from an ordinary folder of files.

use std::path::{Path, PathBuf};

use super::StoreError;

/// Opens the demo project, making it first where it does not exist or the files it is made from have changed.
/// `dir` absent: in the user's data directory. Gives the project's folder.
pub fn open_demo(dir: Option<&Path>) -> Result<PathBuf, StoreError> {
    unimplemented!("{dir:?}")
}
