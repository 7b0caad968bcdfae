//! A bundle made a folder again. It comes from somebody else: nothing of it is taken on trust.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use files::FolderAside;
use rusqlite::{Connection, OpenFlags};

use super::{APPLICATION_ID, LOOK_ONLY, checksum};
use crate::{
    Project, StoreError,
    demo::data_dir,
    opening::DOCUMENT,
    project::Result,
    schema::{self, Version},
};

impl Project {
    /// Unpacks a bundle into a folder, which becomes a project to be looked at. One that is there from the same bundle
    /// stays.
    ///
    /// # Errors
    /// [`StoreError::NotABundle`] says what is wrong with the file; then nothing of it stays.
    pub fn unbundle(file: &Path, dir: &Path) -> Result<()> {
        let from = look(file)?;
        if dir.exists() {
            let same = Self::open(dir).is_ok_and(|there| there.setting(LOOK_ONLY).ok().flatten() == Some(from));
            return if same { Ok(()) } else { Err(StoreError::Exists(dir.to_owned())) };
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
        let aside = FolderAside::new(parent, ".bundle-", None).map_err(StoreError::io("write into", parent))?;
        let document = aside.path().join(DOCUMENT);
        fs::copy(file, &document).map_err(StoreError::io("copy", file))?;
        unpack(&document, aside.path(), file).map_err(|error| error.at(file))?;
        fs::rename(aside.path(), dir).map_err(StoreError::io("make", dir))?;
        // It is somewhere else now: nothing is left to be removed.
        drop(aside.keep());
        Ok(())
    }

    /// Unpacks it among the user's data, under its name and a number of its contents; gives the folder.
    ///
    /// # Errors
    /// As [`Self::unbundle`].
    pub fn open_bundle(file: &Path) -> Result<PathBuf> {
        look(file)?;
        let mut hasher = blake3::Hasher::new();
        let mut source = File::open(file).map_err(StoreError::io("read", file))?;
        io::copy(&mut source, &mut hasher).map_err(StoreError::io("read", file))?;
        let name = file.file_stem().map_or_else(|| "bundle".into(), |stem| stem.to_string_lossy());
        let sum = hasher.finalize().to_hex();
        let dir = data_dir()?.join("bundles").join(format!("{name}-{}", &sum[..8]));
        Self::unbundle(file, &dir)?;
        Ok(dir)
    }
}

fn refused(file: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::NotABundle { path: file.to_owned(), reason: reason.into() }
}

/// Whether the file is a bundle that this program can open, without changing it; which run of which project it is.
fn look(file: &Path) -> Result<String> {
    if !file.is_file() {
        return Err(refused(file, "it is no file"));
    }
    let open = || -> Result<(i64, Version, String)> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if id != APPLICATION_ID {
            return Ok((id, Version::Foreign, String::new()));
        }
        let version = schema::version_under(&connection, APPLICATION_ID)?;
        let from = "SELECT value FROM settings WHERE key = ?1";
        let from = connection.query_row(from, [LOOK_ONLY], |row| row.get(0))?;
        Ok((id, version, from))
    };
    match open() {
        Ok((schema::APPLICATION_ID, ..)) => Err(refused(file, "it is a project, not a bundle; open its folder")),
        Ok((_, Version::Newer { .. }, _)) => {
            Err(refused(file, "it was made by a newer version of Nudge; open it with that one"))
        }
        Ok((APPLICATION_ID, _, from)) => Ok(from),
        Ok(_) | Err(_) => Err(refused(file, "its contents are something else, or damaged")),
    }
}

fn unpack(document: &Path, dir: &Path, file: &Path) -> Result<()> {
    let connection = Connection::open(document)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let whole: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(refused(file, format!("it is damaged: {whole}")));
    }
    let strange = "SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')";
    if connection.query_row(strange, [], |row| row.get::<_, i64>(0))? > 0 {
        return Err(refused(file, "it holds rules that no bundle has"));
    }
    let runs = connection
        .prepare("SELECT id FROM runs")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let [run] = runs[..] else {
        let reason = if runs.is_empty() { "there is no run in it" } else { "there is more than one run in it" };
        return Err(refused(file, reason));
    };
    files(&connection, &dir.join("runs").join(run.to_string()), file)?;
    // What a folder of the sender's held is here now.
    connection.execute_batch("DROP TABLE bundle_files; UPDATE runs SET elsewhere = NULL, owner = NULL")?;
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    schema::upgrade(&connection, false)?;
    let config: String = connection.query_row("SELECT config_toml FROM runs", [], |row| row.get(0))?;
    connection.execute_batch("VACUUM")?;
    let path = dir.join("runs").join(run.to_string()).join("config.toml");
    fs::write(&path, config).map_err(StoreError::io("write", &path))
}

fn files(connection: &Connection, dir: &Path, file: &Path) -> Result<()> {
    fs::create_dir_all(dir.join("checkpoints")).map_err(StoreError::io("make the folder", dir))?;
    let mut statement =
        connection.prepare("SELECT name, piece, data, checksum FROM bundle_files ORDER BY name, piece")?;
    let mut rows = statement.query([])?;
    let mut open: Option<(String, i64, File)> = None;
    while let Some(row) = rows.next()? {
        let (name, piece): (String, i64) = (row.get(0)?, row.get(1)?);
        let (data, sum): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let Some(place) = place(&name) else {
            return Err(refused(file, format!("it may not have a file “{}”", name.escape_debug())));
        };
        let path = dir.join(place);
        let before = open.take().filter(|(known, ..)| *known == name);
        let expected = before.as_ref().map_or(0, |(_, last, _)| last + 1);
        if sum != checksum(&name, piece, &data) || piece != expected {
            return Err(refused(file, format!("{name} in it is damaged")));
        }
        let written = match before {
            Some((_, _, written)) => Ok(written),
            None => path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create_new(&path)),
        };
        let mut written = written.map_err(StoreError::io("write", &path))?;
        written.write_all(&data).map_err(StoreError::io("write", &path))?;
        open = Some((name, piece, written));
    }
    Ok(())
}

/// `checkpoints/step-000040/NAME`, and nothing else: no file of a bundle lies anywhere but in a checkpoint of its run.
fn place(name: &str) -> Option<PathBuf> {
    let mut parts = name.split('/');
    let (Some("checkpoints"), Some(step), Some(leaf), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let is_plain = |part: &str| {
        !part.starts_with('.') && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    let is_step = step.strip_prefix("step-").is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
    (is_step && !leaf.is_empty() && is_plain(leaf)).then(|| Path::new("checkpoints").join(step).join(leaf))
}
