//! Files that have no reason to be large, and paths that must be files.

use std::path::Path;

use super::LoadError;

/// Reads a text file that has no reason to be large.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<String, LoadError> {
    let read_error = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let length = regular_file(path)?;
    if length > limit {
        return Err(LoadError::Config {
            path: path.to_owned(),
            reason: format!("it is {length} bytes long; at most {limit} are expected"),
        });
    }
    std::fs::read_to_string(path).map_err(read_error)
}

/// The length of a regular file. A pipe or a device would be read without end.
pub(super) fn regular_file(path: &Path) -> Result<u64, LoadError> {
    let metadata = std::fs::metadata(path).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        source,
    })?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(LoadError::Config {
        path: path.to_owned(),
        reason: "it is not a file".to_owned(),
    })
}
