//! What records lie in: a container is a file here that yields them one by one, each with its place, as the text of a
//! JSON value. Which fields they have is none of its business; that is what shapes are for.

mod arrow;
mod container;
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
mod wrapped;

use std::{
    cell::Cell,
    fs,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

pub use self::container::Stretch;
use self::container::{Container, ContainerKind, Counted, Input, Open, START};
use super::FormatError;

/// In the order in which they are looked for; what none of them is is refused by its name, see [`foreign`].
const KINDS: [&ContainerKind; 8] =
    [&packed::GZIP, &packed::ZSTD, &parquet::KIND, &arrow::KIND, &utf16::KIND, &csv::KIND, &wrapped::KIND, &json::KIND];

/// Packed in packed in packed: more than that is meant to hurt.
const DEEPEST: usize = 3;

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
                if !packings.is_empty() {
                    rest = packed::packed_again(rest, &read);
                }
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
