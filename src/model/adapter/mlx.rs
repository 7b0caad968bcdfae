//! `adapter_config.json` and `adapters.safetensors` of mlx-lm: `lora_a` `[in, r]` and `lora_b` `[r, out]`, PEFT's A and
//! B transposed, and ΔW = scale · (lora_a lora_b)ᵀ with the scale itself in the config.
//!
//! Source: `linear_to_lora_layers` and `load_adapters` in mlx-lm's `tuner/utils.py`. It makes one rank and one scale
//! for all of the last `num_layers` blocks' linear layers that `keys` names inside a block; a layer that the file
//! leaves out keeps its B of zeros.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    factors::{Factors, Shaped},
    files::{
        Absent, CONFIG, Halves, LoadedAdapter, finish, frozen, identify, put_half, take_halves, unusable, whole,
        write_config,
    },
};
use crate::{LoadError, Spec, tensor_file, weights::Weights};
use ::files;

pub(super) const TENSORS: &str = "adapters.safetensors";
const HALVES: [&str; 2] = [".lora_a", ".lora_b"];
/// What stands before the modules of a text part inside the whole model.
const INSIDE: &str = "language_model.";

/// Reads an adapter folder for a model of this spec.
pub(super) fn load(dir: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    let fault = unusable(dir);
    let text = files::read_text(&files::inside(dir, CONFIG)?, files::SETTINGS)?;
    let MlxConfig { rank, scale, keys, layers } = MlxConfig::parse(&text).map_err(&fault)?;
    let first = layers.map_or(0, |layers| spec.layers.len().saturating_sub(layers));
    let is_wanted = |path: &str| {
        let inside = path.strip_prefix("model.layers.").and_then(|path| path.split_once('.'));
        inside.is_some_and(|(layer, module)| {
            layer.parse().is_ok_and(|layer: usize| layer >= first) && keys.iter().any(|key| key == module)
        })
    };
    let weights = Weights::open_file(&files::inside(dir, TENSORS)?)?;
    let mut halves = halves(&weights).map_err(&fault)?;
    let mut loras = BTreeMap::new();
    let mut absent = Absent::default();
    for linear in spec.all_linears() {
        let Some((a, b)) = take_halves(&mut halves, &linear.path).map_err(&fault)? else {
            if is_wanted(&linear.path) {
                absent.add(&linear.path);
            }
            continue;
        };
        let read = |name: &str, shape: [usize; 2]| {
            let found = weights.shape(name).unwrap_or_default();
            if found != shape {
                return Err(fault(format!(
                    "`{name}` has shape {found:?}, but rank {rank} on this model makes {shape:?}; it belongs to another \
                     model, or its factors are not transposed as mlx-lm has them"
                )));
            }
            let values = weights.read(name, &shape)?;
            Ok(Shaped { shape, values }.transposed().values)
        };
        let a = read(&a, [linear.input, rank])?;
        let b = read(&b, [rank, linear.output])?;
        let lora = frozen(&linear, rank, a, b, scale)?;
        loras.insert(linear.path, lora);
    }
    let remarks = absent.remark(dir).into_iter().collect();
    finish(halves, loras, identify(&text, &weights), remarks).map_err(fault)
}

/// What an adapter's config says.
struct MlxConfig {
    rank: usize,
    scale: f64,
    /// The layers that it adapts inside a block; empty where it leaves the choice to mlx-lm.
    keys: Vec<String>,
    /// Of how many blocks, the last ones; absent for all.
    layers: Option<usize>,
}

impl MlxConfig {
    /// The config, or what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        let config: Value =
            serde_json::from_str(text).map_err(|error| format!("{CONFIG} is not valid JSON ({error})"))?;
        match &config["fine_tune_type"] {
            Value::Null => {}
            Value::String(kind) if kind == "lora" => {}
            other => {
                return Err(format!("its `fine_tune_type` is {other}; only lora is supported"));
            }
        }
        let parameters = &config["lora_parameters"];
        let rank = parameters["rank"].as_u64().filter(|&rank| rank > 0);
        let scale = parameters["scale"].as_f64();
        let keys = parameters["keys"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Self {
            rank: rank.ok_or("its config has no `lora_parameters.rank`")? as usize,
            scale: scale.ok_or("its config has no `lora_parameters.scale`")?,
            keys: keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
            // -1 is all of them.
            layers: config["num_layers"].as_u64().map(|layers| layers as usize),
        })
    }
}

fn halves(weights: &Weights) -> Result<Halves, String> {
    let mut halves = Halves::new();
    for name in weights.names() {
        let found = HALVES.into_iter().enumerate();
        let mut found = found.filter_map(|(half, end)| Some((name.strip_suffix(end)?, half)));
        let Some((path, half)) = found.next() else {
            return Err(format!("`{name}` is not the A or B of a linear layer"));
        };
        let path = path.strip_prefix(INSIDE).unwrap_or(path);
        put_half(&mut halves, path, half, name)?;
    }
    Ok(halves)
}

/// Writes both files into `dir`.
pub(super) fn save(factors: &Factors, spec: &Spec, dir: &Path, base_model: &str) -> Result<(), LoadError> {
    let mut tensors = BTreeMap::new();
    let before = spec.part_of.map_or("", |_| INSIDE);
    for (path, (a, b)) in &factors.layers {
        for (end, factor) in HALVES.into_iter().zip([a, b]) {
            tensors.insert(format!("{before}{path}{end}"), factor.transposed());
        }
    }
    tensor_file::write(&dir.join(TENSORS), tensors.iter().map(|(name, tensor)| (name.clone(), tensor)), "mlx")?;
    let mut keys: Vec<&str> = factors.layers.keys().filter_map(|path| in_block(path)).collect();
    keys.sort_unstable();
    keys.dedup();
    let config = json!({
        "fine_tune_type": "lora",
        "lora_parameters": {
            "rank": factors.rank,
            "scale": whole(factors.scale()),
            "dropout": factors.dropout,
            "keys": keys,
        },
        "model": base_model,
        "num_layers": spec.layers.len(),
    });
    write_config(dir, &config)
}

/// `self_attn.q_proj` of `model.layers.0.self_attn.q_proj`.
fn in_block(path: &str) -> Option<&str> {
    path.strip_prefix("model.layers.")?.split_once('.').map(|(_, inside)| inside)
}
