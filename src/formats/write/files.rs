//! What records are written into, by the ending of a file's name.

use std::{
    io::{self, Write},
    path::Path,
};

use flate2::write::GzEncoder;
use serde_json::{Map, Value as Json};

use super::{kinds::Kinds, parquet};
use crate::FormatError;
use ::{data::integers, files::Output};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Lines(Packing),
    Array(Packing),
    /// With what separates its cells.
    Table(u8, Packing),
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
}

impl FileKind {
    /// Of an ending that says nothing: JSON lines.
    pub fn of(path: &Path) -> Result<Self, FormatError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let (name, packing) = match name.strip_suffix(".gz") {
            Some(name) => (name, Packing::Gzip),
            None => (name.as_str(), Packing::None),
        };
        Ok(match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "json" => Self::Array(packing),
            "csv" => Self::Table(b',', packing),
            "tsv" => Self::Table(b'\t', packing),
            "parquet" if packing == Packing::None => Self::Parquet,
            "parquet" | "arrow" | "feather" | "zst" | "xlsx" => {
                return Err(FormatError::NotWritten { path: path.to_owned() });
            }
            _ => Self::Lines(packing),
        })
    }

    pub fn is_json(self) -> bool {
        matches!(self, Self::Lines(_) | Self::Array(_))
    }
}

/// A file of records that is being written.
pub trait Rows {
    /// [`io::ErrorKind::InvalidData`] for a record that does not fit its columns.
    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()>;

    /// The file below, to which everything was written.
    fn finish(self: Box<Self>) -> io::Result<Output>;
}

/// `kinds`: what all records hold, where the columns have types.
pub fn open(kind: FileKind, out: Output, kinds: Kinds) -> io::Result<Box<dyn Rows>> {
    Ok(match kind {
        FileKind::Lines(packing) => Box::new(Lines(Packed::new(out, packing))),
        FileKind::Array(packing) => Box::new(Array { out: Packed::new(out, packing), begun: false }),
        FileKind::Table(delimiter, packing) => {
            Box::new(Table { out: Packed::new(out, packing), delimiter, header: Vec::new() })
        }
        FileKind::Parquet => Box::new(parquet::Table::new(out, kinds)?),
    })
}

/// Bytes on their way into a file.
enum Packed {
    Plain(Output),
    Gzip(GzEncoder<Output>),
}

impl Packed {
    fn new(out: Output, packing: Packing) -> Self {
        match packing {
            Packing::None => Self::Plain(out),
            Packing::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::default())),
        }
    }

    fn finish(self) -> io::Result<Output> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(out) => out.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
        }
    }
}

struct Lines(Packed);

impl Rows for Lines {
    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        self.0.write_all(integers::write(record)?.as_bytes())?;
        self.0.write_all(b"\n")
    }

    fn finish(self: Box<Self>) -> io::Result<Output> {
        self.0.finish()
    }
}

struct Array {
    out: Packed,
    begun: bool,
}

impl Rows for Array {
    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        self.out.write_all(if self.begun { b",\n" } else { b"[\n" })?;
        self.begun = true;
        self.out.write_all(integers::write(record)?.as_bytes())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Output> {
        self.out.write_all(if self.begun { b"\n]\n" } else { b"[]\n" })?;
        self.out.finish()
    }
}

struct Table {
    out: Packed,
    delimiter: u8,
    /// Of the first record; all have the same.
    header: Vec<String>,
}

impl Table {
    fn line<'a>(&mut self, cells: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> io::Result<()> {
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                self.out.write_all(&[self.delimiter])?;
            }
            let quoted = |byte: u8| byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
            if cell.bytes().any(quoted) || cell.trim() != cell || (at == 0 && cell.is_empty()) {
                write!(self.out, "\"{}\"", cell.replace('"', "\"\""))?;
            } else {
                self.out.write_all(cell.as_bytes())?;
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl Rows for Table {
    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        if self.header.is_empty() {
            self.header = record.keys().cloned().collect();
            self.line(record.keys().map(Into::into))?;
        }
        let header = std::mem::take(&mut self.header);
        let written = self.line(header.iter().map(|name| match record.get(name) {
            Some(Json::String(text)) => text.into(),
            None | Some(Json::Null) => "".into(),
            // Lists and objects as JSON, which is how they are read.
            Some(other) => integers::write(other).unwrap_or_default().into(),
        }));
        self.header = header;
        written
    }

    fn finish(self: Box<Self>) -> io::Result<Output> {
        self.out.finish()
    }
}
