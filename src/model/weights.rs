//! The weight files of a folder: `model.safetensors`, or shards with `model.safetensors.index.json`. Where both are
//! there the single file counts, and of shards every tensor of every file that the index names, as in Transformers.
//!
//! Headers are read and checked against the file's true length first; a tensor's shape is checked against what the
//! spec expects before a byte of it is converted. So a damaged or hostile file costs a sentence, never memory.
//! Only safetensors: no pickle is ever opened.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use half::{bf16, f16};
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use rayon::prelude::*;
use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;

use super::LoadError;
use ::files;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// The header of a file: room for fifty thousand tensors, which is more than any model here has.
const MAX_HEADER_BYTES: u64 = 8 << 20;
/// Bytes of a file that are in memory at a time while it is read.
const RUN: usize = 32 << 20;

/// What names of a decoder's tensors begin with in this crate, and in the files of most models.
const DECODER: &str = "model.";
/// The same in models that read images too: as their files have it, and as Transformers 5 calls their modules.
const INSIDE: [&str; 2] = ["language_model.model.", "model.language_model."];
/// In models that were saved without their head.
const BARE: &str = "";

/// Memory-mapped safetensors files and where each tensor lies in them.
pub(super) struct Weights {
    files: Vec<Shard>,
    /// Tensor name, as stored, to the index of its file.
    home: BTreeMap<String, usize>,
    /// What stands in front of the decoder's tensors here.
    prefix: &'static str,
    /// A tensor that is not stored, and the one that stands for it.
    stand_in: Option<(&'static str, &'static str)>,
    /// What was decided where files do not agree, as sentences.
    remarks: Vec<String>,
}

/// `model.safetensors.index.json`: which file each tensor is in.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) struct Shard {
    path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    data_start: usize,
}

impl Weights {
    /// Opens the weights of a model folder.
    pub(super) fn open(folder: &Path) -> Result<Self, LoadError> {
        let index = find(folder, INDEX);
        if let Some(single) = find(folder, SINGLE)? {
            let mut weights = Self::open_file(&single)?;
            if !matches!(index, Ok(None)) {
                weights.remarks.push(format!(
                    "{} holds {SINGLE} and {INDEX}: {SINGLE} is read, as Transformers does, and the files of the index are not",
                    folder.display()
                ));
            }
            return Ok(weights);
        }
        match index? {
            Some(index) => Self::open_sharded(folder, &index),
            None => Err(LoadError::Weights {
                path: folder.to_owned(),
                reason: format!("it holds neither {SINGLE} nor {INDEX}; only safetensors weights can be read"),
            }),
        }
    }

    /// Opens one file.
    pub(super) fn open_file(path: &Path) -> Result<Self, LoadError> {
        let shard = Shard::open(path)?;
        let home = shard.metadata.offset_keys().into_iter().map(|name| (name, 0)).collect();
        Ok(Self::new(vec![shard], home))
    }

    fn open_sharded(folder: &Path, index: &Path) -> Result<Self, LoadError> {
        let fault = |reason: String| LoadError::Weights { path: index.to_owned(), reason };
        let text = files::read_text(index, MAX_HEADER_BYTES)?;
        let Index { weight_map } =
            serde_json::from_str(&text).map_err(|error| fault(format!("not a JSON index of weights ({error})")))?;
        // Each file with the first tensor that is said to be in it, by the file's name.
        let mut named: BTreeMap<&str, &str> = BTreeMap::new();
        for (tensor, name) in &weight_map {
            named.entry(name).or_insert(tensor);
        }
        let mut files: Vec<Shard> = Vec::new();
        // A file may be named in more than one way.
        let mut opened = HashSet::new();
        let mut home: BTreeMap<String, usize> = BTreeMap::new();
        for (name, tensor) in named {
            // Only downwards: an index must not make us read files elsewhere on the machine.
            let mut parts = Path::new(name).components();
            let downwards = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !downwards || !name.ends_with(".safetensors") {
                return Err(fault(format!(
                    "`{tensor}` is said to be in {name:?}; expected a .safetensors file inside the folder"
                )));
            }
            let path = files::inside(folder, name)?;
            if !opened.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                continue;
            }
            let shard = Shard::open(&path)?;
            for tensor in shard.metadata.offset_keys() {
                if let Some(&other) = home.get(&tensor)
                    && files[other].stored(&tensor) != shard.stored(&tensor)
                {
                    let other = files[other].path.display();
                    return Err(fault(format!(
                        "`{tensor}` is in {other} and in {name} with other values; which of them is meant cannot be known"
                    )));
                }
                home.insert(tensor, files.len());
            }
            files.push(shard);
        }
        if files.is_empty() {
            return Err(fault("`weight_map` is empty".to_owned()));
        }
        let mut absent = weight_map.keys().filter(|tensor| !home.contains_key(*tensor)).peekable();
        let remark = absent.peek().copied().cloned().map(|first| {
            let more = match absent.count() {
                1 => String::new(),
                count => format!(" and {} others", count - 1),
            };
            format!("{} names `{first}`{more}, which its files do not hold", index.display())
        });
        let mut weights = Self::new(files, home);
        weights.remarks.extend(remark);
        Ok(weights)
    }

    fn new(files: Vec<Shard>, home: BTreeMap<String, usize>) -> Self {
        let prefix = [DECODER, INSIDE[0], INSIDE[1], BARE]
            .into_iter()
            .find(|prefix| home.contains_key(&format!("{prefix}norm.weight")));
        Self { prefix: prefix.unwrap_or(DECODER), files, home, stand_in: None, remarks: Vec::new() }
    }

    /// Lets a tensor that is stored stand for one that is not.
    pub(super) fn let_stand_for(&mut self, absent: &'static str, stored: &'static str) {
        self.stand_in = Some((absent, stored));
    }

    pub(super) fn remark(&mut self, sentence: String) {
        self.remarks.push(sentence);
    }

    /// What was decided where files do not agree, as sentences.
    pub(super) fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// What the files call a tensor.
    pub(super) fn stored_name(&self, name: &str) -> String {
        let name = match self.stand_in {
            Some((absent, stored)) if absent == name => stored,
            _ => name,
        };
        match name.strip_prefix(DECODER) {
            _ if self.home.contains_key(name) => name.to_owned(),
            Some(inner) => format!("{}{inner}", self.prefix),
            // The head stands beside the decoder.
            None if self.prefix == INSIDE[0] => format!("language_model.{name}"),
            None => name.to_owned(),
        }
    }

    /// Whether two tensors are both there and differ.
    pub(super) fn differ(&self, one: &str, other: &str) -> bool {
        match (self.stored(one), self.stored(other)) {
            (Ok(one), Ok(other)) => one != other,
            _ => false,
        }
    }

    /// Names, as stored, of what belongs to the decoder; a model that reads images has others.
    pub(super) fn decoder_names(&self) -> impl Iterator<Item = &str> {
        let inside = INSIDE.contains(&self.prefix);
        self.names().filter(move |name| !inside || name.starts_with(self.prefix))
    }

    fn find(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let stored = self.stored_name(name);
        let shard = &self.files[*self.home.get(&stored)?];
        Some((shard, shard.metadata.info(&stored)?))
    }

    fn needed(&self, name: &str) -> Result<(&Shard, &TensorInfo), LoadError> {
        self.find(name).ok_or_else(|| LoadError::Weights {
            path: self.files.first().map(|shard| shard.path.clone()).unwrap_or_default(),
            reason: format!("the tensor `{}` is missing", self.stored_name(name)),
        })
    }

    /// Names of all tensors, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// A tensor's shape, or nothing when it is not there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.find(name).map(|(_, info)| info.shape.as_slice())
    }

    /// A tensor as it lies in its file: element type, shape, bytes.
    pub(super) fn stored(&self, name: &str) -> Result<(Dtype, Vec<usize>, &[u8]), LoadError> {
        let (shard, info) = self.needed(name)?;
        Ok((info.dtype, info.shape.clone(), shard.bytes(info)))
    }

    /// Hands over a tensor's bytes as they lie in its file, in runs of at most `length` bytes.
    pub(super) fn runs(
        &self,
        name: &str,
        length: usize,
        each: &mut dyn FnMut(&[u8]) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let (shard, info) = self.needed(name)?;
        let (start, end) = info.data_offsets;
        for start in (start..end).step_by(length) {
            let range = shard.data_start + start..shard.data_start + end.min(start + length);
            each(&shard.map[range.clone()])?;
            shard.give_back(range);
        }
        Ok(())
    }

    /// Errors unless the tensor is there, has this shape, and an element type that can be read.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<(), LoadError> {
        let (shard, info) = self.needed(name)?;
        if info.shape != shape {
            return Err(shard.fault(format!(
                "`{}` has shape {:?}, expected {shape:?} from config.json",
                self.stored_name(name),
                info.shape
            )));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(shard.fault(format!(
                "`{}` is stored as {}; only F32, F16 and BF16 can be read",
                self.stored_name(name),
                info.dtype
            )));
        }
        Ok(())
    }

    /// A tensor's elements as f32.
    pub(super) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let mut values = vec![0.0; shape.iter().product()];
        self.read_into(name, shape, &mut values)?;
        Ok(values)
    }

    /// A tensor's elements as they are, if they are bf16.
    pub(super) fn read_bf16(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<bf16>>, LoadError> {
        self.expect(name, shape)?;
        let (shard, info) = self.needed(name)?;
        if info.dtype != Dtype::BF16 {
            return Ok(None);
        }
        let start = shard.data_start + info.data_offsets.0;
        let mut values = vec![bf16::ZERO; shape.iter().product()];
        for (run, values) in values.chunks_mut(RUN / 2).enumerate() {
            let start = start + run * RUN;
            let range = start..start + values.len() * 2;
            let (pairs, _) = shard.map[range.clone()].as_chunks::<2>();
            for (value, &pair) in values.iter_mut().zip(pairs) {
                *value = bf16::from_le_bytes(pair);
            }
            shard.give_back(range);
        }
        Ok(Some(values))
    }

    /// Whether a tensor is stored in bf16.
    pub(super) fn is_bf16(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, info)| info.dtype == Dtype::BF16)
    }

    /// Widens a tensor's elements into `values`, which must be as long.
    pub(super) fn read_into(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<(), LoadError> {
        self.expect(name, shape)?;
        let (shard, info) = self.needed(name)?;
        let width = info.dtype.bitsize() / 8;
        let start = shard.data_start + info.data_offsets.0;
        // In runs, each given back once it is widened: the file must not stand in memory beside its copy.
        for (run, values) in values.chunks_mut(RUN / width).enumerate() {
            let start = start + run * (RUN / width) * width;
            let range = start..start + values.len() * width;
            let bytes = &shard.map[range.clone()];
            match info.dtype {
                Dtype::F32 => widen::<4>(bytes, values, f32::from_le_bytes),
                Dtype::F16 => widen::<2>(bytes, values, |b| f16::from_le_bytes(b).to_f32()),
                Dtype::BF16 => widen::<2>(bytes, values, |b| bf16::from_le_bytes(b).to_f32()),
                _ => {
                    return Err(shard.fault(format!("`{name}` has an element type that cannot be read")));
                }
            }
            shard.give_back(range);
        }
        Ok(())
    }

    /// The files in name order, for hashing.
    pub(super) fn files(&self) -> Vec<&Shard> {
        let mut files: Vec<&Shard> = self.files.iter().collect();
        files.sort_by_key(|shard| &shard.path);
        files
    }
}

/// The path of a folder's file, if it has one of that name.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>, LoadError> {
    match files::inside(folder, name) {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let (file, _) = files::open(path, u64::MAX)?;
        #[expect(
            unsafe_code,
            reason = "mapping is only unsound if someone changes the file while it is mapped; weights are read once, \
                      right after this, and copying them first would double the memory of loading"
        )]
        // SAFETY: the map is read-only and private to this struct; see the reason above for concurrent changes.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let damaged = |reason: String| LoadError::Weights {
            path: path.to_owned(),
            reason: format!("not a whole safetensors file ({reason}); it may be damaged or only partly downloaded"),
        };
        let claimed = map.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if claimed > MAX_HEADER_BYTES {
            return Err(damaged(format!("its header claims {claimed} bytes; at most {MAX_HEADER_BYTES} are expected")));
        }
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { path: path.to_owned(), map, metadata, data_start: header + size_of::<u64>() })
    }
}

impl Shard {
    fn fault(&self, reason: String) -> LoadError {
        LoadError::Weights { path: self.path.clone(), reason }
    }

    fn bytes(&self, info: &TensorInfo) -> &[u8] {
        let (start, end) = info.data_offsets;
        &self.map[self.data_start + start..self.data_start + end]
    }

    /// A tensor as it lies in the file: element type, shape, bytes.
    fn stored(&self, name: &str) -> Option<(Dtype, &[usize], &[u8])> {
        let info = self.metadata.info(name)?;
        Some((info.dtype, &info.shape, self.bytes(info)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file in runs of a multiple of 4 MiB.
    pub(super) fn read(&self, each: &mut dyn FnMut(&[u8])) {
        for (run, bytes) in self.map.chunks(RUN).enumerate() {
            each(bytes);
            self.give_back(run * RUN..run * RUN + bytes.len());
        }
    }

    /// Tells the system that these bytes of the file are no longer needed in memory; they could be read again.
    #[cfg(unix)]
    fn give_back(&self, range: Range<usize>) {
        #[expect(
            unsafe_code,
            reason = "pages that count as ours until they are given back would double the memory of loading"
        )]
        // SAFETY: the map is private, read-only and backed by the file, so a page that is dropped comes back with the
        // same bytes.
        let given_back =
            unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
        if let Err(error) = given_back {
            tracing::debug!("{}: pages stay in memory: {error}", self.path.display());
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "elsewhere the system decides alone")]
    fn give_back(&self, _: Range<usize>) {}
}

fn widen<const BYTES: usize>(bytes: &[u8], values: &mut [f32], one: impl Fn([u8; BYTES]) -> f32 + Sync) {
    const PIECE: usize = 1 << 16;
    let (elements, _) = bytes.as_chunks::<BYTES>();
    values.par_chunks_mut(PIECE).zip(elements.par_chunks(PIECE)).for_each(|(values, elements)| {
        for (value, &element) in values.iter_mut().zip(elements) {
            *value = one(element);
        }
    });
}

#[cfg(test)]
mod tests;
