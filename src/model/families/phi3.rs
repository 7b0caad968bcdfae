//! Phi 3 and 4 (mini): q, k, v are one stored layer, and gate, up another; a part of each head may be left unrotated.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, Silent, Sizes, any_window, decoder, object};
use crate::{
    RopeScaling,
    config::Config,
    spec::{Family, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 32_064, hidden: 3072, intermediate: 8192, layers: 32, heads: 32 },
        max_positions: 4096,
        original_max_positions: Some(4096.0),
        yarn_is_longrope: true,
        norm_eps: 1e-5,
        padding: Some(32000),
        partial_rotation: true,
        ..SILENT
    };
    let mut spec = decoder(config, Family::Phi3, &silent)?;
    let known = |scaling: &RopeScaling| matches!(scaling, RopeScaling::None | RopeScaling::LongRope { .. });
    if !spec.ropes.iter().all(|rope| known(&rope.scaling)) {
        return Err("the rotary scaling of a Phi 3 model is longrope or none; another is not supported".to_owned());
    }
    // Knobs of Microsoft's own code, which Transformers' does not have.
    for key in ["full_attn_mod", "interpolate_factor"] {
        if let Some(other) = config.size(key)?.filter(|&value| value != 1) {
            return Err(format!("`{key}` is {other}; only 1 is supported"));
        }
    }
    spec.fused = true;
    let window = config.size("sliding_window")?;
    for layer in &mut spec.layers {
        layer.window = window;
    }
    Ok(spec)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    let original = spec.ropes.iter().find_map(|rope| match rope.scaling {
        RopeScaling::LongRope { original_max_positions, .. } => Some(original_max_positions),
        _ => None,
    });
    object(json!({
        "sliding_window": any_window(spec),
        "partial_rotary_factor": spec.ropes.first().map(|rope| rope.partial),
        "original_max_position_embeddings": original.unwrap_or(spec.max_positions),
    }))
}
