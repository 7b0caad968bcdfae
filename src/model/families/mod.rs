//! One file a decoder family: how its `config.json` reads as a [`Spec`], and how it is written.
//!
//! A family says what Transformers assumes where a file is silent ([`Silent`]), lets [`decoder`] read the keys that all
//! families share, and then changes the facts that are its own.

mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod smollm3;
mod whole;

use serde_json::{Map, Value, json};

use super::{
    config::Config,
    rope::{self, Rope, SilentRope},
    spec::{Biases, Family, Layer, NormPlaces, Spec},
};
use ::kernels::Activation;

/// Every `model_type` that can be loaded, for error sentences.
const KNOWN: &str = "gemma2, gemma3_text, llama, mistral, olmo2, phi3, qwen2, qwen3, smollm3, and the text part of \
                     gemma3, llava, mistral3";

/// Finds the family that a config declares and lets it read the rest.
pub(super) fn read(mut config: Config<'_>) -> Result<Spec, String> {
    let Some(model_type) = config.text("model_type")? else {
        return Err(format!("`model_type` is missing (known types: {KNOWN})"));
    };
    match whole::named(model_type) {
        Some(whole) => whole.read(config),
        None => decoder_of(model_type, config),
    }
}

/// Lets the family of this name read a config.
fn decoder_of(model_type: &str, mut config: Config<'_>) -> Result<Spec, String> {
    let read = match model_type {
        "gemma2" => gemma2::read,
        "gemma3_text" => gemma3::read,
        "llama" => llama::read,
        "mistral" => mistral::read,
        "olmo2" => olmo2::read,
        "phi3" => phi3::read,
        "qwen2" => qwen2::read,
        "qwen3" => qwen3::read,
        "smollm3" => smollm3::read,
        other => {
            return Err(format!("models of type `{other}` are not supported (known types: {KNOWN})"));
        }
    };
    let spec = read(&mut config)?;
    config.finish(model_type)?;
    Ok(spec)
}

/// Transformers 4 keys where there are such: version 5 reads them too.
pub(super) fn write(spec: &Spec, dtype: &str) -> Value {
    let (architecture, model_type, own) = match spec.family {
        Family::Gemma2 => ("Gemma2ForCausalLM", "gemma2", gemma2::write(spec)),
        Family::Gemma3 => ("Gemma3ForCausalLM", "gemma3_text", gemma3::write(spec)),
        Family::Llama => ("LlamaForCausalLM", "llama", llama::write(spec)),
        Family::Mistral => ("MistralForCausalLM", "mistral", mistral::write(spec)),
        Family::Olmo2 => ("Olmo2ForCausalLM", "olmo2", olmo2::write(spec)),
        Family::Phi3 => ("Phi3ForCausalLM", "phi3", phi3::write(spec)),
        Family::Qwen2 => ("Qwen2ForCausalLM", "qwen2", qwen2::write(spec)),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3", qwen3::write(spec)),
        Family::SmolLm3 => ("SmolLM3ForCausalLM", "smollm3", smollm3::write(spec)),
    };
    let mut keys = Map::new();
    keys.insert("architectures".to_owned(), json!([architecture]));
    keys.insert("model_type".to_owned(), json!(model_type));
    keys.extend(shared(spec));
    keys.extend(own);
    keys.insert("torch_dtype".to_owned(), json!(dtype));
    Value::Object(keys)
}

/// What Transformers' config class of a family assumes where a file is silent.
struct Silent {
    sizes: Sizes,
    /// `None`: as many as there are heads.
    kv_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`.
    head_dim: Option<usize>,
    max_positions: usize,
    norm_eps: f64,
    theta: f64,
    /// Blocks with a window have a rotation of their own, with this theta.
    local_theta: Option<f64>,
    /// The context that scaled rotations start from; `None`: `max_positions`.
    original_max_positions: Option<f64>,
    /// Early files of the family call LongRoPE "yarn".
    yarn_is_longrope: bool,
    tied: bool,
    padding: Option<u32>,
    /// Whether a part of each head may be left unrotated.
    partial_rotation: bool,
    /// The key that names the activation, and the activation.
    activation: (&'static str, Activation),
}

/// The sizes of the model that a config class was first written for: a `text_config` may leave out what equals them.
struct Sizes {
    vocab: usize,
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
}

/// Llama's, which the other families vary.
const SILENT: Silent = Silent {
    sizes: Sizes { vocab: 32_000, hidden: 4096, intermediate: 11_008, layers: 32, heads: 32 },
    kv_heads: None,
    head_dim: None,
    max_positions: 2048,
    norm_eps: 1e-6,
    theta: 10_000.0,
    local_theta: None,
    original_max_positions: None,
    yarn_is_longrope: false,
    tied: false,
    padding: None,
    partial_rotation: false,
    activation: ("hidden_act", Activation::Silu),
};

/// Reads the keys that all families share; the rest is as in the plainest of them, whose blocks are
/// `x + f(norm x)` with full attention and one rotation.
fn decoder(config: &mut Config<'_>, family: Family, silent: &Silent) -> Result<Spec, String> {
    let sizes = &silent.sizes;
    let mut size = |key, assumed: usize| Ok::<_, String>(config.size(key)?.unwrap_or(assumed));
    let vocab_size = size("vocab_size", sizes.vocab)?;
    let hidden_size = size("hidden_size", sizes.hidden)?;
    let intermediate_size = size("intermediate_size", sizes.intermediate)?;
    let layers = size("num_hidden_layers", sizes.layers)?;
    let heads = size("num_attention_heads", sizes.heads)?;
    let kv_heads = config.size_or("num_key_value_heads", silent.kv_heads)?;
    let head_dim = match config.size("head_dim")?.or(silent.head_dim) {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            return Err(format!(
                "`hidden_size` ({hidden_size}) is not a multiple of `num_attention_heads` ({heads}) and `head_dim` is missing"
            ));
        }
    };
    Spec::check_layers(layers)?;
    let max_positions = config.size("max_position_embeddings")?.unwrap_or(silent.max_positions);
    let silent_rope = SilentRope {
        theta: silent.theta,
        local_theta: silent.local_theta,
        max_positions,
        original_max_positions: silent.original_max_positions,
        yarn_is_longrope: silent.yarn_is_longrope,
    };
    let ropes = rope::read(config, &silent_rope)?;
    let partial = ropes.iter().find(|rope| rope.partial != 1.0);
    if let Some(Rope { partial, .. }) = partial.filter(|_| !silent.partial_rotation) {
        return Err(format!("`partial_rotary_factor` is {partial}; models of this type rotate whole heads"));
    }
    // The stored precision is the weights file's business: each tensor says its own.
    config.get("torch_dtype");
    config.get("dtype");
    Ok(Spec {
        family,
        part_of: None,
        vocab_size,
        hidden_size,
        intermediate_size,
        layers: vec![Layer { window: None, rope: Some(0) }; layers],
        heads,
        kv_heads: kv_heads.unwrap_or(heads),
        head_dim,
        max_positions,
        norm_eps: config.number("rms_norm_eps")?.unwrap_or(silent.norm_eps),
        norm_plus_one: false,
        norm_places: NormPlaces::Before,
        query_key_norm: None,
        ropes,
        attention_scale: (head_dim as f64).sqrt().recip(),
        attention_softcap: None,
        logit_softcap: None,
        embedding_scale: 1.0,
        tied: config.flag("tie_word_embeddings")?.unwrap_or(silent.tied),
        padding: config.token("pad_token_id", silent.padding, vocab_size)?,
        biases: Biases::default(),
        fused: false,
        activation: activation(config, silent.activation)?,
        initializer_range: config.number("initializer_range")?.unwrap_or(0.02),
    })
}

const ACTIVATIONS: [(Activation, &str); 3] =
    [(Activation::Silu, "silu"), (Activation::GeluTanh, "gelu_pytorch_tanh"), (Activation::Gelu, "gelu")];

fn activation(config: &mut Config<'_>, (key, default): (&'static str, Activation)) -> Result<Activation, String> {
    let name = match config.text(key)? {
        None => return Ok(default),
        Some("swish") => "silu",
        Some("gelu_new" | "gelu_fast") => "gelu_pytorch_tanh", // other names of the same formula
        Some(name) => name,
    };
    let known = ACTIVATIONS.iter().find(|(_, known)| *known == name);
    known.map(|(activation, _)| *activation).ok_or_else(|| {
        let names = ACTIVATIONS.map(|(_, known)| known).join(", ");
        format!("`{key}` is `{name}`, which is not supported (known: {names})")
    })
}

/// `attention_bias`, where a family knows it: q, k, v and o.
fn attention_bias(config: &mut Config<'_>, spec: &mut Spec) -> Result<(), String> {
    let on = config.flag("attention_bias")?.unwrap_or(false);
    spec.biases.qkv = on;
    spec.biases.output = on;
    Ok(())
}

/// Gives the window to the blocks that `layer_types` names, or where there is no such list, to those that `otherwise`
/// picks.
fn windows(
    config: &mut Config<'_>,
    spec: &mut Spec,
    window: Option<usize>,
    otherwise: impl Fn(usize) -> bool,
) -> Result<(), String> {
    let types = config.list("layer_types")?;
    let layers = spec.layers.len();
    if let Some(types) = types.filter(|types| types.len() != layers) {
        return Err(format!("`layer_types` names {} layers, but `num_hidden_layers` is {layers}", types.len()));
    }
    for (index, layer) in spec.layers.iter_mut().enumerate() {
        let sliding = match types.map(|types| &types[index]) {
            None => otherwise(index),
            Some(kind) => match kind.as_str() {
                Some("full_attention") => false,
                Some("sliding_attention") => true,
                _ => {
                    return Err(format!(
                        "in `layer_types`: {kind} is not supported (known: full_attention, sliding_attention)"
                    ));
                }
            },
        };
        layer.window = match (sliding, window) {
            (false, _) => None,
            (true, Some(window)) => Some(window),
            (true, None) => {
                return Err(format!(
                    "`layer_types` gives layer {index} sliding attention, but there is no `sliding_window`"
                ));
            }
        };
    }
    Ok(())
}

/// `layer_types` as Transformers 5 has it.
fn layer_types(spec: &Spec) -> Value {
    let name = |layer: &Layer| match layer.window {
        None => "full_attention",
        Some(_) => "sliding_attention",
    };
    spec.layers.iter().map(name).collect()
}

/// The window, if any block has one.
fn any_window(spec: &Spec) -> Option<usize> {
    spec.layers.iter().find_map(|layer| layer.window)
}

fn activation_name(spec: &Spec) -> Option<&'static str> {
    ACTIVATIONS.iter().find(|(activation, _)| *activation == spec.activation).map(|(_, name)| *name)
}

/// The keys that [`decoder`] reads.
fn shared(spec: &Spec) -> Map<String, Value> {
    let (theta, scaling) =
        spec.ropes.first().map_or((Value::Null, Value::Null), |rope: &Rope| (json!(rope.theta), rope.to_json()));
    object(json!({
        "vocab_size": spec.vocab_size,
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.intermediate_size,
        "num_hidden_layers": spec.layers.len(),
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "hidden_act": activation_name(spec),
        "max_position_embeddings": spec.max_positions,
        "rms_norm_eps": spec.norm_eps,
        "rope_theta": theta,
        "rope_scaling": scaling,
        "pad_token_id": spec.padding,
        "tie_word_embeddings": spec.tied,
        "initializer_range": spec.initializer_range,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
