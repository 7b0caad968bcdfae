//! An open project: its document, its folders, its settings.

use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension as _, Params, Row, Transaction, TransactionBehavior, params};

use super::{RunId, StoreError, owner::Owner, rows::rows};

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// What a project is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectSettings {
    pub name: String,
    /// Hugging Face folder of the model to tune. Stored relative to the project when it lies inside it.
    pub model: PathBuf,
    /// `run.toml` that a new run starts from; empty = the program's defaults.
    pub run_toml: String,
}

/// An open project. Every thread opens its own.
pub struct Project {
    pub(super) dir: PathBuf,
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    /// Only to be looked at: its folder cannot be written to.
    pub(super) read_only: bool,
    pub(super) keep: Cell<Option<Keep>>,
    /// Taken when this process first gets a run in hand.
    pub(super) owner: RefCell<Option<Arc<Owner>>>,
}

/// What must survive before a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// A loss of power: what a person did.
    PowerLoss,
    /// The death of the process: what a run measured, and could measure again.
    Kill,
}

impl Project {
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether everything can be looked at and nothing changed: the folder, or the medium it is on, cannot be written
    /// to.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// How long a write waits for another program that is writing, before it is [`StoreError::Locked`].
    pub fn set_patience(&self, patience: Duration) -> Result<()> {
        self.read(|connection| Ok(connection.busy_timeout(patience)?))
    }

    /// Another number than last time: somebody else has written to the document since. Costs next to nothing.
    pub fn data_version(&self) -> Result<i64> {
        self.read(|connection| Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?))
    }

    pub fn settings(&self) -> Result<ProjectSettings> {
        let text = |key| Ok::<_, StoreError>(self.setting(key)?.unwrap_or_default());
        let model = PathBuf::from(text("model")?);
        Ok(ProjectSettings {
            name: text("name")?,
            model: if model.as_os_str().is_empty() { model } else { self.dir.join(model) },
            run_toml: text("run_toml")?,
        })
    }

    pub fn set_settings(&self, settings: &ProjectSettings) -> Result<()> {
        let ProjectSettings { name, model, run_toml } = settings;
        let model = if model.as_os_str().is_empty() {
            PathBuf::new()
        } else {
            let model = std::path::absolute(model).unwrap_or_else(|_| model.clone());
            model.strip_prefix(&self.dir).map_or(model.clone(), Path::to_owned)
        };
        self.write(Keep::PowerLoss, |tx| {
            for (key, value) in [("name", name.as_str()), ("model", &model.to_string_lossy()), ("run_toml", run_toml)] {
                put_setting(tx, key, value)?;
            }
            Ok(())
        })
    }

    /// Free-form settings by name, e.g. what the window remembers about this project.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        self.read(|connection| {
            let value = connection
                .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            Ok(value)
        })
    }

    pub fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| put_setting(tx, key, value))
    }

    /// `runs/<id>`, whether or not it exists.
    pub fn run_dir(&self, run: RunId) -> PathBuf {
        self.dir.join("runs").join(run.0.to_string())
    }

    /// A file of a run is no place for something that is written elsewhere: it is refused, before anything takes its
    /// place.
    pub fn refuse_own(&self, path: &Path) -> Result<()> {
        // What is not there cannot be lost.
        let (Ok(target), Ok(runs)) = (path.canonicalize(), self.dir.join("runs").canonicalize()) else {
            return Ok(());
        };
        if target.starts_with(runs) { Err(StoreError::OwnFile { path: path.to_owned() }) } else { Ok(()) }
    }

    /// Reads; several statements that must agree belong into one [`Self::snapshot`].
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&self.connection).map_err(|error| error.at(&self.path))
    }

    /// All rows of a query, see [`rows`].
    pub(super) fn read_rows<T, All: FromIterator<T>>(
        &self,
        sql: &str,
        params: impl Params,
        of: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<All> {
        self.read(|connection| rows(connection, sql, params, of))
    }

    /// Reads from one state of the document, whatever others write meanwhile.
    pub(super) fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read(|connection| {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// All or nothing: an error rolls back.
    pub(super) fn write<T>(&self, keep: Keep, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        if self.read_only {
            return Err(StoreError::ReadOnly(self.dir.clone()));
        }
        self.read(|connection| {
            if self.keep.get() != Some(keep) {
                let synchronous = match keep {
                    Keep::PowerLoss => "FULL",
                    Keep::Kill => "NORMAL",
                };
                connection.pragma_update(None, "synchronous", synchronous)?;
                self.keep.set(Some(keep));
            }
            // Immediate: waiting for another writer happens here, where nothing has been read yet.
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// This process, as others see it in the runs it has in hand.
    pub(super) fn owner(&self) -> Result<Arc<Owner>> {
        let mut owner = self.owner.borrow_mut();
        if let Some(owner) = &*owner {
            return Ok(Arc::clone(owner));
        }
        let taken = Owner::of(&self.dir).map_err(StoreError::io("lock a file in", &self.dir.join("runs")))?;
        *owner = Some(Arc::clone(&taken));
        Ok(taken)
    }
}

pub(super) fn put_setting(tx: &Transaction<'_>, key: &str, value: &str) -> Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

/// Unix time in milliseconds; 0 on a machine whose clock stands before 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::opening::DOCUMENT;
    use ::data::{Change, Edit, Pair, PairId, Prompt};

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        (dir, project)
    }

    fn import(prompt: &str, count: usize) -> Change {
        let pair = Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &["a", "b"]);
        Change::new("Import", vec![Edit::add(pair); count])
    }

    #[test]
    fn a_full_disk_is_a_sentence_and_loses_nothing() {
        let (_dir, mut project) = project();
        project.apply(&import("small", 3)).unwrap();
        let pages: i64 = project.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |project: &Project, pages: i64| {
            project.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        };
        limit(&project, pages + 2);
        let error = project.apply(&import("much", 2000)).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull(_)), "{error}");
        assert_eq!(project.counts().unwrap().total(), 3);
        limit(&project, i64::from(u32::MAX) - 1);
        project.apply(&import("much", 2000)).unwrap();
        assert_eq!(project.counts().unwrap().total(), 2003);
    }

    #[test]
    fn a_writer_that_waits_too_long_says_so() {
        let (dir, mut project) = project();
        let other = Connection::open(dir.path().join(DOCUMENT)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        project.connection.busy_timeout(Duration::ZERO).unwrap();
        let error = project.apply(&import("p", 1)).unwrap_err();
        assert!(matches!(error, StoreError::Locked(_)), "{error}");
        other.execute_batch("ROLLBACK").unwrap();
        project.apply(&import("p", 1)).unwrap();
    }

    #[test]
    fn labels_are_synced_and_measurements_are_not_waited_for() {
        let (_dir, mut project) = project();
        let synchronous = |project: &Project| -> i64 {
            project.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
        };
        project.write(Keep::Kill, |_| Ok(())).unwrap();
        assert_eq!(synchronous(&project), 1);
        project.apply(&import("p", 1)).unwrap();
        assert_eq!(synchronous(&project), 2);
    }

    #[test]
    fn a_model_inside_the_project_moves_with_it() {
        let tmp = tempfile::tempdir().unwrap();
        let (old, new) = (tmp.path().join("old"), tmp.path().join("new"));
        let settings =
            |model: PathBuf| ProjectSettings { name: "Inn".to_owned(), model, run_toml: "[train]".to_owned() };
        drop(Project::create(&old, &settings(old.join("model"))).unwrap());
        fs::rename(&old, &new).unwrap();
        let project = Project::open(&new).unwrap();
        assert_eq!(project.settings().unwrap(), settings(new.join("model")));
        let outside = settings(tmp.path().join("models/qwen"));
        project.set_settings(&outside).unwrap();
        assert_eq!(project.settings().unwrap(), outside);
        project.set_setting("filter", "a").unwrap();
        assert_eq!(project.setting("filter").unwrap().as_deref(), Some("a"));
        assert_eq!(project.setting("none").unwrap(), None);
    }
}
