//! `adapter_config.json` and `adapter_model.safetensors` of Hugging Face PEFT.
//!
//! Only long-established keys are written, so that older versions and other runtimes read them.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    config::PeftConfig,
    factors::Factors,
    files::{
        Absent, CONFIG, HEAD_MODULE, Halves, LoadedAdapter, finish, frozen, identify, put_half, take_halves, unusable,
        whole, write_config,
    },
};
use crate::{
    LoadError, Spec,
    lora::{a_name, b_name},
    tensor_file,
    tensors::SCORE_WEIGHT,
    weights::Weights,
};
use ::files;

pub(super) const TENSORS: &str = "adapter_model.safetensors";
const PICKLE: &str = "adapter_model.bin";

/// Modules of a model around its text part, which an adapter may train too; text alone does not pass through them.
const OF_IMAGES: [&str; 2] = ["vision_tower.", "multi_modal_projector."];
/// In the names of what DoRA scales rows with.
const MAGNITUDES: &str = "lora_magnitude_vector";
const EMBEDDING_MODULE: &str = "model.embed_tokens";
/// What the modules of a text part are called inside the whole model, in Transformers 5.
const INSIDE: &str = "model.language_model.";

/// Reads an adapter folder for a model of this spec.
pub(super) fn load(dir: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    let fault = unusable(dir);
    let text = files::read_text(&files::inside(dir, CONFIG)?, files::SETTINGS)?;
    let config = PeftConfig::parse(&text, spec).map_err(&fault)?;
    let tensors = match files::inside(dir, TENSORS) {
        Err(error) if error.is_missing() && dir.join(PICKLE).exists() => {
            return Err(fault(format!(
                "its weights are in {PICKLE}, a pickle, which may run programs; save it as {TENSORS} with PEFT \
                 (`save_pretrained`)"
            )));
        }
        found => found?,
    };
    let weights = Weights::open_file(&tensors)?;
    let is_score = |name: &str| config.scores() && name == SCORE_WEIGHT;
    let score = weights
        .names()
        .find(|name| is_score(name))
        .map(|name| weights.read(name, &[1, spec.hidden_size]))
        .transpose()?;
    let mut halves = halves(weights.names().filter(|name| !is_score(name))).map_err(&fault)?;
    let mut loras = BTreeMap::new();
    let mut absent = Absent::default();
    for linear in spec.all_linears() {
        let module = module(spec, &linear.path);
        let Some((a, b)) = take_halves(&mut halves, &linear.path).map_err(&fault)? else {
            if config.has(&module) {
                absent.add(&module);
            }
            continue;
        };
        // The text part of a larger model had another path in Transformers 4, which its config may name.
        if spec.part_of.is_none() && !config.has(&module) {
            return Err(fault(format!(
                "it has values for `{module}`, but its config leaves that layer out (target_modules, exclude_modules or \
                 layers_to_transform), and PEFT would not use them; correct one of the two"
            )));
        }
        let (rank, alpha) = config.of(&module);
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
    if spec.part_of.is_some() {
        halves.retain(|path, _| !OF_IMAGES.iter().any(|part| path.contains(part)));
    }
    for table in [HEAD_MODULE, EMBEDDING_MODULE] {
        if config.has(table) && !halves.contains_key(table) {
            absent.add(table);
        }
    }
    if config.starts_at_random()
        && let Some(first) = absent.first()
    {
        return Err(fault(format!(
            "its config wants `{first}` adapted, which its file does not hold, and `init_lora_weights` is false: PEFT would \
             fill it with random numbers"
        )));
    }
    let remarks = absent.remark(dir).into_iter().collect();
    let loaded = finish(halves, loras, identify(&text, &weights), remarks).map_err(&fault)?;
    Ok(LoadedAdapter { score, ..loaded })
}

/// Sorts the tensors of an adapter by layer. Tools differ in what they put around the module path: PEFT's own
/// `base_model.model.` or nothing, `lora_A.weight` or `lora_A.default.weight` with the adapter's name.
fn halves<'n>(names: impl Iterator<Item = &'n str>) -> Result<Halves, String> {
    let mut halves = Halves::new();
    for name in names {
        let inner = name.trim_start_matches("base_model.model.");
        // `base_model.model.layers.0..` was the whole prefix of a model whose own names begin with `model.`; the text
        // part of a larger model has names of its own.
        let layer = |prefix| {
            let rest: &str = inner.strip_prefix(prefix)?;
            rest.starts_with("layers.").then(|| format!("model.{rest}"))
        };
        let inner =
            [INSIDE, "language_model.model.", ""].into_iter().find_map(layer).unwrap_or_else(|| inner.to_owned());
        let split = [".lora_A", ".lora_B"].into_iter().enumerate();
        let mut found = split.filter_map(|(half, marker)| {
            let (path, rest) = inner.rsplit_once(marker)?;
            if rest.rsplit('.').next() == Some("bias") {
                return None;
            }
            let rest = rest.strip_suffix(".weight").unwrap_or(rest);
            // At most the adapter's own name is left.
            let is_name = rest.is_empty() || (rest.starts_with('.') && !rest[1..].contains('.'));
            is_name.then(|| (path.to_owned(), half))
        });
        let Some((path, half)) = found.next_back() else {
            if name.contains(MAGNITUDES) {
                return Err(format!(
                    "`{name}` holds magnitudes of DoRA, though its config does not say `use_dora`; DoRA is not supported"
                ));
            }
            return Err(format!(
                "`{name}` is not the A or B of a linear layer; layers that are saved whole beside an adapter cannot be read"
            ));
        };
        put_half(&mut halves, &path, half, name)?;
    }
    Ok(halves)
}

/// What Transformers calls a module: inside a larger model, its path there.
fn module(spec: &Spec, path: &str) -> String {
    let inner = path.strip_prefix("model.").filter(|_| spec.part_of.is_some());
    inner.map_or_else(|| path.to_owned(), |inner| format!("{INSIDE}{inner}"))
}

/// `target_modules`: names or paths, or inside a larger model an expression that leaves out the layers of the same
/// names that read images.
fn target_modules(spec: &Spec, targets: &[String]) -> Value {
    if spec.part_of.is_none() {
        return json!(targets);
    }
    let inner = |path: &String| path.trim_start_matches("model.").replace('.', r"\.");
    let names: Vec<String> = targets.iter().map(inner).collect();
    json!(format!(r".*\blanguage_model\b.*\.({})", names.join("|")))
}

/// Writes both files into `dir`.
pub(super) fn save(factors: &Factors, spec: &Spec, dir: &Path, base_model: &str) -> Result<(), LoadError> {
    let tensors = factors.layers.iter().flat_map(|(path, (a, b))| {
        let module = module(spec, path);
        [(a_name(&module), a), (b_name(&module), b)]
    });
    let score = factors.score.iter().map(|score| (SCORE_WEIGHT.to_owned(), score));
    tensor_file::write(&dir.join(TENSORS), tensors.chain(score), "pt")?;
    let config = json!({
        "base_model_name_or_path": base_model,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": whole(factors.alpha),
        "lora_dropout": factors.dropout,
        "modules_to_save": factors.score.as_ref().map(|_| ["score"]),
        "peft_type": "LORA",
        "r": factors.rank,
        "target_modules": target_modules(spec, &factors.targets),
        "task_type": if factors.score.is_some() { "SEQ_CLS" } else { "CAUSAL_LM" },
        "use_rslora": factors.rslora,
    });
    write_config(dir, &config)
}
