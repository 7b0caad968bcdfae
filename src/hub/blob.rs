//! One content from the hub into the cache: streamed, hashed on the way, gone on with where it broke off.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use data::{download::Phase, size};
use ureq::{
    Body,
    http::{Response, StatusCode, header},
};

use super::{
    Hub, HubError, Patience,
    cache::Folder,
    checksum::Hasher,
    client::{Client, broken},
    listing::Stamp,
    progress::Watch,
};

/// Bytes that are hashed and written at once.
const CHUNK: usize = 1 << 18;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A file of a repository whose size and checksum are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) stamp: Stamp,
}

/// Everything a content needs on its way.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) hub: &'a Hub,
    pub(super) client: &'a Client,
    pub(super) folder: &'a Folder,
    pub(super) watch: &'a Watch,
    pub(super) commit: &'a str,
}

impl Way<'_> {
    /// Brings a content into the cache, unless it is there. `others` bytes of other files are there; this one's are
    /// shown on top of them.
    pub(super) fn bring(&self, item: &Item, others: u64) -> Result<(), HubError> {
        let (folder, stamp) = (self.folder, &item.stamp);
        let blob = folder.blob(&stamp.checksum);
        let blobs = blob.parent().unwrap_or(&blob);
        fs::create_dir_all(blobs).map_err(HubError::disk("create", blobs))?;
        let _lock = folder.lock(&stamp.checksum, self.watch)?;
        if folder.has(stamp) {
            self.watch.advance(others + stamp.bytes, 0);
            return Ok(());
        }
        let mut part = Part::open(folder.part(&stamp.checksum), stamp, |bytes| {
            self.watch.advance(others + bytes, 0);
            self.watch.go_on()
        })?;
        let mut was_wrong = false;
        loop {
            self.fill(item, &mut part, others)?;
            if part.is_right() {
                return part.become_blob(&blob);
            }
            part.restart()?;
            if was_wrong {
                fs::remove_file(&part.path).ok();
                return Err(HubError::Checksum { file: item.name.clone(), endpoint: self.hub.endpoint.clone() });
            }
            was_wrong = true;
            self.watch.change(|progress| {
                progress.bytes = others;
                progress.note = Some(format!("{} did not match its checksum and is fetched again", item.name));
            });
        }
    }

    /// Fetches until all bytes are there, again and again where the connection breaks.
    fn fill(&self, item: &Item, part: &mut Part<'_>, others: u64) -> Result<(), HubError> {
        let mut tries = Tries::new(self.watch, self.hub.patience);
        while part.bytes < part.stamp.bytes {
            self.watch.change(|progress| progress.phase = Phase::Fetching);
            let start = part.bytes;
            let result = self.stream(item, part, others);
            if part.bytes > start {
                tries.renew();
            }
            if let Err(error) = result {
                tries.after(error)?;
            }
        }
        Ok(())
    }

    /// One answer, to its end.
    fn stream(&self, item: &Item, part: &mut Part<'_>, others: u64) -> Result<(), HubError> {
        self.watch.go_on()?;
        let response = self.client.content(self.commit, &item.name, part.bytes)?;
        if !continues(&response, part.bytes) {
            if part.bytes == 0 {
                return Err(self.client.malformed(format!(
                    "it answers {} to the question for all of {}",
                    response.status(),
                    item.name
                )));
            }
            // All of it comes, or there is nothing behind what is there, which then is not what it should be.
            part.restart()?;
            if response.status() != StatusCode::OK {
                return Ok(());
            }
        }
        let left = part.stamp.bytes - part.bytes;
        let announced = response.body().content_length();
        if let Some(announced) = announced.filter(|&announced| announced != left) {
            return Err(self.client.malformed(format!(
                "of {} {} were to come, and {} come",
                item.name,
                size(left),
                size(announced)
            )));
        }
        // However much is sent, no more is read.
        let mut reader = response.into_body().into_reader().take(left);
        let mut chunk = vec![0; CHUNK];
        while part.bytes < part.stamp.bytes {
            let read = reader.read(&mut chunk);
            self.watch.go_on()?;
            let cut = |reason: String| HubError::Interrupted {
                file: item.name.clone(),
                bytes: part.bytes,
                of: part.stamp.bytes,
                reason,
            };
            match read {
                Ok(0) => return Err(cut(broken(&io::ErrorKind::UnexpectedEof.into()))),
                Ok(read) => {
                    part.add(&chunk[..read])?;
                    self.watch.advance(others + part.bytes, read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(broken(&error))),
            }
        }
        Ok(())
    }
}

/// Whether an answer begins at this byte.
fn continues(response: &Response<Body>, at: u64) -> bool {
    match response.status() {
        StatusCode::OK => at == 0,
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(header::CONTENT_RANGE);
            // "bytes 100-199/200"
            range
                .and_then(|range| range.to_str().ok()?.strip_prefix("bytes ")?.split('-').next())
                .and_then(|start| start.trim().parse().ok())
                == Some(at)
        }
        _ => false,
    }
}

/// How often the hub is asked again after a failure that may pass.
pub(super) struct Tries<'a> {
    watch: &'a Watch,
    patience: Patience,
    left: u32,
    pause: Duration,
}

impl<'a> Tries<'a> {
    pub(super) fn new(watch: &'a Watch, patience: Patience) -> Self {
        Self { watch, patience, left: patience.tries, pause: patience.pause }
    }

    /// Something came: the count starts anew.
    fn renew(&mut self) {
        self.left = self.patience.tries;
        self.pause = self.patience.pause;
    }

    /// Waits before another try, or gives the failure back.
    pub(super) fn after(&mut self, error: HubError) -> Result<(), HubError> {
        self.watch.go_on()?;
        if self.left == 0 || !error.may_pass() {
            return Err(error);
        }
        self.left -= 1;
        self.watch.change(|progress| {
            progress.phase = Phase::Waiting;
            progress.bytes_per_sec = 0.0;
            progress.note = Some(format!("{}; trying again", short(&error)));
        });
        self.watch.pause(self.pause)?;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.watch.change(|progress| progress.note = None);
        Ok(())
    }
}

/// A failure in a few words, for the time until the next try.
fn short(error: &HubError) -> String {
    match error {
        HubError::Interrupted { reason, .. } => format!("The connection broke ({reason})"),
        HubError::Network { host, reason } => format!("Could not reach {host} ({reason})"),
        HubError::Refused { host, status, .. } => format!("{host} answers {status}"),
        other => other.to_string(),
    }
}

/// A content that grows, and the hash of what is there.
struct Part<'a> {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    bytes: u64,
    stamp: &'a Stamp,
}

impl<'a> Part<'a> {
    /// Reads what an earlier download left. More than there should be is thrown away.
    fn open(
        path: PathBuf,
        stamp: &'a Stamp,
        mut tell: impl FnMut(u64) -> Result<(), HubError>,
    ) -> Result<Self, HubError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(HubError::disk("open", &path))?;
        let mut part = Self { path, file, hasher: stamp.checksum.hasher(stamp.bytes), bytes: 0, stamp };
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = part.file.read(&mut chunk).map_err(HubError::disk("read", &part.path))?;
            if read == 0 {
                return Ok(part);
            }
            part.hasher.update(&chunk[..read]);
            part.bytes += read as u64;
            if part.bytes > stamp.bytes {
                part.restart()?;
                return Ok(part);
            }
            tell(part.bytes)?;
        }
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), HubError> {
        self.file.write_all(chunk).map_err(HubError::disk("write", &self.path))?;
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Throws away what is there.
    fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(HubError::disk("write", &self.path))?;
        self.hasher = self.stamp.checksum.hasher(self.stamp.bytes);
        self.bytes = 0;
        Ok(())
    }

    fn is_right(&self) -> bool {
        self.bytes == self.stamp.bytes && self.hasher.clone().digits() == self.stamp.checksum.digits()
    }

    /// On the disk to the last byte, and only then under its own name.
    fn become_blob(self, blob: &Path) -> Result<(), HubError> {
        self.file.sync_all().and_then(|()| fs::rename(&self.path, blob)).map_err(HubError::disk("write", blob))
    }
}
