//! The GGUF file of llama.cpp: what is in it and where, nothing about what it means.
//!
//! # Bird's-eye view
//!
//! [`Gguf::open`] maps a file, walks its header once and checks every length against the file's own. Nothing is copied:
//! values and tensors stay ranges of the map and are decoded when they are asked for. So a hostile file (absurd counts,
//! lengths past the end, tensors on top of each other) costs a sentence, never memory.
//!
//! Two rooms read it: `text` for the tokenizer, `model` for settings and weights. `kernels` computes with blocks as
//! they are stored, and has their sizes from here. [`build`] puts small files together in memory and writes large ones
//! a tensor at a time.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

mod block;
pub mod build;
mod element;
mod read;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

use ::files::{self, FileError};

pub use block::BlockFormat;
pub use element::ElementType;
use read::{Field, Kind};

/// A GGUF file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is not a GGUF file that can be read: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Outermost first, as everywhere in this crate (the file has it the other way round): a matrix is
    /// `[rows, columns]`.
    pub shape: Vec<usize>,
    pub element: ElementType,
    /// Where its bytes lie in the file.
    pub bytes: Range<usize>,
}

/// A mapped file and its table of contents.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    map: Arc<Mmap>,
    fields: BTreeMap<String, Field>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Gguf {
    /// Maps a file and checks its header.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let (file, _) = files::open(path, u64::MAX)?;
        #[expect(
            unsafe_code,
            reason = "the weights of a quantised model stay in the file: copying them would double the memory"
        )]
        // SAFETY: the map is read-only. Someone who rewrites the file while it is mapped changes numbers under us, as
        // with every program that maps model files; nothing but numbers and checked text is ever made of these bytes.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        let (fields, tensors) =
            read::header(&map).map_err(|reason| GgufError::Malformed { path: path.to_owned(), reason })?;
        Ok(Self { path: path.to_owned(), map: Arc::new(map), fields, tensors })
    }

    /// The GGUF file that a model path names: the path itself when it ends in `.gguf`, or the only such file of a
    /// folder without a `config.json`. `None` for everything else, which is then a Hugging Face folder or nothing.
    pub fn find(model: &Path) -> Option<PathBuf> {
        let is_gguf = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if is_gguf(model) && !model.is_dir() {
            return Some(model.to_owned());
        }
        if model.join("config.json").exists() {
            return None;
        }
        let mut files =
            std::fs::read_dir(model).ok()?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_gguf(path));
        let only = files.next()?;
        files.next().is_none().then_some(only)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The mapped file, to be kept by those who read from it later.
    pub fn map(&self) -> Arc<Mmap> {
        Arc::clone(&self.map)
    }

    /// Whether there is such a key.
    pub fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// A text value.
    pub fn text(&self, key: &str) -> Option<&str> {
        let field = self.scalar(key)?;
        (field.kind == Kind::Text).then(|| std::str::from_utf8(&self.map[field.bytes.clone()]).ok()).flatten()
    }

    /// A whole number, whatever its width in the file. Negative ones count as absent.
    pub fn size(&self, key: &str) -> Option<usize> {
        let field = self.scalar(key)?;
        let number = read::integer(field.kind, &self.map[field.bytes.clone()])?;
        usize::try_from(number).ok()
    }

    /// A number, whole or not.
    pub fn number(&self, key: &str) -> Option<f64> {
        let field = self.scalar(key)?;
        read::number(field.kind, &self.map[field.bytes.clone()])
    }

    /// A yes or no.
    pub fn flag(&self, key: &str) -> Option<bool> {
        let field = self.scalar(key)?;
        (field.kind == Kind::Flag).then(|| self.map[field.bytes.start] != 0)
    }

    /// The texts of an array.
    pub fn texts(&self, key: &str) -> Option<Vec<&str>> {
        let field = self.array(key)?;
        if field.kind != Kind::Text {
            return None;
        }
        read::texts(&self.map[field.bytes.clone()])
    }

    /// The numbers of an array, whole or not.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let field = self.array(key)?;
        let width = field.kind.width()?;
        self.map[field.bytes.clone()].chunks_exact(width).map(|bytes| read::number(field.kind, bytes)).collect()
    }

    /// A value as it stands in the file, its type before it.
    fn value_bytes(&self, key: &str) -> Option<&[u8]> {
        Some(&self.map[self.fields.get(key)?.whole.clone()])
    }

    /// A tensor's place, or nothing when it is not there.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Names of all tensors, sorted.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    fn scalar(&self, key: &str) -> Option<&Field> {
        self.fields.get(key).filter(|field| !field.array)
    }

    fn array(&self, key: &str) -> Option<&Field> {
        self.fields.get(key).filter(|field| field.array)
    }
}

#[cfg(test)]
mod tests;
