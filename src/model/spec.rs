//! `config.json` of a Hugging Face folder, normalised: what the forward needs to know, whatever Transformers version wrote it.
//!
//! Nothing here is taken on faith: a size out of reason, or a key that may change the numbers and is not understood,
//! is an error that names it. Silence would train a different model from the one on disk.

use std::path::Path;

use serde_json::{Map, Value};

use super::{LoadError, Rope, RopeScaling, families, rope::read_rope};

/// Everything the forward pass needs to know about a decoder, apart from its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    pub family: Family,
    pub vocab_size: usize,
    /// d, the width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    /// Key/value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of one head; not always `hidden_size / heads`.
    pub head_dim: usize,
    /// Context length the model was made for, in tokens.
    pub max_positions: usize,
    pub norm_eps: f64,
    pub rope: Rope,
    /// The head is the embedding table.
    pub tied: bool,
    /// Full-weight training does not touch this token's embedding through its uses as input: `padding_idx` of
    /// Transformers' embedding layer, with an effect where the padding token doubles as the end of a turn.
    pub padding: Option<u32>,
    /// q, k, v and o projections have a bias.
    pub attention_bias: bool,
    /// gate, up and down projections have a bias.
    pub mlp_bias: bool,
    /// The standard deviation that fresh weights are drawn with.
    pub initializer_range: f64,
}

/// Which decoder family a folder declares itself to be. One file each in `families/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
}

/// More is not a model but a damaged or hostile file.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
const MAX_LAYERS: usize = 1 << 10;
const MAX_WIDTH: usize = 1 << 18;
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_POSITIONS: usize = 1 << 26;

impl Spec {
    /// Reads `folder/config.json`.
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let text = super::weights::read_small(&path, MAX_CONFIG_BYTES)?;
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

    /// Sizes within reason, and fitting each other. Checked before anything is allocated.
    pub fn validate(&self) -> Result<(), String> {
        let limits = [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH * 4),
            ("num_hidden_layers", self.layers, MAX_LAYERS),
            ("num_attention_heads", self.heads, MAX_WIDTH),
            ("num_key_value_heads", self.kv_heads, MAX_WIDTH),
            ("head_dim", self.head_dim, MAX_WIDTH),
            ("max_position_embeddings", self.max_positions, MAX_POSITIONS),
        ];
        for (name, size, most) in limits {
            if size == 0 || size > most {
                return Err(format!("`{name}` is {size}; expected 1 to {most}"));
            }
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
        if !(self.rope.theta > 0.0 && self.rope.theta.is_finite()) {
            return Err(format!(
                "`rope_theta` is {}; expected a positive number",
                self.rope.theta
            ));
        }
        Ok(())
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

/// The raw object, read key by key; what no one asked for is judged by [`Config::finish`].
pub(super) struct Config<'a> {
    map: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Config<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            asked: Vec::new(),
        }
    }

    /// A key's value; JSON `null` counts as absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{key}` is {other}; expected a string")),
        }
    }

    pub(super) fn size(&mut self, key: &'static str) -> Result<Option<usize>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|size| usize::try_from(size).ok())
                .map(Some)
                .ok_or_else(|| format!("`{key}` is {value}; expected a whole number")),
        }
    }

    pub(super) fn needed_size(&mut self, key: &'static str) -> Result<usize, String> {
        self.size(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite())
                .map(Some)
                .ok_or_else(|| format!("`{key}` is {value}; expected a number")),
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!("`{key}` is {other}; expected true or false")),
        }
    }

    /// Rotary settings in either dialect: `rope_parameters` (Transformers 5), or `rope_theta` with `rope_scaling` (4).
    pub(super) fn rope(&mut self, default_theta: f64) -> Result<Rope, String> {
        let outer_theta = self.number("rope_theta")?;
        let (key, inner) = match (self.get("rope_parameters"), self.get("rope_scaling")) {
            (Some(value), _) => ("rope_parameters", Some(value)),
            (None, value) => ("rope_scaling", value),
        };
        let Some(inner) = inner else {
            return Ok(Rope {
                theta: outer_theta.unwrap_or(default_theta),
                scaling: RopeScaling::None,
            });
        };
        let Value::Object(map) = inner else {
            return Err(format!("`{key}` is {inner}; expected an object"));
        };
        read_rope(map, outer_theta.unwrap_or(default_theta))
            .map_err(|reason| format!("in `{key}`: {reason}"))
    }

    /// Refuses the first key that nobody asked for, has an effect as far as we can tell, and is not mere bookkeeping.
    pub(super) fn finish(self, model_type: &str) -> Result<(), String> {
        for (key, value) in self.map {
            if self.asked.contains(&key.as_str()) || is_off(value) || is_bookkeeping(key) {
                continue;
            }
            return Err(format!(
                "the key `{key}` (of a model of type `{model_type}`) is not understood and may change the numbers; \
                 if it does not, remove it from config.json"
            ));
        }
        Ok(())
    }
}

/// A value that switches its key off, whatever the key means.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Keys that never reach the forward pass: names, token ids (the tokenizer's business), training-time settings,
/// and the generation defaults that old Transformers versions wrote into every config.
fn is_bookkeeping(key: &str) -> bool {
    const NAMES: &[&str] = &[
        "architectures",
        "bad_words_ids",
        "begin_suppress_tokens",
        "chunk_size_feed_forward",
        "cross_attention_hidden_size",
        "diversity_penalty",
        "do_sample",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "exponential_decay_length_penalty",
        "finetuning_task",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "id2label",
        "is_llama_config",
        "label2id",
        "length_penalty",
        "max_length",
        "min_length",
        "name_or_path",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_return_sequences",
        "pretraining_tp", // how one product was cut up for training: the same product
        "problem_type",
        "prefix",
        "repetition_penalty",
        "return_dict",
        "suppress_tokens",
        "task_specific_params",
        "temperature",
        "tokenizer_class",
        "top_k",
        "top_p",
        "transformers.js_config",
        "typical_p",
        "use_cache",
    ];
    NAMES.contains(&key)
        || key.starts_with('_')
        || key.starts_with("output_")
        || key.starts_with("unsloth_")
        || key.ends_with("_token_id")
        || key.ends_with("_version")
        || key.ends_with("_dropout")
        || key == "dropout"
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(four.rope.theta, 500000.0);
        assert_eq!(four.head_dim, 4);
        assert!(matches!(
            four.rope.scaling,
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
                r#", "rope_scaling": {"rope_type": "yarn", "factor": 4}"#,
                "yarn",
            ),
            (
                r#", "rope_scaling": {"rope_type": "linear", "factor": 4, "mscale": 2}"#,
                "mscale",
            ),
            (r#", "partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
            (r#", "hidden_act": "gelu""#, "gelu"),
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

    #[test]
    fn what_is_written_reads_back_the_same() {
        let mut spec =
            with(r#", "tie_word_embeddings": true, "head_dim": 6, "attention_bias": true"#)
                .unwrap();
        for scaling in [
            RopeScaling::None,
            RopeScaling::Linear { factor: 2.0 },
            RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_positions: 64.0,
            },
        ] {
            spec.rope.scaling = scaling;
            let text = spec.to_config_json("float32").to_string();
            assert_eq!(Spec::parse(&text).unwrap(), spec);
        }
    }
}
