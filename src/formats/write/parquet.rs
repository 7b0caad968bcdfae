//! Parquet as pandas, `datasets` and the hub read it: packed with snappy, a few megabytes in a group of rows.
//!
//! A value of a column that lies in others is told by two levels: how much of its way is there, and at which list it
//! goes on. Source: <https://parquet.apache.org/docs/file-format/nestedencoding/>.

use std::{io, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};
use serde_json::{Map, Value as Json};

use super::{
    files::Rows,
    kinds::{Kinds, ValueKind},
};
use ::files::Output;

/// Bytes of the texts of a group of rows: as many are held.
const GROUP: usize = 16 << 20;

pub struct Table {
    writer: SerializedFileWriter<Output>,
    kinds: Kinds,
    /// Of the rows that are held.
    leaves: Vec<Leaf>,
    bytes: usize,
}

/// A column in the sense of Parquet: values that lie in no others.
#[derive(Debug)]
struct Leaf {
    definition: Vec<i16>,
    repetition: Vec<i16>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Bools(Vec<bool>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Table {
    /// `kinds`: of all records that will come.
    pub fn new(out: Output, kinds: Kinds) -> io::Result<Self> {
        let columns =
            kinds.0.iter().map(|(name, kind)| column(name, kind)).collect::<Result<_, _>>().map_err(failed)?;
        let schema = Type::group_type_builder("schema").with_fields(columns).build().map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        let mut leaves = Vec::new();
        kinds.0.iter().for_each(|(_, kind)| Leaf::of(kind, &mut leaves));
        Ok(Self { writer, kinds, leaves, bytes: 0 })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for leaf in &mut self.leaves {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            let (definition, repetition) = (Some(leaf.definition.as_slice()), Some(leaf.repetition.as_slice()));
            match (column.untyped(), &leaf.values) {
                (ColumnWriter::BoolColumnWriter(writer), Values::Bools(values)) => {
                    writer.write_batch(values, definition, repetition)
                }
                (ColumnWriter::Int64ColumnWriter(writer), Values::Ints(values)) => {
                    writer.write_batch(values, definition, repetition)
                }
                (ColumnWriter::DoubleColumnWriter(writer), Values::Floats(values)) => {
                    writer.write_batch(values, definition, repetition)
                }
                (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => {
                    writer.write_batch(values, definition, repetition)
                }
                _ => Err(ParquetError::General("a column is of another type than its values".to_owned())),
            }?;
            column.close()?;
            leaf.clear();
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }
}

impl Rows for Table {
    fn write(&mut self, record: &Map<String, Json>) -> io::Result<()> {
        let bytes = put_fields(&self.kinds.0, record, Levels::default(), &mut self.leaves);
        self.bytes += bytes.ok_or(io::ErrorKind::InvalidData)?;
        if self.bytes >= GROUP { self.write_group().map_err(failed) } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<Output> {
        if self.bytes > 0 {
            self.write_group().map_err(failed)?;
        }
        self.writer.into_inner().map_err(failed)
    }
}

fn column(name: &str, kind: &ValueKind) -> Result<TypePtr, ParquetError> {
    let of = |physical, logical| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        builder.with_logical_type(logical).build()
    };
    let group = |logical, fields| {
        let builder = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
        builder.with_logical_type(logical).with_fields(fields).build()
    };
    let column = match kind {
        ValueKind::Null | ValueKind::Text | ValueKind::Json => of(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ValueKind::Bool => of(Physical::BOOLEAN, None),
        ValueKind::Int => of(Physical::INT64, None),
        ValueKind::Float => of(Physical::DOUBLE, None),
        ValueKind::List(item) => {
            let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
            let list = list.with_fields(vec![self::column("element", item)?]).build()?;
            group(Some(LogicalType::List), vec![Arc::new(list)])
        }
        ValueKind::Struct(fields) => {
            group(None, fields.iter().map(|(name, kind)| self::column(name, kind)).collect::<Result<_, _>>()?)
        }
    };
    column.map(Arc::new)
}

/// How much of the way to a value is there, at which list on it the value goes on, and how many lists there are.
#[derive(Debug, Clone, Copy, Default)]
struct Levels {
    definition: i16,
    repetition: i16,
    lists: i16,
}

/// Puts a value to the leaves of its kind; gives the bytes that are held for it. Nothing for a value of another kind.
fn put(kind: &ValueKind, value: Option<&Json>, at: Levels, leaves: &mut [Leaf]) -> Option<usize> {
    let there = Levels { definition: at.definition + 1, ..at };
    match (kind, value) {
        (_, None | Some(Json::Null)) => Some(absent(at, leaves)),
        (ValueKind::List(_), Some(Json::Array(items))) if items.is_empty() => Some(absent(there, leaves)),
        (ValueKind::List(item), Some(Json::Array(items))) => {
            let inside = |place| Levels {
                definition: at.definition + 2,
                repetition: if place == 0 { at.repetition } else { at.lists + 1 },
                lists: at.lists + 1,
            };
            items.iter().enumerate().map(|(place, value)| put(item, Some(value), inside(place), leaves)).sum()
        }
        (ValueKind::Struct(fields), Some(Json::Object(values))) => {
            if values.keys().any(|name| fields.iter().all(|(known, _)| known != name)) {
                return None;
            }
            put_fields(fields, values, there, leaves)
        }
        (ValueKind::List(_) | ValueKind::Struct(_), _) => None,
        (_, Some(value)) => leaves.first_mut()?.push(there, value),
    }
}

/// The same of each field.
fn put_fields(
    fields: &[(String, ValueKind)],
    values: &Map<String, Json>,
    at: Levels,
    mut leaves: &mut [Leaf],
) -> Option<usize> {
    let mut bytes = 0;
    for (name, kind) in fields {
        let (of_field, rest) = leaves.split_at_mut_checked(kind.leaves())?;
        bytes += put(kind, values.get(name), at, of_field)?;
        leaves = rest;
    }
    Some(bytes)
}

/// No value lies behind these levels.
fn absent(at: Levels, leaves: &mut [Leaf]) -> usize {
    for leaf in &mut *leaves {
        leaf.definition.push(at.definition);
        leaf.repetition.push(at.repetition);
    }
    LEVELS * leaves.len()
}

/// Bytes of the two levels of a value.
const LEVELS: usize = 4;

impl Leaf {
    /// Those of a kind, in the order of its fields.
    fn of(kind: &ValueKind, all: &mut Vec<Self>) {
        let values = match kind {
            ValueKind::List(item) => return Self::of(item, all),
            ValueKind::Struct(fields) => return fields.iter().for_each(|(_, kind)| Self::of(kind, all)),
            ValueKind::Bool => Values::Bools(Vec::new()),
            ValueKind::Int => Values::Ints(Vec::new()),
            ValueKind::Float => Values::Floats(Vec::new()),
            ValueKind::Null | ValueKind::Text | ValueKind::Json => Values::Texts(Vec::new()),
        };
        all.push(Self { definition: Vec::new(), repetition: Vec::new(), values });
    }

    fn push(&mut self, at: Levels, value: &Json) -> Option<usize> {
        self.definition.push(at.definition);
        self.repetition.push(at.repetition);
        match &mut self.values {
            Values::Bools(all) => all.push(value.as_bool()?),
            Values::Ints(all) => all.push(value.as_i64()?),
            Values::Floats(all) => all.push(value.as_f64()?),
            Values::Texts(all) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let bytes = LEVELS + text.len();
                all.push(ByteArray::from(text.into_bytes()));
                return Some(bytes);
            }
        }
        Some(LEVELS + size_of::<i64>())
    }

    fn clear(&mut self) {
        self.definition.clear();
        self.repetition.clear();
        match &mut self.values {
            Values::Bools(all) => all.clear(),
            Values::Ints(all) => all.clear(),
            Values::Floats(all) => all.clear(),
            Values::Texts(all) => all.clear(),
        }
    }
}

impl ValueKind {
    /// How many columns in the sense of Parquet it has.
    fn leaves(&self) -> usize {
        match self {
            Self::List(item) => item.leaves(),
            Self::Struct(fields) => fields.iter().map(|(_, kind)| kind.leaves()).sum(),
            _ => 1,
        }
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
