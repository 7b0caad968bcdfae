//! Qwen 3: a norm on each head of q and k; heads need not fill the width.

use serde_json::{Map, Value, json};

use super::{
    decoder::{SILENT, Silent, Sizes, attention_bias, decoder},
    qwen2,
};
use crate::{
    config::Config,
    spec::{Family, QueryKeyNorm, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 151_936, hidden: 4096, intermediate: 22_016, layers: 32, heads: 32 },
        kv_heads: Some(32),
        head_dim: Some(128),
        max_positions: 32768,
        ..SILENT
    };
    let mut spec = decoder(config, Family::Qwen3, &silent)?;
    spec.query_key_norm = Some(QueryKeyNorm::Head);
    attention_bias(config, &mut spec)?;
    qwen2::upper_windows(config, &mut spec)?;
    Ok(spec)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    let mut keys = qwen2::write(spec);
    keys.insert("attention_bias".to_owned(), json!(spec.biases.qkv));
    keys
}
