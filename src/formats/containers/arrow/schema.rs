//! What the columns of an Arrow file are.
//!
//! Source: <https://github.com/apache/arrow/blob/main/format/Schema.fbs>, whose numbers of fields and types stand here.

use std::io;

use super::flat::{Table, damaged};
use crate::containers::container::{COLUMNS, NESTED, unfit};

/// A column, or what lies in one.
#[derive(Debug)]
pub struct Field {
    pub name: String,
    /// Of a value: where there is a dictionary, of one in it.
    pub kind: ArrowType,
    pub dictionary: Option<Encoding>,
    pub children: Vec<Field>,
}

/// Values that are numbers of places in a dictionary.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    pub id: i64,
    /// Bytes of a number.
    pub width: usize,
}

/// How values lie in buffers. Widths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrowType {
    Null,
    Bool,
    Int {
        width: usize,
        signed: bool,
    },
    Float {
        width: usize,
    },
    Decimal {
        width: usize,
        scale: i32,
    },
    /// Bytes that nobody reads here.
    Opaque {
        width: usize,
    },
    /// Texts or bytes, one behind the other, with the places where they end.
    Run {
        text: bool,
        width: usize,
    },
    /// Texts or bytes that lie anywhere; short ones beside their length.
    View {
        text: bool,
    },
    List {
        width: usize,
    },
    /// Lists that lie anywhere.
    ListView {
        width: usize,
    },
    /// Lists of the same length.
    Array {
        length: usize,
    },
    Struct,
    /// A list of entries, each a key and a value.
    Map,
}

/// The columns of a file.
pub fn columns(schema: Table<'_>) -> io::Result<Vec<Field>> {
    if i16::from_le_bytes(schema.number(0)?) != 0 {
        return Err(unfit("its numbers are big-endian; write it on the machine that will read it"));
    }
    let mut count = 0;
    schema.tables(1)?.map(|field| self::field(field?, &mut count, 0)).collect()
}

fn field(field: Table<'_>, count: &mut usize, depth: usize) -> io::Result<Field> {
    *count += 1;
    if *count > COLUMNS {
        return Err(unfit(format!("it has more than {COLUMNS} columns")));
    }
    if depth > NESTED {
        return Err(unfit(format!("its columns are nested more than {NESTED} deep")));
    }
    let name = field.text(0)?.to_owned();
    let [number] = field.number(2)?;
    let kind = kind(number, field.table(3)?, &name)?;
    let dictionary = field.table(4)?.map(encoding).transpose()?;
    let children: Vec<Field> =
        field.tables(5)?.map(|child| self::field(child?, count, depth + 1)).collect::<io::Result<_>>()?;
    let fits = match kind {
        ArrowType::Struct => true,
        ArrowType::List { .. } | ArrowType::ListView { .. } | ArrowType::Array { .. } => children.len() == 1,
        ArrowType::Map => {
            matches!(children.as_slice(), [entry] if entry.kind == ArrowType::Struct && entry.children.len() == 2)
        }
        _ => children.is_empty(),
    };
    if !fits {
        return Err(damaged(format!("its column {name:?} has {} parts", children.len())));
    }
    if dictionary.is_some() && children.iter().any(Field::has_dictionary) {
        return Err(unfit(format!("its column {name:?} has a dictionary within a dictionary")));
    }
    Ok(Field { name, kind, dictionary, children })
}

fn kind(number: u8, about: Option<Table<'_>>, name: &str) -> io::Result<ArrowType> {
    let about = about.ok_or_else(|| damaged(format!("its column {name:?} is of no type")))?;
    let whole = |field: usize| about.number(field).map(i32::from_le_bytes);
    let word = |field: usize| about.number(field).map(i16::from_le_bytes);
    let or = |bits: i32, absent: i32| if bits == 0 { absent } else { bits };
    let width = |bits: i32| match bits {
        8 | 16 | 32 | 64 | 128 | 256 => Ok(bits as usize / 8),
        _ => Err(damaged(format!("its column {name:?} has values of {bits} bits"))),
    };
    let length =
        |count: i32| usize::try_from(count).map_err(|_| damaged(format!("{name:?} has values of {count} bytes")));
    let left_out = |what: &str| {
        Err(unfit(format!(
            "its column {name:?} is {what}, which is not read; leave it out, e.g. with pyarrow: table.drop_columns([{name:?}])"
        )))
    };
    Ok(match number {
        1 => ArrowType::Null,
        2 => match width(whole(0)?)? {
            width @ 1..=8 => ArrowType::Int { width, signed: about.number(1)? != [0] },
            width => return Err(damaged(format!("its column {name:?} has integers of {width} bytes"))),
        },
        3 => match word(0)? {
            0 => ArrowType::Float { width: 2 },
            1 => ArrowType::Float { width: 4 },
            _ => ArrowType::Float { width: 8 },
        },
        4 => ArrowType::Run { text: false, width: 4 },
        5 => ArrowType::Run { text: true, width: 4 },
        6 => ArrowType::Bool,
        7 => match (width(or(whole(2)?, 128))?, whole(1)?) {
            (width @ 4..=16, scale @ -76..=76) => ArrowType::Decimal { width, scale },
            (width, _) => ArrowType::Opaque { width },
        },
        // Days, or milliseconds.
        8 => ArrowType::Int { width: if word(0)? == 0 && about.has(0) { 4 } else { 8 }, signed: true },
        9 => ArrowType::Int { width: width(or(whole(1)?, 32))?.min(8), signed: true },
        10 | 18 => ArrowType::Int { width: 8, signed: true },
        11 => ArrowType::Opaque { width: [4, 8].get(usize::try_from(word(0)?).unwrap_or(2)).copied().unwrap_or(16) },
        12 => ArrowType::List { width: 4 },
        13 => ArrowType::Struct,
        15 => ArrowType::Opaque { width: length(whole(0)?)? },
        16 => ArrowType::Array { length: length(whole(0)?)? },
        17 => ArrowType::Map,
        19 => ArrowType::Run { text: false, width: 8 },
        20 => ArrowType::Run { text: true, width: 8 },
        21 => ArrowType::List { width: 8 },
        23 => ArrowType::View { text: false },
        24 => ArrowType::View { text: true },
        25 => ArrowType::ListView { width: 4 },
        26 => ArrowType::ListView { width: 8 },
        14 => return left_out("a union"),
        22 => return left_out("run-end encoded"),
        other => return left_out(&format!("of type {other}")),
    })
}

fn encoding(dictionary: Table<'_>) -> io::Result<Encoding> {
    let bits = match dictionary.table(1)? {
        Some(index) => i32::from_le_bytes(index.number(0)?),
        None => 32,
    };
    match bits {
        8 | 16 | 32 | 64 => Ok(Encoding { id: i64::from_le_bytes(dictionary.number(0)?), width: bits as usize / 8 }),
        _ => Err(damaged(format!("a dictionary's numbers have {bits} bits"))),
    }
}

impl Field {
    fn has_dictionary(&self) -> bool {
        self.dictionary.is_some() || self.children.iter().any(Self::has_dictionary)
    }

    /// The one among these, and what lies in them, whose values are in this dictionary.
    pub fn of_dictionary(fields: &[Self], id: i64) -> Option<&Self> {
        fields.iter().find_map(|field| match field.dictionary {
            Some(encoding) if encoding.id == id => Some(field),
            _ => Self::of_dictionary(&field.children, id),
        })
    }
}
