//! Databases of SQLite: all that somebody has may lie in one, such as a project's pairs and runs.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// What the file begins with, and where the application id stands in it.
const MARK: &[u8] = b"SQLite format 3\0";
const ID: std::ops::Range<usize> = 68..72;

/// The files that SQLite keeps beside a database, by the ends of their names.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The application id of the database that a file is; none where it is something else.
pub fn id(path: &Path) -> io::Result<Option<u32>> {
    let mut start = Vec::with_capacity(ID.end);
    // What may be written but not read cannot be looked into; a project is always readable.
    match File::open(path) {
        Ok(file) => file.take(ID.end as u64).read_to_end(&mut start)?,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = start.get(ID).and_then(|id| id.try_into().ok()).map_or(0, u32::from_be_bytes);
    Ok(start.starts_with(MARK).then_some(id))
}

/// Whether a database keeps a file of this name beside itself: its newest changes may lie there alone.
pub fn needs(path: &Path) -> io::Result<bool> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(of) = BESIDE.iter().find_map(|end| name.strip_suffix(end)).filter(|of| !of.is_empty()) else {
        return Ok(false);
    };
    match id(&path.with_file_name(of)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // A folder of that name.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(false),
        found => Ok(found?.is_some()),
    }
}
