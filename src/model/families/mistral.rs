//! Mistral: a window in every block, or in none.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, Silent, Sizes, any_window, decoder, object};
use crate::{
    config::Config,
    spec::{Family, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 32_000, hidden: 4096, intermediate: 14_336, layers: 32, heads: 32 },
        kv_heads: Some(8),
        max_positions: 4096 * 32,
        ..SILENT
    };
    let mut spec = decoder(config, Family::Mistral, &silent)?;
    let window = config.size_or("sliding_window", Some(4096))?;
    for layer in &mut spec.layers {
        layer.window = window;
    }
    Ok(spec)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    object(json!({"sliding_window": any_window(spec)}))
}
