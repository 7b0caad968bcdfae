//! What records lie in: a container is a file here that yields them one by one, each with its place, as the text of a JSON
//! value. Which fields they have is none of its business; that is what shapes are for.

mod arrow;
mod csv;
mod foreign;
mod json;
mod json_text;
mod packed;
mod pages;
mod parquet;
mod python;
mod source;
mod utf16;

use std::{
    cell::Cell,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use super::FormatError;

/// In the order in which they are looked for; what none of them is is refused by its name, see [`foreign`].
const KINDS: [&Kind; 7] =
    [&packed::GZIP, &packed::ZSTD, &parquet::KIND, &arrow::KIND, &utf16::KIND, &csv::KIND, &json::KIND];

/// No record has reason to be longer, in bytes. One that is, is passed over.
const LONGEST: usize = 16 << 20;

/// More columns than this have no table's reason to be.
const COLUMNS: usize = 4096;

/// Nested deeper than this no record is.
const NESTED: usize = 48;

/// What can be told about a file before it is read.
const START: usize = 1 << 16;

/// Packed in packed in packed: more than that is meant to hurt.
const DEEPEST: usize = 3;

/// One kind of container.
struct Kind {
    /// What it is, in words.
    title: &'static str,
    /// Whether a file that begins like this is one.
    is: fn(&[u8]) -> bool,
    open: Open,
}

/// Bytes of wherever.
type Bytes = Box<dyn Read>;

/// How a kind of container is opened.
enum Open {
    /// Other bytes are in it.
    Unpack(fn(Bytes) -> io::Result<Bytes>),
    Records(fn(Input) -> io::Result<Box<dyn Container>>),
}

/// Bytes of which the first were looked at already.
struct Input {
    start: Vec<u8>,
    rest: Box<dyn Read>,
    /// The file itself, where nothing is packed and it can be read from any place.
    file: Option<File>,
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

/// What places in a file count, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    #[default]
    Line,
    /// Of a table that has no lines.
    Row,
}

impl Unit {
    pub fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
        }
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

/// A file of records that is open.
pub struct Opened {
    pub records: Box<dyn Container>,
    /// What it is, e.g. "JSON lines, packed with gzip".
    pub title: String,
    /// The file's size in bytes; 0 where that is not known.
    pub size: u64,
    read: Rc<Cell<u64>>,
}

impl Opened {
    /// Bytes of the file that were read so far.
    pub fn bytes(&self) -> u64 {
        self.records.done().map_or_else(|| self.read.get(), |done| (done * self.size as f64) as u64)
    }
}

/// The records of a file or a pipe.
pub fn open(path: &Path) -> Result<Opened, FormatError> {
    let failed = FormatError::reading(path);
    let about = fs::metadata(path).map_err(&failed)?;
    if about.is_dir() {
        return Err(FormatError::foreign(path, "a folder", "Name a file in it."));
    }
    if ::files::is_disk(&about) {
        return Err(FormatError::foreign(path, "a disk", "Name a file on it."));
    }
    let file = ::files::open_any(path, &about).map_err(&failed)?;
    let read = Rc::new(Cell::new(0));
    let mut whole = about.is_file().then(|| file.try_clone()).transpose().map_err(&failed)?;
    let mut rest: Box<dyn Read> = Box::new(Counted { bytes: file, read: Rc::clone(&read) });
    let mut packings = Vec::new();
    loop {
        let mut start = Vec::new();
        rest.by_ref().take(START as u64).read_to_end(&mut start).map_err(&failed)?;
        let kind = KINDS.into_iter().find(|kind| (kind.is)(&start)).unwrap_or(&json::KIND);
        match kind.open {
            Open::Unpack(_) if packings.len() == DEEPEST => {
                let reason = format!("it is packed more than {DEEPEST} times");
                return Err(FormatError::Unfit { path: path.to_owned(), reason });
            }
            Open::Unpack(unpack) => {
                packings.push(kind.title);
                whole = None;
                rest = unpack(Box::new(io::Cursor::new(start).chain(rest))).map_err(&failed)?;
            }
            Open::Records(open) => {
                if kind.title == json::KIND.title
                    && let Some((what, remedy)) = foreign::recognise(&start)
                {
                    return Err(FormatError::foreign(path, &what, remedy));
                }
                let records = open(Input { start, rest, file: whole }).map_err(&failed)?;
                let title =
                    [records.title()].into_iter().chain(packings.iter().rev().map(|&packing| packing.to_owned()));
                let title = title.collect::<Vec<_>>().join(", ");
                let size = if about.is_file() { about.len() } else { 0 };
                return Ok(Opened { records, title, size, read });
            }
        }
    }
}

/// The same of a file of at most `longest` bytes that will be read again: a pipe or a device is refused.
pub fn open_file(path: &Path, longest: u64) -> Result<Opened, FormatError> {
    ::files::open(path, longest)?;
    open(path)
}

/// Bytes that are counted as they are read.
struct Counted<R> {
    bytes: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

/// A record's bytes as text.
fn utf_8(record: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(record).map_err(|error| format!("not UTF-8: byte {} of the record", error.valid_up_to() + 1))
}

/// What a reader of others gives. They may panic at what nobody writes, and that is an error of the file.
fn caught<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    ::files::contained(read).unwrap_or_else(|panic| Err(unfit(format!("it is damaged ({panic})"))))
}

/// An error of the whole file, with a sentence of ours.
fn unfit(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

fn too_long() -> String {
    format!("the record is longer than {} MiB", LONGEST >> 20)
}
