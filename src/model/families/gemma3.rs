//! Gemma 3, its text model: Gemma 2 without soft caps, with a norm on each head of q and k, and a rotation of their own
//! for the blocks that have a window.

use serde_json::{Map, Value, json};

use super::{
    decoder::{Silent, Sizes, decoder, object, windows},
    gemma2::{self, GEMMA, Softcaps},
};
use crate::{
    config::Config,
    spec::{Family, QueryKeyNorm, Spec},
};

/// The rotation of blocks with full attention, and that of blocks with a window.
const FULL: usize = 0;
const LOCAL: usize = 1;

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 262_208, hidden: 2304, intermediate: 9216, layers: 26, heads: 8 },
        max_positions: 131_072,
        theta: 1_000_000.0,
        local_theta: Some(10_000.0),
        ..GEMMA
    };
    let mut spec = decoder(config, Family::Gemma3, &silent)?;
    let softcaps = Softcaps { attention: None, logits: None };
    gemma2::gemma(config, &mut spec, &softcaps)?;
    if spec.attention_softcap.is_some() {
        return Err("`attn_logit_softcapping` is set, which Transformers' Gemma 3 ignores; set it to null".to_owned());
    }
    spec.query_key_norm = Some(QueryKeyNorm::Head);
    let window = config.size_or("sliding_window", Some(4096))?;
    let pattern = config.size("sliding_window_pattern")?.unwrap_or(6).max(1);
    windows(config, &mut spec, window, |layer| !(layer + 1).is_multiple_of(pattern))?;
    for layer in &mut spec.layers {
        layer.rope = Some(if layer.window.is_some() { LOCAL } else { FULL });
    }
    Ok(spec)
}

/// Transformers 4 has no key for a scaled local rotation; 5 has `rope_parameters` for both.
pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    let mut keys = gemma2::write(spec);
    let rope = |index: usize| {
        spec.ropes.get(index).map(|rope| {
            let mut map = object(rope.to_json());
            map.insert("rope_theta".to_owned(), json!(rope.theta));
            map.entry("rope_type").or_insert(json!("default"));
            map
        })
    };
    keys.extend(object(json!({
        "rope_local_base_freq": spec.ropes.get(LOCAL).map(|rope| rope.theta),
        "rope_parameters": {"full_attention": rope(FULL), "sliding_attention": rope(LOCAL)},
    })));
    keys
}
