//! What is true of every container: how one is recognised and opened, what it yields, and how far it may go.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    rc::Rc,
};

use crate::report::LineOrRow;

/// No record has reason to say more, in bytes ([`Growth`]). One that does is passed over.
pub const LONGEST: usize = 16 << 20;

/// So long is the text of a record at most that says so much: the longest escape, of six bytes, stands for one.
pub const LONGEST_WRITTEN: usize = 6 * LONGEST;

/// Where no record has ended for so many bytes the file is given up: nothing says that one ever does.
pub const ENDLESS: u64 = 1 << 30;

/// More columns than this have no table's reason to be.
pub const COLUMNS: usize = 4096;

/// Nested deeper than this no record is.
pub const NESTED: usize = 48;

/// What can be told about a file before it is read.
pub const START: usize = 1 << 16;

/// One kind of container.
pub struct ContainerKind {
    /// What it is, in words.
    pub title: &'static str,
    /// Whether a file that begins like this is one.
    pub is: fn(&[u8]) -> bool,
    pub open: Open,
}

/// Bytes of wherever.
pub type Bytes = Box<dyn Read>;

/// How a kind of container is opened.
pub enum Open {
    /// Other bytes are in it.
    Unpack(fn(Bytes) -> io::Result<Bytes>),
    Records(fn(Input) -> io::Result<Box<dyn Container>>),
}

/// Bytes of which the first were looked at already.
pub struct Input {
    pub start: Vec<u8>,
    pub rest: Box<dyn Read>,
    /// The file itself, where nothing is packed and it can be read from any place.
    pub file: Option<File>,
}

/// Records of a file.
pub trait Container {
    /// What it is, e.g. "JSON lines".
    fn title(&self) -> String;

    /// The next record. `None` at the end. An error is one of the whole file.
    fn next(&mut self) -> io::Result<Option<Stretch<'_>>>;

    /// What places count.
    fn unit(&self) -> LineOrRow {
        LineOrRow::Line
    }

    /// How much of the file was read, of 1, where its bytes do not tell.
    fn done(&self) -> Option<f64> {
        None
    }

    /// After the last record: where and why more may have followed.
    fn breaks_off(&self) -> Option<(u64, &'static str)> {
        None
    }
}

/// A stretch of a file that should be one JSON value.
#[derive(Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// Its line or row, from 1.
    pub place: u64,
    /// Without blanks around it; or a sentence about why it is none.
    pub text: Result<&'a str, String>,
}

/// Bytes that are counted as they are read.
pub struct Counted<R> {
    pub bytes: R,
    pub read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// Watches how much a record says: its bytes, with an escape (`\n`, `\u00e9`) as the letter that it stands for. So a
/// text that is written in ASCII may say as much as the same in UTF-8.
pub struct Growth {
    longest: usize,
    /// Bytes that were looked at, what they say, and the length from which on it can be too much.
    seen: usize,
    says: usize,
    next_look: usize,
}

impl Growth {
    pub fn up_to(longest: usize) -> Self {
        Self { longest, seen: 0, says: 0, next_look: longest }
    }

    /// Whether the record, which has grown, says too much by now.
    pub fn is_too_much(&mut self, record: &[u8]) -> bool {
        if record.len() <= self.next_look {
            return false;
        }
        while self.seen < record.len() {
            let rest = &record[self.seen..];
            let (bytes, says) = match rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len()) {
                0 => match escape(rest) {
                    Some(escape) => escape,
                    // The rest of it is still to come.
                    None => break,
                },
                plain => (plain, plain),
            };
            self.seen += bytes;
            self.says += says;
        }
        // No byte says more than one.
        self.next_look = self.seen + self.longest.saturating_sub(self.says);
        self.says > self.longest
    }
}

/// Bytes of an escape, and of the letter that it stands for, of a pair of surrogates half of it.
fn escape(text: &[u8]) -> Option<(usize, usize)> {
    if *text.get(1)? != b'u' {
        return Some((2, 1));
    }
    let digits = std::str::from_utf8(text.get(2..6)?).ok();
    Some(match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
        None => (2, 2),
        Some(0..0x80) => (6, 1),
        Some(0x80..0x800 | 0xD800..0xE000) => (6, 2),
        Some(_) => (6, 3),
    })
}

/// A record's bytes as text, unless it says too much.
pub fn utf_8(record: &[u8]) -> Result<&str, String> {
    if Growth::up_to(LONGEST).is_too_much(record) {
        return Err(too_long(LONGEST));
    }
    std::str::from_utf8(record)
        .map_err(|error| format!("not UTF-8: byte {} of the record; {}", error.valid_up_to() + 1, ::files::CONVERT))
}

/// What a reader of others gives. They may panic at what nobody writes, and that is an error of the file.
pub fn caught<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    ::files::contained(read).unwrap_or_else(|panic| Err(unfit(format!("it is damaged ({panic})"))))
}

/// An error of the whole file, with a sentence of ours.
pub fn unfit(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

pub fn too_long(longest: usize) -> String {
    format!("the record is longer than {} MiB", longest >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_counts_as_what_it_stands_for() {
        let says = |record: &str, least: usize| {
            let mut growth = Growth::up_to(least - 1);
            // Byte by byte, as records grow.
            let early = (1..record.len()).any(|end| growth.is_too_much(&record.as_bytes()[..end]));
            !early && growth.is_too_much(record.as_bytes()) && !Growth::up_to(least).is_too_much(record.as_bytes())
        };
        for (text, length) in [("plain", 5), (r"\n\\\u0041", 3), (r"\u00e9\u6c34", 5), (r"\ud83d\ude00", 4), ("水", 3)]
        {
            assert!(says(text, length), "{text}");
        }
    }
}
