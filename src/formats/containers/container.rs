//! What is true of every container: how one is recognised and opened, what it yields, and how far it may go.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    rc::Rc,
};

use crate::report::Unit;

/// No record has reason to be longer, in bytes. One that is, is passed over.
pub const LONGEST: usize = 16 << 20;

/// More columns than this have no table's reason to be.
pub const COLUMNS: usize = 4096;

/// Nested deeper than this no record is.
pub const NESTED: usize = 48;

/// What can be told about a file before it is read.
pub const START: usize = 1 << 16;

/// One kind of container.
pub struct Kind {
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
    fn unit(&self) -> Unit {
        Unit::Line
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

/// A record's bytes as text.
pub fn utf_8(record: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(record).map_err(|error| format!("not UTF-8: byte {} of the record", error.valid_up_to() + 1))
}

/// What a reader of others gives. They may panic at what nobody writes, and that is an error of the file.
pub fn caught<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    ::files::contained(read).unwrap_or_else(|panic| Err(unfit(format!("it is damaged ({panic})"))))
}

/// An error of the whole file, with a sentence of ours.
pub fn unfit(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

pub fn too_long() -> String {
    format!("the record is longer than {} MiB", LONGEST >> 20)
}
