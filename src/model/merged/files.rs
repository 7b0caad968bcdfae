//! The base's own files with what was trained folded in: every tensor under its name, one in memory at a time.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, View};

use super::{WeightType, save_merged};
use crate::{
    LoadError, Policy, PolicyError, Spec,
    block::Block,
    source::open_folder,
    tensor_file,
    tensors::{EMBEDDING, HEAD},
    weights::Weights,
};
use ::files;
use ::kernels::{KernelError, Lora, Tensor};

/// The key that ties the head to the embedding.
const TIED: &str = "tie_word_embeddings";

/// How [`write_merged`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedOptions {
    /// Element type of every tensor; absent = each tensor's own in the base.
    pub stored: Option<WeightType>,
    /// A weight file ends before the tensor that would make it longer.
    pub max_shard_bytes: u64,
}

/// Writes the model in `folder` with the policy's training folded in into `dir`: every tensor of the base's files,
/// under its own name. Tensors are read, changed and written one at a time, so one copy of one of them is all the
/// memory it takes. `on_share` hears the share written; when it breaks, what was written is of no use and
/// [`LoadError::Stopped`] says so.
pub fn write_merged(
    policy: &Policy,
    folder: &Path,
    dir: &Path,
    options: MergedOptions,
    on_share: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Result<(), LoadError> {
    if !folder.join("config.json").is_file() {
        return save_merged(policy, dir, options.stored.unwrap_or_default());
    }
    let (_, weights) = open_folder(folder)?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write { path: dir.to_owned(), source })?;
    let mut changed = policy.changed()?;
    // A tied head that is stored all the same stays the embedding.
    if policy.spec().tied
        && let Some(trained) = changed.get(EMBEDDING).and_then(|change| change.trained.clone())
        && weights.shape(HEAD).is_some()
    {
        changed.entry(HEAD.to_owned()).or_default().trained = Some(trained);
    }
    let mut changed: HashMap<String, Change<'_>> =
        changed.into_iter().map(|(name, change)| (weights.stored_name(&name), change)).collect();
    let writing = RefCell::new(Writing { fault: None, written: 0, total: 0, on_share });
    let mut shards: Vec<Vec<(String, Folded<'_>)>> = vec![Vec::new()];
    let (mut length, mut total) = (0, 0);
    for name in weights.names() {
        let (own, shape, bytes) = weights.stored(name)?;
        let tensor = Folded {
            weights: &weights,
            name: name.to_owned(),
            shape,
            own,
            bytes,
            stored: options.stored.filter(|_| is_float(own)),
            change: changed.remove(name),
            writing: &writing,
        };
        let size = tensor.data_len() as u64;
        if length > 0 && length + size > options.max_shard_bytes {
            shards.push(Vec::new());
            length = 0;
        }
        length += size;
        total += size;
        if let Some(shard) = shards.last_mut() {
            shard.push((name.to_owned(), tensor));
        }
    }
    if let Some(name) = changed.keys().min() {
        return Err(LoadError::Weights {
            path: folder.to_owned(),
            reason: format!("`{name}` was trained, but its files have no tensor of that name"),
        });
    }
    writing.borrow_mut().total = total;
    for shard in numbered(shards, dir, total)? {
        write_shard(shard)?;
        if let Some(error) = writing.borrow_mut().fault.take() {
            return Err(error);
        }
    }
    write_config(folder, dir, options.stored, policy.spec().tied)
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// A weight file to be written.
struct Shard<'a> {
    path: PathBuf,
    tensors: Vec<(String, Folded<'a>)>,
}

/// One file, or numbered ones; of these the index that says what is where is written.
fn numbered<'a>(shards: Vec<Vec<(String, Folded<'a>)>>, dir: &Path, total: u64) -> Result<Vec<Shard<'a>>, LoadError> {
    let count = shards.len();
    let mut map = serde_json::Map::new();
    let mut named = Vec::new();
    for (number, tensors) in (1..).zip(shards) {
        let file = if count == 1 {
            "model.safetensors".to_owned()
        } else {
            format!("model-{number:05}-of-{count:05}.safetensors")
        };
        for (name, _) in &tensors {
            map.insert(name.clone(), file.clone().into());
        }
        let path = dir.join(file);
        named.push(Shard { path, tensors });
    }
    if count > 1 {
        let path = dir.join("model.safetensors.index.json");
        let index = serde_json::json!({"metadata": {"total_size": total}, "weight_map": map});
        fs::write(&path, format!("{index:#}\n")).map_err(|source| LoadError::Write { path, source })?;
    }
    Ok(named)
}

fn write_shard(Shard { path, tensors }: Shard<'_>) -> Result<(), LoadError> {
    tensor_file::write(&path, tensors, "pt")
}

/// The base's own `config.json`. Only the element type is another when one was asked for, and what ties two tables that
/// were found to differ no longer does.
fn write_config(folder: &Path, dir: &Path, stored: Option<WeightType>, tied: bool) -> Result<(), LoadError> {
    let from = folder.join("config.json");
    let mut text = files::read_text(&from, files::SETTINGS)?;
    let unties = !tied && Spec::read_folder(folder)?.tied;
    if stored.is_some() || unties {
        let mut config: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| LoadError::Config { path: from, reason: format!("not valid JSON ({error})") })?;
        if let Some(stored) = stored {
            // Transformers 5 writes `dtype`, 4 wrote `torch_dtype`; each reads the other's.
            let key = if config.get("dtype").is_some() { "dtype" } else { "torch_dtype" };
            config[key] = stored.name().into();
            if let Some(inner) = config.get_mut("text_config")
                && inner.get(key).is_some()
            {
                inner[key] = stored.name().into();
            }
        }
        if unties {
            // What reads images has a text part of its own; either may tie.
            config[TIED] = false.into();
            if let Some(inner) = config.get_mut("text_config") {
                inner[TIED] = false.into();
            }
        }
        text = format!("{config:#}\n");
    }
    let path = dir.join("config.json");
    fs::write(&path, text).map_err(|source| LoadError::Write { path, source })
}

/// What became of a tensor of the base: it was trained itself, adapters go on top, or both.
#[derive(Default)]
pub(crate) struct Change<'a> {
    /// In place of what the base has.
    trained: Option<Tensor>,
    /// `+ Σ scale·B A`.
    adapters: &'a [Lora],
}

impl Change<'_> {
    /// What a tensor becomes; `base` gives what it was.
    pub(crate) fn applied_to(&self, base: impl FnOnce() -> Result<Vec<f32>, LoadError>) -> Result<Vec<f32>, LoadError> {
        let failed = |error: KernelError| LoadError::Policy(PolicyError::from(error));
        let mut values = match &self.trained {
            Some(tensor) => tensor.to_vec().map_err(failed)?,
            None => base()?,
        };
        for lora in self.adapters {
            for (value, delta) in values.iter_mut().zip(lora.delta().map_err(failed)?) {
                *value += delta;
            }
        }
        Ok(values)
    }
}

/// What the tensors of a file share while they are written, one after the other.
struct Writing<'a> {
    /// The first failure: the trait has no room for one.
    fault: Option<LoadError>,
    written: u64,
    total: u64,
    on_share: &'a mut dyn FnMut(f32) -> ControlFlow<()>,
}

impl Writing<'_> {
    /// Counts a tensor; whether nothing is to be written any more.
    fn is_over(&mut self, bytes: usize) -> bool {
        if self.fault.is_some() {
            return true;
        }
        self.written += bytes as u64;
        let share = self.written as f32 / self.total.max(1) as f32;
        if (self.on_share)(share).is_break() {
            self.fault = Some(LoadError::Stopped);
        }
        self.fault.is_some()
    }
}

/// A tensor of the base's files as it will be written, made when it is its turn.
struct Folded<'a> {
    weights: &'a Weights,
    name: String,
    shape: Vec<usize>,
    /// Its element type in the base.
    own: Dtype,
    bytes: &'a [u8],
    stored: Option<WeightType>,
    change: Option<Change<'a>>,
    writing: &'a RefCell<Writing<'a>>,
}

impl Folded<'_> {
    fn values(&self) -> Result<Vec<f32>, LoadError> {
        let read = || self.weights.read(&self.name, &self.shape);
        self.change.as_ref().map_or_else(read, |change| change.applied_to(read))
    }
}

impl View for Folded<'_> {
    fn dtype(&self) -> Dtype {
        self.stored.map_or(self.own, WeightType::dtype)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if self.writing.borrow_mut().is_over(self.data_len()) {
            return Cow::Owned(vec![0; self.data_len()]);
        }
        // What nothing changed is copied bit for bit.
        if self.change.is_none() && self.dtype() == self.own {
            return Cow::Borrowed(self.bytes);
        }
        let stored = match self.dtype() {
            Dtype::F16 => WeightType::F16,
            Dtype::BF16 => WeightType::Bf16,
            _ => WeightType::F32,
        };
        match self.values() {
            Ok(values) => Cow::Owned(stored.bytes(&values)),
            Err(error) => {
                self.writing.borrow_mut().fault.get_or_insert(error);
                Cow::Owned(vec![0; self.data_len()])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype().bitsize() / 8
    }
}

impl Policy {
    /// What training changed, by tensor name.
    pub(crate) fn changed(&self) -> Result<HashMap<String, Change<'_>>, LoadError> {
        let adapted = self.blocks.iter().flat_map(Block::projections);
        let mut changed: HashMap<String, Change<'_>> = adapted
            .filter(|projection| !projection.adapters().is_empty())
            .map(|projection| {
                let name = format!("{}.weight", projection.path());
                let adapters = projection.adapters();
                (name, Change { trained: None, adapters })
            })
            .collect();
        if self.adapter.is_none() {
            for entry in self.parameters.entries() {
                if let Some((tensor, _)) = self.parameters.view(&entry.name)? {
                    changed.entry(entry.name.clone()).or_default().trained = Some(tensor);
                }
            }
        }
        Ok(changed)
    }
}
