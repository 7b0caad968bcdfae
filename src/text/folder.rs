//! The tokenizer's side of a Hugging Face model folder.
//!
//! `tokenizer.json` is required; everything else has a fallback. Keys as Transformers 4 and 5 write them.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value as Json;

use super::{TextError, gguf};
use crate::gguf::Gguf;

/// Texts of the special tokens that templates know by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specials {
    pub bos: Option<String>,
    pub eos: Option<String>,
    pub pad: Option<String>,
    pub unk: Option<String>,
}

impl Specials {
    /// Template variables. A token that the model does not have is left undefined, as Transformers does.
    pub fn texts(&self) -> BTreeMap<&'static str, &str> {
        let named = [
            ("bos_token", &self.bos),
            ("eos_token", &self.eos),
            ("pad_token", &self.pad),
            ("unk_token", &self.unk),
        ];
        named
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?)))
            .collect()
    }
}

/// What the files of a folder say, before anything is compiled.
#[derive(Debug)]
pub struct Folder {
    pub tokenizer: Vec<u8>,
    pub specials: Specials,
    /// `add_bos_token` of `tokenizer_config.json`; absent = whatever the tokenizer's own post-processor does.
    pub add_bos: Option<bool>,
    /// The file or key it came from, and its source.
    pub template: Option<(String, String)>,
    /// `eos_token_id` of `generation_config.json`, or else of `config.json`.
    pub end_ids: Vec<u32>,
}

impl Folder {
    /// Reads a model folder, or a GGUF file. A `tokenizer.json` beside the file stands in for a tokenizer that cannot be
    /// made from what the file says.
    pub fn read(model: &Path) -> Result<Self, TextError> {
        let Some(file) = Gguf::find(model) else {
            return Self::read_folder(model);
        };
        gguf::read(&file).or_else(|error| match file.parent() {
            Some(beside) if beside.join("tokenizer.json").is_file() => Self::read_folder(beside),
            _ => Err(error),
        })
    }

    fn read_folder(folder: &Path) -> Result<Self, TextError> {
        let Some(tokenizer) = read_if_there(&folder.join("tokenizer.json"))? else {
            return Err(TextError::Missing {
                folder: folder.to_owned(),
                file: "tokenizer.json",
            });
        };
        let settings = read_json(&folder.join("tokenizer_config.json"))?;
        let specials_map = read_json(&folder.join("special_tokens_map.json"))?;
        let special = |key: &str| {
            // A null in tokenizer_config.json means "none"; only a missing key asks the older file.
            let value = settings.get(key).or_else(|| specials_map.get(key))?;
            token_text(value)
        };
        let mut end_ids =
            ids(read_json(&folder.join("generation_config.json"))?.get("eos_token_id"));
        if end_ids.is_empty() {
            let config = read_json(&folder.join("config.json"))?;
            let text_config = config
                .get("text_config")
                .and_then(|text| text.get("eos_token_id"));
            end_ids = ids(config.get("eos_token_id").or(text_config));
        }
        Ok(Self {
            tokenizer,
            specials: Specials {
                bos: special("bos_token"),
                eos: special("eos_token"),
                pad: special("pad_token"),
                unk: special("unk_token"),
            },
            add_bos: settings.get("add_bos_token").and_then(Json::as_bool),
            template: template(folder, &settings)?,
            end_ids,
        })
    }
}

/// `chat_template.jinja` wins over `tokenizer_config.json`, where it is a string or a list of named ones.
fn template(folder: &Path, settings: &Json) -> Result<Option<(String, String)>, TextError> {
    let path = folder.join("chat_template.jinja");
    if let Some(bytes) = read_if_there(&path)? {
        let source = String::from_utf8(bytes).map_err(|error| TextError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        return Ok(Some(("chat_template.jinja".to_owned(), source)));
    }
    let origin = "tokenizer_config.json".to_owned();
    match settings.get("chat_template") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(source)) => Ok(Some((origin, source.clone()))),
        Some(Json::Array(named)) => {
            let by_name = |wanted: &str| {
                named
                    .iter()
                    .find(|entry| entry["name"] == wanted)
                    .and_then(|entry| entry["template"].as_str())
            };
            let first = || named.first().and_then(|entry| entry["template"].as_str());
            match by_name("default").or_else(first) {
                Some(source) => Ok(Some((origin, source.to_owned()))),
                None if named.is_empty() => Ok(None),
                None => Err(malformed_template(folder)),
            }
        }
        Some(_) => Err(malformed_template(folder)),
    }
}

fn malformed_template(folder: &Path) -> TextError {
    TextError::Malformed {
        path: folder.join("tokenizer_config.json"),
        reason: "chat_template is neither a text nor a list of {name, template}".to_owned(),
    }
}

/// A special token is written as its text or as an object with `content`.
fn token_text(value: &Json) -> Option<String> {
    let text = value.as_str().or_else(|| value["content"].as_str())?;
    (!text.is_empty()).then(|| text.to_owned())
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

/// `Null` if the file is not there.
fn read_json(path: &Path) -> Result<Json, TextError> {
    let Some(bytes) = read_if_there(path)? else {
        return Ok(Json::Null);
    };
    serde_json::from_slice(&bytes).map_err(|error| TextError::Malformed {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, TextError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TextError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
