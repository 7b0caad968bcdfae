//! What a file is told by.

use std::{fs::File, path::Path};

use crate::error::{Result, TrainError};

/// blake3 of a file, a run at a time.
pub fn hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ())).map_err(TrainError::io("read", path))?;
    Ok(hasher.finalize().to_string())
}
