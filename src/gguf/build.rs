//! GGUF files in the making: small ones put together in memory, large ones written a tensor at a time.

use std::io::{self, Write};

use super::{ElementType, Gguf};

/// Where a tensor's data begins is a multiple of this.
const ALIGNMENT: usize = 32;

/// A file in the making: counts are filled in at the end.
#[derive(Debug, Default, Clone)]
pub struct Build {
    fields: Vec<Vec<u8>>,
    tensors: Vec<Declared>,
    /// The first tensors' bytes; those of the others come when they are written.
    data: Vec<Vec<u8>>,
}

/// A tensor as the header tells of it.
#[derive(Debug, Clone)]
struct Declared {
    name: String,
    /// Outermost first.
    shape: Vec<usize>,
    /// The number of its element type in the format.
    element: u32,
    bytes: usize,
}

fn run(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

fn list(kind: u32, count: usize) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &(count as u64).to_le_bytes()].concat()
}

impl Build {
    fn field(mut self, key: &str, kind: u32, value: Vec<u8>) -> Self {
        self.fields.push([run(key.as_bytes()), kind.to_le_bytes().to_vec(), value].concat());
        self
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.field(key, 8, run(value.as_bytes()))
    }

    pub fn size(self, key: &str, value: u32) -> Self {
        self.field(key, 4, value.to_le_bytes().to_vec())
    }

    pub fn number(self, key: &str, value: f32) -> Self {
        self.field(key, 6, value.to_le_bytes().to_vec())
    }

    pub fn flag(self, key: &str, value: bool) -> Self {
        self.field(key, 7, vec![u8::from(value)])
    }

    pub fn texts<T: AsRef<str>>(self, key: &str, values: &[T]) -> Self {
        let mut bytes = list(8, values.len());
        for value in values {
            bytes.extend(run(value.as_ref().as_bytes()));
        }
        self.field(key, 9, bytes)
    }

    pub fn numbers(self, key: &str, values: &[f32]) -> Self {
        let mut bytes = list(6, values.len());
        for value in values {
            bytes.extend(value.to_le_bytes());
        }
        self.field(key, 9, bytes)
    }

    /// A list of whole numbers.
    pub fn integers(self, key: &str, values: &[i32]) -> Self {
        let mut bytes = list(5, values.len());
        for value in values {
            bytes.extend(value.to_le_bytes());
        }
        self.field(key, 9, bytes)
    }

    /// A value of another file under its key there, byte for byte; nothing where the file has none.
    pub fn copied(mut self, key: &str, from: &Gguf) -> Self {
        if let Some(value) = from.value_bytes(key) {
            self.fields.push([&run(key.as_bytes())[..], value].concat());
        }
        self
    }

    /// The values and tensors of both.
    pub fn with(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        let mut tensors = other.tensors.into_iter();
        let here = tensors.by_ref().take(other.data.len()).collect::<Vec<_>>();
        self.tensors.splice(self.data.len()..self.data.len(), here);
        self.tensors.extend(tensors);
        self.data.extend(other.data);
        self
    }

    /// A tensor of `element` (its number in the format); `shape` outermost first. Stands before those that are declared
    /// only.
    pub fn tensor(mut self, name: &str, shape: &[usize], element: u32, bytes: Vec<u8>) -> Self {
        let declared = Declared { name: name.to_owned(), shape: shape.to_vec(), element, bytes: bytes.len() };
        self.tensors.insert(self.data.len(), declared);
        self.data.push(bytes);
        self
    }

    /// A tensor of f32 numbers.
    pub fn floats(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(name, shape, 0, bytes.collect())
    }

    /// A tensor whose bytes come when [`Build::write`] asks for them.
    ///
    /// # Panics
    /// Where `element` has no reader, or a row is no whole number of its blocks.
    pub fn declared(mut self, name: &str, shape: &[usize], element: ElementType) -> Self {
        let (numbers, width) = element.block().expect("a type that can be read");
        let columns = shape.last().copied().unwrap_or(1);
        assert!(columns.is_multiple_of(numbers), "rows of {columns} numbers as {}", element.name());
        let bytes = shape.iter().product::<usize>() / numbers * width;
        self.tensors.push(Declared { name: name.to_owned(), shape: shape.to_vec(), element: element.number(), bytes });
        self
    }

    /// Bytes of the whole file.
    pub fn byte_len(&self) -> usize {
        let data = self.tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(ALIGNMENT)).sum::<usize>();
        self.header().len() + data
    }

    /// Everything before the tensors' data.
    fn header(&self) -> Vec<u8> {
        let mut file = [b"GGUF".as_slice(), &3_u32.to_le_bytes()].concat();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.fields.len() as u64).to_le_bytes());
        file.extend(self.fields.concat());
        let mut offset = 0;
        for Declared { name, shape, element, bytes } in &self.tensors {
            file.extend(run(name.as_bytes()));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&size| file.extend((size as u64).to_le_bytes()));
            file.extend(element.to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset += bytes.next_multiple_of(ALIGNMENT);
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file
    }

    /// The start of the file, up to the first tensor whose bytes are still to come.
    pub fn beginning(&self) -> Vec<u8> {
        let mut file = self.header();
        for bytes in &self.data {
            file.extend(bytes);
            file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        }
        file
    }

    /// Writes what follows [`Build::beginning`]: each tensor's bytes as `data` gives them, by name, one in memory at a
    /// time.
    pub fn write_rest<E: From<io::Error>>(
        &self,
        out: &mut impl Write,
        data: &mut dyn FnMut(&str) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        for tensor in &self.tensors[self.data.len()..] {
            let mut bytes = data(&tensor.name)?;
            if bytes.len() != tensor.bytes {
                let wrong = format!("`{}` has {} bytes, {} were declared", tensor.name, bytes.len(), tensor.bytes);
                return Err(io::Error::other(wrong).into());
            }
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    /// The whole file, where no tensor is declared only.
    pub fn bytes(&self) -> Vec<u8> {
        self.beginning()
    }
}
