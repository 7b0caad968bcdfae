//! The values of a column, as JSON. Nothing that a file says about its buffers is believed: every place is looked up in
//! them.

use std::rc::Rc;

use half::f16;

use super::schema::{ArrowType, Encoding, Field};
use crate::containers::{
    container::{LONGEST, LONGEST_WRITTEN, NESTED, too_long},
    json_text,
};

/// The values of a [`Field`] in one batch.
#[derive(Debug)]
pub struct Column {
    pub length: usize,
    /// A bit for each value; empty where all are there.
    pub validity: Vec<u8>,
    pub buffers: Vec<Vec<u8>>,
    pub children: Vec<Column>,
    /// What the values are numbers of, if they are.
    pub dictionary: Option<Dictionary>,
}

/// The pieces of a dictionary, in the order in which they came.
pub type Dictionary = Rc<Vec<Column>>;

const OUTSIDE: &str = "it is damaged: a value lies outside of its column";

impl Column {
    /// The value at a place.
    pub fn write(&self, out: &mut Vec<u8>, field: &Field, at: usize, depth: usize) -> Result<(), String> {
        if depth > NESTED {
            return Err(format!("its values are nested more than {NESTED} deep"));
        }
        if out.len() > LONGEST_WRITTEN {
            return Err(too_long(LONGEST));
        }
        if at >= self.length {
            return Err(OUTSIDE.to_owned());
        }
        if !self.validity.is_empty() && !bit(&self.validity, at)? {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match (&self.dictionary, field.dictionary) {
            (Some(pieces), Some(Encoding { width, .. })) => {
                let mut index = usize::try_from(self.integer(0, width, true, at)?).map_err(|_| OUTSIDE.to_owned())?;
                for piece in &**pieces {
                    if index < piece.length {
                        return piece.write_plain(out, field, index, depth);
                    }
                    index -= piece.length;
                }
                Err(OUTSIDE.to_owned())
            }
            _ => self.write_plain(out, field, at, depth),
        }
    }

    fn write_plain(&self, out: &mut Vec<u8>, field: &Field, at: usize, depth: usize) -> Result<(), String> {
        match field.kind {
            ArrowType::Null => out.extend_from_slice(b"null"),
            ArrowType::Bool => json_text::number(out, &bit(self.buffer(0)?, at)?),
            ArrowType::Int { width, signed } => match (self.integer(0, width, signed, at)?, signed) {
                (whole, true) => json_text::number(out, &whole),
                (whole, false) => json_text::number(out, &(whole as u64)),
            },
            ArrowType::Float { width: 2 } => {
                json_text::number(out, &f32::from(f16::from_le_bytes(self.array(0, at)?)));
            }
            ArrowType::Float { width: 4 } => json_text::number(out, &f32::from_le_bytes(self.array(0, at)?)),
            ArrowType::Float { .. } => json_text::number(out, &f64::from_le_bytes(self.array(0, at)?)),
            ArrowType::Decimal { width: 16, scale } => {
                json_text::string(out, &decimal(i128::from_le_bytes(self.array(0, at)?), scale));
            }
            ArrowType::Decimal { width, scale } => {
                json_text::string(out, &decimal(self.integer(0, width, true, at)?.into(), scale));
            }
            ArrowType::Opaque { .. } => json_text::no_text(out),
            ArrowType::Run { text, width } => {
                let (from, to) = self.ends(width, at)?;
                string(out, text, self.buffer(1)?.get(from..to).ok_or(OUTSIDE)?)?;
            }
            ArrowType::View { text } => string(out, text, self.view(at)?)?,
            ArrowType::List { width } => {
                let (from, to) = self.ends(width, at)?;
                self.list(out, field, from, to, depth)?;
            }
            ArrowType::ListView { width } => {
                let place = |buffer| -> Result<usize, String> {
                    usize::try_from(self.integer(buffer, width, true, at)?).map_err(|_| OUTSIDE.to_owned())
                };
                let from = place(0)?;
                self.list(out, field, from, from.checked_add(place(1)?).ok_or(OUTSIDE)?, depth)?;
            }
            ArrowType::Array { length } => {
                let from = at.checked_mul(length).ok_or(OUTSIDE)?;
                self.list(out, field, from, from.checked_add(length).ok_or(OUTSIDE)?, depth)?;
            }
            ArrowType::Struct => {
                let parts = field.children.iter().zip(&self.children);
                let parts = parts.map(|(part, values)| (part.name.as_str(), (part, values)));
                json_text::object(out, parts, |out, (part, values)| values.write(out, part, at, depth + 1))?;
            }
            ArrowType::Map => {
                let (from, to) = self.ends(4, at)?;
                self.map(out, field, from, to, depth)?;
            }
        }
        Ok(())
    }

    fn list(&self, out: &mut Vec<u8>, field: &Field, from: usize, to: usize, depth: usize) -> Result<(), String> {
        let (items, item) = (self.children.first().ok_or(OUTSIDE)?, field.children.first().ok_or(OUTSIDE)?);
        json_text::list(out, from..to, |out, at| items.write(out, item, at, depth + 1))
    }

    fn map(&self, out: &mut Vec<u8>, field: &Field, from: usize, to: usize, depth: usize) -> Result<(), String> {
        let (entries, entry) = (self.children.first().ok_or(OUTSIDE)?, field.children.first().ok_or(OUTSIDE)?);
        let ([key, value], [keys, values]) = (entry.children.as_slice(), entries.children.as_slice()) else {
            return Err(OUTSIDE.to_owned());
        };
        let are_texts = matches!(key.kind, ArrowType::Run { text: true, .. } | ArrowType::View { text: true });
        let each = (from..to).map(|at| [(key, keys, at), (value, values, at)]);
        json_text::map(out, are_texts, each, |out, (field, column, at)| column.write(out, field, at, depth + 1))
    }

    fn buffer(&self, number: usize) -> Result<&[u8], String> {
        self.buffers.get(number).map(Vec::as_slice).ok_or_else(|| OUTSIDE.to_owned())
    }

    /// The bytes of the number at a place.
    fn array<const BYTES: usize>(&self, buffer: usize, at: usize) -> Result<[u8; BYTES], String> {
        self.buffer(buffer)?.as_chunks().0.get(at).copied().ok_or_else(|| OUTSIDE.to_owned())
    }

    /// Without a sign it wraps, as in a cast.
    fn integer(&self, buffer: usize, width: usize, signed: bool, at: usize) -> Result<i64, String> {
        Ok(match (width, signed) {
            (1, true) => i8::from_le_bytes(self.array(buffer, at)?).into(),
            (1, false) => u8::from_le_bytes(self.array(buffer, at)?).into(),
            (2, true) => i16::from_le_bytes(self.array(buffer, at)?).into(),
            (2, false) => u16::from_le_bytes(self.array(buffer, at)?).into(),
            (4, true) => i32::from_le_bytes(self.array(buffer, at)?).into(),
            (4, false) => u32::from_le_bytes(self.array(buffer, at)?).into(),
            _ => i64::from_le_bytes(self.array(buffer, at)?),
        })
    }

    /// From where to where a value reaches that begins where the one before ends.
    fn ends(&self, width: usize, at: usize) -> Result<(usize, usize), String> {
        let end = |at: usize| usize::try_from(self.integer(0, width, true, at)?).map_err(|_| OUTSIDE.to_owned());
        let (from, to) = (end(at)?, end(at + 1)?);
        if from > to { Err(OUTSIDE.to_owned()) } else { Ok((from, to)) }
    }

    /// Four bytes of length; then up to twelve of the value, or four of them and where all lie: a buffer and a place in
    /// it.
    fn view(&self, at: usize) -> Result<&[u8], String> {
        let views = self.buffer(0)?;
        let view = views.as_chunks::<16>().0.get(at).ok_or(OUTSIDE)?;
        let word = |at: usize| u32::from_le_bytes([view[at], view[at + 1], view[at + 2], view[at + 3]]) as usize;
        let length = word(0);
        if length <= 12 {
            return Ok(&view[4..4 + length]);
        }
        let (buffer, from) = (self.buffer(1 + word(8))?, word(12));
        buffer.get(from..from + length).ok_or_else(|| OUTSIDE.to_owned())
    }
}

fn string(out: &mut Vec<u8>, is_text: bool, bytes: &[u8]) -> Result<(), String> {
    if is_text && std::str::from_utf8(bytes).is_err() {
        return Err("a text in it is not UTF-8".to_owned());
    }
    json_text::bytes(out, bytes);
    Ok(())
}

fn bit(bytes: &[u8], at: usize) -> Result<bool, String> {
    bytes.get(at / 8).map(|byte| byte >> (at % 8) & 1 == 1).ok_or_else(|| OUTSIDE.to_owned())
}

/// `scale` digits of it stand behind the point.
fn decimal(whole: i128, scale: i32) -> String {
    let sign = if whole < 0 { "-" } else { "" };
    let digits = whole.unsigned_abs().to_string();
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let digits = format!("{digits:0>width$}", width = scale + 1);
            let (before, behind) = digits.split_at(digits.len() - scale);
            format!("{sign}{before}.{behind}")
        }
        Err(_) => format!("{sign}{digits}{}", "0".repeat(scale.unsigned_abs() as usize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_their_point() {
        for (whole, scale, text) in
            [(-5, 2, "-0.05"), (1234, 2, "12.34"), (7, 0, "7"), (7, -2, "700"), (0, 3, "0.000"), (-12, 1, "-1.2")]
        {
            assert_eq!(decimal(whole, scale), text);
        }
    }
}
