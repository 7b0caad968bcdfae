//! The folder of a model in the Hugging Face cache, written as `huggingface_hub` writes it.
//!
//! `blobs/CHECKSUM` are contents, `snapshots/COMMIT/FILE` links to them, `refs/REVISION` holds a commit. A content that
//! is on its way is `blobs/CHECKSUM.part`; whoever writes it holds `.locks/…/CHECKSUM.lock` at the cache's root, as
//! Python's programs do. Links come when all contents are there, and the ref last: what is half fetched is no model.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use data::download::Phase;

use super::{HubError, ModelName, checksum::Checksum, client::revision_of, listing::Stamp, progress::Watch};

/// How often a lock is tried that another program holds.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// A model's folder.
pub(super) struct Folder {
    root: PathBuf,
    locks: PathBuf,
    revision: String,
}

impl Folder {
    pub(super) fn new(cache: &Path, name: &ModelName) -> Self {
        let folder = name.cache_folder();
        Self {
            root: cache.join(&folder),
            locks: cache.join(".locks").join(folder),
            revision: revision_of(name).to_owned(),
        }
    }

    /// Where a content is, or will be.
    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.root.join("blobs").join(checksum.digits())
    }

    /// Where it grows.
    pub(super) fn part(&self, checksum: &Checksum) -> PathBuf {
        self.blob(checksum).with_extension("part")
    }

    /// Whether a content is there to the last byte.
    pub(super) fn has(&self, stamp: &Stamp) -> bool {
        is_file_of(&self.blob(&stamp.checksum), stamp.bytes)
    }

    /// Bytes of a content that are there, all or in part.
    pub(super) fn bytes_of(&self, stamp: &Stamp) -> u64 {
        if self.has(stamp) {
            return stamp.bytes;
        }
        let part = fs::metadata(self.part(&stamp.checksum));
        part.map_or(0, |part| part.len()).min(stamp.bytes)
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Waits until nobody else fetches this content. The lock ends with the file that is returned.
    pub(super) fn lock(&self, checksum: &Checksum, watch: &Watch) -> Result<File, HubError> {
        fs::create_dir_all(&self.locks).map_err(HubError::disk("create", &self.locks))?;
        let path = self.locks.join(format!("{}.lock", checksum.digits()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::disk("open", &path))?;
        let mut waits = false;
        loop {
            match file.try_lock() {
                // A file system without locks (some network ones) has nobody to wait for.
                Ok(()) => break,
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    break;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(HubError::disk("lock", &path)(error));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !waits {
                waits = true;
                watch.change(|progress| {
                    progress.phase = Phase::Waiting;
                    progress.note = Some("Another program is fetching this file".to_owned());
                });
            }
            watch.pause(TRY_EVERY)?;
        }
        if waits {
            watch.change(|progress| progress.note = None);
        }
        Ok(file)
    }

    /// Makes a content a file of a snapshot.
    pub(super) fn link(&self, commit: &str, file: &str, stamp: &Stamp) -> Result<(), HubError> {
        let link = self.snapshot(commit).join(file);
        if is_file_of(&link, stamp.bytes) {
            return Ok(());
        }
        let folder = link.parent().unwrap_or(&link);
        fs::create_dir_all(folder).map_err(HubError::disk("create", folder))?;
        // From snapshots/COMMIT up to the model's folder, and from the file up to there.
        let up = "../".repeat(2 + file.matches('/').count());
        let target = format!("{up}blobs/{}", stamp.checksum.digits());
        let blob = self.blob(&stamp.checksum);
        place(&link, symlink, Path::new(&target), &blob).map_err(HubError::disk("write", &link))
    }

    /// Makes the revision that was asked for mean this commit.
    pub(super) fn name(&self, commit: &str) -> Result<(), HubError> {
        if self.revision == commit {
            return Ok(());
        }
        // A branch may have a slash in its name, and then a folder.
        let path = self.root.join("refs").join(&self.revision);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(HubError::disk("create", folder))?;
        fs::write(&path, commit).map_err(HubError::disk("write", &path))
    }
}

fn is_file_of(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == bytes)
}

/// Puts a link in place of whatever is there; where links cannot be had, the content under a second name, else a copy.
fn place(link: &Path, symlink: impl Fn(&Path, &Path) -> io::Result<()>, target: &Path, blob: &Path) -> io::Result<()> {
    let mut aside = link.as_os_str().to_owned();
    aside.push(format!(".{}.new", std::process::id()));
    let aside = PathBuf::from(aside);
    if fs::symlink_metadata(&aside).is_ok() {
        fs::remove_file(&aside)?;
    }
    symlink(target, &aside)
        .or_else(|_| fs::hard_link(blob, &aside))
        .or_else(|_| fs::copy(blob, &aside).map(|_| ()))
        .and_then(|()| fs::rename(&aside, link))
        .inspect_err(|_| {
            fs::remove_file(&aside).ok();
        })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    let target = target.to_string_lossy().replace('/', "\\");
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_links_the_content_has_two_names() {
        let folder = tempfile::tempdir().unwrap();
        let (blob, link) = (folder.path().join("blob"), folder.path().join("file"));
        fs::write(&blob, "content").unwrap();
        fs::write(&link, "old").unwrap();
        let refused = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::PermissionDenied));
        place(&link, refused, Path::new("blob"), &blob).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "content");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
