//! A text file line by line, in bounded memory.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use super::{CONVERT, DISK, FileError, is_disk, open_any};

/// The lines of anything that can be read to its end, a pipe too, without their ends. One that is longer than `longest`
/// bytes, or more than `whole` bytes in all, is an error; so is what is no text.
pub fn lines(
    path: &Path,
    longest: u64,
    whole: u64,
) -> Result<impl Iterator<Item = Result<String, FileError>>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(failed)?;
    if is_disk(&about) {
        return Err(FileError::Unfit { path: path.to_owned(), reason: DISK.to_owned() });
    }
    let file = BufReader::new(open_any(path, &about).map_err(failed)?);
    Ok(Lines { path: path.to_owned(), file, longest, whole, read: 0, ended: false })
}

struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    longest: u64,
    whole: u64,
    /// Bytes.
    read: u64,
    ended: bool,
}

impl Lines {
    fn line(&mut self) -> Result<Option<String>, FileError> {
        let unfit = |reason| FileError::Unfit { path: self.path.clone(), reason };
        let mut line = Vec::new();
        let read = self.file.by_ref().take(self.longest + 2).read_until(b'\n', &mut line);
        self.read += read.map_err(|source| FileError::Read { path: self.path.clone(), source })? as u64;
        if line.is_empty() {
            return Ok(None);
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if ended {
            line.pop_if(|byte| *byte == b'\r');
        }
        if line.len() as u64 > self.longest {
            return Err(unfit(format!("it has a line of more than the {} bytes that are expected", self.longest)));
        }
        if self.read > self.whole {
            return Err(unfit(format!("it gives more than the {} bytes that are expected", self.whole)));
        }
        let line = String::from_utf8(line);
        Ok(Some(line.map_err(|error| unfit(format!("it is not UTF-8: {}; {CONVERT}", error.utf8_error())))?))
    }
}

impl Iterator for Lines {
    type Item = Result<String, FileError>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.line().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], longest: u64, whole: u64) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        lines(file.path(), longest, whole).unwrap().map(|line| line.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn lines_are_read_up_to_their_limits() {
        assert_eq!(read(b"a\r\n\nbc", 2, 9).unwrap(), ["a", "", "bc"]);
        assert_eq!(read(b"", 2, 9).unwrap(), [""; 0]);
        for (text, longest, whole, words) in [
            (&b"ab\nabc"[..], 2, 9, "a line of more than the 2 bytes"),
            (b"ab\nab\n", 2, 5, "more than the 5 bytes"),
            (b"ab\n\xFF", 2, 9, "not UTF-8"),
        ] {
            let error = read(text, longest, whole).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_never_ends_is_given_up() {
        let mut lines = lines(Path::new("/dev/zero"), 1 << 20, 1 << 30).unwrap();
        let error = lines.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("a line of more than"), "{error}");
        assert!(lines.next().is_none());
    }
}
