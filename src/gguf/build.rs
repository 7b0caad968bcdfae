//! Small GGUF files, put together in memory: adapters, and what tests read.

/// A file in the making: counts are filled in at the end.
#[derive(Debug, Default, Clone)]
pub struct Build {
    fields: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

fn run(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
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

    pub fn texts(self, key: &str, values: &[&str]) -> Self {
        let mut bytes = [8_u32.to_le_bytes().as_slice(), &(values.len() as u64).to_le_bytes()].concat();
        for value in values {
            bytes.extend(run(value.as_bytes()));
        }
        self.field(key, 9, bytes)
    }

    pub fn numbers(self, key: &str, values: &[f32]) -> Self {
        let mut bytes = [6_u32.to_le_bytes().as_slice(), &(values.len() as u64).to_le_bytes()].concat();
        for value in values {
            bytes.extend(value.to_le_bytes());
        }
        self.field(key, 9, bytes)
    }

    /// A tensor of `element` (its number in the format); `shape` outermost first.
    pub fn tensor(mut self, name: &str, shape: &[usize], element: u32, bytes: Vec<u8>) -> Self {
        self.tensors.push((name.to_owned(), shape.to_vec(), element, bytes));
        self
    }

    /// A tensor of f32 numbers.
    pub fn floats(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.tensor(name, shape, 0, bytes.collect())
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = [b"GGUF".as_slice(), &3_u32.to_le_bytes()].concat();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.fields.len() as u64).to_le_bytes());
        file.extend(self.fields.concat());
        let mut data: Vec<u8> = Vec::new();
        for (name, shape, element, bytes) in &self.tensors {
            file.extend(run(name.as_bytes()));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|&size| file.extend((size as u64).to_le_bytes()));
            file.extend(element.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file
    }
}
