//! FlatBuffers, as far as Arrow's messages go: tables whose fields may be absent, each looked for inside the bytes
//! only.
//!
//! Source: <https://flatbuffers.dev/internals/>.

use std::io;

use crate::containers::container::unfit;

/// A table in some bytes.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where its fields lie behind `at`, two bytes each; 0 for one that is absent.
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The one that the others hang on.
    pub fn root(bytes: &'a [u8]) -> io::Result<Self> {
        Self::behind(bytes, 0)
    }

    /// The one that an offset leads to.
    fn behind(bytes: &'a [u8], offset: usize) -> io::Result<Self> {
        let at = follow(bytes, offset)?;
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let fields = usize::try_from(at as i64 - back).map_err(|_| outside())?;
        let length = usize::from(u16::from_le_bytes(array(bytes, fields)?));
        Ok(Self { bytes, at, fields: stretch(bytes, fields, length)?.get(4..).unwrap_or_default() })
    }

    /// Where a field lies.
    fn place(&self, field: usize) -> Option<usize> {
        let offset = self.fields.get(2 * field..2 * field + 2)?;
        let offset = usize::from(u16::from_le_bytes([offset[0], offset[1]]));
        (offset > 0).then_some(self.at + offset)
    }

    pub fn has(&self, field: usize) -> bool {
        self.place(field).is_some()
    }

    /// A number of so many bytes, little-endian; 0 where it is absent.
    pub fn number<const BYTES: usize>(&self, field: usize) -> io::Result<[u8; BYTES]> {
        self.place(field).map_or(Ok([0; BYTES]), |at| array(self.bytes, at))
    }

    pub fn table(&self, field: usize) -> io::Result<Option<Self>> {
        self.place(field).map(|at| Self::behind(self.bytes, at)).transpose()
    }

    /// A list of other tables; empty where it is absent.
    pub fn tables(&self, field: usize) -> io::Result<impl Iterator<Item = io::Result<Self>> + use<'a>> {
        let (bytes, Items { first, all }) = (self.bytes, self.items(field, 4)?);
        Ok((0..all.len() / 4).map(move |at| Self::behind(bytes, first + 4 * at)))
    }

    /// A list of things of so many bytes; empty where it is absent.
    pub fn structs<const BYTES: usize>(&self, field: usize) -> io::Result<&'a [[u8; BYTES]]> {
        Ok(self.items(field, BYTES)?.all.as_chunks().0)
    }

    pub fn text(&self, field: usize) -> io::Result<&'a str> {
        std::str::from_utf8(self.items(field, 1)?.all).map_err(|_| damaged("a name in it is not UTF-8"))
    }

    fn items(&self, field: usize, bytes: usize) -> io::Result<Items<'a>> {
        let Some(at) = self.place(field) else {
            return Ok(Items { first: 0, all: &[] });
        };
        let list = follow(self.bytes, at)?;
        let count = u32::from_le_bytes(array(self.bytes, list)?) as usize;
        let first = list + 4;
        Ok(Items { first, all: stretch(self.bytes, first, count.checked_mul(bytes).ok_or_else(outside)?)? })
    }
}

/// What is in a list, and where it begins.
struct Items<'a> {
    first: usize,
    all: &'a [u8],
}

fn follow(bytes: &[u8], at: usize) -> io::Result<usize> {
    Ok(at + u32::from_le_bytes(array(bytes, at)?) as usize)
}

fn array<const BYTES: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; BYTES]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(outside)
}

fn stretch(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    bytes.get(at..).and_then(|rest| rest.get(..length)).ok_or_else(outside)
}

fn outside() -> io::Error {
    damaged("what describes it points outside of itself")
}

/// What is wrong with the file itself.
pub fn damaged(reason: impl std::fmt::Display) -> io::Error {
    unfit(format!("it is damaged: {reason}"))
}
