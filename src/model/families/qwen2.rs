//! Qwen 2 and 2.5: q, k and v have a bias; a window, if it is switched on, in the upper blocks.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, Silent, Sizes, any_window, decoder, layer_types, object, windows};
use crate::{
    config::Config,
    spec::{Family, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 151_936, hidden: 4096, intermediate: 22_016, layers: 32, heads: 32 },
        kv_heads: Some(32),
        max_positions: 32768,
        ..SILENT
    };
    let mut spec = decoder(config, Family::Qwen2, &silent)?;
    spec.biases.qkv = true;
    upper_windows(config, &mut spec)?;
    Ok(spec)
}

/// `use_sliding_window`, `sliding_window`, `max_window_layers` and `layer_types`, as Qwen 2 and 3 mean them.
pub(super) fn upper_windows(config: &mut Config<'_>, spec: &mut Spec) -> Result<(), String> {
    let on = config.flag("use_sliding_window")?.unwrap_or(false);
    let window = config.size_or("sliding_window", Some(4096))?;
    let window = window.filter(|_| on);
    let first = config.size("max_window_layers")?.unwrap_or(28);
    windows(config, spec, window, |layer| window.is_some() && layer >= first)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    let window = any_window(spec);
    let first = spec.layers.iter().position(|layer| layer.window.is_some());
    object(json!({
        "use_sliding_window": window.is_some(),
        "sliding_window": window,
        "max_window_layers": first.unwrap_or(spec.layers.len()),
        "layer_types": layer_types(spec),
    }))
}
