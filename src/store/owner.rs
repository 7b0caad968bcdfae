//! Who has a run in hand: one locked file a process.
//!
//! The operating system drops the lock when a process ends, however it ends, so a run whose owner's file can be locked
//! (or is gone) has nobody. Process ids are not asked: they are reused, and mean nothing across machines sharing a
//! folder.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rusqlite::{Connection, OptionalExtension as _};

use super::{RunId, project::Result};

/// Statuses that mean nothing without a living owner.
pub const LIVE: &str = "('queued', 'running', 'paused')";

/// Alive as long as any [`super::Project`] of this process holds it.
pub struct Owner {
    name: String,
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

/// One owner a project and process: locks on one file by two handles of one process would exclude each other.
static OWNERS: Mutex<BTreeMap<PathBuf, Weak<Owner>>> = Mutex::new(BTreeMap::new());

impl Owner {
    /// This process, as owner of runs of the project in `dir`.
    pub fn of(dir: &Path) -> io::Result<Arc<Self>> {
        let dir = dir.canonicalize()?;
        let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = owners.get(&dir).and_then(Weak::upgrade) {
            return Ok(owner);
        }
        let name = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = path_of(&dir, &name);
        // A project copied without its runs has no such folder yet.
        fs::create_dir_all(dir.join("runs"))?;
        let mut file = File::create_new(&path)?;
        match file.try_lock() {
            // A file system without locks: a killed process then leaves its runs live until its file is removed.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        }
        writeln!(file, "A process holds this file while it trains. Safe to delete when no Nudge is running.")?;
        let owner = Arc::new(Self { name, path, _file: file });
        owners.insert(dir, Arc::downgrade(&owner));
        Ok(owner)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the process of that name still holds its file. Tidies up after a dead one.
    pub fn is_alive(dir: &Path, name: &str) -> bool {
        let path = path_of(dir, name);
        let Ok(file) = File::open(&path) else {
            return false;
        };
        match file.try_lock() {
            Ok(()) => {
                fs::remove_file(&path).ok();
                false
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Who has a live run in hand, as far as the document knows.
pub fn live_owner(connection: &Connection, run: RunId) -> Result<Option<String>> {
    let owner: Option<Option<String>> = connection
        .query_row(&format!("SELECT owner FROM runs WHERE id = ?1 AND status IN {LIVE}"), [run.0], |row| row.get(0))
        .optional()?;
    Ok(owner.flatten())
}

fn path_of(dir: &Path, name: &str) -> PathBuf {
    dir.join("runs").join(format!(".process-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_as_long_as_somebody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Owner::of(dir.path()).unwrap();
        let again = Owner::of(dir.path()).unwrap();
        assert!(Arc::ptr_eq(&owner, &again));
        let name = owner.name().to_owned();
        drop(owner);
        assert!(Owner::is_alive(dir.path(), &name));
        drop(again);
        assert!(!Owner::is_alive(dir.path(), &name));
        assert_eq!(fs::read_dir(dir.path().join("runs")).unwrap().count(), 0);
        assert_ne!(Owner::of(dir.path()).unwrap().name(), name);
    }

    #[test]
    fn a_file_that_nobody_locks_is_tidied_away() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("runs")).unwrap();
        let path = path_of(dir.path(), "9-dead");
        fs::write(&path, "").unwrap();
        assert!(!Owner::is_alive(dir.path(), "9-dead"));
        assert!(!path.exists());
    }
}
