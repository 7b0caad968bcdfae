//! Llama 1 to 3 and everything that declares itself one (SmolLM, TinyLlama, many fine-tunes).

use serde_json::{Value, json};

use crate::model::{
    RopeScaling,
    spec::{Config, Family, Spec},
};

pub(super) fn read(mut config: Config<'_>) -> Result<Spec, String> {
    let hidden_size = config.needed_size("hidden_size")?;
    let heads = config.needed_size("num_attention_heads")?;
    let kv_heads = config.size("num_key_value_heads")?.unwrap_or(heads);
    let head_dim = match config.size("head_dim")? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            return Err(format!(
                "`hidden_size` ({hidden_size}) is not a multiple of `num_attention_heads` ({heads}) and `head_dim` is missing"
            ));
        }
    };
    match config.text("hidden_act")? {
        None | Some("silu" | "swish") => {}
        Some(other) => return Err(format!("`hidden_act` is `{other}`; Llama models use silu")),
    }
    // The stored precision is the weights file's business: each tensor says its own.
    config.get("torch_dtype");
    config.get("dtype");
    let spec = Spec {
        family: Family::Llama,
        vocab_size: config.needed_size("vocab_size")?,
        hidden_size,
        intermediate_size: config.needed_size("intermediate_size")?,
        layers: config.needed_size("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        max_positions: config.size("max_position_embeddings")?.unwrap_or(2048),
        norm_eps: config.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope: config.rope(10_000.0)?,
        padding: config
            .get("pad_token_id")
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok()),
        tied: config.flag("tie_word_embeddings")?.unwrap_or(false),
        attention_bias: config.flag("attention_bias")?.unwrap_or(false),
        mlp_bias: config.flag("mlp_bias")?.unwrap_or(false),
        initializer_range: config.number("initializer_range")?.unwrap_or(0.02),
    };
    config.finish("llama")?;
    Ok(spec)
}

/// Transformers 4 keys: version 5 reads them too.
pub(super) fn write(spec: &Spec, dtype: &str) -> Value {
    let scaling = match spec.rope.scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_positions as u64,
        }),
    };
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": spec.vocab_size,
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.intermediate_size,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": spec.max_positions,
        "rms_norm_eps": spec.norm_eps,
        "rope_theta": spec.rope.theta,
        "rope_scaling": scaling,
        "pad_token_id": spec.padding,
        "tie_word_embeddings": spec.tied,
        "attention_bias": spec.attention_bias,
        "mlp_bias": spec.mlp_bias,
        "initializer_range": spec.initializer_range,
        "torch_dtype": dtype,
    })
}
