//! Adapters as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Only long-established keys are written, so that older versions and other runtimes read them. Reading refuses by name
//! whatever would change the numbers and is not understood, and any tensor that is not an A or B of a known layer.

mod config;

use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{Device, Tensor};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use config::PeftConfig;

use super::{
    LoadError, Policy, PolicyError, Spec,
    identity::Identity,
    lora::{a_name, b_name},
    small_file::read_small,
    weights::Weights,
};
use crate::kernels::Lora;

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// An adapter read from disk, to be frozen into a reference.
#[derive(Debug)]
pub struct LoadedAdapter {
    loras: BTreeMap<String, Lora>,
    /// Hash of its two files.
    pub(super) identity: String,
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
}

/// Reads an adapter folder for a model of this spec.
pub fn load_peft(dir: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    let fault = |reason: String| LoadError::Adapter {
        path: dir.to_owned(),
        reason,
    };
    let text = read_small(&dir.join(CONFIG), MAX_CONFIG_BYTES)?;
    let config = PeftConfig::parse(&text).map_err(fault)?;
    let weights = Weights::open_file(&dir.join(TENSORS))?;
    let mut halves = halves(&weights).map_err(fault)?;
    let mut loras = BTreeMap::new();
    for linear in (0..spec.layers.len()).flat_map(|layer| spec.linears(layer)) {
        let (a, b) = match halves.remove(&linear.path) {
            None | Some([None, None]) => continue,
            Some([Some(a), Some(b)]) => (a, b),
            Some([Some(only), None] | [None, Some(only)]) => {
                return Err(fault(format!("`{only}` is there without its other half")));
            }
        };
        let (rank, alpha) = config.of(&linear.path);
        let read = |name: &str, shape: [usize; 2]| -> Result<Tensor, LoadError> {
            let found = weights.shape(name).unwrap_or_default();
            if found != shape {
                return Err(fault(format!(
                    "`{name}` has shape {found:?}, but rank {rank} on this model makes {shape:?}; it belongs to another \
                     model, or its config to another adapter"
                )));
            }
            let values = weights.read(name, &shape)?;
            Ok(Tensor::from_vec(values, &shape, &Device::Cpu).map_err(PolicyError::from)?)
        };
        let lora = Lora {
            a: read(&a, [rank, linear.input])?,
            b: read(&b, [linear.output, rank])?,
            a_slot: None,
            b_slot: None,
            scale: config.scale(rank, alpha) as f32,
        };
        loras.insert(linear.path, lora);
    }
    if let Some(name) = halves.into_values().flatten().flatten().next() {
        return Err(fault(format!(
            "`{name}` is not the A or B of a linear layer of this model; it belongs to another model"
        )));
    }
    if loras.is_empty() {
        return Err(fault("it adapts no layer of this model".to_owned()));
    }
    let mut identity = Identity::default();
    identity.add_file(Path::new(CONFIG), text.as_bytes());
    for file in weights.files() {
        identity.add_read(file.path(), |each| file.read(each));
    }
    Ok(LoadedAdapter {
        loras,
        identity: identity.finish(),
    })
}

/// The tensor names of each adapted layer, A then B, by the layer's module path.
type Halves = BTreeMap<String, [Option<String>; 2]>;

/// Sorts the tensors of an adapter by layer. Tools differ in what they put around the module path: PEFT's own
/// `base_model.model.` or nothing, `lora_A.weight` or `lora_A.default.weight` with the adapter's name.
fn halves(weights: &Weights) -> Result<Halves, String> {
    let mut halves = Halves::new();
    for name in weights.names() {
        let inner = name.trim_start_matches("base_model.model.");
        // `base_model.model.layers.0..` was the whole prefix of a model whose own names begin with `model.`.
        let inner = if inner.starts_with("layers.") {
            format!("model.{inner}")
        } else {
            inner.to_owned()
        };
        let split = [".lora_A", ".lora_B"].into_iter().enumerate();
        let mut found = split.filter_map(|(half, marker)| {
            let (path, rest) = inner.rsplit_once(marker)?;
            let rest = rest.strip_suffix(".weight").unwrap_or(rest);
            // At most the adapter's own name is left.
            let is_name = rest.is_empty() || (rest.starts_with('.') && !rest[1..].contains('.'));
            is_name.then(|| (path.to_owned(), half))
        });
        let Some((path, half)) = found.next_back() else {
            return Err(format!("`{name}` is not the A or B of a linear layer"));
        };
        let place = &mut halves.entry(path).or_default()[half];
        if let Some(other) = place {
            return Err(format!(
                "`{other}` and `{name}` are the same half of one layer"
            ));
        }
        *place = Some(name.to_owned());
    }
    Ok(halves)
}

/// Writes the policy's adapters as one PEFT adapter into `dir`, which is created. `base_model` is what
/// `base_model_name_or_path` will say.
///
/// Adapters that were frozen into the reference are part of it: their rows are stacked under the trained ones, so the
/// result on the bare base model is this policy.
pub fn save_peft(policy: &Policy, dir: &Path, base_model: &str) -> Result<(), LoadError> {
    let exported = Exported::of(policy, dir)?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write {
        path: dir.to_owned(),
        source,
    })?;
    let path = dir.join(TENSORS);
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = exported
        .tensors
        .iter()
        .map(|(name, (shape, values))| {
            (
                name,
                shape,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, (*shape).clone(), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    views
        .and_then(|views| safetensors::serialize_to_file(views, Some(metadata), &path))
        .map_err(|error| LoadError::Write {
            path: path.clone(),
            source: std::io::Error::other(error),
        })?;
    let path = dir.join(CONFIG);
    let config = format!("{:#}\n", exported.config(base_model));
    fs::write(&path, config).map_err(|source| LoadError::Write { path, source })
}

/// One adapter that stands for all of a policy's.
struct Exported {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    rank: usize,
    alpha: f64,
    rslora: bool,
    dropout: f64,
    targets: Vec<String>,
}

impl Exported {
    fn of(policy: &Policy, dir: &Path) -> Result<Self, LoadError> {
        let projections: Vec<_> = policy
            .blocks
            .iter()
            .flat_map(super::block::Block::projections)
            .filter(|projection| !projection.adapters().is_empty())
            .collect();
        if projections.is_empty() {
            return Err(LoadError::Adapter {
                path: dir.to_owned(),
                reason: "this policy carries no adapter; save its full weights instead".to_owned(),
            });
        }
        let stacked = projections
            .iter()
            .any(|projection| projection.adapters().len() > 1);
        let total = |adapters: &[Lora]| adapters.iter().map(|lora| lora.b.dims()[1]).sum::<usize>();
        let widest = projections
            .iter()
            .map(|projection| total(projection.adapters()))
            .max()
            .unwrap_or(0);
        let mut targets: Vec<String> = projections
            .iter()
            .filter_map(|projection| projection.path().rsplit('.').next().map(str::to_owned))
            .collect();
        targets.sort();
        targets.dedup();
        let mut tensors = BTreeMap::new();
        for projection in &projections {
            let adapters = projection.adapters();
            let (a, b) = stack(adapters, widest, stacked)?;
            tensors.insert(a_name(projection.path()), a);
            tensors.insert(b_name(projection.path()), b);
        }
        let own = policy.adapter.as_ref().filter(|_| !stacked);
        // A stack carries its scales in B: α = r makes PEFT's own factor 1.
        Ok(Self {
            tensors,
            rank: widest,
            alpha: own.map_or(widest as f64, |shape| shape.alpha),
            rslora: own.is_some_and(|shape| shape.rslora),
            dropout: own.map_or(0.0, |shape| shape.dropout),
            targets,
        })
    }

    fn config(&self, base_model: &str) -> Value {
        json!({
            "base_model_name_or_path": base_model,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": whole(self.alpha),
            "lora_dropout": self.dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": self.rank,
            "target_modules": self.targets,
            "task_type": "CAUSAL_LM",
            "use_rslora": self.rslora,
        })
    }
}

/// A whole number without a point, as other tools write it.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

type Shaped = (Vec<usize>, Vec<f32>);

/// A's one under the other and B's side by side, filled with zeros up to `rank`; B times its scale when `scaled`.
fn stack(adapters: &[Lora], rank: usize, scaled: bool) -> Result<(Shaped, Shaped), LoadError> {
    let failed = |error: candle_core::Error| LoadError::Policy(PolicyError::from(error));
    let (input, output) = (adapters[0].a.dims()[1], adapters[0].b.dims()[0]);
    let mut a = Vec::with_capacity(rank * input);
    let mut b = vec![0.0f32; output * rank];
    let mut column = 0;
    for lora in adapters {
        a.extend(
            lora.a
                .flatten_all()
                .and_then(|a| a.to_vec1::<f32>())
                .map_err(failed)?,
        );
        let factor = if scaled { lora.scale } else { 1.0 };
        for (row, values) in lora.b.to_vec2::<f32>().map_err(failed)?.iter().enumerate() {
            for (i, value) in values.iter().enumerate() {
                b[row * rank + column + i] = value * factor;
            }
        }
        column += lora.b.dims()[1];
    }
    a.resize(rank * input, 0.0);
    Ok(((vec![rank, input], a), (vec![output, rank], b)))
}
