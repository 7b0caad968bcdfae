//! Gemma 2: norms before and after each half, their weights counted from one, scaled embeddings, GELU, soft caps, and a
//! window in every other block.

use serde_json::{Map, Value, json};

use super::decoder::{
    SILENT, Silent, Sizes, activation_name, any_window, attention_bias, decoder, layer_types, object, windows,
};
use crate::{
    config::Config,
    spec::{Family, NormPlaces, Spec},
};
use ::kernels::Activation;

/// What Gemma 2 and 3 assume alike.
pub(super) const GEMMA: Silent = Silent {
    sizes: Sizes { vocab: 256_000, hidden: 2304, intermediate: 9216, layers: 26, heads: 8 },
    kv_heads: Some(4),
    head_dim: Some(256),
    max_positions: 8192,
    tied: true,
    padding: Some(0),
    activation: ("hidden_activation", Activation::GeluTanh),
    ..SILENT
};

/// The softcaps that a family assumes where the file is silent.
pub(super) struct Softcaps {
    pub(super) attention: Option<f64>,
    pub(super) logits: Option<f64>,
}

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let mut spec = decoder(config, Family::Gemma2, &GEMMA)?;
    let softcaps = Softcaps { attention: Some(50.0), logits: Some(30.0) };
    gemma(config, &mut spec, &softcaps)?;
    let window = config.size_or("sliding_window", Some(4096))?;
    windows(config, &mut spec, window, |layer| layer % 2 == 0)?;
    Ok(spec)
}

/// What Gemma 2 and 3 have in common.
pub(super) fn gemma(config: &mut Config<'_>, spec: &mut Spec, softcaps: &Softcaps) -> Result<(), String> {
    attention_bias(config, spec)?;
    config.get("hidden_act"); // an older name of the activation, which Transformers reads no more
    spec.norm_plus_one = true;
    spec.norm_places = NormPlaces::Both;
    spec.embedding_scale = (spec.hidden_size as f64).sqrt();
    let scalar = config.positive("query_pre_attn_scalar")?.unwrap_or(256.0);
    spec.attention_scale = scalar.sqrt().recip();
    spec.attention_softcap = config.number_or("attn_logit_softcapping", softcaps.attention)?;
    spec.logit_softcap = config.number_or("final_logit_softcapping", softcaps.logits)?;
    Ok(())
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    // The scale is stored as its inverse square; what was a whole number is one again.
    let scalar = spec.attention_scale.powi(-2);
    let whole = scalar.round();
    let scalar = if (scalar - whole).abs() < 1e-9 * whole { json!(whole as u64) } else { json!(scalar) };
    object(json!({
        "hidden_activation": activation_name(spec),
        "attention_bias": spec.biases.qkv,
        "query_pre_attn_scalar": scalar,
        "attn_logit_softcapping": spec.attention_softcap,
        "final_logit_softcapping": spec.logit_softcap,
        "sliding_window": any_window(spec).unwrap_or(4096),
        "layer_types": layer_types(spec),
    }))
}
