//! The tokenizer's side of a Hugging Face model folder.
//!
//! `tokenizer.json` is required; everything else has a fallback. Keys as Transformers 4 and 5 write them.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    TextError,
    class::{Class, ClassSettings},
    file::{read_if_there, read_json},
    sources::Sources,
    specials::TokenSettings,
};

/// The largest published `tokenizer.json` has 33 MB.
const TOKENIZER: u64 = 64 << 20;

/// What the files of a folder say, before anything is compiled.
#[derive(Debug)]
pub struct Folder {
    pub tokenizer: Vec<u8>,
    pub class: Class,
    pub class_settings: ClassSettings,
    /// The splitter of a Mistral tokenizer is to be put right, see [`super::class::mend_mistral`].
    pub mends_mistral: bool,
    pub tokens: TokenSettings,
    /// Special tokens that a text spells out are taken apart like any other word.
    pub split_specials: bool,
    pub templates: Sources,
    /// `eos_token_id` of `generation_config.json`, or else of `config.json`.
    pub end_ids: Vec<u32>,
}

impl Folder {
    /// Reads a model folder.
    pub fn read(folder: &Path) -> Result<Self, TextError> {
        let Some(tokenizer) = read_if_there(folder, "tokenizer.json", TOKENIZER)? else {
            return Err(missing(folder));
        };
        let settings = read_json(folder, "tokenizer_config.json")?;
        let config = read_json(folder, "config.json")?;
        let generation = read_json(folder, "generation_config.json")?;
        let mut end_ids = ids(generation.get("eos_token_id"));
        if end_ids.is_empty() {
            let text_config = config.get("text_config").and_then(|text| text.get("eos_token_id"));
            end_ids = ids(config.get("eos_token_id").or(text_config));
        }
        let flag = |name: &str| settings.get(name).and_then(Json::as_bool);
        let named = [&settings, &config].into_iter().find_map(|json| json.get("tokenizer_class")?.as_str());
        let byte_level = holds(&tokenizer, b"\"ByteLevel\"");
        let model_type = config.get("model_type").and_then(Json::as_str);
        Ok(Self {
            mends_mistral: flag("fix_mistral_regex") == Some(true) && may_need_mending(&config),
            class: Class::of(named, model_type, byte_level),
            class_settings: ClassSettings { legacy: flag("legacy"), add_prefix_space: flag("add_prefix_space") },
            tokens: TokenSettings::read(
                &settings,
                &read_json(folder, "special_tokens_map.json")?,
                &read_json(folder, "added_tokens.json")?,
            ),
            split_specials: flag("split_special_tokens").unwrap_or(false),
            templates: Sources::read(folder, &settings)?,
            tokenizer,
            end_ids,
        })
    }
}

/// Whether the flag has a say: of a Mistral model that was written by Transformers before 5.
fn may_need_mending(config: &Json) -> bool {
    let text = |name: &str| config.get(name).and_then(Json::as_str);
    let major = text("transformers_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let kinds = ["mistral", "mistral3", "voxtral", "ministral", "pixtral"];
    config.is_object()
        && major.is_none_or(|major| major < 5)
        && text("model_type").is_none_or(|kind| kinds.contains(&kind))
}

/// As Python looks for a word in the file.
fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// There is no `tokenizer.json`: what to do depends on what is there instead.
pub(super) fn missing(folder: &Path) -> TextError {
    let older = ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"];
    match older.into_iter().find(|file| folder.join(file).is_file()) {
        Some(file) => TextError::OldTokenizer { folder: folder.to_owned(), file },
        None => TextError::Missing { folder: folder.to_owned(), file: "tokenizer.json" },
    }
}

/// An id or a list of ids.
fn ids(value: Option<&Json>) -> Vec<u32> {
    let one = |value: &Json| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Json::Array(list)) => list.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}
