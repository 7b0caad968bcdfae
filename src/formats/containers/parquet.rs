//! Parquet, as `datasets`, pandas and the hub write it; its columns packed with snappy, gzip or lz4, or not at all.

use std::{fs::File, io};

use parquet::{
    basic::Compression,
    file::{
        metadata::ParquetMetaData,
        reader::{FileReader as _, SerializedFileReader},
    },
    record::{Field, Row, reader::RowIter},
};

use super::{
    container::{
        Container, ContainerKind, Input, LONGEST, LONGEST_WRITTEN, NESTED, Open, Stretch, caught, too_long, unfit,
        utf_8,
    },
    json_text, packed, pages,
};
use crate::report::LineOrRow;

pub const KIND: ContainerKind =
    ContainerKind { title: "Parquet", is: |start| start.starts_with(b"PAR1"), open: Open::Records(open) };

fn open(input: Input) -> io::Result<Box<dyn Container>> {
    let Some(file) = input.file else {
        return Err(unfit("Parquet is read from its end: unpack it, or save it as a file of its own"));
    };
    let length = file.metadata()?.len();
    pages::check_footer(&file, length)?;
    let (rows, total) = caught(|| {
        let reader = SerializedFileReader::new(file.try_clone()?).map_err(|error| damaged(&error))?;
        check(&file, length, reader.metadata())?;
        let total = reader.metadata().file_metadata().num_rows();
        Ok((RowIter::from_file_into(Box::new(reader)), total))
    })?;
    Ok(Box::new(Table { rows, total: total as f64, given: 0, length, given_bytes: 0, record: Vec::new() }))
}

/// Looks at everything that a reader would take at its word.
fn check(file: &File, length: u64, about: &ParquetMetaData) -> io::Result<()> {
    for (at, group) in about.row_groups().iter().enumerate() {
        for column in group.columns() {
            if let packing @ (Compression::BROTLI(_) | Compression::LZO) = column.compression() {
                return Err(unfit(format!(
                    "its columns are packed with {packing}; write it with snappy, e.g. with pandas: \
                     df.to_parquet(\"pairs.parquet\", compression=\"snappy\")"
                )));
            }
            let (begins, bytes) = column.byte_range();
            if begins.checked_add(bytes).is_none_or(|end| end > length) {
                return Err(unfit(format!("it is damaged: group {} of its rows lies outside of the file", at + 1)));
            }
            let told = |error: io::Error| unfit(format!("it is damaged in group {} of its rows: {error}", at + 1));
            pages::check(file, begins, bytes).map_err(told)?;
        }
    }
    Ok(())
}

struct Table {
    rows: RowIter<'static>,
    /// Rows of the file, and those given so far.
    total: f64,
    given: u64,
    /// Bytes of the file, and of the records given so far.
    length: u64,
    given_bytes: u64,
    record: Vec<u8>,
}

impl Container for Table {
    fn title(&self) -> String {
        KIND.title.to_owned()
    }

    fn unit(&self) -> LineOrRow {
        LineOrRow::Row
    }

    fn next(&mut self) -> io::Result<Option<Stretch<'_>>> {
        let Self { rows, given, record, .. } = self;
        let next = caught(|| Ok(rows.next())).map_err(|error| behind(*given, &error))?;
        let Some(row) = next.transpose().map_err(|error| behind(*given, &error))? else {
            return Ok(None);
        };
        *given += 1;
        record.clear();
        let written = object(record, &row, 0);
        self.given_bytes += record.len() as u64;
        packed::in_proportion(self.given_bytes, self.length)?;
        Ok(Some(Stretch { place: *given, text: written.and_then(|()| utf_8(&self.record)) }))
    }

    fn done(&self) -> Option<f64> {
        Some((self.given as f64 / self.total.max(1.0)).min(1.0))
    }
}

fn object(out: &mut Vec<u8>, row: &Row, depth: usize) -> Result<(), String> {
    let fields = row.get_column_iter().map(|(name, field)| (name.as_str(), field));
    json_text::object(out, fields, |out, field| value(out, field, depth + 1))
}

/// One value of a column. A value that is no data of JSON is a text about it.
fn value(out: &mut Vec<u8>, field: &Field, depth: usize) -> Result<(), String> {
    if depth > NESTED {
        return Err(format!("its values are nested more than {NESTED} deep"));
    }
    if out.len() > LONGEST_WRITTEN {
        return Err(too_long(LONGEST));
    }
    match field {
        Field::Null => out.extend_from_slice(b"null"),
        Field::Bool(truth) => json_text::number(out, truth),
        Field::Byte(whole) => json_text::number(out, whole),
        Field::Short(whole) => json_text::number(out, whole),
        Field::Int(whole) | Field::Date(whole) | Field::TimeMillis(whole) => json_text::number(out, whole),
        Field::Long(whole)
        | Field::TimeMicros(whole)
        | Field::TimestampMillis(whole)
        | Field::TimestampMicros(whole) => {
            json_text::number(out, whole);
        }
        Field::UByte(whole) => json_text::number(out, whole),
        Field::UShort(whole) => json_text::number(out, whole),
        Field::UInt(whole) => json_text::number(out, whole),
        Field::ULong(whole) => json_text::number(out, whole),
        Field::Float16(real) => json_text::number(out, &f32::from(*real)),
        Field::Float(real) => json_text::number(out, real),
        Field::Double(real) => json_text::number(out, real),
        Field::Str(text) => json_text::string(out, text),
        Field::Bytes(bytes) => json_text::bytes(out, bytes.data()),
        Field::Decimal(_) => json_text::string(out, &field.to_string()),
        Field::Group(row) => object(out, row, depth)?,
        Field::ListInternal(items) => {
            json_text::list(out, items.elements().iter(), |out, item| value(out, item, depth + 1))?;
        }
        Field::MapInternal(map) => {
            let are_texts = map.entries().iter().all(|(key, _)| matches!(key, Field::Str(_)));
            let entries = map.entries().iter().map(|(key, value)| [key, value]);
            json_text::map(out, are_texts, entries, |out, field| value(out, field, depth + 1))?;
        }
    }
    Ok(())
}

fn damaged(error: &dyn std::fmt::Display) -> io::Error {
    unfit(format!("it is damaged: {error}"))
}

fn behind(row: u64, error: &dyn std::fmt::Display) -> io::Error {
    unfit(format!("it is damaged behind row {row}: {error}"))
}
