//! One file a decoder family: how its `config.json` reads. The seam where Mistral, Qwen, Gemma and Phi join.

mod llama;

use serde_json::Value;

use super::spec::{Config, Family, Spec};

/// Every `model_type` that can be loaded, for error sentences.
const KNOWN: &str = "llama";

/// Finds the family that a config declares and lets it read the rest.
pub(super) fn read(mut config: Config<'_>) -> Result<Spec, String> {
    let model_type = config.text("model_type")?;
    match model_type {
        Some("llama") => llama::read(config),
        Some(other) => Err(format!(
            "models of type `{other}` are not supported (known types: {KNOWN})"
        )),
        None => Err(format!("`model_type` is missing (known types: {KNOWN})")),
    }
}

pub(super) fn write(spec: &Spec, dtype: &str) -> Value {
    match spec.family {
        Family::Llama => llama::write(spec, dtype),
    }
}
