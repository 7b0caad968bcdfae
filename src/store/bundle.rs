//! A run in one file, to be looked at elsewhere.
//!
//! The file is a SQLite document as a project has it, with this run alone in it, the pairs and texts as the run saw
//! them, and one more table, `bundle_files`: the files of the run's folder in pieces, each with its checksum. It is
//! opened by being unpacked into a folder, which is a project that can be looked at and not changed.

mod unpack;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use files::Output;
use rusqlite::{Connection, ErrorCode, params};

use super::{Project, RunId, StoreError, contents, demo, project::Result, query::COUNTS, rows::rows, take_in::TakeIn};

/// How a bundle's name ends.
pub const EXTENSION: &str = "nudge";

/// "NDGB": tells a bundle from a project.
const APPLICATION_ID: i64 = 0x4e44_4742;
/// SQLite holds no larger piece in one cell.
const PIECE: usize = 16 << 20;
/// The setting of a project that came out of a bundle: which run of which project it is.
pub(super) const LOOK_ONLY: &str = "look_only";

/// What a run does not need, in the order in which nothing refers to what is deleted.
const PRUNE: &str = "
    DELETE FROM brought;
    DELETE FROM imports;
    DELETE FROM reference_log_probs;
    DELETE FROM run_edits;
    DELETE FROM runs WHERE id <> (SELECT run FROM kept);
    DELETE FROM versions WHERE NOT EXISTS (
        SELECT 1 FROM seen WHERE revision >= revision_from AND (revision_to IS NULL OR revision < revision_to));
    UPDATE versions SET revision_to = NULL WHERE revision_to > (SELECT max(revision) FROM seen);
    DELETE FROM files WHERE id NOT IN (SELECT source FROM versions);
    DELETE FROM scores WHERE content NOT IN (SELECT content FROM versions);
    DELETE FROM embeddings WHERE content NOT IN (SELECT content FROM versions);
    DELETE FROM changes WHERE revision > (SELECT max(revision) FROM seen);
    DELETE FROM text_sets WHERE id NOT IN (
        SELECT reference_set FROM runs WHERE reference_set IS NOT NULL
        UNION SELECT retention_set FROM runs WHERE retention_set IS NOT NULL
        UNION SELECT max(id) FROM text_sets WHERE kind = 'probes');
    DELETE FROM metric_names WHERE id NOT IN (SELECT metric FROM metrics);
";

impl Project {
    /// Writes a run into one file, and gives its bytes. `files`: their places in the run's folder, e.g.
    /// `checkpoints/step-000040/..`, and where they lie. A file that is there already is only replaced with
    /// `overwrite`, and of databases only a bundle.
    ///
    /// # Errors
    /// One of the place, see [`Output`], or one of the document.
    pub fn bundle(&self, run: RunId, files: &[(String, PathBuf)], to: &Path, overwrite: bool) -> Result<u64> {
        self.refuse_own(to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
        let mut output = Output::create_database(to, overwrite, APPLICATION_ID as u32)?;
        let failed = StoreError::io("write", to);
        if let Some(file) = output.file() {
            self.bundle_into(run, files, file).map_err(|error| error.at(to))?;
            let bytes = fs::metadata(file).map_err(failed)?.len();
            output.finish()?;
            return Ok(bytes);
        }
        // SQLite writes here and there, which no pipe can take.
        let whole = tempfile::NamedTempFile::new().map_err(StoreError::io("write into", &std::env::temp_dir()))?;
        self.bundle_into(run, files, whole.path()).map_err(|error| error.at(whole.path()))?;
        let bytes = io::copy(&mut whole.as_file(), &mut output).map_err(failed)?;
        output.finish()?;
        Ok(bytes)
    }

    /// Makes a bundle of an empty file. An error from inside it has no place yet.
    fn bundle_into(&self, run: RunId, files: &[(String, PathBuf)], file: &Path) -> Result<()> {
        let (record, settings, take_ins) = (self.run(run)?, self.settings()?, self.take_ins(run)?);
        let from = format!("Run {} of {}: {}", run.0, settings.name, record.name);
        self.read(|connection| match connection.execute("VACUUM INTO ?1", [file.to_string_lossy()]) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                Err(StoreError::DiskFull(file.to_owned()))
            }
            done => Ok(done.map(drop)?),
        })?;
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        prune(&connection, run, record.revision.0, &take_ins)?;
        keep_settings(&connection, &settings.model, &from)?;
        pack(&connection, files)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        Ok(connection.execute_batch("VACUUM")?)
    }
}

impl Project {
    /// Of a project that came out of a bundle: which run of which project it is.
    ///
    /// # Errors
    /// Of the document.
    pub fn bundled_from(&self) -> Result<Option<String>> {
        self.setting(LOOK_ONLY)
    }
}

fn prune(connection: &Connection, run: RunId, revision: u64, take_ins: &[TakeIn]) -> Result<()> {
    connection.execute_batch("CREATE TEMP TABLE kept (run INTEGER); CREATE TEMP TABLE seen (revision INTEGER)")?;
    let tx = connection.unchecked_transaction()?;
    tx.execute("INSERT INTO kept VALUES (?1)", [run.0])?;
    let taken = take_ins.iter().map(|taken| taken.revision.0);
    for revision in taken.chain([revision]) {
        tx.execute("INSERT INTO seen VALUES (?1)", [revision as i64])?;
    }
    // Of an import that is under way.
    tx.execute(&format!("DELETE FROM versions WHERE NOT ({COUNTS})"), [])?;
    tx.execute_batch(PRUNE)?;
    let left: HashSet<i64> = rows(&tx, "SELECT content FROM versions", [], |row| Ok(row.get(0)?))?;
    contents::retain(&tx, &|content| left.contains(&content))?;
    tx.commit()?;
    connection.execute_batch("DROP TABLE kept; DROP TABLE seen")?;
    Ok(())
}

/// Its name, its model by a path that does not hang on the folder, what it says about itself, and that it is only to be
/// looked at.
fn keep_settings(connection: &Connection, model: &Path, from: &str) -> Result<()> {
    connection.execute("DELETE FROM settings WHERE key NOT IN ('name', 'model', 'run_toml', ?1)", [demo::ABOUT])?;
    let put = "INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)";
    connection.execute(put, params!["model", model.to_string_lossy()])?;
    connection.execute(put, params![LOOK_ONLY, from])?;
    Ok(())
}

fn pack(connection: &Connection, files: &[(String, PathBuf)]) -> Result<()> {
    connection.execute_batch(
        "BEGIN;
         CREATE TABLE bundle_files (
             name     TEXT NOT NULL,
             piece    INTEGER NOT NULL,
             data     BLOB NOT NULL,
             checksum BLOB NOT NULL,
             PRIMARY KEY (name, piece)
         ) STRICT",
    )?;
    {
        let mut insert = connection.prepare("INSERT INTO bundle_files VALUES (?1, ?2, ?3, ?4)")?;
        for (name, path) in files {
            let failed = || StoreError::io("read", path);
            let mut file = File::open(path).map_err(failed())?;
            for piece in 0_i64.. {
                let mut data = Vec::new();
                file.by_ref().take(PIECE as u64).read_to_end(&mut data).map_err(failed())?;
                if data.is_empty() && piece > 0 {
                    break;
                }
                insert.execute(params![name, piece, data, checksum(name, piece, &data)])?;
            }
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// Of a piece and its place together: pieces cannot change places unseen.
fn checksum(name: &str, piece: i64, data: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(&piece.to_le_bytes()).update(data);
    let mut sum = [0; 16];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    sum
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use ::data::{Change, Edit, Pair, PairId, Prompt};

    use super::*;
    use crate::{NewRun, ProjectSettings, RunStatus};

    fn pair(text: &str) -> Edit {
        Edit::add(Pair::new(PairId::NEW, Prompt::Text(text.to_owned()), &["yes", "no"]))
    }

    /// A project with two runs, of which the first has seen one of four pairs; one of the others lies beside it in a
    /// block.
    fn project(dir: &Path) -> (Project, RunId) {
        let settings =
            ProjectSettings { name: "Tides".to_owned(), model: dir.join("model"), ..ProjectSettings::default() };
        let mut project = Project::create(&dir.join("tides"), &settings).unwrap();
        let mut import = project.begin_import(crate::Duplicates::Keep).unwrap();
        for text in ["deleted before the run", "seen by the run"] {
            import.add(Pair::new(PairId::NEW, Prompt::Text(text.to_owned()), &["yes", "no"])).unwrap();
        }
        let deleted = import.finish(|_| "Import".to_owned()).unwrap().applied.pairs[0];
        let deleted = project.pair(deleted).unwrap().unwrap();
        project.apply(&Change::new("Delete", vec![Edit::delete(deleted)])).unwrap();
        let new = |project: &Project, name: &str| NewRun {
            name: name.to_owned(),
            config_toml: "[train]\nsteps = 2\n".to_owned(),
            method: "MPO".to_owned(),
            revision: project.revision().unwrap(),
            parent: None,
        };
        let run = project.create_run(&new(&project, "First")).unwrap();
        project.append_step(run, 1, 300, &[("loss".to_owned(), 0.5)]).unwrap();
        project.set_run_status(run, RunStatus::Completed, None).unwrap();
        project.apply(&Change::new("Add", vec![pair("a secret of later"), pair("another")])).unwrap();
        let other = project.create_run(&new(&project, "Second")).unwrap();
        project.set_run_status(other, RunStatus::Stopped, None).unwrap();
        (project, run)
    }

    fn weights(dir: &Path) -> Vec<(String, PathBuf)> {
        let path = dir.join("adapter.safetensors");
        File::create(&path).unwrap().write_all(&vec![7; PIECE + 3]).unwrap();
        vec![("checkpoints/step-000002/adapter.safetensors".to_owned(), path)]
    }

    #[test]
    fn a_bundle_holds_one_run_and_what_it_saw_and_opens_to_be_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let (project, run) = project(dir.path());
        let file = dir.path().join("first.nudge");
        project.bundle(run, &weights(dir.path()), &file, false).unwrap();
        let again = project.bundle(run, &[], &file, false);
        assert!(matches!(again, Err(StoreError::Output(files::WriteError::Exists { .. }))));
        let bundled = Connection::open(&file).unwrap();
        let read = |first| {
            let stored = contents::Stored::at(&bundled, first).unwrap().unwrap();
            stored.unpack(&mut zstd::bulk::Decompressor::default()).unwrap().bodies().to_owned()
        };
        let blocks = contents::blocks(&bundled).unwrap();
        let texts: Vec<String> = blocks.into_iter().map(|(first, _)| read(first)).collect();
        assert!(matches!(&texts[..], [text] if text.contains("seen by the run")), "{texts:?}");
        for other in ["a secret of later", "deleted before the run"] {
            assert!(!texts[0].contains(other), "only what the run saw leaves the house");
        }

        let out = dir.path().join("out");
        Project::unbundle(&file, &out).unwrap();
        let opened = Project::open(&out).unwrap();
        assert!(opened.is_read_only());
        let runs = opened.runs().unwrap();
        assert_eq!(runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(), ["First"]);
        assert_eq!(opened.series(run, "loss", None).unwrap(), [(1, 0.5)]);
        assert_eq!(opened.counts().unwrap().total(), 1);
        assert_eq!(opened.pairs_at(runs[0].revision).unwrap().len(), 1);
        let weights = runs[0].checkpoints[0].join("step-000002/adapter.safetensors");
        assert_eq!(fs::read(weights).unwrap(), vec![7; PIECE + 3]);
        assert!(matches!(opened.keep_checkpoints_in(run, &out), Err(StoreError::ReadOnly(_))));
        // Once more is the same again.
        Project::unbundle(&file, &out).unwrap();
    }

    #[test]
    fn a_bundle_takes_the_place_of_a_bundle_and_of_no_document() {
        let dir = tempfile::tempdir().unwrap();
        let (project, run) = project(dir.path());
        let other = Project::create(&dir.path().join("other"), &ProjectSettings::default()).unwrap();
        for name in ["project.sqlite", "project.sqlite-wal"] {
            for theirs in [&project, &other].map(|project| project.dir().join(name)) {
                let before = fs::read(&theirs).unwrap();
                let error = project.bundle(run, &[], &theirs, true).unwrap_err().to_string();
                assert!(error.contains("database"), "{error}");
                assert_eq!(fs::read(&theirs).unwrap(), before);
            }
        }
        let file = dir.path().join("first.nudge");
        let small = project.bundle(run, &[], &file, false).unwrap();
        let large = project.bundle(run, &weights(dir.path()), &file, true).unwrap();
        assert!(large > small && fs::metadata(&file).unwrap().len() == large);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
    }

    #[cfg(unix)]
    #[test]
    fn dh1_a_bundle_goes_through_links_and_pipes() {
        let dir = tempfile::tempdir().unwrap();
        let (project, run) = project(dir.path());
        let [link, real, pipe, piped] = ["link", "real.nudge", "pipe", "piped.nudge"].map(|name| dir.path().join(name));
        // To what is not there yet, then to what is.
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for overwrite in [false, true] {
            project.bundle(run, &[], &link, overwrite).unwrap();
            assert!(link.is_symlink() && real.is_file());
        }
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::process::Command::new("cp").args([&pipe, &piped]).spawn().unwrap();
        project.bundle(run, &[], &pipe, true).unwrap();
        assert!(reader.wait_with_output().unwrap().status.success());
        assert!(!pipe.is_file());
        for file in [&real, &piped] {
            Project::unbundle(file, &dir.path().join("out")).unwrap();
        }
    }

    #[test]
    fn what_is_no_whole_bundle_is_refused_by_a_sentence_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (project, run) = project(dir.path());
        let file = dir.path().join("first.nudge");
        project.bundle(run, &weights(dir.path()), &file, false).unwrap();
        let out = dir.path().join("out");
        let refused = |path: &Path| {
            let error = Project::unbundle(path, &out).unwrap_err().to_string();
            assert!(!out.exists(), "{error}");
            error
        };
        assert!(refused(dir.path()).contains("is no bundle"));
        assert!(refused(&project.dir().join("project.sqlite")).contains("is a project, not a bundle"));
        let text = dir.path().join("notes.nudge");
        fs::write(&text, "nothing of the kind").unwrap();
        assert!(refused(&text).contains("is no bundle"));

        let broken = dir.path().join("broken.nudge");
        let change = |sql: &str| {
            fs::copy(&file, &broken).unwrap();
            Connection::open(&broken).unwrap().execute_batch(sql).unwrap();
        };
        change("UPDATE bundle_files SET data = zeroblob(3) WHERE piece = 1");
        assert!(refused(&broken).contains("damaged"));
        change("UPDATE bundle_files SET name = '../../evil'");
        assert!(refused(&broken).contains("may not have a file"));
        change("CREATE TRIGGER t AFTER UPDATE ON settings BEGIN DELETE FROM runs; END");
        assert!(refused(&broken).contains("that no bundle has"));
        change("PRAGMA user_version = 999");
        assert!(refused(&broken).contains("newer"));
        change("DELETE FROM runs");
        assert!(refused(&broken).contains("no run"));
        let whole = fs::read(&file).unwrap();
        fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
        assert!(!refused(&broken).is_empty());
    }
}
