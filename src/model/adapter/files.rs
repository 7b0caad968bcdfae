//! What the layouts have in common: the adapter that is read, how its halves are found, and what is said where some are
//! not.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{AdapterShape, LoadError, PolicyError, identity::Identity, tensors::LinearSpec, weights::Weights};
use ::kernels::{Lora, Place, Tensor};
use data::config::Targets;

pub(super) const CONFIG: &str = "adapter_config.json";
/// The output layer, which PEFT can adapt too.
pub(super) const HEAD_MODULE: &str = "lm_head";

/// An adapter read from disk, to be frozen into a reference or trained further.
#[derive(Debug)]
pub struct LoadedAdapter {
    pub(super) loras: BTreeMap<String, Lora>,
    /// The head of a reward model, `[1, d]`.
    pub(crate) score: Option<Vec<f32>>,
    /// Hash of its files.
    pub(crate) identity: String,
    /// What its config and its file do not agree on, as sentences.
    pub(crate) remarks: Vec<String>,
}

impl LoadedAdapter {
    /// The adapter of one linear layer, by its module path (`model.layers.0.self_attn.q_proj`).
    pub fn lora(&self, path: &str) -> Option<Lora> {
        self.loras.get(path).cloned()
    }

    /// Module paths of the adapted layers, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.loras.keys().map(String::as_str)
    }

    /// Whether some layer's scale is 0: whatever its values are, they say nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.loras.values().any(|lora| lora.scale == 0.0)
    }

    /// Its widest rank, its scale as an alpha for that rank, and its layers.
    pub(crate) fn shape(&self, dropout: f64, seed: u64) -> AdapterShape {
        let rank = self.loras.values().map(rank_of).max().unwrap_or(1);
        let scale = self.loras.values().next().map_or(1.0, |lora| lora.scale);
        AdapterShape {
            rank,
            alpha: f64::from(scale) * rank as f64,
            rslora: false,
            dropout,
            targets: Targets::Names(self.paths().map(str::to_owned).collect()),
            seed,
        }
    }
}

/// Columns of B.
pub(super) fn rank_of(lora: &Lora) -> usize {
    lora.b.dims()[1]
}

/// The error of an adapter that cannot be used.
pub(super) fn unusable(path: &Path) -> impl Fn(String) -> LoadError {
    let path = path.to_owned();
    move |reason| LoadError::Adapter { path: path.clone(), reason }
}

/// A frozen term of a linear layer.
pub(super) fn frozen(
    linear: &LinearSpec,
    rank: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    scale: f64,
) -> Result<Lora, PolicyError> {
    Ok(Lora {
        a: Tensor::from_vec(a, (rank, linear.input), &Place::CPU)?,
        b: Tensor::from_vec(b, (linear.output, rank), &Place::CPU)?,
        a_slot: None,
        b_slot: None,
        scale: scale as f32,
    })
}

/// The tensor names of each adapted layer, A then B, by the layer's module path.
pub(super) type Halves = BTreeMap<String, [Option<String>; 2]>;

/// Both names of a layer's adapter, nothing when it has none, or a sentence.
pub(super) fn take_halves(halves: &mut Halves, path: &str) -> Result<Option<(String, String)>, String> {
    match halves.remove(path) {
        None | Some([None, None]) => Ok(None),
        Some([Some(a), Some(b)]) => Ok(Some((a, b))),
        Some([Some(only), None] | [None, Some(only)]) => Err(format!("`{only}` is there without its other half")),
    }
}

/// Files a name as one half of a layer.
pub(super) fn put_half(halves: &mut Halves, path: &str, half: usize, name: &str) -> Result<(), String> {
    let place = &mut halves.entry(path.to_owned()).or_default()[half];
    if let Some(other) = place {
        return Err(format!("`{other}` and `{name}` are the same half of one layer"));
    }
    *place = Some(name.to_owned());
    Ok(())
}

/// Layers that a config wants adapted and its file does not hold.
#[derive(Default)]
pub(super) struct Absent {
    first: Option<String>,
    count: usize,
}

impl Absent {
    pub(super) fn add(&mut self, module: &str) {
        self.first.get_or_insert_with(|| module.to_owned());
        self.count += 1;
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// What to say of them.
    pub(super) fn remark(&self, adapter: &Path) -> Option<String> {
        let first = self.first()?;
        let layers = match self.count {
            1 => format!("`{first}`, which its file does not hold: it stays"),
            count => format!("`{first}` and {} more layers, which its file does not hold: they stay", count - 1),
        };
        Some(format!("The config of the adapter {} names {layers} as the base model has it", adapter.display()))
    }
}

/// Nothing may be left over, and something must have been there.
pub(super) fn finish(
    halves: Halves,
    loras: BTreeMap<String, Lora>,
    identity: Identity,
    remarks: Vec<String>,
) -> Result<LoadedAdapter, String> {
    if let Some((path, names)) = halves.into_iter().next() {
        if path.ends_with(HEAD_MODULE) {
            return Err("it adapts the output layer `lm_head`; only layers inside the blocks are supported".to_owned());
        }
        let name = names.into_iter().flatten().next().unwrap_or(path);
        return Err(format!("`{name}` is not the A or B of a linear layer of this model; it belongs to another model"));
    }
    if loras.is_empty() {
        return Err("it adapts no layer of this model".to_owned());
    }
    let [identity, _] = identity.finish();
    Ok(LoadedAdapter { loras, score: None, identity, remarks })
}

/// The name of a folder's config and tensors.
pub(super) fn identify(config: &str, weights: &Weights) -> Identity {
    let mut identity = Identity::default();
    identity.add_file(Path::new(CONFIG), config.as_bytes());
    for file in weights.files() {
        identity.add_read(file.path(), |each| file.read(each));
    }
    identity
}

/// Writes a config as indented JSON.
pub(super) fn write_config(dir: &Path, config: &serde_json::Value) -> Result<(), LoadError> {
    let path = dir.join(CONFIG);
    fs::write(&path, format!("{config:#}\n")).map_err(|source| LoadError::Write { path, source })
}

/// A whole number without a point, as other tools write it.
pub(super) fn whole(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        serde_json::json!(number as i64)
    } else {
        serde_json::json!(number)
    }
}
