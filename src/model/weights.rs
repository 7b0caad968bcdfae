//! The weight files of a folder: `model.safetensors`, or shards with `model.safetensors.index.json`.
//!
//! Headers are read and checked against the file's true length first; a tensor's shape is checked against what the
//! spec expects before a byte of it is converted. So a damaged or hostile file costs a sentence, never memory.
//! Only safetensors: no pickle is ever opened.

use std::{
    collections::BTreeMap,
    fs::File,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use half::{bf16, f16};
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use super::{
    LoadError,
    small_file::{read_small, regular_file},
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// An index names each tensor once; 64 MiB is room for half a million of them.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// Bytes of a file that are in memory at a time while it is read.
const RUN: usize = 32 << 20;

/// Memory-mapped safetensors files and where each tensor lies in them.
pub(super) struct Weights {
    files: Vec<Shard>,
    /// Tensor name to the index of its file.
    home: BTreeMap<String, usize>,
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
        let index = folder.join(INDEX);
        if index.is_file() {
            return Self::open_sharded(folder, &index);
        }
        let single = folder.join(SINGLE);
        if !single.is_file() {
            return Err(LoadError::Weights {
                path: folder.to_owned(),
                reason: format!(
                    "it holds neither {SINGLE} nor {INDEX}; only safetensors weights can be read"
                ),
            });
        }
        Self::open_file(&single)
    }

    /// Opens one file.
    pub(super) fn open_file(path: &Path) -> Result<Self, LoadError> {
        let shard = Shard::open(path)?;
        let home = shard
            .metadata
            .offset_keys()
            .into_iter()
            .map(|name| (name, 0))
            .collect();
        Ok(Self {
            files: vec![shard],
            home,
        })
    }

    fn open_sharded(folder: &Path, index: &Path) -> Result<Self, LoadError> {
        let fault = |reason: String| LoadError::Weights {
            path: index.to_owned(),
            reason,
        };
        let text = read_small(index, MAX_INDEX_BYTES)?;
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| fault(format!("not valid JSON ({error})")))?;
        let Some(weight_map) = json
            .get("weight_map")
            .and_then(serde_json::Value::as_object)
        else {
            return Err(fault("`weight_map` is missing".to_owned()));
        };
        let mut files: Vec<Shard> = Vec::new();
        let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
        let mut home = BTreeMap::new();
        for (tensor, file) in weight_map {
            let Some(name) = file.as_str() else {
                return Err(fault(format!(
                    "the file of `{tensor}` is {file}; expected a name"
                )));
            };
            let shard = if let Some(&shard) = opened.get(name) {
                shard
            } else {
                // Only downwards: an index must not make us read files elsewhere on the machine.
                let inside = Path::new(name)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)));
                if !inside || !name.ends_with(".safetensors") {
                    return Err(fault(format!(
                        "`{tensor}` is said to be in {name:?}; expected a .safetensors file inside the folder"
                    )));
                }
                files.push(Shard::open(&folder.join(name))?);
                opened.insert(name, files.len() - 1);
                files.len() - 1
            };
            if files[shard].metadata.info(tensor).is_none() {
                return Err(fault(format!(
                    "`{tensor}` is said to be in {name}, but is not"
                )));
            }
            home.insert(tensor.clone(), shard);
        }
        Ok(Self { files, home })
    }

    /// Names of all tensors, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.home.keys().map(String::as_str)
    }

    /// A tensor's shape, or nothing when it is not there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        let shard = &self.files[*self.home.get(name)?];
        shard.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// A tensor as it lies in its file: element type, shape, bytes.
    pub(super) fn stored(&self, name: &str) -> Result<(Dtype, Vec<usize>, &[u8]), LoadError> {
        let shard = self.home.get(name).map(|&home| &self.files[home]);
        let found = shard.and_then(|shard| Some((shard, shard.metadata.info(name)?)));
        let Some((shard, info)) = found else {
            return Err(self.fault(0, format!("the tensor `{name}` is missing")));
        };
        let (start, end) = info.data_offsets;
        let bytes = &shard.map[shard.data_start + start..shard.data_start + end];
        Ok((info.dtype, info.shape.clone(), bytes))
    }

    /// Errors unless the tensor is there, has this shape, and an element type that can be read.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<(), LoadError> {
        let Some(&home) = self.home.get(name) else {
            return Err(self.fault(0, format!("the tensor `{name}` is missing")));
        };
        let info = self.files[home].metadata.info(name);
        let Some(info) = info else {
            return Err(self.fault(home, format!("the tensor `{name}` is missing")));
        };
        if info.shape != shape {
            return Err(self.fault(
                home,
                format!(
                    "`{name}` has shape {:?}, expected {shape:?} from config.json",
                    info.shape
                ),
            ));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(self.fault(
                home,
                format!(
                    "`{name}` is stored as {}; only F32, F16 and BF16 can be read",
                    info.dtype
                ),
            ));
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
    pub(super) fn read_bf16(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<Vec<bf16>>, LoadError> {
        self.expect(name, shape)?;
        let shard = &self.files[self.home[name]];
        let Some(info) = shard
            .metadata
            .info(name)
            .filter(|info| info.dtype == Dtype::BF16)
        else {
            return Ok(None);
        };
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
        let info = self
            .home
            .get(name)
            .and_then(|&home| self.files[home].metadata.info(name));
        info.is_some_and(|info| info.dtype == Dtype::BF16)
    }

    /// Widens a tensor's elements into `values`, which must be as long.
    pub(super) fn read_into(
        &self,
        name: &str,
        shape: &[usize],
        values: &mut [f32],
    ) -> Result<(), LoadError> {
        self.expect(name, shape)?;
        let home = self.home[name];
        let shard = &self.files[home];
        let Some(info) = shard.metadata.info(name) else {
            return Err(self.fault(home, format!("the tensor `{name}` is missing")));
        };
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
                    return Err(self.fault(
                        home,
                        format!("`{name}` has an element type that cannot be read"),
                    ));
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

    fn fault(&self, file: usize, reason: String) -> LoadError {
        LoadError::Weights {
            path: self
                .files
                .get(file)
                .map(|shard| shard.path.clone())
                .unwrap_or_default(),
            reason,
        }
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, LoadError> {
        regular_file(path)?;
        let file = File::open(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        #[expect(
            unsafe_code,
            reason = "mapping is only unsound if someone changes the file while it is mapped; weights are read once, \
                      right after this, and copying them first would double the memory of loading"
        )]
        // SAFETY: the map is read-only and private to this struct; see the reason above for concurrent changes.
        let map = unsafe { Mmap::map(&file) }.map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| LoadError::Weights {
            path: path.to_owned(),
            reason: format!("not a whole safetensors file ({error}); it may be damaged or only partly downloaded"),
        })?;
        Ok(Self {
            path: path.to_owned(),
            map,
            metadata,
            data_start: header + size_of::<u64>(),
        })
    }
}

impl Shard {
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
        // SAFETY: the map is private, read-only and backed by the file, so a page that is dropped comes back with the same bytes.
        let given_back = unsafe {
            self.map
                .unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
        };
        if let Err(error) = given_back {
            tracing::debug!("{}: pages stay in memory: {error}", self.path.display());
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "elsewhere the system decides alone")]
    fn give_back(&self, _: Range<usize>) {}
}

fn widen<const BYTES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    one: impl Fn([u8; BYTES]) -> f32 + Sync,
) {
    const PIECE: usize = 1 << 16;
    let (elements, _) = bytes.as_chunks::<BYTES>();
    values
        .par_chunks_mut(PIECE)
        .zip(elements.par_chunks(PIECE))
        .for_each(|(values, elements)| {
            for (value, &element) in values.iter_mut().zip(elements) {
                *value = one(element);
            }
        });
}

#[cfg(test)]
mod tests;
