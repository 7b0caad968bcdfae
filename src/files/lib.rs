//! Files that come from others: nothing is read that is no regular file, that is larger than it has reason to be, or
//! that a link in a model folder fetches from elsewhere on the machine. And files that are written where a person says.
//!
//! A downloaded folder may hold anything. A pipe would be waited for without end, a link could carry a private file
//! into what is exported, and a JSON of gigabytes fills the memory. Each costs a sentence here. A file that a person
//! names may well be a pipe: [`read_any`] takes it, up to a limit, and [`open_any`], if somebody writes into it.

mod contained;
mod database;
mod folder;
mod lines;
mod output;
mod pipe;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

pub use contained::contained;
pub use folder::FolderAside;
pub use lines::lines;
pub use output::{Output, OutputPlace, WriteError};
pub use pipe::open_any;

/// Settings, templates and indexes: the largest known have one or two megabytes.
pub const SETTINGS: u64 = 8 << 20;

/// A file that cannot be read, or should not be.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("Could not read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be used: {reason}")]
    Unfit { path: PathBuf, reason: String },
}

impl FileError {
    /// There is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

/// The path of `folder`'s file `name`, which must lie inside it wherever its links lead.
///
/// The Hugging Face cache keeps a model's files in `blobs` and links them into `snapshots/COMMIT`: such a folder's
/// links may lead there too.
pub fn inside(folder: &Path, name: &str) -> Result<PathBuf, FileError> {
    let path = folder.join(name);
    let read_error = |source| FileError::Read { path: path.clone(), source };
    let target = fs::canonicalize(&path).map_err(|error| match fs::read_link(&path) {
        // Not a file that was never there: one that was lost, or not fetched to the end.
        Ok(link) if error.kind() == io::ErrorKind::NotFound => FileError::Unfit {
            path: path.clone(),
            reason: format!(
                "it is a link to {}, which is not there; fetch the file again, or remove the link",
                link.display()
            ),
        },
        _ => read_error(error),
    })?;
    let home = fs::canonicalize(folder).map_err(read_error)?;
    let blobs = || {
        let snapshots = home.parent().filter(|parent| parent.ends_with("snapshots"));
        snapshots.and_then(Path::parent).map(|entry| entry.join("blobs"))
    };
    if target.starts_with(&home) || blobs().is_some_and(|blobs| target.starts_with(blobs)) {
        return Ok(path);
    }
    Err(FileError::Unfit {
        path,
        reason: format!("it leads to {}, outside its folder; put a copy of the file in its place", target.display()),
    })
}

/// Opens a regular file of at most `limit` bytes, and says how long it is.
pub fn open(path: &Path, limit: u64) -> Result<(File, u64), FileError> {
    let read_error = |source| FileError::Read { path: path.to_owned(), source };
    let unfit = |reason: String| FileError::Unfit { path: path.to_owned(), reason };
    // Before it is opened: that alone would wait for a pipe's other end.
    let metadata = fs::metadata(path).map_err(read_error)?;
    if !metadata.is_file() {
        return Err(unfit("it is not a file".to_owned()));
    }
    let length = metadata.len();
    if length > limit {
        return Err(unfit(format!("it is {length} bytes long; at most {limit} are expected")));
    }
    Ok((File::open(path).map_err(read_error)?, length))
}

/// The bytes of a regular file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let (file, length) = open(path, limit)?;
    let mut bytes = Vec::with_capacity(length as usize);
    // What grows while it is read is cut, not followed.
    file.take(limit).read_to_end(&mut bytes).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// What is said of a disk.
pub const DISK: &str = "it is a disk, not a file";

/// Whether these are a disk's: nobody means its bytes, so it is not even opened.
pub fn is_disk(about: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_block_device(&about.file_type());
    #[cfg(not(unix))]
    false
}

/// The bytes of anything that can be read to its end, a pipe too, if they are at most `limit`.
pub fn read_any(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let read_error = |source| FileError::Read { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(read_error)?;
    if about.is_file() {
        return read(path, limit);
    }
    if is_disk(&about) {
        return Err(FileError::Unfit { path: path.to_owned(), reason: DISK.to_owned() });
    }
    let mut bytes = Vec::new();
    open_any(path, &about).map_err(read_error)?.take(limit + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > limit {
        let reason = format!("it gives more than the {limit} bytes that are expected");
        return Err(FileError::Unfit { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// What to do with a text of a person's that is not UTF-8. Which encoding it has is not guessed: in a wrong one it
/// would become another text.
pub const CONVERT: &str = "save it in UTF-8, which Excel calls “CSV UTF-8”, or convert it: iconv -f ENCODING -t UTF-8 \
                           OLD > NEW, where ENCODING is WINDOWS-1252 for a Western European text, WINDOWS-1251 for a \
                           Cyrillic, SHIFT_JIS for a Japanese, GB18030 for a Chinese and CP949 for a Korean one";

/// The same as text: UTF-8, or UTF-16 with its mark, as Windows writes it. The mark is no part of the text.
pub fn read_any_text(path: &Path, limit: u64) -> Result<String, FileError> {
    let bytes = read_any(path, limit)?;
    let units = |unit: fn([u8; 2]) -> u16, rest: &[u8]| {
        let (pairs, half) = rest.as_chunks::<2>();
        let text = String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>());
        text.ok().filter(|_| half.is_empty()).ok_or_else(|| FileError::Unfit {
            path: path.to_owned(),
            reason: "it begins as text in UTF-16 and is none".to_owned(),
        })
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => units(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => units(u16::from_be_bytes, rest),
        [0xEF, 0xBB, 0xBF, rest @ ..] => typed(path, rest.to_vec()),
        _ => typed(path, bytes),
    }
}

fn typed(path: &Path, bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| FileError::Unfit {
        path: path.to_owned(),
        reason: format!("it is not UTF-8 ({}); {CONVERT}", error.utf8_error()),
    })
}

/// A regular file of at most `limit` bytes as text.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, limit)?).map_err(|error| FileError::Unfit {
        path: path.to_owned(),
        reason: format!("it is not text ({})", error.utf8_error()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_windows_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let utf_16 = |order: fn(u16) -> [u8; 2]| "\u{FEFF}Grüße 🙂\r\n".encode_utf16().flat_map(order).collect();
        let marked: Vec<u8> = "\u{FEFF}Grüße 🙂\r\n".into();
        for bytes in [utf_16(u16::to_le_bytes), utf_16(u16::to_be_bytes), marked[3..].to_vec(), marked] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read_any_text(&path, 100).unwrap(), "Grüße 🙂\r\n");
        }
        for bytes in [&[0xFF, 0xFE, 0x41][..], &[0xFE, 0xFF, 0xD8, 0x00]] {
            fs::write(&path, bytes).unwrap();
            assert!(read_any_text(&path, 100).unwrap_err().to_string().contains("UTF-16"));
        }
        fs::write(&path, b"caf\xE9").unwrap();
        assert!(read_any_text(&path, 100).unwrap_err().to_string().contains("iconv -f ENCODING"));
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert!(error.to_string().contains("5 bytes long"), "{error}");
        fs::write(&path, [0xFF]).unwrap();
        assert!(read_text(&path, 5).unwrap_err().to_string().contains("not text"));
        assert!(read(dir.path(), 5).unwrap_err().to_string().contains("not a file"));
        assert!(read(&dir.path().join("none"), 5).unwrap_err().is_missing());
        assert_eq!(read_any(&path, 5).unwrap(), [0xFF]);
        assert!(read_any(dir.path(), 5).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_is_refused_unopened() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("disk");
        // A number that no driver has: to open it would be an error of its own.
        let made = std::process::Command::new("mknod").arg(&own).args(["b", "240", "999"]).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("not tried: only root may make a device");
            return;
        }
        for error in [read_any(&own, 1000).unwrap_err(), open(&own, 1000).map(|_| ()).unwrap_err()] {
            assert!(error.to_string().contains("not a file"), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn dl9_what_has_no_end_is_read_up_to_a_limit() {
        let error = read_any(Path::new("/dev/zero"), 1000).unwrap_err().to_string();
        assert!(error.contains("more than the 1000 bytes"), "{error}");
        assert_eq!(read_any(Path::new("/dev/null"), 1000).unwrap(), b"");
        assert!(open(Path::new("/dev/zero"), 1000).unwrap_err().to_string().contains("not a file"));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_no_further_than_the_folder_or_the_blobs_of_its_cache() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let entry = dir.path().join("models--org--name");
        let snapshot = entry.join("snapshots/c0ffee");
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(entry.join("blobs")).unwrap();
        fs::write(entry.join("blobs/hash"), "weights").unwrap();
        fs::write(entry.join("other"), "private").unwrap();
        symlink("../../blobs/hash", snapshot.join("cached")).unwrap();
        symlink("cached", snapshot.join("twice")).unwrap();
        symlink("../../other", snapshot.join("private")).unwrap();
        symlink("../..", snapshot.join("up")).unwrap();
        assert!(inside(&snapshot, "cached").is_ok());
        assert!(inside(&snapshot, "twice").is_ok());
        symlink("../../blobs/gone", snapshot.join("gone")).unwrap();
        let error = inside(&snapshot, "gone").unwrap_err();
        assert!(!error.is_missing() && error.to_string().contains("blobs/gone, which is not there"), "{error}");
        assert!(inside(&snapshot, "never there").unwrap_err().is_missing());
        for name in ["private", "up/other", "../../other"] {
            let error = inside(&snapshot, name).unwrap_err().to_string();
            assert!(error.contains("outside its folder"), "{error}");
        }
        // The folder itself may be reached by a link.
        symlink(&snapshot, dir.path().join("by_link")).unwrap();
        assert!(inside(&dir.path().join("by_link"), "cached").is_ok());
        // Blobs that are themselves elsewhere do not count.
        fs::remove_dir_all(entry.join("blobs")).unwrap();
        symlink(dir.path(), entry.join("blobs")).unwrap();
        fs::write(dir.path().join("hash"), "private").unwrap();
        assert!(inside(&snapshot, "cached").is_err());
    }
}
