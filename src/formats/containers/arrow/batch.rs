//! The buffers of one batch, read one after another.
//!
//! Source: <https://arrow.apache.org/docs/format/Columnar.html#recordbatch-message> and Message.fbs, whose numbers
//! stand here.

use std::{
    collections::HashMap,
    io::{self, Read},
    slice,
};

use lz4_flex::frame::FrameDecoder;

use super::{
    column::{Column, Dictionary},
    flat::{Table, damaged},
    schema::{ArrowType, Encoding, Field},
};
use crate::containers::{
    container::{caught, unfit},
    packed,
};

/// Bytes of a batch, and of all dictionaries together, that are held at most.
const HELD: u64 = 1 << 30;

/// How buffers are packed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Lz4,
    Zstd,
}

/// What follows a message: buffers, in the order in which they are named, with gaps.
struct Body<'a> {
    bytes: &'a mut dyn Read,
    at: u64,
    length: u64,
    packing: Option<Packing>,
    /// Bytes of the buffers so far.
    held: u64,
}

impl Body<'_> {
    /// One of so many bytes at this place.
    fn buffer(&mut self, offset: i64, length: i64) -> io::Result<Vec<u8>> {
        let outside = || damaged("a buffer lies outside of its batch");
        let length = u64::try_from(length).map_err(|_| outside())?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let offset = u64::try_from(offset).map_err(|_| outside())?;
        if offset < self.at || offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(outside());
        }
        skip(self.bytes, offset - self.at)?;
        self.at = offset + length;
        let Some(packing) = self.packing else {
            return self.take(length);
        };
        let mut size = [0; 8];
        self.bytes.read_exact(&mut size)?;
        let packed = length.checked_sub(8).ok_or_else(outside)?;
        match i64::from_le_bytes(size) {
            // So it says that it would have grown.
            -1 => self.take(packed),
            size => self.unpack(packing, packed, u64::try_from(size).map_err(|_| outside())?),
        }
    }

    fn hold(&mut self, bytes: u64) -> io::Result<()> {
        self.held = self.held.saturating_add(bytes);
        if self.held <= HELD {
            return Ok(());
        }
        Err(unfit(format!(
            "one of its batches has more than {} MiB; write it in smaller ones, e.g. with pyarrow: \
             feather.write_feather(table, \"pairs.feather\", chunksize=65536)",
            HELD >> 20
        )))
    }

    fn take(&mut self, length: u64) -> io::Result<Vec<u8>> {
        self.hold(length)?;
        let mut buffer = Vec::new();
        self.bytes.take(length).read_to_end(&mut buffer)?;
        if buffer.len() as u64 == length { Ok(buffer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn unpack(&mut self, packing: Packing, packed: u64, size: u64) -> io::Result<Vec<u8>> {
        self.hold(size)?;
        let mut source = (&mut *self.bytes).take(packed);
        // One byte more tells whether more would come.
        let mut buffer = Vec::new();
        let read = caught(|| match packing {
            Packing::Lz4 => FrameDecoder::new(&mut source).take(size + 1).read_to_end(&mut buffer),
            Packing::Zstd => packed::unzstd(&mut source)?.take(size + 1).read_to_end(&mut buffer),
        });
        let count = read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if source.limit() > 0 => error,
            _ => damaged(format!("a buffer cannot be unpacked ({error})")),
        })?;
        if count as u64 != size {
            return Err(damaged(format!("a buffer says that it has {size} bytes, and has others")));
        }
        let left = source.limit();
        skip(self.bytes, left).map(|()| buffer)
    }
}

/// Passes over bytes that must be there.
pub fn skip(bytes: &mut dyn Read, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut bytes.take(count), &mut io::sink())?;
    if skipped == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// What a message says about its buffers, column by column.
struct Layout<'a> {
    body: Body<'a>,
    /// Length and nulls of each column.
    nodes: slice::Iter<'a, [u8; 16]>,
    /// Place and length of each buffer.
    buffers: slice::Iter<'a, [u8; 16]>,
    /// How many buffers with texts each column of views has.
    views: slice::Iter<'a, [u8; 8]>,
    dictionaries: &'a HashMap<i64, Dictionary>,
}

/// Rows, the values of each column, and the bytes held for them.
#[derive(Debug)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Column>,
    pub held: u64,
}

impl Batch {
    /// The batch that a message describes, whose buffers are the next `length` bytes. `held`: bytes that stay.
    pub fn read(
        about: Table<'_>,
        fields: &[&Field],
        dictionaries: Option<&HashMap<i64, Dictionary>>,
        (bytes, length): (&mut dyn Read, u64),
        held: u64,
    ) -> io::Result<Self> {
        let packing = about.table(3)?.map(packing).transpose()?;
        let none = HashMap::new();
        let mut layout = Layout {
            body: Body { bytes, at: 0, length, packing, held },
            nodes: about.structs(1)?.iter(),
            buffers: about.structs(2)?.iter(),
            views: about.structs(4)?.iter(),
            dictionaries: dictionaries.unwrap_or(&none),
        };
        let rows =
            usize::try_from(i64::from_le_bytes(about.number(0)?)).map_err(|_| damaged("a batch has no length"))?;
        let is_values = dictionaries.is_none();
        let columns: Vec<Column> =
            fields.iter().map(|field| layout.column(field, is_values)).collect::<io::Result<_>>()?;
        let Body { bytes, at, held: now, .. } = layout.body;
        skip(bytes, length - at)?;
        let held = now - held;
        // A row takes a bit at least, where it is no null that takes nothing.
        if columns.iter().any(|column| column.length != rows) || rows as u64 / 8 > held + 64 {
            return Err(damaged(format!("a batch says that it has {rows} rows, and has others")));
        }
        Ok(Self { rows, columns, held })
    }
}

impl Layout<'_> {
    /// `is_values`: those of its dictionary.
    fn column(&mut self, field: &Field, is_values: bool) -> io::Result<Column> {
        let [length, _nulls] = pair(self.nodes.next().ok_or_else(|| damaged("a column has no length"))?);
        let length = usize::try_from(length).map_err(|_| damaged("a column has no length"))?;
        let encoding = field.dictionary.filter(|_| !is_values);
        if let Some(Encoding { id, .. }) = encoding {
            let dictionary = self.dictionaries.get(&id).ok_or_else(|| {
                unfit(format!(
                    "the dictionary of its column {:?} does not stand before the rows that use it",
                    field.name
                ))
            })?;
            let dictionary = Some(dictionary.clone());
            let (validity, buffers) = (self.buffer()?, vec![self.buffer()?]);
            return Ok(Column { length, validity, buffers, children: Vec::new(), dictionary });
        }
        let validity = if field.kind == ArrowType::Null { Vec::new() } else { self.buffer()? };
        let count = match field.kind {
            ArrowType::Null | ArrowType::Array { .. } | ArrowType::Struct => 0,
            ArrowType::Run { .. } | ArrowType::ListView { .. } => 2,
            ArrowType::View { .. } => {
                let texts = self.views.next().map_or(-1, |count| i64::from_le_bytes(*count));
                1 + usize::try_from(texts).map_err(|_| damaged("a column of views has no texts"))?
            }
            _ => 1,
        };
        let buffers = (0..count).map(|_| self.buffer()).collect::<io::Result<_>>()?;
        let children = field.children.iter().map(|child| self.column(child, false)).collect::<io::Result<_>>()?;
        Ok(Column { length, validity, buffers, children, dictionary: None })
    }

    fn buffer(&mut self) -> io::Result<Vec<u8>> {
        let [offset, length] = pair(self.buffers.next().ok_or_else(|| damaged("a column has no buffer"))?);
        self.body.buffer(offset, length)
    }
}

fn pair(bytes: &[u8; 16]) -> [i64; 2] {
    let [a, b] = bytes.as_chunks().0 else { return [-1; 2] };
    [i64::from_le_bytes(*a), i64::from_le_bytes(*b)]
}

fn packing(about: Table<'_>) -> io::Result<Packing> {
    match about.number(0)? {
        [0] => Ok(Packing::Lz4),
        [1] => Ok(Packing::Zstd),
        [other] => Err(unfit(format!("its buffers are packed in a way that is not known here ({other})"))),
    }
}
