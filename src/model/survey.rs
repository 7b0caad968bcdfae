//! What a model is and what it takes, from its headers alone: no weight of its own is read.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::{
    LoadError, LoadOptions, Spec, adapter, arithmetic,
    examine::Found,
    memory::{self, FLOAT},
    tensors::Role,
    weights::Weights,
};
use ::files;
use ::kernels::Compute;

const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// A model on disk.
#[derive(Debug, Clone)]
pub struct Survey {
    pub spec: Spec,
    /// What most of its numbers are stored as: `F32`, `BF16`, `Q4_K`, ..
    pub dtype: String,
    /// The file, or all files of the folder.
    pub bytes: u64,
    /// Its weights in memory, as [`Precision::Auto`] keeps them on the processor, and an adapter's that lies beside
    /// them.
    pub held: u64,
    /// The adapter that lies beside its weights and is applied with them.
    pub beside: Option<AdapterSurvey>,
    /// What was decided where its files leave room for more than one reading, as sentences.
    pub remarks: Vec<String>,
    /// How its products are taken when an adapter is trained on it.
    compute: Compute,
}

impl Survey {
    /// Errors for the reasons that loading it would, as far as headers tell.
    pub fn of(model: &Path) -> Result<Self, LoadError> {
        let found = Found::look(model, &LoadOptions::default())?;
        let mut held = 0;
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for tensor in found.spec.tensors() {
            let stored = found.weights.stored(&tensor.name, &tensor.shape)?;
            let count: usize = tensor.shape.iter().product();
            *numbers.entry(stored.name).or_default() += count;
            held += if tensor.role == Role::Matrix { stored.held } else { FLOAT * count as u64 };
        }
        let beside = adapter::beside(model).map(|folder| AdapterSurvey::of(&folder)).transpose()?;
        held += beside.as_ref().map_or(0, |adapter| FLOAT * adapter.parameters);
        let dtype = numbers.into_iter().max_by_key(|(_, count)| *count);
        Ok(Self {
            dtype: dtype.map(|(name, _)| name).unwrap_or_default(),
            bytes: bytes_on_disk(model),
            held,
            compute: arithmetic::foreseen(&found.weights, &found.spec),
            beside,
            remarks: found.remarks(),
            spec: found.spec,
        })
    }

    /// Bytes at the peak of a training step on one row of this many tokens, with an adapter of this rank on all linear
    /// layers and as much recomputation as there can be. Half of the row is taken to be answers.
    pub fn training_bytes(&self, rank: usize, row_tokens: usize) -> u64 {
        memory::adapter_training_bytes(&self.spec, self.compute, self.held, rank, row_tokens, true)
    }

    /// The same where there is room: no block runs its forward again.
    pub fn roomy_training_bytes(&self, rank: usize, row_tokens: usize) -> u64 {
        memory::adapter_training_bytes(&self.spec, self.compute, self.held, rank, row_tokens, false)
    }

    /// Bytes to hold a conversation of this many tokens: weights, keys and values, and the logits of a token.
    pub fn answering_bytes(&self, tokens: usize) -> u64 {
        let spec = &self.spec;
        let cache = 2 * spec.layers.len() * spec.kv_width() * tokens.min(spec.max_positions);
        self.held + FLOAT * (cache + spec.vocab_size) as u64
    }
}

/// A PEFT adapter on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSurvey {
    /// What its config names as its base model: a name in the hub or a path; may be empty.
    pub base: String,
    pub rank: usize,
    pub parameters: u64,
    pub dtype: String,
    pub bytes: u64,
}

impl AdapterSurvey {
    pub fn of(folder: &Path) -> Result<Self, LoadError> {
        let fault = |reason: String| LoadError::Adapter { path: folder.to_owned(), reason };
        let config = read_config(folder)?;
        let rank = config["r"].as_u64();
        let rank = rank.ok_or_else(|| fault("its config has no rank `r`".to_owned()))?;
        let weights = Weights::open_file(&files::inside(folder, ADAPTER_WEIGHTS)?)?;
        let mut survey = Self {
            base: base_in(&config),
            rank: rank as usize,
            parameters: 0,
            dtype: String::new(),
            bytes: bytes_on_disk(folder),
        };
        for name in weights.names() {
            let (dtype, shape, _) = weights.stored(name)?;
            survey.parameters += shape.iter().product::<usize>() as u64;
            survey.dtype = format!("{dtype:?}");
        }
        Ok(survey)
    }

    /// What an adapter's config names as its base model; empty where it names none or cannot be read.
    pub(super) fn base(folder: &Path) -> String {
        read_config(folder).map(|config| base_in(&config)).unwrap_or_default()
    }

    /// Whether a folder holds an adapter and no model.
    pub fn is_one(folder: &Path) -> bool {
        folder.join(ADAPTER_CONFIG).is_file() && !folder.join("config.json").is_file()
    }
}

fn read_config(folder: &Path) -> Result<Value, LoadError> {
    let text = files::read_text(&files::inside(folder, ADAPTER_CONFIG)?, files::SETTINGS)?;
    serde_json::from_str(&text).map_err(|error| LoadError::Adapter {
        path: folder.to_owned(),
        reason: format!("{ADAPTER_CONFIG} is not valid JSON ({error})"),
    })
}

fn base_in(config: &Value) -> String {
    config["base_model_name_or_path"].as_str().unwrap_or_default().to_owned()
}

/// A file's length, or the files of a folder together; links are followed.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::metadata(path).map_or(0, |file| file.len());
    };
    entries
        .flatten()
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .filter(fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{AdapterShape, LoadOptions, Policy};
    use data::config::Targets;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
    }

    #[test]
    fn what_headers_say_is_what_a_loaded_policy_holds() {
        for (name, dtype) in [
            ("models/llama_gqa_rope3", "F32"),
            ("models/qwen2_bf16", "BF16"),
            ("models/smollm_f16", "F16"),
            ("models/gemma2", "F32"),
            ("models/phi3_fused", "F32"),
            ("gguf/llama_q8_0.gguf", "Q8_0"),
        ] {
            let path = fixture(name);
            let options = LoadOptions {
                adapter: Some(AdapterShape {
                    rank: 4,
                    alpha: 8.0,
                    rslora: false,
                    dropout: 0.0,
                    targets: Targets::AllLinear,
                    seed: 0,
                }),
                ..LoadOptions::default()
            };
            let policy = Policy::load(&path, &options).unwrap();
            let loaded = policy.fixed_bytes() + policy.least_row_bytes(64, 32);
            // In what it would multiply is known once it was measured, by the first load.
            let survey = Survey::of(&path).unwrap();
            assert_eq!(survey.dtype, dtype, "{name}");
            assert_eq!(survey.training_bytes(4, 64), loaded, "{name}");
        }
    }

    #[test]
    fn a_model_that_could_not_be_loaded_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let config = fixture("models/smollm/config.json");
        fs::copy(config, dir.path().join("config.json")).unwrap();
        let error = Survey::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("safetensors"), "{error}");
    }
}
