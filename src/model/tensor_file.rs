//! Tensors as a safetensors file that others may read.

use std::{
    collections::HashMap,
    fmt::Display,
    fs::{self, File},
    io,
    path::Path,
};

use safetensors::View;

use super::LoadError;

/// Writes the file, one tensor in memory at a time. `format`: whose layout its names are in, e.g. `pt`.
pub(super) fn write<S, V>(path: &Path, tensors: impl IntoIterator<Item = (S, V)>, format: &str) -> Result<(), LoadError>
where
    S: AsRef<str> + Ord + Display,
    V: View,
{
    let failed = |source| LoadError::Write { path: path.to_owned(), source };
    let metadata = HashMap::from([("format".to_owned(), format.to_owned())]);
    // The library writes a private file and renames it over this one, whose rights are those of any new file here.
    let rights = File::create(path).and_then(|file| file.metadata()).map_err(failed)?.permissions();
    safetensors::serialize_to_file(tensors, Some(metadata), path).map_err(|error| failed(io::Error::other(error)))?;
    fs::set_permissions(path, rights).map_err(failed)
}
