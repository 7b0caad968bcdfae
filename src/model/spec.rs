//! `config.json` of a Hugging Face folder, normalised: what the forward needs to know, whatever Transformers version wrote it.
//!
//! A family is not a kind of code but a choice among a few facts that do not depend on each other: where norms stand,
//! what each block's attention sees, which layers are fused, which numbers are capped. `families/` translates configs
//! into these facts and back; nothing else asks which family it is, but for llama.cpp's names (`gguf/names`).

use std::path::Path;

use serde_json::Value;

use super::{LoadError, Rope, config::Config, families};
use crate::kernels::Activation;

/// Everything the forward pass needs to know about a decoder, apart from its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// For names in `config.json` only.
    pub family: Family,
    pub vocab_size: usize,
    /// d, the width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// What is particular about each block; as many as there are blocks.
    pub layers: Vec<Layer>,
    pub heads: usize,
    /// Key/value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of one head; not always `hidden_size / heads`.
    pub head_dim: usize,
    /// Context length the model was made for, in tokens.
    pub max_positions: usize,
    pub norm_eps: f64,
    /// Norm weights are stored as what is added to one.
    pub norm_plus_one: bool,
    pub norm_places: NormPlaces,
    /// Queries and keys are normed between projection and rotation.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// The rotations that [`Layer::rope`] chooses from.
    pub ropes: Vec<Rope>,
    /// Factor of q·k, usually `1/√head_dim`.
    pub attention_scale: f64,
    /// `score = cap · tanh(score / cap)` for attention scores.
    pub attention_softcap: Option<f64>,
    /// The same for the logits.
    pub logit_softcap: Option<f64>,
    /// Factor of the embeddings, 1 for most.
    pub embedding_scale: f64,
    /// The head is the embedding table.
    pub tied: bool,
    /// Full-weight training does not touch this token's embedding through its uses as input: `padding_idx` of
    /// Transformers' embedding layer, with an effect where the padding token doubles as the end of a turn.
    pub padding: Option<u32>,
    pub biases: Biases,
    /// q, k and v are one stored layer, and so are gate and up.
    pub fused: bool,
    pub activation: Activation,
    /// The standard deviation that fresh weights are drawn with.
    pub initializer_range: f64,
}

/// What is particular about one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Tokens that a token sees, itself and those just before it; `None`: all before it.
    pub window: Option<usize>,
    /// Which of [`Spec::ropes`] tells positions; `None`: nothing does.
    pub rope: Option<usize>,
}

/// Where a block's norms stand, around attention and around the MLP alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlaces {
    /// `x + f(norm x)`.
    Before,
    /// `x + norm(f(norm x))`.
    Both,
    /// `x + norm(f(x))`.
    After,
}

/// What the norm of queries and keys runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Each head, with the same weight for all heads.
    Head,
    /// All heads of a token together.
    Width,
}

/// Which linear layers of a block have a bias.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biases {
    /// q, k and v.
    pub qkv: bool,
    /// o.
    pub output: bool,
    /// gate, up and down.
    pub mlp: bool,
}

/// Which decoder family a folder declares itself to be. One file each in `families/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
    Phi3,
    SmolLm3,
    Olmo2,
}

/// More is not a model but a damaged or hostile file.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
const MAX_LAYERS: usize = 1 << 10;
const MAX_WIDTH: usize = 1 << 18;
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_POSITIONS: usize = 1 << 26;

impl Spec {
    /// Reads `folder/config.json`.
    pub(super) fn read_folder(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let text = super::small_file::read_small(&path, MAX_CONFIG_BYTES)?;
        Self::parse(&text).map_err(|reason| LoadError::Config { path, reason })
    }

    /// The normaliser itself: JSON text in, the spec or a sentence out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("not valid JSON ({error})"))?;
        let Value::Object(map) = value else {
            return Err("not a JSON object".to_owned());
        };
        let spec = families::read(Config::new(&map))?;
        spec.validate()?;
        Ok(spec)
    }

    /// The number of blocks that a config declares, if it is within reason: checked before there is a list of them.
    pub(super) fn check_layers(layers: usize) -> Result<(), String> {
        within("num_hidden_layers", layers, MAX_LAYERS)
    }

    /// Sizes within reason, and fitting each other. Checked before anything is allocated.
    pub fn validate(&self) -> Result<(), String> {
        Self::check_layers(self.layers.len())?;
        for (name, size, most) in [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH * 4),
            ("num_attention_heads", self.heads, MAX_WIDTH),
            ("num_key_value_heads", self.kv_heads, MAX_WIDTH),
            ("head_dim", self.head_dim, MAX_WIDTH),
            ("max_position_embeddings", self.max_positions, MAX_POSITIONS),
        ] {
            within(name, size, most)?;
        }
        for window in self.layers.iter().filter_map(|layer| layer.window) {
            within("sliding_window", window, MAX_POSITIONS)?;
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "`num_attention_heads` ({}) is not a multiple of `num_key_value_heads` ({})",
                self.heads, self.kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!(
                "`head_dim` is {}; rotary positions need an even one",
                self.head_dim
            ));
        }
        if self.heads * self.head_dim > MAX_WIDTH {
            return Err(format!(
                "`num_attention_heads` × `head_dim` is {}; expected at most {MAX_WIDTH}",
                self.heads * self.head_dim
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(format!(
                "`rms_norm_eps` is {}; expected a small positive number",
                self.norm_eps
            ));
        }
        for (name, number) in [
            ("attn_logit_softcapping", self.attention_softcap),
            ("final_logit_softcapping", self.logit_softcap),
            ("the scale of attention scores", Some(self.attention_scale)),
        ] {
            if number.is_some_and(|number| !(number > 0.0 && number.is_finite())) {
                return Err(format!("{name} is {number:?}; expected a positive number"));
            }
        }
        self.ropes
            .iter()
            .try_for_each(|rope| rope.validate(self.head_dim))
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// `config.json` that this module, and Transformers 4 and 5, read back as the same model.
    pub fn to_config_json(&self, dtype: &str) -> Value {
        families::write(self, dtype)
    }
}

fn within(name: &str, size: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&size) {
        return Ok(());
    }
    Err(format!("`{name}` is {size}; expected 1 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RopeScaling;

    const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5"#;

    fn with(more: &str) -> Result<Spec, String> {
        Spec::parse(&format!("{LLAMA}{more}}}"))
    }

    #[test]
    fn both_dialects_of_transformers_say_the_same() {
        let four = with(
            r#", "rope_theta": 500000.0, "torch_dtype": "bfloat16", "rope_scaling": {"type": "llama3", "factor": 8,
            "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}"#,
        );
        let five = with(
            r#", "dtype": "bfloat16", "rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3", "factor": 8,
            "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}"#,
        );
        assert_eq!(four, five);
        let four = four.unwrap();
        assert_eq!(four.ropes[0].theta, 500000.0);
        assert_eq!(four.head_dim, 4);
        assert!(matches!(
            four.ropes[0].scaling,
            RopeScaling::Llama3 { factor: 8.0, .. }
        ));
    }

    #[test]
    fn a_key_that_may_change_the_numbers_is_named() {
        for (more, key) in [
            (
                r#", "attn_logit_softcapping": 50.0"#,
                "attn_logit_softcapping",
            ),
            (r#", "sliding_window": 4096"#, "sliding_window"),
            (r#", "residual_multiplier": 0.2"#, "residual_multiplier"),
            (
                r#", "rope_scaling": {"rope_type": "ntk", "factor": 4}"#,
                "ntk",
            ),
            (
                r#", "rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2]}"#,
                "short_factor",
            ),
            (
                r#", "rope_scaling": {"rope_type": "linear", "factor": 4, "mscale": 2}"#,
                "mscale",
            ),
            (r#", "partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
            (r#", "hidden_act": "relu2""#, "relu2"),
            (
                r#", "quantization_config": {"bits": 4}"#,
                "quantization_config",
            ),
        ] {
            let error = with(more).unwrap_err();
            assert!(error.contains(key), "{error}");
        }
        assert!(
            with(
                r#", "sliding_window": null, "use_sliding_window": false, "attention_dropout": 0.1"#
            )
            .is_ok()
        );
    }

    #[test]
    fn an_unknown_architecture_is_named_with_what_is_known() {
        let error = Spec::parse(r#"{"model_type": "mamba"}"#).unwrap_err();
        assert!(
            error.contains("mamba") && error.contains("llama"),
            "{error}"
        );
        let error = Spec::parse(r#"{"model_type": "gemma3", "text_config": {}}"#).unwrap_err();
        assert!(error.contains("gemma3_text"), "{error}");
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for (from, to) in [
            (r#""vocab_size": 32"#, r#""vocab_size": 99999999999"#),
            (r#""hidden_size": 16"#, r#""hidden_size": 0"#),
            (r#""hidden_size": 16"#, r#""hidden_size": -16"#),
            (
                r#""num_hidden_layers": 2"#,
                r#""num_hidden_layers": 1000000000"#,
            ),
            (r#""num_key_value_heads": 2"#, r#""num_key_value_heads": 3"#),
            (r#""rms_norm_eps": 1e-5"#, r#""rms_norm_eps": -1"#),
            (
                r#""num_attention_heads": 4"#,
                r#""num_attention_heads": 5000000000"#,
            ),
        ] {
            let text = format!("{LLAMA}}}").replace(from, to);
            assert!(text.contains(to));
            assert!(Spec::parse(&text).is_err(), "{to}");
        }
    }

    const SIZES: &str = r#""vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2"#;

    fn of(model_type: &str, more: &str) -> Spec {
        let text = format!(r#"{{"model_type": "{model_type}", {SIZES}{more}}}"#);
        Spec::parse(&text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let llama = |scaling: &str| format!(r#", "rope_scaling": {scaling}"#);
        let specs = [
            of(
                "llama",
                r#", "tie_word_embeddings": true, "head_dim": 6, "attention_bias": true, "mlp_bias": true"#,
            ),
            of("llama", &llama(r#"{"type": "linear", "factor": 2}"#)),
            of("llama", &llama(r#"{"type": "dynamic", "factor": 2}"#)),
            of(
                "llama",
                &llama(
                    r#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                "original_max_position_embeddings": 64}"#,
                ),
            ),
            of(
                "llama",
                &llama(
                    r#"{"rope_type": "yarn", "factor": 4, "beta_fast": 16, "truncate": false,
                "original_max_position_embeddings": 512, "mscale": 2, "mscale_all_dim": 1}"#,
                ),
            ),
            of(
                "llama",
                &llama(
                    r#"{"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4.5],
                "original_max_position_embeddings": 512}"#,
                ),
            ),
            of("mistral", ""),
            of(
                "mistral",
                r#", "sliding_window": null, "hidden_act": "gelu""#,
            ),
            of("qwen2", r#", "num_key_value_heads": 4"#),
            of(
                "qwen2",
                r#", "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 2"#,
            ),
            of(
                "qwen3",
                r#", "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention"]"#,
            ),
            of("gemma2", r#", "final_logit_softcapping": null"#),
            of(
                "gemma2",
                r#", "query_pre_attn_scalar": 24, "sliding_window": 5"#,
            ),
            of(
                "gemma3_text",
                r#", "rope_scaling": {"rope_type": "linear", "factor": 8}, "sliding_window_pattern": 3"#,
            ),
            of(
                "phi3",
                r#", "partial_rotary_factor": 0.5, "head_dim": 8, "sliding_window": 7"#,
            ),
            of(
                "phi3",
                r#", "rope_scaling": {"type": "su", "short_factor": [1, 1], "long_factor": [2, 3]}"#,
            ),
            of("smollm3", ""),
            of(
                "smollm3",
                r#", "no_rope_layers": [1, 1, 0, 1], "use_sliding_window": true, "sliding_window": 9"#,
            ),
            of("olmo2", r#", "pad_token_id": 3"#),
        ];
        for spec in specs {
            let text = spec.to_config_json("float32").to_string();
            assert_eq!(Spec::parse(&text).unwrap(), spec, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_absent_is_not_one_that_is_null() {
        assert_eq!(of("mistral", "").layers[0].window, Some(4096));
        assert_eq!(
            of("mistral", r#", "sliding_window": null"#).layers[0].window,
            None
        );
        assert_eq!(of("gemma2", "").attention_softcap, Some(50.0));
        let off = of("gemma2", r#", "attn_logit_softcapping": null"#);
        assert_eq!(off.attention_softcap, None);
        assert_eq!(of("olmo2", "").padding, Some(1));
        assert_eq!(of("olmo2", r#", "pad_token_id": null"#).padding, None);
    }

    #[test]
    fn gemma_3_rotates_by_two_bases_in_either_dialect() {
        let four = of(
            "gemma3_text",
            r#", "sliding_window_pattern": 3, "rope_theta": 500000.0, "rope_local_base_freq": 20000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0}"#,
        );
        let five = of(
            "gemma3_text",
            r#", "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}}"#,
        );
        assert_eq!(four, five);
        let thetas: Vec<f64> = four
            .layers
            .iter()
            .map(|layer| four.ropes[layer.rope.unwrap()].theta)
            .collect();
        assert_eq!(thetas, [20000.0, 20000.0, 500000.0, 20000.0]);
        assert_eq!(four.layers[2].window, None);
    }

    #[test]
    fn lists_of_layers_must_fit() {
        for (model_type, more, what) in [
            (
                "qwen3",
                r#", "layer_types": ["full_attention"]"#,
                "names 1 layers",
            ),
            (
                "gemma2",
                r#", "layer_types": ["full_attention", "full_attention", "full_attention", "linear_attention"]"#,
                "linear_attention",
            ),
            (
                "qwen2",
                r#", "layer_types": ["full_attention", "full_attention", "full_attention", "sliding_attention"]"#,
                "there is no `sliding_window`",
            ),
            ("smollm3", r#", "no_rope_layers": [1, 0]"#, "has 2 entries"),
            (
                "gemma2",
                r#", "use_bidirectional_attention": true"#,
                "use_bidirectional_attention",
            ),
            (
                "gemma3_text",
                r#", "attn_logit_softcapping": 30.0"#,
                "attn_logit_softcapping",
            ),
            (
                "phi3",
                r#", "rope_scaling": {"type": "linear", "factor": 2}"#,
                "longrope or none",
            ),
            ("olmo2", r#", "clip_qkv": 8.0"#, "clip_qkv"),
        ] {
            let text = format!(r#"{{"model_type": "{model_type}", {SIZES}{more}}}"#);
            let error = Spec::parse(&text).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
