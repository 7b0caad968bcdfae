//! Making a project, and opening one: to work in it, or only to look at it where nothing can be written.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Project, ProjectSettings, StoreError,
    bundle::LOOK_ONLY,
    project::Result,
    schema::{self, Version},
};

/// The document's name in the project's folder.
pub(super) const DOCUMENT: &str = "project.sqlite";
/// What SQLite keeps beside it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Long enough for any change of another process to end.
const PATIENCE: Duration = Duration::from_secs(30);

impl Project {
    /// Makes the folder, if need be, and an empty project in it. When that fails nothing of it stays.
    pub fn create(dir: &Path, settings: &ProjectSettings) -> Result<Self> {
        let new = Traces::before(dir);
        let made = Self::make(dir, settings);
        if made.is_err() {
            new.remove();
        }
        made
    }

    fn make(dir: &Path, settings: &ProjectSettings) -> Result<Self> {
        let path = dir.join(DOCUMENT);
        fs::create_dir_all(dir.join("runs")).map_err(StoreError::io("make the folder", dir))?;
        match fs::File::create_new(&path) {
            Ok(_) => {}
            // What a process leaves that was killed right here can be used again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !is_unfinished(&path) {
                    return Err(StoreError::AlreadyAProject(dir.to_owned()));
                }
            }
            Err(error) => return Err(StoreError::io("make a file in", dir)(error)),
        }
        let project = Self::connect(dir, true)?;
        project.set_settings(settings)?;
        Ok(project)
    }

    /// Opens what [`Self::create`] made, upgrading an older document. Runs whose process is gone are marked
    /// [`super::RunStatus::Interrupted`]. Where nothing can be written it is opened to be looked at
    /// ([`Self::is_read_only`]).
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.join(DOCUMENT).is_file() {
            return Err(StoreError::NotAProject(dir.to_owned()));
        }
        match Self::connect(dir, false) {
            // It came out of a bundle: what the run was is not to be changed.
            Ok(project) if project.setting(LOOK_ONLY)?.is_some() => Self::connect_to_look(dir),
            Ok(project) => {
                match project.mark_interrupted() {
                    // Can be said the next time; until then everything can be looked at.
                    Err(error @ (StoreError::DiskFull(_) | StoreError::Locked(_))) => tracing::warn!("{error}"),
                    marked => {
                        marked?;
                    }
                }
                Ok(project)
            }
            Err(StoreError::ReadOnly(_)) => Self::connect_to_look(dir),
            Err(error) => Err(error),
        }
    }

    /// Whether a folder looks like a project, without opening it.
    pub fn is_project(dir: &Path) -> bool {
        dir.join(DOCUMENT).is_file()
    }

    fn connect(dir: &Path, fresh: bool) -> Result<Self> {
        let (dir, path) = places(dir);
        let connect = || -> Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            if connection.is_readonly("main")? {
                return Err(StoreError::ReadOnly(dir.clone()));
            }
            if fresh {
                // Pairs are some thousand bytes long: in larger pages less is left over between them.
                connection.pragma_update(None, "page_size", 8192)?;
            }
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            // What a large import leaves behind is given back to the disk.
            connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
            set_caches(&connection)?;
            verdict(schema::upgrade(&connection, fresh)?, &dir, &path)?;
            Ok(connection)
        };
        let connection = connect().map_err(|error| error.at(&path))?;
        Ok(Self::opened(connection, dir, path, false))
    }

    fn connect_to_look(dir: &Path) -> Result<Self> {
        let (dir, path) = places(dir);
        let look = |connection: rusqlite::Result<Connection>| -> Result<Connection> {
            let connection = connection?;
            connection.busy_timeout(PATIENCE)?;
            set_caches(&connection)?;
            verdict(schema::version(&connection)?, &dir, &path)?;
            Ok(connection)
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = look(Connection::open_with_flags(&path, flags)).or_else(|error| match error {
            // Even a reader needs to make files beside the document, unless it may take for granted that nobody writes.
            // What a log beside it holds would be passed over then.
            StoreError::Database { .. } if !beside(&path, "-wal").metadata().is_ok_and(|log| log.len() > 0) => {
                look(Connection::open_with_flags(immutable(&path), flags | OpenFlags::SQLITE_OPEN_URI))
            }
            other => Err(other),
        });
        let connection = connection.map_err(|error| error.at(&path))?;
        Ok(Self::opened(connection, dir, path, true))
    }

    fn opened(connection: Connection, dir: PathBuf, path: PathBuf, read_only: bool) -> Self {
        Self { connection, dir, path, read_only, keep: Cell::new(None), owner: RefCell::new(None) }
    }
}

/// The folder and its document; absolute, so that the project stays itself when the process changes its folder.
fn places(dir: &Path) -> (PathBuf, PathBuf) {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let path = dir.join(DOCUMENT);
    (dir, path)
}

fn set_caches(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn verdict(version: Version, dir: &Path, path: &Path) -> Result<()> {
    match version {
        Version::Current => Ok(()),
        Version::Older => Err(StoreError::NeedsUpgrade(path.to_owned())),
        Version::Foreign => Err(StoreError::NotAProject(dir.to_owned())),
        Version::Newer { found, known } => Err(StoreError::Newer { path: path.to_owned(), found, known }),
    }
}

/// A document that was begun and has nothing in it yet.
fn is_unfinished(path: &Path) -> bool {
    let is_empty = |connection: Connection| -> rusqlite::Result<bool> {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(tables == 0 && schema::version(&connection)? == Version::Foreign)
    };
    fs::metadata(path).is_ok_and(|file| file.len() == 0)
        || Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(is_empty).unwrap_or(false)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The name by which SQLite opens a file that nobody changes.
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    let text = path.to_string_lossy();
    // A Windows path begins with its drive.
    if !text.starts_with('/') {
        uri.push('/');
    }
    for byte in text.bytes() {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'/' | b':' | b'-' | b'_' | b'.' | b'~' => uri.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => write!(uri, "%{byte:02X}").unwrap_or_default(),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// What was not there before a project was made.
struct Traces {
    dir: PathBuf,
    /// The folders from `dir` upwards that are new.
    folders: Vec<PathBuf>,
    is_new: bool,
    runs_are_new: bool,
}

impl Traces {
    fn before(dir: &Path) -> Self {
        let folders = dir.ancestors().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            folders: folders.take_while(|folder| !folder.exists()).map(Path::to_owned).collect(),
            is_new: !dir.join(DOCUMENT).exists(),
            runs_are_new: !dir.join("runs").exists(),
            dir: dir.to_owned(),
        }
    }

    /// Takes away what is new; a folder only if nothing else is in it.
    fn remove(self) {
        if self.is_new {
            let document = self.dir.join(DOCUMENT);
            let files = BESIDE.iter().map(|suffix| beside(&document, suffix)).chain([document.clone()]);
            for file in files {
                fs::remove_file(file).ok();
            }
        }
        let runs = Some(self.dir.join("runs")).filter(|_| self.runs_are_new);
        for folder in runs.into_iter().chain(self.folders) {
            fs::remove_dir(folder).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_create_left_can_be_created_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(DOCUMENT), "").unwrap();
        let settings = ProjectSettings::default();
        assert!(Project::create(dir.path(), &settings).is_ok());
        assert!(Project::create(dir.path(), &settings).is_err());
    }

    #[test]
    fn dl1_what_a_kill_in_the_middle_left_can_be_created_again_too() {
        let dir = tempfile::tempdir().unwrap();
        let connection = Connection::open(dir.path().join(DOCUMENT)).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        drop(connection);
        assert!(fs::metadata(dir.path().join(DOCUMENT)).unwrap().len() > 0);
        assert!(Project::create(dir.path(), &ProjectSettings::default()).is_ok());
    }

    #[test]
    fn dl1_another_programs_file_is_neither_used_nor_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DOCUMENT);
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
        let made = Project::create(dir.path(), &ProjectSettings::default());
        assert!(matches!(made, Err(StoreError::AlreadyAProject(_))));
        assert!(path.is_file());
        assert!(!dir.path().join("runs").exists());
    }

    #[test]
    fn a_uri_spells_every_path() {
        assert_eq!(immutable(Path::new("/a b/ü?#%.x")), "file:/a%20b/%C3%BC%3F%23%25.x?immutable=1");
    }
}
