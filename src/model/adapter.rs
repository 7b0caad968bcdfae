//! Adapters in and out, in the three layouts that other tools read.
//!
//! - `peft`: `adapter_config.json` and `adapter_model.safetensors`, the common tongue.
//! - `mlx`: what mlx-lm reads, both factors transposed. `gguf`: what llama.cpp reads, rows of q and k in its order.
//! - `factors`: the one A and B of each layer that any of them writes; `config`: the keys of PEFT's config;
//!   `chosen`: the layers that it means.
//!
//! Reading refuses by name whatever would change the numbers and is not understood, and any tensor that is not an A or B
//! of a known layer.

mod chosen;
mod config;
mod factors;
mod gguf;
mod mlx;
mod peft;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, View};

use factors::{Factors, Shaped};

use super::{
    AdapterShape, LoadError, Policy, PolicyError, Spec, identity::Identity, tensors::LinearSpec, weights::Weights,
};
use ::kernels::{Lora, Place, Tensor};
use data::config::Targets;

const CONFIG: &str = "adapter_config.json";
/// The output layer, which PEFT can adapt too.
const HEAD_MODULE: &str = "lm_head";

/// Whose files an adapter is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Hugging Face PEFT, which vLLM and others read too.
    #[default]
    Peft,
    /// mlx-lm.
    Mlx,
    /// llama.cpp: one GGUF file.
    Gguf,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Peft, Self::Mlx, Self::Gguf];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peft => "peft",
            Self::Mlx => "mlx",
            Self::Gguf => "gguf",
        }
    }
}

/// What of a policy that carries more than one adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The sum of all, for the bare base model.
    #[default]
    Sum,
    /// The trained one alone, to go on top of those that were frozen into its reference.
    Newest,
}

impl Part {
    pub const ALL: [Self; 2] = [Self::Sum, Self::Newest];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Newest => "newest",
        }
    }
}

/// An adapter read from disk, to be frozen into a reference or trained further.
#[derive(Debug)]
pub struct LoadedAdapter {
    loras: BTreeMap<String, Lora>,
    /// The head of a reward model, `[1, d]`.
    pub(super) score: Option<Vec<f32>>,
    /// Hash of its files.
    pub(super) identity: String,
    /// What its config and its file do not agree on, as sentences.
    pub(super) remarks: Vec<String>,
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
    pub(super) fn is_silent(&self) -> bool {
        self.loras.values().any(|lora| lora.scale == 0.0)
    }

    /// Its widest rank, its scale as an alpha for that rank, and its layers.
    pub(super) fn shape(&self, dropout: f64, seed: u64) -> AdapterShape {
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
fn rank_of(lora: &Lora) -> usize {
    lora.b.dims()[1]
}

/// Reads an adapter for a model of this spec: a PEFT or an mlx-lm folder, or a GGUF file.
pub fn load(path: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    if is_mlx(path) {
        return mlx::load(path, spec);
    }
    let is_peft = path.join(peft::TENSORS).is_file();
    match ::gguf::Gguf::find(path).filter(|_| !is_peft) {
        Some(file) => gguf::load(&file, spec),
        None => peft::load(path, spec),
    }
}

/// The folder of a model, if a PEFT adapter lies beside its weights: Transformers applies it without being asked.
pub fn beside(model: &Path) -> Option<PathBuf> {
    let has = |name: &str| fs::symlink_metadata(model.join(name)).is_ok();
    (has("config.json") && has(CONFIG) && !is_mlx(model)).then(|| model.to_owned())
}

/// Whether an adapter's folder is one of mlx-lm, which nobody applies unasked.
fn is_mlx(dir: &Path) -> bool {
    !dir.join(peft::TENSORS).is_file() && dir.join(mlx::TENSORS).is_file()
}

/// Writes one adapter into the folder `dir`, which is created. `base_model` is what it says it belongs to.
///
/// [`Part::Sum`] stacks the rows of frozen adapters and of the trained one, so that the result on the bare base model is
/// this policy.
pub fn save(policy: &Policy, dir: &Path, layout: Layout, part: Part, base_model: &str) -> Result<(), LoadError> {
    let factors = Factors::of(policy, part, dir)?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write { path: dir.to_owned(), source })?;
    if factors.score.is_some() && layout != Layout::Peft {
        return Err(unusable(dir)(format!("{} reads no reward models; export it for PEFT", layout.name())));
    }
    match layout {
        Layout::Peft => peft::save(&factors, policy.spec(), dir, base_model),
        Layout::Mlx => mlx::save(&factors, policy.spec(), dir, base_model),
        Layout::Gguf => gguf::save(&factors, policy.spec(), dir, base_model),
    }
}

/// The error of an adapter that cannot be used.
fn unusable(path: &Path) -> impl Fn(String) -> LoadError {
    let path = path.to_owned();
    move |reason| LoadError::Adapter { path: path.clone(), reason }
}

/// A frozen term of a linear layer.
fn frozen(linear: &LinearSpec, rank: usize, a: Vec<f32>, b: Vec<f32>, scale: f64) -> Result<Lora, PolicyError> {
    Ok(Lora {
        a: Tensor::from_vec(a, (rank, linear.input), &Place::CPU)?,
        b: Tensor::from_vec(b, (linear.output, rank), &Place::CPU)?,
        a_slot: None,
        b_slot: None,
        scale: scale as f32,
    })
}

/// The tensor names of each adapted layer, A then B, by the layer's module path.
type Halves = BTreeMap<String, [Option<String>; 2]>;

/// Both names of a layer's adapter, nothing when it has none, or a sentence.
fn take_halves(halves: &mut Halves, path: &str) -> Result<Option<(String, String)>, String> {
    match halves.remove(path) {
        None | Some([None, None]) => Ok(None),
        Some([Some(a), Some(b)]) => Ok(Some((a, b))),
        Some([Some(only), None] | [None, Some(only)]) => Err(format!("`{only}` is there without its other half")),
    }
}

/// Files a name as one half of a layer.
fn put_half(halves: &mut Halves, path: &str, half: usize, name: &str) -> Result<(), String> {
    let place = &mut halves.entry(path.to_owned()).or_default()[half];
    if let Some(other) = place {
        return Err(format!("`{other}` and `{name}` are the same half of one layer"));
    }
    *place = Some(name.to_owned());
    Ok(())
}

/// Layers that a config wants adapted and its file does not hold.
#[derive(Default)]
struct Absent {
    first: Option<String>,
    count: usize,
}

impl Absent {
    fn add(&mut self, module: &str) {
        self.first.get_or_insert_with(|| module.to_owned());
        self.count += 1;
    }

    fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// What to say of them.
    fn remark(&self, adapter: &Path) -> Option<String> {
        let first = self.first()?;
        let layers = match self.count {
            1 => format!("`{first}`, which its file does not hold: it stays"),
            count => format!("`{first}` and {} more layers, which its file does not hold: they stay", count - 1),
        };
        Some(format!("The config of the adapter {} names {layers} as the base model has it", adapter.display()))
    }
}

/// Nothing may be left over, and something must have been there.
fn finish(
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
fn identify(config: &str, weights: &Weights) -> Identity {
    let mut identity = Identity::default();
    identity.add_file(Path::new(CONFIG), config.as_bytes());
    for file in weights.files() {
        identity.add_read(file.path(), |each| file.read(each));
    }
    identity
}

impl View for &Shaped {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// Writes a config as indented JSON.
fn write_config(dir: &Path, config: &serde_json::Value) -> Result<(), LoadError> {
    let path = dir.join(CONFIG);
    fs::write(&path, format!("{config:#}\n")).map_err(|source| LoadError::Write { path, source })
}

/// A whole number without a point, as other tools write it.
fn whole(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        serde_json::json!(number as i64)
    } else {
        serde_json::json!(number)
    }
}
