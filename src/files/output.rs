//! A file that is written where a person says: whole or not at all, through links, and never in place of what is no
//! file.
//!
//! A regular file is written beside its place and renamed over it, so that a full disk or a kill leaves the old one. To
//! rename over anything else would take it away: a link, a pipe that somebody reads, a device of the machine. A pipe or
//! a terminal is written into instead.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

use super::database;

/// A file that cannot be written, or should not be.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{path} is there already")]
    Exists { path: PathBuf },
    #[error("{path} cannot be written to: {reason}")]
    Unfit { path: PathBuf, reason: &'static str },
    #[error("Could not write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// What a file is called on its way, before six letters or digits.
const ASIDE: &str = ".nudge-";
/// What SQLite keeps beside a file.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];
/// A file on its way that nobody has written to for so long was left by a process that was killed.
const LEFT: Duration = Duration::from_hours(1);

/// Links that lead to links: more than this are a circle.
const LINKS: usize = 40;

/// What stands where a file is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputPlace {
    /// Nothing yet. The path is the one that links lead to.
    Free(PathBuf),
    /// A file, reached through all links.
    Taken(PathBuf),
    /// A pipe, a terminal or the like.
    Stream,
}

impl OutputPlace {
    /// Looks, and follows links. A folder or a disk is refused.
    pub fn of(path: &Path) -> Result<Self, WriteError> {
        let failed = |source| WriteError::Write { path: path.to_owned(), source };
        let unfit = |reason| Err(WriteError::Unfit { path: path.to_owned(), reason });
        let Some(target) = follow(path).map_err(failed)? else {
            return Ok(Self::Stream);
        };
        match fs::metadata(&target) {
            Ok(found) if found.is_file() && found.permissions().readonly() => unfit("it is protected from writing"),
            Ok(found) if found.is_file() => Ok(Self::Taken(target)),
            Ok(found) if found.is_dir() => unfit("it is a folder; name a file"),
            Ok(found) if is_disk(&found) => unfit("it is a disk; name a file"),
            Ok(_) => Ok(Self::Stream),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Free(target)),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A file on its way to its place. What was written is removed unless [`Output::finish`] is reached.
pub struct Output {
    path: PathBuf,
    way: Way,
}

enum Way {
    Aside { file: BufWriter<NamedTempFile>, target: PathBuf, old: Option<Box<Metadata>> },
    Through(BufWriter<File>),
}

impl Output {
    /// Refuses with [`WriteError::Exists`] to `replace` a file unasked, and a database whatever is asked.
    pub fn create(path: &Path, replace: bool) -> Result<Self, WriteError> {
        Self::over(path, replace, None)
    }

    /// The same for a database of SQLite, which may take the place of one with the same application id.
    pub fn create_database(path: &Path, replace: bool, id: u32) -> Result<Self, WriteError> {
        Self::over(path, replace, Some(id))
    }

    fn over(path: &Path, replace: bool, replaceable: Option<u32>) -> Result<Self, WriteError> {
        let failed = |source| WriteError::Write { path: path.to_owned(), source };
        let unfit = |reason| Err(WriteError::Unfit { path: path.to_owned(), reason });
        let place = OutputPlace::of(path)?;
        if let OutputPlace::Free(target) | OutputPlace::Taken(target) = &place
            && database::needs(target).map_err(failed)?
        {
            return unfit("it belongs to the database beside it; name another file");
        }
        let (target, old) = match place {
            OutputPlace::Taken(_) if !replace => return Err(WriteError::Exists { path: path.to_owned() }),
            OutputPlace::Taken(target)
                if database::id(&target).map_err(failed)?.is_some_and(|id| Some(id) != replaceable) =>
            {
                return unfit("it is a database, which nothing here replaces; name another file");
            }
            OutputPlace::Taken(target) => {
                let old = Box::new(fs::metadata(&target).map_err(failed)?);
                (target, Some(old))
            }
            OutputPlace::Free(target) => (target, None),
            OutputPlace::Stream => {
                // Appending, because standard output may be a file that holds something already.
                let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
                return Ok(Self { path: path.to_owned(), way: Way::Through(BufWriter::new(file)) });
            }
        };
        clear_left(folder_of(&target));
        let file = aside(folder_of(&target)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), way: Way::Aside { file: BufWriter::new(file), target, old } })
    }

    /// The empty file that is going to its place, for who writes a file by its name; a pipe or a terminal has none.
    pub fn file(&self) -> Option<&Path> {
        match &self.way {
            Way::Aside { file, .. } => Some(file.get_ref().path()),
            Way::Through(_) => None,
        }
    }

    /// On the disk, and in its place.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { path, way } = self;
        let failed = |source| WriteError::Write { path: path.clone(), source };
        let (file, target, old) = match way {
            Way::Through(mut file) => return file.flush().map_err(failed),
            Way::Aside { file, target, old } => (file, target, old),
        };
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        if let Some(old) = &old {
            keep_rights(file.as_file(), old).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        if old.is_some() {
            file.persist(&target).map_err(|error| failed(error.error))?;
            return Ok(());
        }
        match file.persist_noclobber(&target) {
            Ok(_) => Ok(()),
            Err(_) if fs::symlink_metadata(&target).is_ok() => Err(WriteError::Exists { path }),
            // Not every file system can rename without replacing.
            Err(error) => error.file.persist(&target).map(drop).map_err(|error| failed(error.error)),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.way {
            Way::Aside { file, .. } => file.write(bytes),
            Way::Through(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.way {
            Way::Aside { file, .. } => file.flush(),
            Way::Through(file) => file.flush(),
        }
    }
}

/// Where the links of `path` lead, whether or not something is there; absent for a file that a process holds open, such
/// as `/dev/stdout`, which no rename can replace.
fn follow(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Some(name) = path.file_name().map(ToOwned::to_owned) else {
            return Ok(Some(path));
        };
        let folder = fs::canonicalize(folder_of(&path))?;
        if cfg!(target_os = "linux") && folder.starts_with("/proc") {
            return Ok(None);
        }
        let there = folder.join(name);
        match fs::symlink_metadata(&there) {
            Ok(found) if found.is_symlink() => path = folder.join(fs::read_link(&there)?),
            _ => return Ok(Some(there)),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes away what killed processes left in this folder, as far as we may: none of it was asked for.
fn clear_left(folder: &Path) {
    let is_ours = |name: &str| {
        let name = BESIDE.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        let rest = name.strip_prefix(ASIDE);
        rest.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = |about: &Metadata| {
            about.is_file() && about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|passed| passed > LEFT))
        };
        if entry.file_name().to_str().is_some_and(is_ours) && entry.metadata().is_ok_and(|about| left(&about)) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// A file with the rights that any new file gets here.
fn aside(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Rights and, as far as we may, the owner of the file that is replaced.
fn keep_rights(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid())).or_else(|_| fchown(file, None, Some(old.gid()))).ok();
        }
    }
    file.set_permissions(old.permissions())
}

#[cfg(unix)]
fn is_disk(found: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_disk(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str, replace: bool) -> Result<(), WriteError> {
        let mut output = Output::create(path, replace)?;
        output.write_all(text.as_bytes()).unwrap();
        output.finish()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn dl20_a_file_is_replaced_only_when_asked_and_only_by_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, "one", false).unwrap();
        assert!(matches!(write(&path, "two", false), Err(WriteError::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        // Not finished: nothing happened.
        let mut output = Output::create(&path, true).unwrap();
        output.write_all(b"half").unwrap();
        drop(output);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(&path, "two", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        // Somebody was quicker.
        let late = dir.path().join("late");
        let output = Output::create(&late, false).unwrap();
        fs::write(&late, "theirs").unwrap();
        assert!(matches!(output.finish(), Err(WriteError::Exists { .. })));
        assert_eq!(fs::read_to_string(&late).unwrap(), "theirs");
        assert_eq!(names(dir.path()), ["file", "late"]);
        assert!(write(dir.path(), "", true).unwrap_err().to_string().contains("folder"));
        assert!(write(&dir.path().join("no/folder"), "", true).is_err());
    }

    /// `kill -9` while a bundle was written left this beside its place.
    #[test]
    fn what_killed_processes_left_is_cleared_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let left = [".nudge-aB3xyz", ".nudge-aB3xyz-journal", ".nudge-aB3xyz-wal"];
        let others = [".nudge-notes.txt", ".nudge-abc", "nudge-aB3xyz", ".nudge-export-abcdef"];
        for name in left.iter().chain(&others) {
            let file = File::create(at(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - 2 * LEFT).unwrap();
        }
        // Another process is at it.
        fs::write(at(".nudge-qwerty"), "half").unwrap();
        write(&at("file"), "whole", false).unwrap();
        let mut expected: Vec<&str> = others.into_iter().chain([".nudge-qwerty", "file"]).collect();
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn a_database_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("project.sqlite");
        fs::write(&path, "SQLite format 3\0 and all that somebody has").unwrap();
        assert!(write(&path, "report", true).unwrap_err().to_string().contains("database"));
        assert!(fs::read(&path).unwrap().starts_with(b"SQLite"));
        // What it keeps beside itself is it too.
        for beside in ["project.sqlite-wal", "project.sqlite-shm", "project.sqlite-journal"] {
            let beside = dir.path().join(beside);
            for there in [false, true] {
                let error = write(&beside, "report", true).unwrap_err().to_string();
                assert!(error.contains("belongs to the database"), "{error}");
                assert_eq!(beside.exists(), there);
                fs::write(&beside, "the newest changes").unwrap();
            }
        }
        write(&dir.path().join("notes-wal"), "of no database", false).unwrap();
    }

    #[test]
    fn a_database_takes_the_place_of_one_of_its_kind_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        for (id, is_replaced) in [(7_u32, true), (8, false)] {
            let mut old = b"SQLite format 3\0".to_vec();
            old.resize(68, 0);
            old.extend(id.to_be_bytes());
            fs::write(&path, &old).unwrap();
            match Output::create_database(&path, true, 7) {
                Ok(output) => {
                    fs::write(output.file().unwrap(), "new").unwrap();
                    output.finish().unwrap();
                }
                Err(error) => assert!(error.to_string().contains("database"), "{error}"),
            }
            assert_eq!(fs::read(&path).unwrap() == b"new", is_replaced);
        }
        assert_eq!(names(dir.path()), ["kept"]);
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        use super::*;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        }

        #[test]
        fn dh1_a_link_is_written_through() {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            fs::create_dir(at("folder")).unwrap();
            fs::write(at("folder/real"), "precious").unwrap();
            symlink("folder/real", at("link")).unwrap();
            symlink("link", at("link2")).unwrap();
            assert!(matches!(write(&at("link2"), "x", false), Err(WriteError::Exists { .. })));
            write(&at("link2"), "new", true).unwrap();
            assert_eq!(fs::read_to_string(at("folder/real")).unwrap(), "new");
            assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
            assert_eq!(names(&at("folder")), ["real"]);
            // A link to what is not there yet.
            symlink("folder/later", at("ahead")).unwrap();
            write(&at("ahead"), "there", false).unwrap();
            assert_eq!(fs::read_to_string(at("folder/later")).unwrap(), "there");
            symlink("circle", at("circle")).unwrap();
            assert!(write(&at("circle"), "", true).unwrap_err().to_string().contains("circle"));
        }

        #[test]
        fn dh1_the_rights_are_those_of_any_new_file_or_of_the_old_one() {
            let dir = tempfile::tempdir().unwrap();
            let (ours, usual) = (dir.path().join("ours"), dir.path().join("usual"));
            write(&ours, "", false).unwrap();
            fs::write(&usual, "").unwrap();
            assert_eq!(mode(&ours), mode(&usual));
            fs::set_permissions(&ours, fs::Permissions::from_mode(0o640)).unwrap();
            write(&ours, "x", true).unwrap();
            assert_eq!(mode(&ours), 0o640);
            fs::set_permissions(&ours, fs::Permissions::from_mode(0o440)).unwrap();
            assert!(write(&ours, "y", true).unwrap_err().to_string().contains("protected"));
        }

        #[test]
        fn dh1_a_pipe_gets_what_is_written_and_stays_a_pipe() {
            let dir = tempfile::tempdir().unwrap();
            let pipe = dir.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
                assert_eq!(OutputPlace::of(&pipe).unwrap(), OutputPlace::Stream);
                write(&pipe, "through", false).unwrap();
                assert_eq!(reader.join().unwrap(), "through");
            });
            assert_eq!(names(dir.path()), ["pipe"]);
        }

        #[cfg(target_os = "linux")]
        #[test]
        fn dh1_a_device_is_written_into() {
            // Through a link, so that a mistake here would only take the link.
            let dir = tempfile::tempdir().unwrap();
            for (name, device) in [("null", "/dev/null"), ("full", "/dev/full")] {
                symlink(device, dir.path().join(name)).unwrap();
                assert_eq!(OutputPlace::of(&dir.path().join(name)).unwrap(), OutputPlace::Stream);
            }
            write(&dir.path().join("null"), "x", false).unwrap();
            assert!(write(&dir.path().join("full"), "x", false).unwrap_err().to_string().contains("full"));
            // What a process holds open is appended to.
            let path = dir.path().join("held");
            let held = File::create(&path).unwrap();
            fs::write(&path, "before ").unwrap();
            let number = std::os::fd::AsRawFd::as_raw_fd(&held);
            write(Path::new(&format!("/proc/self/fd/{number}")), "after", false).unwrap();
            write(Path::new(&format!("/dev/fd/{number}")), "!", false).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "before after!");
        }
    }
}
