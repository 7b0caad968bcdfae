//! Arrow, as pyarrow, polars and `datasets` write it: a stream of batches, or a file (Feather) that holds one; its
//! buffers packed with lz4 or zstd, or not at all.
//!
//! Source: <https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>. A
//! file is read as the stream that is in it, from its beginning; what lies where, at its end, is for those who jump.

mod batch;
mod column;
mod flat;
mod schema;

use std::{
    collections::HashMap,
    io::{self, BufReader, Read},
    rc::Rc,
};

use self::{
    batch::Batch,
    column::Dictionary,
    flat::{Table, damaged},
    schema::{Field, columns},
};
use super::{
    container::{Container, ContainerKind, Input, Open, START, Stretch, unfit, utf_8},
    json_text, packed,
};
use crate::report::LineOrRow;

pub const KIND: ContainerKind =
    ContainerKind { title: "Arrow", is: |start| is_file(start) || is_stream(start), open: Open::Records(open) };

/// What a file begins with, up to a multiple of eight bytes.
const MARK: &[u8] = b"ARROW1\0\0";

/// Stands before the length of what describes a message.
const CONTINUES: [u8; 4] = [0xFF; 4];

/// Bytes of what describes a message.
const LONGEST_MESSAGE: u32 = 64 << 20;

fn is_file(start: &[u8]) -> bool {
    start.starts_with(&MARK[..6])
}

fn is_stream(start: &[u8]) -> bool {
    let length = start.strip_prefix(&CONTINUES).and_then(|rest| rest.first_chunk());
    length.is_some_and(|length| u32::from_le_bytes(*length) <= LONGEST_MESSAGE)
}

fn open(input: Input) -> io::Result<Box<dyn Container>> {
    let is_file = is_file(&input.start);
    let bytes: Box<dyn Read> = Box::new(io::Cursor::new(input.start).chain(input.rest));
    let mut source = Source { bytes: BufReader::with_capacity(START, bytes), read: 0 };
    if is_file {
        batch::skip(&mut source, MARK.len() as u64).map_err(|error| broken(&error, 0))?;
    }
    let message = next_message(&mut source, is_file).map_err(|error| broken(&error, 0))?;
    let message = message.ok_or_else(|| unfit("it holds no table"))?;
    let about = Table::root(&message)?;
    let (SCHEMA, Some(header)) = (header(about)?, about.table(2)?) else {
        return Err(damaged("it does not begin with its columns"));
    };
    Ok(Box::new(Stream {
        source,
        is_file,
        fields: columns(header)?,
        dictionaries: HashMap::new(),
        held: HashMap::new(),
        batch: None,
        next: 0,
        given: 0,
        given_bytes: 0,
        record: Vec::new(),
    }))
}

/// The kinds of messages.
const SCHEMA: u8 = 1;
const DICTIONARY: u8 = 2;
const RECORDS: u8 = 3;

fn header(message: Table<'_>) -> io::Result<u8> {
    message.number(1).map(|[kind]| kind)
}

/// The next message's description, or nothing at the end; its buffers follow. A file tells its end, a stream may just
/// end.
fn next_message(source: &mut Source, is_file: bool) -> io::Result<Option<Vec<u8>>> {
    let mut word = [0; 4];
    match source.read_exact(&mut word) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !is_file => return Ok(None),
        read => read?,
    }
    // Before Arrow 0.15 the length stood alone.
    if word == CONTINUES {
        source.read_exact(&mut word)?;
    }
    let length = u32::from_le_bytes(word);
    if length == 0 {
        return Ok(None);
    }
    if length > LONGEST_MESSAGE {
        return Err(damaged(format!("{length} bytes should describe a batch")));
    }
    let mut message = Vec::new();
    source.take(length.into()).read_to_end(&mut message)?;
    if message.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(message))
}

/// The bytes of the file, counted.
struct Source {
    bytes: BufReader<Box<dyn Read>>,
    read: u64,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

struct Stream {
    source: Source,
    is_file: bool,
    fields: Vec<Field>,
    dictionaries: HashMap<i64, Dictionary>,
    /// Bytes of each dictionary.
    held: HashMap<i64, u64>,
    batch: Option<Batch>,
    /// The next row of the batch.
    next: usize,
    /// Rows given so far, and the bytes of their records.
    given: u64,
    given_bytes: u64,
    record: Vec<u8>,
}

impl Stream {
    /// Reads on until there are rows; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.batch.as_ref().is_none_or(|batch| self.next >= batch.rows) {
            self.batch = None;
            let Some(message) = next_message(&mut self.source, self.is_file)? else {
                return Ok(false);
            };
            self.take(Table::root(&message)?)?;
        }
        Ok(true)
    }

    fn take(&mut self, message: Table<'_>) -> io::Result<()> {
        let about = message.table(2)?.ok_or_else(|| damaged("a message is empty"))?;
        let length = u64::try_from(i64::from_le_bytes(message.number(3)?));
        let length = length.map_err(|_| damaged("a batch has no length"))?;
        let held = self.held.values().sum();
        let body = (&mut self.source as &mut dyn Read, length);
        match header(message)? {
            RECORDS => {
                let fields: Vec<&Field> = self.fields.iter().collect();
                self.batch = Some(Batch::read(about, &fields, Some(&self.dictionaries), body, held)?);
                self.next = 0;
            }
            DICTIONARY => {
                let id = i64::from_le_bytes(about.number(0)?);
                let values = Field::of_dictionary(&self.fields, id);
                let (Some(values), Some(data)) = (values, about.table(1)?) else {
                    return Err(damaged("it has a dictionary for no column"));
                };
                let Batch { columns, held, .. } = Batch::read(data, &[values], None, body, held)?;
                // What comes later may be added to what is known.
                let adds = about.number(2)? != [0];
                let known = self.dictionaries.remove(&id).filter(|_| adds).unwrap_or_default();
                let mut pieces = Rc::try_unwrap(known).map_err(|_| damaged("a dictionary is in use"))?;
                pieces.extend(columns);
                self.dictionaries.insert(id, Rc::new(pieces));
                *self.held.entry(id).and_modify(|before| *before *= u64::from(adds)).or_default() += held;
            }
            SCHEMA => return Err(damaged("its columns stand in it twice")),
            _ => return Err(unfit("it holds tensors, which are no records")),
        }
        Ok(())
    }
}

impl Container for Stream {
    fn title(&self) -> String {
        if self.is_file { KIND.title.to_owned() } else { "an Arrow stream".to_owned() }
    }

    fn unit(&self) -> LineOrRow {
        LineOrRow::Row
    }

    fn next(&mut self) -> io::Result<Option<Stretch<'_>>> {
        if !self.fill().map_err(|error| broken(&error, self.given))? {
            return Ok(None);
        }
        let (row, record) = (self.next, &mut self.record);
        self.next += 1;
        self.given += 1;
        record.clear();
        let columns = self.batch.iter().flat_map(|batch| self.fields.iter().zip(&batch.columns));
        let columns = columns.map(|(field, column)| (field.name.as_str(), (field, column)));
        let written = json_text::object(record, columns, |out, (field, column)| column.write(out, field, row, 1));
        self.given_bytes += record.len() as u64;
        packed::in_proportion(self.given_bytes, self.source.read)?;
        Ok(Some(Stretch { place: self.given, text: written.and_then(|()| utf_8(&self.record)) }))
    }
}

/// What ends in the middle, or is wrong there, is told by its place.
fn broken(error: &io::Error, row: u64) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => unfit(format!("it breaks off behind row {row}; fetch the file again")),
        io::ErrorKind::InvalidData if row > 0 => unfit(format!("{error} (behind row {row})")),
        kind => io::Error::new(kind, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
