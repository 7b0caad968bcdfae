//! Pipes by name: somebody has to write into one, and may never come.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a writer may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens whatever can be read to its end, which `about` is the metadata of. A pipe that nobody writes into is an error
/// after a while.
pub fn open_any(path: &Path, about: &fs::Metadata) -> io::Result<File> {
    open_within(path, about, PATIENCE)
}

fn open_within(path: &Path, about: &fs::Metadata, patience: Duration) -> io::Result<File> {
    if !is_pipe(about) {
        return File::open(path);
    }
    let (opened, writer) = mpsc::sync_channel(1);
    let name = path.to_owned();
    thread::Builder::new().name("pipe".to_owned()).spawn(move || opened.send(File::open(name)).ok())?;
    writer.recv_timeout(patience).unwrap_or_else(|_| {
        // The thread waits for exactly this, and lets go. Its end is held until here, so this does not wait either.
        drop(OpenOptions::new().write(true).open(path));
        let reason = format!("it is a pipe, and nobody wrote into it for {} seconds", patience.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, reason))
    })
}

fn is_pipe(about: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_fifo(&about.file_type());
    #[cfg(not(unix))]
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_pipe_waits_for_its_writer_and_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let about = fs::metadata(&path).unwrap();
        let error = open_within(&path, &about, Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("nobody wrote into it"), "{error}");
        let late = path.clone();
        let write = move || {
            thread::sleep(Duration::from_millis(50));
            fs::write(late, "pairs").unwrap();
        };
        let writer = thread::Builder::new().name("writer".to_owned()).spawn(write).unwrap();
        let mut text = String::new();
        open_within(&path, &about, Duration::from_secs(10)).unwrap().read_to_string(&mut text).unwrap();
        writer.join().unwrap();
        assert_eq!(text, "pairs");
    }
}
