//! A model in a GGUF file: its settings as a `config.json` would say them, its tensors under their Hugging Face names.
//! `config` are the settings, with `frequencies` for Llama 3's rotary scaling; `names` is what llama.cpp calls things.
//! And the way back: `settings` and `write` make such a file of a trained policy.
//!
//! llama.cpp's converter changes some tensors on the way: it interleaves the rows of Llama's q and k, because its
//! rotation pairs neighbours instead of halves, and it adds the 1 to Gemma's norms. Both are undone here. Matrices in
//! blocks stay in the mapped file, except those whose rows are put back in order.

mod config;
mod frequencies;
pub(super) mod names;
mod settings;
#[cfg(test)]
mod tests;
mod write;

pub(super) use config::check_architecture;
pub use write::{GgufType, OnTensor, write_gguf};

use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value};

use super::LoadError;
use ::gguf::{ElementType, Gguf, TensorInfo};
use ::kernels::{Bytes, Quantized};

/// A GGUF file of a family that can be loaded.
#[derive(Debug)]
pub(super) struct GgufModel {
    file: Gguf,
    architecture: String,
    config: Map<String, Value>,
}

impl GgufModel {
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let fault = |reason: String| LoadError::Weights { path: path.to_owned(), reason };
        let file = Gguf::open(path).map_err(|error| LoadError::Gguf(error.to_string()))?;
        if file.text("general.type") == Some("adapter") {
            return Err(fault(
                "it holds an adapter, no model; name it as the adapter of the model that it was trained on".to_owned(),
            ));
        }
        let architecture = file
            .text("general.architecture")
            .ok_or_else(|| fault("`general.architecture` is missing".to_owned()))?
            .to_owned();
        let config = config::from_metadata(&file, &architecture).map_err(fault)?;
        Ok(Self { file, architecture, config })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// What `config.json` would say.
    pub(super) fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The file's tensors that none of these names means.
    pub(super) fn unused(&self, names: impl Iterator<Item = String>) -> Vec<String> {
        let used: std::collections::HashSet<String> = names.filter_map(|name| self.name(&name)).collect();
        self.file
            .tensor_names()
            .filter(|name| !used.contains(*name) && !name.starts_with("rope_f"))
            .map(str::to_owned)
            .collect()
    }

    /// Errors unless the tensor is there, has this shape, and an element type that can be read.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<(), LoadError> {
        self.find(name, shape).map(|_| ())
    }

    /// Widens a tensor into `values`, which must be as long.
    pub(super) fn read_into(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<(), LoadError> {
        let info = self.find(name, shape)?;
        let bytes = &self.file.bytes()[info.bytes.clone()];
        match info.element {
            ElementType::F32 => widen(bytes, values, f32::from_le_bytes),
            ElementType::F16 => widen(bytes, values, |bytes| f16::from_le_bytes(bytes).to_f32()),
            ElementType::Bf16 => widen(bytes, values, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            _ => {
                let (rows, columns) = sides(shape);
                let blocks = self.blocks(name, info, rows, columns)?;
                values.copy_from_slice(&blocks.dequantize());
                return Ok(()); // its rows are in order already
            }
        }
        if let Some(order) = self.row_order(name, sides(shape).0) {
            let columns = sides(shape).1;
            let stored = values.to_vec();
            for (row, &from) in values.chunks_mut(columns).zip(&order) {
                row.copy_from_slice(&stored[from * columns..][..columns]);
            }
        }
        if self.architecture.starts_with("gemma") && name.ends_with("norm.weight") {
            for value in values {
                *value -= 1.0;
            }
        }
        Ok(())
    }

    /// A matrix that is stored in blocks, as it is; nothing for one of plain numbers.
    pub(super) fn quantized(&self, name: &str, [rows, columns]: [usize; 2]) -> Result<Option<Quantized>, LoadError> {
        let info = self.find(name, &[rows, columns])?;
        if matches!(info.element, ElementType::F32 | ElementType::F16 | ElementType::Bf16) {
            return Ok(None);
        }
        self.blocks(name, info, rows, columns).map(Some)
    }

    /// The blocks of a tensor, its rows in the order of Hugging Face files.
    fn blocks(&self, name: &str, info: &TensorInfo, rows: usize, columns: usize) -> Result<Quantized, LoadError> {
        let fault = |reason: String| self.fault(format!("`{name}` {reason}"));
        let ElementType::Blocks(format) = info.element else {
            return Err(fault(format!("is stored as {}", info.element.name())));
        };
        let map: Bytes = self.file.map();
        let stored =
            Quantized::new(format, rows, columns, map, info.bytes.clone()).map_err(|error| fault(error.to_string()))?;
        match self.row_order(name, rows) {
            None => Ok(stored),
            Some(order) => stored.with_rows(&order).map_err(|error| fault(error.to_string())),
        }
    }

    pub(super) fn find(&self, name: &str, shape: &[usize]) -> Result<&TensorInfo, LoadError> {
        let own = self.name(name).unwrap_or_else(|| name.to_owned());
        let Some(info) = self.file.tensor(&own) else {
            return Err(self.fault(format!("the tensor `{own}` ({name}) is missing")));
        };
        if info.shape != shape {
            return Err(self.fault(format!(
                "`{own}` has shape {:?}, expected {shape:?} from the file's own settings",
                info.shape
            )));
        }
        if info.element.block().is_none() {
            return Err(self.fault(format!(
                "`{own}` is stored as {}, which cannot be read; choose a file of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, \
                 Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL or IQ4_XS",
                info.element.name()
            )));
        }
        Ok(info)
    }

    /// What the file calls a tensor.
    fn name(&self, name: &str) -> Option<String> {
        names::tensor_name(&self.architecture, name)
    }

    /// Where each row of a tensor stands in the file.
    fn row_order(&self, name: &str, rows: usize) -> Option<Vec<usize>> {
        let key = match () {
            () if name.contains(".self_attn.q_proj.") => "num_attention_heads",
            () if name.contains(".self_attn.k_proj.") => "num_key_value_heads",
            () => return None,
        };
        let heads = self.config.get(key)?.as_u64()? as usize;
        names::interleaved(&self.architecture, rows, heads)
    }

    fn fault(&self, reason: String) -> LoadError {
        LoadError::Weights { path: self.file.path().to_owned(), reason }
    }
}

/// Rows and columns; a vector is one row a number, as its rows are what has an order.
fn sides(shape: &[usize]) -> (usize, usize) {
    match *shape {
        [rows, columns] => (rows, columns),
        _ => (shape.iter().product(), 1),
    }
}

fn widen<const BYTES: usize>(bytes: &[u8], values: &mut [f32], one: impl Fn([u8; BYTES]) -> f32) {
    for (value, &bytes) in values.iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
        *value = one(bytes);
    }
}
