//! A folder in the making: under a name that says so, held as long as somebody works in it, and gone if it is not
//! finished.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// So many letters of chance end its name.
const RANDOM: usize = 6;

/// What is written in it is removed with it, unless it was renamed or kept.
pub struct FolderAside {
    folder: TempDir,
    /// The folder itself, locked.
    _hold: Option<File>,
}

impl FolderAside {
    /// A new one in `parent`, whose name begins with `prefix`. What killed processes have left under such names goes,
    /// but for folders that hold something called `kept`.
    pub fn new(parent: &Path, prefix: &str, kept: Option<&str>) -> io::Result<Self> {
        // What was begun here and is not locked yet must not look like what was left.
        let turn = File::open(parent).ok().filter(|parent| parent.lock().is_ok());
        if turn.is_some() {
            clear_away(parent, prefix, kept);
        }
        let folder = tempfile::Builder::new().prefix(prefix).rand_bytes(RANDOM).tempdir_in(parent)?;
        let hold = File::open(folder.path()).ok().filter(|folder| folder.try_lock().is_ok());
        Ok(Self { folder, _hold: hold })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it where it is.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

fn clear_away(parent: &Path, prefix: &str, kept: Option<&str>) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_kept = kept.is_some_and(|kept| path.join(kept).exists());
        if !is_folder || is_kept || random.is_none_or(|letters| letters.len() != RANDOM) {
            continue;
        }
        if File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            fs::remove_dir_all(&path).ok();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_was_killed_goes_and_what_is_under_way_stays() {
        let root = tempfile::tempdir().unwrap();
        let live = FolderAside::new(root.path(), ".nudge-test-", None).unwrap();
        for name in [".nudge-test-abcdef", ".nudge-test-uvwxyz/earlier", ".nudge-test-of-mine", ".nudge-other-abcdef"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let next = FolderAside::new(root.path(), ".nudge-test-", Some("earlier")).unwrap();
        let is_there = |name: &str| root.path().join(name).exists();
        assert!(live.path().exists() && next.path().exists());
        assert!(!is_there(".nudge-test-abcdef"));
        assert!(is_there(".nudge-test-uvwxyz") && is_there(".nudge-test-of-mine") && is_there(".nudge-other-abcdef"));
        drop((live, next));
        FolderAside::new(root.path(), ".nudge-test-", None).unwrap();
        assert!(!is_there(".nudge-test-uvwxyz"));
    }
}
