//! OLMo 2: norms after each half only, and one over all heads of q and of k.

use serde_json::{Map, Value, json};

use super::decoder::{SILENT, Silent, Sizes, attention_bias, decoder, object};
use crate::{
    config::Config,
    spec::{Family, NormPlaces, QueryKeyNorm, Spec},
};

pub(super) fn read(config: &mut Config<'_>) -> Result<Spec, String> {
    let silent = Silent {
        sizes: Sizes { vocab: 50_304, hidden: 4096, intermediate: 11_008, layers: 32, heads: 32 },
        norm_eps: 1e-5,
        padding: Some(1),
        ..SILENT
    };
    let mut spec = decoder(config, Family::Olmo2, &silent)?;
    spec.norm_places = NormPlaces::After;
    spec.query_key_norm = Some(QueryKeyNorm::Width);
    attention_bias(config, &mut spec)?;
    Ok(spec)
}

pub(super) fn write(spec: &Spec) -> Map<String, Value> {
    object(json!({"attention_bias": spec.biases.qkv}))
}
