//! Llama 1 to 3 and everything that declares itself one (SmolLM 1 and 2, TinyLlama, many fine-tunes): the plainest
//! block.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, attention_bias, decoder, object};
use crate::{
    config::Config,
    spec::{Family, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let mut spec = decoder(config, Family::Llama, &SILENT)?;
    attention_bias(config, &mut spec)?;
    spec.biases.mlp = config.flag("mlp_bias")?.unwrap_or(false);
    Ok(spec)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    object(json!({
        "attention_bias": spec.biases.qkv,
        "mlp_bias": spec.biases.mlp,
    }))
}
