//! A file of a model folder, if it is there.

use std::path::Path;

use serde_json::Value as Json;

use super::TextError;
use ::files;

/// `Null` if the file is not there.
pub fn read_json(folder: &Path, name: &str) -> Result<Json, TextError> {
    let Some(bytes) = read_if_there(folder, name, files::SETTINGS)? else {
        return Ok(Json::Null);
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| TextError::Malformed { path: folder.join(name), reason: error.to_string() })
}

/// `None` if the file is not there; at most `limit` bytes.
pub fn read_if_there(folder: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TextError> {
    let read = files::inside(folder, name).and_then(|path| files::read(&path, limit));
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
