//! One file a decoder family: how its `config.json` reads as a [`Spec`], and how it is written.
//!
//! A family says what Transformers assumes where a file is silent ([`Silent`](decoder::Silent)), lets
//! [`decoder`](decoder::decoder) read the keys that all families share, and then changes the facts that are its own.

mod decoder;
mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod smollm3;
mod whole;

use std::path::Path;

use serde_json::{Map, Value, json};

use self::decoder::shared;
use super::{
    AdapterSurvey, LoadError,
    config::Config,
    spec::{Family, Spec},
};
use ::files;

/// Every `model_type` that can be loaded, for error sentences.
const KNOWN: &str = "gemma2, gemma3_text, llama, mistral, olmo2, phi3, qwen2, qwen3, smollm3, and the text part of \
                     gemma3, llava, mistral3";

impl Spec {
    /// Reads `folder/config.json`.
    pub(super) fn read_folder(folder: &Path) -> Result<Self, LoadError> {
        let path = files::inside(folder, "config.json").map_err(|error| {
            if error.is_missing() && AdapterSurvey::is_one(folder) {
                return LoadError::IsAdapter { path: folder.to_owned(), base: AdapterSurvey::base(folder) };
            }
            let refused = |reason: &str| LoadError::Config { path: folder.to_owned(), reason: reason.to_owned() };
            match folder.symlink_metadata() {
                Err(_) if error.is_missing() => refused("there is no such folder"),
                Ok(_) if error.is_missing() && folder.is_dir() => {
                    refused("no config.json lies in it, so it is no model")
                }
                _ => error.into(),
            }
        })?;
        let text = files::read_text(&path, files::SETTINGS)?;
        Self::parse(&text).map_err(|reason| LoadError::Config { path, reason })
    }

    /// The normaliser itself: JSON text in, the spec or a sentence out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON ({error})"))?;
        let Value::Object(map) = value else {
            return Err("not a JSON object".to_owned());
        };
        let spec = read(Config::new(&map))?;
        spec.validate()?;
        Ok(spec)
    }

    /// `config.json` that this module, and Transformers 4 and 5, read back as the same model.
    pub fn to_config_json(&self, dtype: &str) -> Value {
        write(self, dtype)
    }
}

/// Finds the family that a config declares and lets it read the rest.
fn read(mut config: Config<'_>) -> Result<Spec, String> {
    let Some(model_type) = config.text("model_type")? else {
        return Err(format!("`model_type` is missing (known types: {KNOWN})"));
    };
    match whole::named(model_type) {
        Some(whole) => whole.read(config, decoder_of),
        None => decoder_of(model_type, config),
    }
}

/// Lets the family of this name read a config.
fn decoder_of(model_type: &str, mut config: Config<'_>) -> Result<Spec, String> {
    let read = match model_type {
        "gemma2" => gemma2::read,
        "gemma3_text" => gemma3::read,
        "llama" => llama::read,
        "mistral" => mistral::read,
        "olmo2" => olmo2::read,
        "phi3" => phi3::read,
        "qwen2" => qwen2::read,
        "qwen3" => qwen3::read,
        "smollm3" => smollm3::read,
        other => {
            return Err(format!("models of type `{other}` are not supported (known types: {KNOWN})"));
        }
    };
    let spec = read(&mut config)?;
    config.finish(model_type)?;
    Ok(spec)
}

/// Transformers 4 keys where there are such: version 5 reads them too.
fn write(spec: &Spec, dtype: &str) -> Value {
    let (architecture, model_type, own) = match spec.family {
        Family::Gemma2 => ("Gemma2ForCausalLM", "gemma2", gemma2::write(spec)),
        Family::Gemma3 => ("Gemma3ForCausalLM", "gemma3_text", gemma3::write(spec)),
        Family::Llama => ("LlamaForCausalLM", "llama", llama::write(spec)),
        Family::Mistral => ("MistralForCausalLM", "mistral", mistral::write(spec)),
        Family::Olmo2 => ("Olmo2ForCausalLM", "olmo2", olmo2::write(spec)),
        Family::Phi3 => ("Phi3ForCausalLM", "phi3", phi3::write(spec)),
        Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2", qwen2::write(spec)),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3", qwen3::write(spec)),
        Family::SmolLm3 => ("SmolLM3ForCausalLM", "smollm3", smollm3::write(spec)),
    };
    let mut keys = Map::new();
    keys.insert("architectures".to_owned(), json!([architecture]));
    keys.insert("model_type".to_owned(), json!(model_type));
    keys.extend(shared(spec));
    keys.extend(own);
    keys.insert("torch_dtype".to_owned(), json!(dtype));
    Value::Object(keys)
}
