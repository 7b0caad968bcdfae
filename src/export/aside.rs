//! A folder that is whole or not there: written beside its place, synced, then renamed. An earlier export is exchanged
//! for it, and of that only what an export wrote is removed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use files::FolderAside;
use serde_json::Value;

use crate::ExportError;

/// The report card; what it says of itself marks a folder as an export of ours.
pub const REPORT: &str = "report.json";

/// A folder on its way to its place. What was written is removed unless [`Aside::finish`] is reached.
pub struct Aside {
    target: PathBuf,
    overwrite: bool,
    folder: FolderAside,
}

/// How the name of a folder in the making begins.
const MAKING: &str = ".nudge-export-";
/// In such a folder: an earlier export that is on its way out.
const EARLIER: &str = "earlier";

/// What stands where an export is to go.
enum Place {
    /// Nothing, or an empty folder.
    Free,
    /// An earlier export and nothing else: its files.
    Export(BTreeSet<PathBuf>),
    /// An earlier export, and this, which it did not write.
    Shared(PathBuf),
    /// Somebody else's.
    Theirs,
}

impl Aside {
    /// Refuses a target that holds something, unless it is an earlier export of ours and `overwrite` says so.
    pub fn new(target: &Path, overwrite: bool) -> Result<Self, ExportError> {
        let mut target = std::path::absolute(target).map_err(write_error(target))?;
        // A link stays: what it leads to is written.
        if target.is_symlink()
            && let Ok(real) = fs::canonicalize(&target)
        {
            target = real;
        }
        earlier(&target, overwrite)?;
        let parent = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(write_error(parent))?;
        let folder = FolderAside::new(parent, MAKING, Some(EARLIER)).map_err(write_error(parent))?;
        Ok(Self { target, overwrite, folder })
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
        let sync = || -> io::Result<()> {
            for file in files_below(&written)? {
                File::open(written.join(file))?.sync_all()?;
            }
            sync_folder(&written)
        };
        sync().map_err(write_error(&written))?;
        // Looked at once more: the export took its time.
        let earlier = earlier(&self.target, self.overwrite)?;
        let failed = write_error(&self.target);
        match &earlier {
            None => {
                // Only an empty one goes.
                fs::remove_dir(&self.target).ok();
                fs::rename(&written, &self.target).map_err(failed)?;
            }
            Some(_) => exchange(&written, &self.target, &self.folder.path().join(EARLIER)).map_err(failed)?,
        }
        if let Some(parent) = self.target.parent() {
            sync_folder(parent).map_err(write_error(parent))?;
        }
        if let Some(files) = earlier
            && let Err(error) = remove(&written, &files)
        {
            // The export is in its place; what it took the place of is nobody's loss but disk.
            let kept = self.folder.keep();
            tracing::warn!(
                "The earlier export could not be removed ({error}); what is left of it is in {}",
                kept.display()
            );
        }
        Ok(self.target)
    }
}

/// The files of the export that may be replaced; an error where something else is in the way.
fn earlier(target: &Path, overwrite: bool) -> Result<Option<BTreeSet<PathBuf>>, ExportError> {
    let path = target.to_owned();
    match place(target) {
        Place::Free => Ok(None),
        Place::Export(files) if overwrite => Ok(Some(files)),
        Place::Export(_) => Err(ExportError::Occupied { path, ours: true }),
        Place::Shared(other) => Err(ExportError::Shared { path, other }),
        Place::Theirs => Err(ExportError::Occupied { path, ours: false }),
    }
}

fn place(target: &Path) -> Place {
    let Ok(mut entries) = fs::read_dir(target) else {
        return if fs::symlink_metadata(target).is_ok() { Place::Theirs } else { Place::Free };
    };
    if entries.next().is_none() {
        return Place::Free;
    }
    let (Some(wrote), Ok(there)) = (files_of_export(target), files_below(target)) else {
        return Place::Theirs;
    };
    match there.difference(&wrote).next() {
        Some(other) => Place::Shared(other.clone()),
        None => Place::Export(there),
    }
}

/// The files that an export says it wrote; nothing where the folder is none of ours.
fn files_of_export(folder: &Path) -> Option<BTreeSet<PathBuf>> {
    let text = files::read_text(&files::inside(folder, REPORT).ok()?, files::SETTINGS).ok()?;
    let report: Value = serde_json::from_str(&text).ok()?;
    let ours = report["made_by"].as_str()?.starts_with("nudge ");
    let names = report["files"].as_array()?.iter();
    ours.then(|| names.filter_map(|name| Some(PathBuf::from(name.as_str()?))).collect())
}

/// Everything below a folder that is no folder itself, by its path from there. Links are not followed.
pub(super) fn files_below(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// Removes these files and the folders that are empty then.
fn remove(folder: &Path, files: &BTreeSet<PathBuf>) -> io::Result<()> {
    for file in files {
        fs::remove_file(folder.join(file))?;
        for inside in file.ancestors().skip(1).filter(|inside| *inside != Path::new("")) {
            // Fails until its last file is gone.
            fs::remove_dir(folder.join(inside)).ok();
        }
    }
    fs::remove_dir(folder)
}

/// Puts each of two folders in the place of the other: at one stroke where the system knows how, so that at every
/// moment one of them is whole in its place; else by way of `aside`.
fn exchange(new: &Path, old: &Path, aside: &Path) -> io::Result<()> {
    if exchange_at_once(new, old).is_ok() {
        return Ok(());
    }
    fs::rename(old, aside)?;
    if let Err(error) = fs::rename(new, old) {
        fs::rename(aside, old)?;
        return Err(error);
    }
    fs::rename(aside, new)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange_at_once(new: &Path, old: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange_at_once(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes a folder's names last, where the system allows it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Wraps an I/O error with the path it is about.
pub fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Write { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An export of one file in a folder of its own and one beside it.
    fn export(target: &Path, overwrite: bool, text: &str) -> Result<PathBuf, ExportError> {
        let aside = Aside::new(target, overwrite)?;
        let path = aside.path();
        fs::create_dir_all(path.join("inner")).unwrap();
        fs::write(path.join("inner/weights"), text).unwrap();
        let report = serde_json::json!({"made_by": "nudge 0", "files": [REPORT, "inner/weights"]});
        fs::write(path.join(REPORT), report.to_string()).unwrap();
        aside.finish()
    }

    fn left(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn an_earlier_export_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        fs::create_dir(&target).unwrap();
        export(&target, false, "old").unwrap();
        assert!(matches!(export(&target, false, "new"), Err(ExportError::Occupied { ours: true, .. })));
        export(&target, true, "new").unwrap();
        assert_eq!(fs::read_to_string(target.join("inner/weights")).unwrap(), "new");
        assert_eq!(left(root.path()), ["out"], "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_killed_export_left_goes_with_the_next_one() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        let live = Aside::new(&root.path().join("other"), false).unwrap();
        for name in [".nudge-export-abcdef", ".nudge-export-uvwxyz/earlier", ".nudge-export-of-mine"] {
            fs::create_dir_all(root.path().join(name).join("export")).unwrap();
        }
        export(&target, false, "new").unwrap();
        let mut kept = left(root.path());
        kept.sort();
        let making = live.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut right =
            vec![making, ".nudge-export-uvwxyz".to_owned(), ".nudge-export-of-mine".to_owned(), "out".to_owned()];
        right.sort();
        assert_eq!(kept, right);
    }

    #[test]
    fn a_report_that_is_not_ours_marks_nothing() {
        let root = tempfile::tempdir().unwrap();
        for report in [
            "{}",
            "nonsense",
            r#"{"made_by": "somebody", "files": ["report.json"]}"#,
            r#"{"made_by": "nudge 0"}"#,
            r#"{"made_by": ["nudge 0"], "files": ["report.json"]}"#,
        ] {
            fs::write(root.path().join(REPORT), report).unwrap();
            let error = export(root.path(), true, "new").unwrap_err();
            assert!(matches!(error, ExportError::Occupied { ours: false, .. }), "{report}: {error}");
            assert_eq!(fs::read_to_string(root.path().join(REPORT)).unwrap(), report);
        }
    }

    #[test]
    fn what_an_export_did_not_write_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        export(&target, false, "old").unwrap();
        for other in ["thesis.txt", "inner/notes", "more/deep/notes"] {
            let file = target.join(other);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "years of work").unwrap();
            let error = export(&target, true, "new").unwrap_err().to_string();
            assert!(error.contains(other), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), "years of work");
            assert_eq!(fs::read_to_string(target.join("inner/weights")).unwrap(), "old", "the old export is whole");
            fs::remove_file(&file).unwrap();
        }
        // What comes while the export is under way.
        fs::remove_dir_all(target.join("more")).unwrap();
        let aside = Aside::new(&target, true).unwrap();
        fs::create_dir(aside.path()).unwrap();
        fs::write(target.join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(aside.finish(), Err(ExportError::Shared { .. })));
        assert!(target.join("thesis.txt").is_file() && target.join("inner/weights").is_file());
        assert_eq!(left(root.path()), ["out"]);
    }

    #[test]
    fn two_folders_change_places_with_and_without_the_systems_help() {
        let root = tempfile::tempdir().unwrap();
        let [new, old, aside] = ["new", "old", "aside"].map(|name| root.path().join(name));
        for folder in [&new, &old] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("name"), folder.file_name().unwrap().as_encoded_bytes()).unwrap();
        }
        exchange(&new, &old, &aside).unwrap();
        assert_eq!(fs::read_to_string(old.join("name")).unwrap(), "new");
        if cfg!(target_os = "linux") {
            exchange_at_once(&new, &old).unwrap();
            assert_eq!(fs::read_to_string(old.join("name")).unwrap(), "old");
        }
        // A new one that is not there takes nothing away.
        fs::remove_dir_all(&new).unwrap();
        exchange(&new, &old, &aside).unwrap_err();
        assert!(old.join("name").is_file() && !aside.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_stays_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for (overwrite, text) in [(false, "old"), (true, "new")] {
            export(&link, overwrite, text).unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read_to_string(real.join("inner/weights")).unwrap(), text);
        }
        // A link inside an export is none of its files.
        fs::remove_file(real.join("inner/weights")).unwrap();
        std::os::unix::fs::symlink("/etc/hosts", real.join("inner/other")).unwrap();
        assert!(matches!(export(&link, true, "newer"), Err(ExportError::Shared { .. })));
    }
}
