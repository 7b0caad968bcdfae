//! The lengths that a Parquet file states, looked at before its reader holds anything of such a length.
//!
//! Source: <https://github.com/apache/parquet-format>, and Thrift's compact protocol for what describes a page.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
};

use super::container::{NESTED, unfit};

/// A page is a megabyte as a rule; one long text makes it longer.
const LONGEST_PAGE: u64 = 256 << 20;

/// Bytes of what describes a page, and the whole file.
const HEADER: u64 = 1 << 20;
const FOOTER: u64 = 256 << 20;

/// The file ends with what describes it, whose length is stated.
pub fn check_footer(mut file: &File, length: u64) -> io::Result<()> {
    let mut end = [0; 8];
    if length < 12 {
        return Err(unfit("it breaks off; fetch the file again"));
    }
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, mark @ ..] = end;
    if mark != *b"PAR1" {
        return Err(unfit("it breaks off, because Parquet ends with its mark; fetch the file again"));
    }
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer + 12 > length || footer > FOOTER {
        return Err(unfit(format!("it is damaged: {footer} bytes should describe a file of {length}")));
    }
    file.seek(SeekFrom::Start(length - 8 - footer))?;
    let mut footer = Thrift { bytes: BufReader::new(file.take(footer)), left: footer };
    footer.check_schema()
}

/// Looks at all pages of a column, which fill a stretch of the file.
pub fn check(mut file: &File, begins: u64, bytes: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(begins))?;
    let mut reader = BufReader::with_capacity(1 << 12, file);
    let mut left = bytes;
    while left > 0 {
        let mut header = Thrift { bytes: &mut reader, left: HEADER.min(left) };
        let before = header.left;
        let [unpacked, packed] = header.page_sizes()?;
        left -= before - header.left;
        if packed > left || unpacked > LONGEST_PAGE {
            return Err(unfit(format!("a page says that it has {packed} bytes, unpacked {unpacked}")));
        }
        reader.seek_relative(packed as i64)?;
        left -= packed;
    }
    Ok(())
}

/// Thrift's compact protocol, as far as lengths go.
struct Thrift<R> {
    bytes: R,
    /// Bytes that may still be read.
    left: u64,
}

/// The types of the protocol.
const BOOLS: [u8; 2] = [1, 2];
const BYTE: u8 = 3;
const INTEGERS: [u8; 3] = [4, 5, 6];
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LISTS: [u8; 2] = [9, 10];
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.left = self.left.checked_sub(1).ok_or_else(too_short)?;
        self.bytes.read_exact(&mut byte).map_err(|_| too_short())?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut whole = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            whole |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(whole);
            }
        }
        Err(unfit("a number has no end"))
    }

    fn integer(&mut self) -> io::Result<i64> {
        let folded = self.varint()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    fn skip_bytes(&mut self, count: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(count).ok_or_else(too_short)?;
        io::copy(&mut self.bytes.by_ref().take(count), &mut io::sink()).map(drop)
    }

    /// The next field of a struct: its number, counted from the one before, and its type. `None` at the end.
    fn field(&mut self, before: i64) -> io::Result<Option<(i64, u8)>> {
        let head = self.byte()?;
        match (head >> 4, head & 0x0F) {
            (_, 0) => Ok(None),
            (0, kind) => Ok(Some((self.integer()?, kind))),
            (step, kind) => Ok(Some((before + i64::from(step), kind))),
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > NESTED {
            return Err(unfit("it is nested too deep"));
        }
        match kind {
            kind if BOOLS.contains(&kind) => Ok(()),
            BYTE => self.skip_bytes(1),
            kind if INTEGERS.contains(&kind) => self.varint().map(drop),
            DOUBLE => self.skip_bytes(8),
            UUID => self.skip_bytes(16),
            BINARY => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            kind if LISTS.contains(&kind) => {
                let (count, of) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(of, depth))
            }
            MAP => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0F, depth)
                })
            }
            STRUCT => {
                let mut number = 0;
                while let Some((at, kind)) = self.field(number)? {
                    number = at;
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            other => Err(unfit(format!("there is no type {other}"))),
        }
    }

    /// In a list, a truth takes a byte of its own.
    fn skip_element(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if BOOLS.contains(&kind) { self.skip_bytes(1) } else { self.skip(kind, depth + 1) }
    }

    /// How many there are in a list, and their type.
    fn list(&mut self) -> io::Result<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 0x0F { self.varint()? } else { u64::from(head >> 4) };
        Ok((count, head & 0x0F))
    }

    /// Bytes of a page, unpacked and packed: fields 2 and 3 of its header.
    fn page_sizes(&mut self) -> io::Result<[u64; 2]> {
        let mut sizes = [None; 2];
        let mut number = 0;
        while let Some((at, kind)) = self.field(number)? {
            number = at;
            match at {
                2 | 3 if INTEGERS.contains(&kind) => sizes[at as usize - 2] = u64::try_from(self.integer()?).ok(),
                _ => self.skip(kind, 0)?,
            }
        }
        match sizes {
            [Some(unpacked), Some(packed)] => Ok([unpacked, packed]),
            _ => Err(unfit("a page has no length")),
        }
    }

    /// Groups of columns that lie in one another, field 2 of the footer: so many levels that nobody comes back from
    /// them are refused.
    fn check_schema(&mut self) -> io::Result<()> {
        let mut number = 0;
        while let Some((at, kind)) = self.field(number)? {
            number = at;
            if at != 2 || !LISTS.contains(&kind) {
                self.skip(kind, 0)?;
                continue;
            }
            let (count, _) = self.list()?;
            // How many of each open group are still to come.
            let mut open: Vec<u64> = Vec::new();
            for _ in 0..count {
                while open.last() == Some(&0) {
                    open.pop();
                }
                if let Some(left) = open.last_mut() {
                    *left -= 1;
                }
                let children = self.children()?;
                if children > 0 {
                    open.push(children);
                }
                if open.len() > NESTED {
                    return Err(unfit(format!("its columns are nested more than {NESTED} deep")));
                }
            }
            return Ok(());
        }
        Ok(())
    }

    /// How many columns are in an element of the schema: its field 5.
    fn children(&mut self) -> io::Result<u64> {
        let (mut number, mut children) = (0, 0);
        while let Some((at, kind)) = self.field(number)? {
            number = at;
            match at {
                5 if INTEGERS.contains(&kind) => children = u64::try_from(self.integer()?).unwrap_or(0),
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(children)
    }
}

fn too_short() -> io::Error {
    unfit("what describes it breaks off")
}
