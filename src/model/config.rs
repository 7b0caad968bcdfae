//! One JSON object of a config, read key by key.
//!
//! Nothing is taken on faith: a value of the wrong kind is an error that names its key, and so is, at the end, a key
//! that nobody asked for and that may change the numbers. Silence would train a different model from the one on disk.

use serde_json::{Map, Value};

/// The object and the keys that were asked for.
pub(super) struct Config<'a> {
    map: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Config<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, asked: Vec::new() }
    }

    /// A key's value; JSON `null` counts as absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there, be it as `null`. Transformers' defaults are for keys that are absent: `null` means
    /// none.
    fn says(&self, key: &str) -> bool {
        self.map.contains_key(key)
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

    /// A size that may be switched off with `null`; `default` where the key is absent.
    pub(super) fn size_or(&mut self, key: &'static str, default: Option<usize>) -> Result<Option<usize>, String> {
        let size = self.size(key)?;
        Ok(if self.says(key) { size } else { default })
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

    /// A number that may be switched off with `null`; `default` where the key is absent.
    pub(super) fn number_or(&mut self, key: &'static str, default: Option<f64>) -> Result<Option<f64>, String> {
        let number = self.number(key)?;
        Ok(if self.says(key) { number } else { default })
    }

    pub(super) fn positive(&mut self, key: &'static str) -> Result<Option<f64>, String> {
        match self.number(key)? {
            Some(number) if number <= 0.0 => Err(format!("`{key}` is {number}; expected a positive number")),
            number => Ok(number),
        }
    }

    pub(super) fn needed_positive(&mut self, key: &'static str) -> Result<f64, String> {
        self.positive(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!("`{key}` is {other}; expected true or false")),
        }
    }

    pub(super) fn list(&mut self, key: &'static str) -> Result<Option<&'a [Value]>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(format!("`{key}` is {other}; expected a list")),
        }
    }

    pub(super) fn object(&mut self, key: &'static str) -> Result<Option<&'a Map<String, Value>>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(format!("`{key}` is {other}; expected an object")),
        }
    }

    /// A token id; `default` where the key is absent. A negative one counts from the end of the vocabulary, as PyTorch
    /// has it.
    pub(super) fn token(
        &mut self,
        key: &'static str,
        default: Option<u32>,
        vocab_size: usize,
    ) -> Result<Option<u32>, String> {
        let Some(value) = self.get(key) else {
            return Ok(if self.says(key) { None } else { default });
        };
        let id = value.as_i64().map(|id| if id < 0 { id.saturating_add_unsigned(vocab_size as u64) } else { id });
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.map(Some).ok_or_else(|| format!("`{key}` is {value}; expected a token id"))
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
        "auto_map",
        "bad_words_ids",
        "begin_suppress_tokens",
        "cache_implementation",
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
        || key.ends_with("_pdrop")
        || key == "dropout"
}
