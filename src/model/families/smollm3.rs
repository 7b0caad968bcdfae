//! SmolLM 3: a Llama of which some blocks are not told positions.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, Silent, Sizes, any_window, attention_bias, decoder, layer_types, object, windows};
use crate::{
    config::Config,
    spec::{Family, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 128_256, hidden: 2048, intermediate: 11_008, layers: 36, heads: 16 },
        kv_heads: Some(4),
        max_positions: 32768,
        theta: 2_000_000.0,
        tied: true,
        padding: Some(128_004),
        ..SILENT
    };
    let mut spec = decoder(config, Family::SmolLm3, &silent)?;
    attention_bias(config, &mut spec)?;
    spec.biases.mlp = config.flag("mlp_bias")?.unwrap_or(false);
    positions(config, &mut spec)?;
    config.get("max_window_layers"); // in the published file, and read by nothing
    let window = config.size("sliding_window")?;
    let on = config.flag("use_sliding_window")?.unwrap_or(false) && window.is_some();
    let unrotated: Vec<bool> = spec.layers.iter().map(|layer| layer.rope.is_none()).collect();
    windows(config, &mut spec, window, |layer| on && unrotated[layer])?;
    Ok(spec)
}

/// `no_rope_layers`, which has a 1 for each block *with* a rotation, or one block without in every
/// `no_rope_layer_interval`.
fn positions(config: &mut Config<'_>, spec: &mut Spec) -> Result<(), String> {
    let list = config.list("no_rope_layers")?;
    let interval = config.size("no_rope_layer_interval")?.unwrap_or(4);
    let layers = spec.layers.len();
    if let Some(list) = list.filter(|list| list.len() < layers) {
        return Err(format!("`no_rope_layers` has {} entries, but `num_hidden_layers` is {layers}", list.len()));
    }
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let rotated = match list.map(|list| list[index].as_u64()) {
            None => interval == 0 || !(index + 1).is_multiple_of(interval),
            Some(Some(0)) => false,
            Some(Some(1)) => true,
            Some(_) => return Err("`no_rope_layers` must hold 0 and 1 only".to_owned()),
        };
        layer.rope = rotated.then_some(0);
    }
    Ok(())
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    let window = any_window(spec);
    let rotated: Vec<u8> = spec.layers.iter().map(|layer| u8::from(layer.rope.is_some())).collect();
    object(json!({
        "attention_bias": spec.biases.qkv,
        "mlp_bias": spec.biases.mlp,
        "no_rope_layers": rotated,
        "use_sliding_window": window.is_some(),
        "sliding_window": window,
        "layer_types": layer_types(spec),
    }))
}
