//! `adapter_config.json` and `adapter_model.safetensors` of Hugging Face PEFT.
//!
//! Only long-established keys are written, so that older versions and other runtimes read them.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;

use super::{
    CONFIG, Halves, LoadedAdapter, MAX_CONFIG_BYTES, config::PeftConfig, factors::Factors, finish,
    frozen, identify, put_half, take_halves, unusable, whole, write_config, write_tensors,
};
use crate::model::{
    LoadError, Spec,
    lora::{a_name, b_name},
    small_file::read_small,
    weights::Weights,
};

pub(super) const TENSORS: &str = "adapter_model.safetensors";

/// Reads an adapter folder for a model of this spec.
pub(super) fn load(dir: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    let fault = unusable(dir);
    let text = read_small(&dir.join(CONFIG), MAX_CONFIG_BYTES)?;
    let config = PeftConfig::parse(&text).map_err(&fault)?;
    let weights = Weights::open_file(&dir.join(TENSORS))?;
    let mut halves = halves(&weights).map_err(&fault)?;
    let mut loras = BTreeMap::new();
    for linear in spec.all_linears() {
        let Some((a, b)) = take_halves(&mut halves, &linear.path).map_err(&fault)? else {
            continue;
        };
        let (rank, alpha) = config.of(&linear.path);
        let read = |name: &str, shape: [usize; 2]| {
            let found = weights.shape(name).unwrap_or_default();
            if found != shape {
                return Err(fault(format!(
                    "`{name}` has shape {found:?}, but rank {rank} on this model makes {shape:?}; it belongs to another \
                     model, or its config to another adapter"
                )));
            }
            weights.read(name, &shape)
        };
        let a = read(&a, [rank, linear.input])?;
        let b = read(&b, [linear.output, rank])?;
        let lora = frozen(&linear, rank, a, b, config.scale(rank, alpha))?;
        loras.insert(linear.path, lora);
    }
    finish(halves, loras, identify(&text, &weights)).map_err(fault)
}

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
        put_half(&mut halves, &path, half, name)?;
    }
    Ok(halves)
}

/// Writes both files into `dir`.
pub(super) fn save(factors: &Factors, dir: &Path, base_model: &str) -> Result<(), LoadError> {
    let mut tensors = BTreeMap::new();
    for (path, (a, b)) in &factors.layers {
        tensors.insert(a_name(path), a.clone());
        tensors.insert(b_name(path), b.clone());
    }
    write_tensors(&dir.join(TENSORS), &tensors, "pt")?;
    let config = json!({
        "base_model_name_or_path": base_model,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": whole(factors.alpha),
        "lora_dropout": factors.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": factors.rank,
        "target_modules": factors.targets,
        "task_type": "CAUSAL_LM",
        "use_rslora": factors.rslora,
    });
    write_config(dir, &config)
}
