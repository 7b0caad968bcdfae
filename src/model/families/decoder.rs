//! What all families share: the keys that each reads and writes, and what Transformers assumes where a file is silent.

use serde_json::{Map, Value, json};

use crate::{
    config::Config,
    rope::{self, Rope, SilentRope},
    spec::{Biases, Family, Layer, NormPlaces, Spec},
};
use ::kernels::Activation;

/// What Transformers' config class of a family assumes where a file is silent.
pub struct Silent {
    pub sizes: Sizes,
    /// `None`: as many as there are heads.
    pub kv_heads: Option<usize>,
    /// `None`: `hidden_size / num_attention_heads`.
    pub head_dim: Option<usize>,
    pub max_positions: usize,
    pub norm_eps: f64,
    pub theta: f64,
    /// Blocks with a window have a rotation of their own, with this theta.
    pub local_theta: Option<f64>,
    /// The context that scaled rotations start from; `None`: `max_positions`.
    pub original_max_positions: Option<f64>,
    /// Early files of the family call LongRoPE "yarn".
    pub yarn_is_longrope: bool,
    pub tied: bool,
    pub padding: Option<u32>,
    /// Whether a part of each head may be left unrotated.
    pub partial_rotation: bool,
    /// The key that names the activation, and the activation.
    pub activation: (&'static str, Activation),
}

/// The sizes of the model that a config class was first written for: a `text_config` may leave out what equals them.
pub struct Sizes {
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
}

/// Llama's, which the other families vary.
pub const SILENT: Silent = Silent {
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
pub fn decoder(config: &mut Config<'_>, family: Family, silent: &Silent) -> Result<Spec, String> {
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

pub const ACTIVATIONS: [(Activation, &str); 3] =
    [(Activation::Silu, "silu"), (Activation::GeluTanh, "gelu_pytorch_tanh"), (Activation::Gelu, "gelu")];

pub fn activation(config: &mut Config<'_>, (key, default): (&'static str, Activation)) -> Result<Activation, String> {
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
pub fn attention_bias(config: &mut Config<'_>, spec: &mut Spec) -> Result<(), String> {
    let on = config.flag("attention_bias")?.unwrap_or(false);
    spec.biases.qkv = on;
    spec.biases.output = on;
    Ok(())
}

/// Gives the window to the blocks that `layer_types` names, or where there is no such list, to those that `otherwise`
/// picks.
pub fn windows(
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
pub fn layer_types(spec: &Spec) -> Value {
    let name = |layer: &Layer| match layer.window {
        None => "full_attention",
        Some(_) => "sliding_attention",
    };
    spec.layers.iter().map(name).collect()
}

/// The window, if any block has one.
pub fn any_window(spec: &Spec) -> Option<usize> {
    spec.layers.iter().find_map(|layer| layer.window)
}

pub fn activation_name(spec: &Spec) -> Option<&'static str> {
    ACTIVATIONS.iter().find(|(activation, _)| *activation == spec.activation).map(|(_, name)| *name)
}

/// The keys that [`decoder`] reads.
pub fn shared(spec: &Spec) -> Map<String, Value> {
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

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
