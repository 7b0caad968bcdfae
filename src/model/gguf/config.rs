//! The settings of a GGUF file in the words of `config.json`, so that one normaliser reads both.
//!
//! Where llama.cpp has a constant in its code that a config would state (Gemma's score factor), it is stated here.

use serde_json::{Map, Value, json};

use super::frequencies;
use ::gguf::{ElementType, Gguf};

/// Architectures that can be read, for error sentences. Mistral and SmolLM files call themselves `llama`.
const KNOWN: &str = "llama, qwen2, qwen3, gemma2, gemma3, phi3, olmo2, smollm3";

/// Values under `<architecture>.`.
struct Settings<'a> {
    file: &'a Gguf,
    architecture: &'a str,
}

impl Settings<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn size(&self, name: &str) -> Option<usize> {
        self.file.size(&self.key(name))
    }

    fn needed(&self, name: &str) -> Result<usize, String> {
        let key = self.key(name);
        self.file.size(&key).ok_or_else(|| {
            if self.file.has(&key) { format!("`{key}` is not one whole number") } else { format!("`{key}` is missing") }
        })
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.file.number(&self.key(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.file.text(&self.key(name))
    }
}

/// A sentence unless files of this architecture can be read.
pub(crate) fn check_architecture(architecture: &str) -> Result<(), String> {
    if KNOWN.split(", ").any(|known| known == architecture) {
        return Ok(());
    }
    Err(format!("models of the architecture `{architecture}` are not supported (known: {KNOWN})"))
}

/// What `config.json` would say.
pub(super) fn from_metadata(file: &Gguf, architecture: &str) -> Result<Map<String, Value>, String> {
    check_architecture(architecture)?;
    let settings = Settings { file, architecture };
    let hidden = settings.needed("embedding_length")?;
    let heads = settings.needed("attention.head_count")?;
    if heads == 0 || hidden == 0 {
        return Err("it declares a model of no size".to_owned());
    }
    let kv_heads = match settings.size("attention.head_count_kv") {
        None => heads,
        Some(_) => settings.needed("attention.head_count_kv")?,
    };
    let head_dim = settings.size("attention.key_length").unwrap_or(hidden / heads);
    if settings.size("attention.value_length").is_some_and(|width| width != head_dim) {
        return Err("its keys and values have heads of unlike width".to_owned());
    }
    let layers = settings.needed("block_count")?;
    let Some(table) = file.tensor("token_embd.weight") else {
        return Err("the tensor `token_embd.weight` is missing".to_owned());
    };
    let theta = settings.number("rope.freq_base").unwrap_or(10_000.0);
    let shared = json!({
        "model_type": match architecture {
            "gemma3" => "gemma3_text",
            other => other,
        },
        "vocab_size": table.shape.first(),
        "hidden_size": hidden,
        "intermediate_size": settings.needed("feed_forward_length")?,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "max_position_embeddings": settings.needed("context_length")?,
        "rms_norm_eps": settings.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": theta,
        "rope_scaling": scaling(&settings, theta, head_dim)?,
        "tie_word_embeddings": file.tensor("output.weight").is_none(),
    });
    let mut config = object(shared);
    config.extend(own(&settings, heads, hidden, head_dim, layers)?);
    Ok(config)
}

/// The keys of one architecture alone.
fn own(
    settings: &Settings<'_>,
    heads: usize,
    hidden: usize,
    head_dim: usize,
    layers: usize,
) -> Result<Map<String, Value>, String> {
    let has = |tensor: &str| settings.file.tensor(tensor).is_some();
    let window = settings.size("attention.sliding_window").filter(|&window| window > 0);
    // The largest Gemmas divide scores by the width a head would have, the others by the one it has.
    let score_width = |largest: usize| {
        if layers == largest { hidden / heads } else { head_dim }
    };
    // Of all four projections, or of none.
    let attention_bias = || -> Result<bool, String> {
        let (qkv, output) = (has("blk.0.attn_q.bias"), has("blk.0.attn_output.bias"));
        if qkv == output {
            return Ok(qkv);
        }
        Err("its attention has a bias before but none behind, or the other way round, which no family here has"
            .to_owned())
    };
    Ok(object(match settings.architecture {
        "llama" => {
            let bias = attention_bias()?;
            // A Llama with a window is a Mistral.
            let model_type = window.map(|_| "mistral");
            let mlp = has("blk.0.ffn_up.bias");
            json!({"model_type": model_type.unwrap_or("llama"), "sliding_window": window, "attention_bias": bias, "mlp_bias": mlp})
        }
        "qwen2" => json!({"use_sliding_window": false}),
        "qwen3" => json!({"use_sliding_window": false, "attention_bias": attention_bias()?}),
        "gemma2" => json!({
            "hidden_activation": "gelu_pytorch_tanh",
            "attn_logit_softcapping": settings.number("attn_logit_softcapping").unwrap_or(50.0),
            "final_logit_softcapping": settings.number("final_logit_softcapping").unwrap_or(30.0),
            "sliding_window": window.unwrap_or(4096),
            "query_pre_attn_scalar": score_width(46),
        }),
        "gemma3" => json!({
            "hidden_activation": "gelu_pytorch_tanh",
            "sliding_window": window.unwrap_or(1024),
            "sliding_window_pattern": 6,
            "rope_local_base_freq": 10_000.0,
            "query_pre_attn_scalar": score_width(62),
        }),
        "phi3" => json!({
            "sliding_window": window,
            "original_max_position_embeddings": settings.size("rope.scaling.original_context_length"),
            "partial_rotary_factor": settings
                .size("rope.dimension_count")
                .filter(|&rotary| rotary != head_dim)
                .map(|rotary| rotary as f64 / head_dim as f64),
        }),
        // llama.cpp has it in its code that every fourth block is not told positions.
        "smollm3" => {
            json!({"no_rope_layer_interval": 4, "attention_bias": attention_bias()?, "mlp_bias": has("blk.0.ffn_up.bias")})
        }
        _ => json!({}),
    }))
}

/// `rope_scaling`: from its keys, or from the factors that the converter writes as a tensor instead.
fn scaling(settings: &Settings<'_>, theta: f64, head_dim: usize) -> Result<Value, String> {
    let floats = |tensor: &str| -> Result<Option<Vec<f64>>, String> {
        let Some(info) = settings.file.tensor(tensor) else {
            return Ok(None);
        };
        if info.element != ElementType::F32 || !matches!(info.shape[..], [n] if n <= head_dim) {
            return Err(format!("`{tensor}` is not a list of f32, one for each pair of a head's numbers"));
        }
        let bytes = &settings.file.bytes()[info.bytes.clone()];
        let floats = bytes.as_chunks().0.iter();
        Ok(Some(floats.map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()))
    };
    if let Some(factors) = floats("rope_freqs.weight")? {
        return frequencies::llama3(&factors, theta, head_dim);
    }
    if let (Some(long), Some(short)) = (floats("rope_factors_long.weight")?, floats("rope_factors_short.weight")?) {
        return Ok(json!({"type": "longrope", "long_factor": long, "short_factor": short}));
    }
    let factor = settings.number("rope.scaling.factor").or_else(|| settings.number("rope.scale_linear"));
    let original = settings.size("rope.scaling.original_context_length");
    match (settings.text("rope.scaling.type"), factor) {
        (Some("none"), _) | (None, None) | (_, Some(1.0)) => Ok(Value::Null),
        (None | Some("linear"), Some(factor)) => Ok(json!({"rope_type": "linear", "factor": factor})),
        (Some("yarn"), Some(factor)) => Ok(json!({
            "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original,
        })),
        (Some(kind), _) => Err(format!("its rotary scaling `{kind}` is not understood")),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
