//! The header, read with every length checked before it is believed.

use std::{collections::BTreeMap, ops::Range};

use super::{ElementType, TensorInfo};

/// More is not a model but a damaged or hostile file. The largest models have a few thousand tensors and a hundred
/// keys.
const MAX_FIELDS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 16;
const MAX_NAME: usize = 1 << 10;
/// Elements of an array: a vocabulary, its merges, factors of a rotation.
const MAX_ELEMENTS: usize = 1 << 23;
const MAX_DIMENSIONS: u32 = 4;
const MAX_ALIGNMENT: usize = 1 << 20;

/// The type of a value, or of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Flag,
    Text,
    U64,
    I64,
    F64,
}

impl Kind {
    fn from_number(number: u32) -> Result<Self, String> {
        Ok(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Flag,
            8 => Self::Text,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            9 => return Err("an array inside an array".to_owned()),
            other => return Err(format!("a value of the unknown type {other}")),
        })
    }

    /// Bytes of one value; texts have no fixed width.
    pub(super) fn width(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::I8 | Self::Flag => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Text => return None,
        })
    }
}

/// Where a value lies.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) array: bool,
    /// A scalar's bytes (a text's without its length), or all elements of an array.
    pub(super) bytes: Range<usize>,
    /// The value as it stands in the file, from its type to its end.
    pub(super) whole: Range<usize>,
}

/// Walks a file's bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize, what: &str) -> Result<Range<usize>, String> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(format!("{what} reaches past the end of the file"));
        };
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    fn u32(&mut self, what: &str) -> Result<u32, String> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.bytes[self.take(4, what)?]);
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self, what: &str) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[self.take(8, what)?]);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A length-prefixed run of bytes.
    fn run(&mut self, what: &str) -> Result<Range<usize>, String> {
        let len = usize::try_from(self.u64(what)?).unwrap_or(usize::MAX);
        self.take(len, what)
    }

    fn name(&mut self, what: &str) -> Result<&'a str, String> {
        let run = self.run(what)?;
        if run.len() > MAX_NAME {
            return Err(format!("{what} is {} bytes long", run.len()));
        }
        std::str::from_utf8(&self.bytes[run]).map_err(|_utf8| format!("{what} is not UTF-8"))
    }
}

type Contents = (BTreeMap<String, Field>, BTreeMap<String, TensorInfo>);

/// Reads everything up to the tensors' data.
pub(super) fn header(bytes: &[u8]) -> Result<Contents, String> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.take(4, "the magic").ok().map(|range| &bytes[range]) != Some(b"GGUF") {
        return Err("it does not begin with GGUF".to_owned());
    }
    match cursor.u32("the version")? {
        2 | 3 => {}
        1 => return Err("version 1 of the format is no longer read; convert it again".to_owned()),
        other if other.swap_bytes() <= 3 => {
            return Err("it was written for big-endian machines".to_owned());
        }
        other => return Err(format!("version {other} of the format is not known")),
    }
    let tensor_count = cursor.u64("the number of tensors")?;
    let field_count = cursor.u64("the number of keys")?;
    if tensor_count > MAX_TENSORS || field_count > MAX_FIELDS {
        return Err(format!(
            "it claims {tensor_count} tensors and {field_count} keys; at most {MAX_TENSORS} and {MAX_FIELDS} are expected"
        ));
    }
    let mut fields = BTreeMap::new();
    for _ in 0..field_count {
        let key = cursor.name("a key")?;
        let field = field(&mut cursor).map_err(|reason| format!("in `{key}`: {reason}"))?;
        if fields.insert(key.to_owned(), field).is_some() {
            return Err(format!("the key `{key}` occurs twice"));
        }
    }
    let alignment = match fields.get("general.alignment") {
        None => 32,
        Some(field) => integer(field.kind, &bytes[field.bytes.clone()])
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| number.is_power_of_two() && *number <= MAX_ALIGNMENT)
            .ok_or("`general.alignment` is not a power of two within reason")?,
    };
    let mut found = Vec::new();
    for _ in 0..tensor_count {
        let name = cursor.name("a tensor's name")?;
        let tensor = tensor(&mut cursor).map_err(|reason| format!("in tensor `{name}`: {reason}"))?;
        found.push((name.to_owned(), tensor));
    }
    let data = cursor.at.next_multiple_of(alignment);
    let tensors = place(found, data, alignment, bytes.len())?;
    Ok((fields, tensors))
}

fn field(cursor: &mut Cursor<'_>) -> Result<Field, String> {
    const ARRAY: u32 = 9;
    let begin = cursor.at;
    let number = cursor.u32("its type")?;
    let array = number == ARRAY;
    if !array {
        let kind = Kind::from_number(number)?;
        let bytes = match kind.width() {
            Some(width) => cursor.take(width, "its value")?,
            None => cursor.run("its text")?,
        };
        return Ok(Field { kind, array, bytes, whole: begin..cursor.at });
    }
    let kind = Kind::from_number(cursor.u32("the type of its elements")?)?;
    let count = usize::try_from(cursor.u64("its length")?).unwrap_or(usize::MAX);
    if count > MAX_ELEMENTS {
        return Err(format!("an array of {count} elements; at most {MAX_ELEMENTS} are expected"));
    }
    let bytes = if let Some(width) = kind.width() {
        cursor.take(count.saturating_mul(width), "its array")?
    } else {
        let start = cursor.at;
        // Each text takes at least its length's own eight bytes, so this ends with the file at the latest.
        for _ in 0..count {
            cursor.run("a text of its array")?;
        }
        start..cursor.at
    };
    Ok(Field { kind, array, bytes, whole: begin..cursor.at })
}

/// A tensor before its offset is placed in the file.
struct Claim {
    shape: Vec<usize>,
    element: ElementType,
    offset: u64,
}

fn tensor(cursor: &mut Cursor<'_>) -> Result<Claim, String> {
    let dimensions = cursor.u32("its number of dimensions")?;
    if dimensions > MAX_DIMENSIONS {
        return Err(format!("it has {dimensions} dimensions"));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = cursor.u64("its shape")?;
        shape.push(usize::try_from(size).map_err(|_wide| format!("one side of it is {size}"))?);
    }
    shape.reverse();
    let element = ElementType::from_number(cursor.u32("its element type")?);
    Ok(Claim { shape, element, offset: cursor.u64("its offset")? })
}

/// Turns offsets into ranges of the file; no two may overlap.
fn place(
    claims: Vec<(String, Claim)>,
    data: usize,
    alignment: usize,
    file: usize,
) -> Result<BTreeMap<String, TensorInfo>, String> {
    let mut tensors = BTreeMap::new();
    for (name, claim) in claims {
        let len = byte_len(&claim).map_err(|reason| format!("in tensor `{name}`: {reason}"))?;
        let bytes = usize::try_from(claim.offset)
            .ok()
            .and_then(|offset| data.checked_add(offset))
            .and_then(|start| Some(start..start.checked_add(len)?))
            .filter(|bytes| bytes.end <= file)
            .ok_or_else(|| {
                format!(
                    "the tensor `{name}` reaches past the end of the file; it may be damaged or only partly downloaded"
                )
            })?;
        if !claim.offset.is_multiple_of(alignment as u64) {
            return Err(format!("the tensor `{name}` does not begin at a multiple of {alignment}"));
        }
        let info = TensorInfo { shape: claim.shape, element: claim.element, bytes };
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("the tensor `{name}` occurs twice"));
        }
    }
    let mut ranges: Vec<(&Range<usize>, &String)> = tensors.iter().map(|(name, info)| (&info.bytes, name)).collect();
    ranges.sort_by_key(|(range, _)| (range.start, range.end));
    for pair in ranges.windows(2) {
        if pair[1].0.start < pair[0].0.end {
            return Err(format!("the tensors `{}` and `{}` overlap", pair[0].1, pair[1].1));
        }
    }
    Ok(tensors)
}

/// Bytes of a tensor; zero for a type without a reader, whose block is not known.
fn byte_len(claim: &Claim) -> Result<usize, String> {
    let columns = claim.shape.last().copied().unwrap_or(1);
    let elements = claim
        .shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .ok_or("its shape is absurd")?;
    let Some((numbers, bytes)) = claim.element.block() else {
        return Ok(0);
    };
    if !columns.is_multiple_of(numbers) {
        return Err(format!(
            "rows of {columns} numbers cannot be stored as {}, whose blocks hold {numbers}",
            claim.element.name()
        ));
    }
    (elements / numbers).checked_mul(bytes).ok_or_else(|| "its shape is absurd".to_owned())
}

/// A value of a whole type.
pub(super) fn integer(kind: Kind, bytes: &[u8]) -> Option<i128> {
    let negative = bytes.last()? & 0x80 != 0;
    let signed = matches!(kind, Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64);
    if matches!(kind, Kind::F32 | Kind::F64 | Kind::Flag | Kind::Text) {
        return None;
    }
    let mut wide = [if signed && negative { 0xFF } else { 0 }; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    Some(i128::from_le_bytes(wide))
}

/// A value of any numeric type.
pub(super) fn number(kind: Kind, bytes: &[u8]) -> Option<f64> {
    match kind {
        Kind::F32 => Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        Kind::F64 => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => Some(integer(kind, bytes)? as f64),
    }
}

/// The texts of an array that [`header`] has walked before.
pub(super) fn texts(bytes: &[u8]) -> Option<Vec<&str>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let mut texts = Vec::new();
    while cursor.at < bytes.len() {
        let run = cursor.run("a text").ok()?;
        texts.push(std::str::from_utf8(&bytes[run]).ok()?);
    }
    Some(texts)
}
