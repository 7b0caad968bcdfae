//! The tokenizer's side of a Hugging Face model folder.
//!
//! `tokenizer.json` is required; everything else has a fallback. Keys as Transformers 4 and 5 write them.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value as Json;
use tokenizers::AddedToken;

use super::{TextError, gguf};
use ::files;
use ::gguf::Gguf;

/// The largest published `tokenizer.json` has 33 MB.
const TOKENIZER: u64 = 64 << 20;

/// Names under which templates and settings know special tokens.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Texts of the special tokens that templates know by name. One that the model does not have is absent, and a template
/// finds it undefined, as in Transformers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specials(BTreeMap<&'static str, String>);

impl FromIterator<(&'static str, String)> for Specials {
    fn from_iter<I: IntoIterator<Item = (&'static str, String)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}

impl Specials {
    pub fn bos(&self) -> Option<&str> {
        self.0.get("bos_token").map(String::as_str)
    }

    pub fn eos(&self) -> Option<&str> {
        self.0.get("eos_token").map(String::as_str)
    }

    /// Name and text of each.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// `tokenizer_config.json`; where it is from before the list of added tokens was part of it, the older
    /// `special_tokens_map.json` has the last word.
    fn read(settings: &Json, older: &Json) -> Self {
        let newer = settings.get("added_tokens_decoder").is_some_and(|list| !list.is_null());
        let text = |name: &str| {
            let older = (!newer).then(|| older.get(name)).flatten();
            token_text(older.or_else(|| settings.get(name))?)
        };
        NAMED.into_iter().filter_map(|name| Some((name, text(name)?))).collect()
    }
}

/// What the files of a folder say, before anything is compiled.
#[derive(Debug)]
pub struct Folder {
    pub tokenizer: Vec<u8>,
    pub specials: Specials,
    pub templates: Sources,
    /// Tokens that only `tokenizer_config.json` knows, by id.
    pub added: BTreeMap<u32, AddedToken>,
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

    /// Whether a model has a chat template; errors where it has no tokenizer. A `tokenizer.json` is only looked for.
    pub fn has_template(model: &Path) -> Result<bool, TextError> {
        if Gguf::find(model).is_some() {
            return Ok(Self::read(model)?.templates.default.is_some());
        }
        if !model.join("tokenizer.json").is_file() {
            return Err(missing(model));
        }
        let settings = read_json(model, "tokenizer_config.json")?;
        Ok(templates(model, &settings)?.default.is_some())
    }

    fn read_folder(folder: &Path) -> Result<Self, TextError> {
        let Some(tokenizer) = read_if_there(folder, "tokenizer.json", TOKENIZER)? else {
            return Err(missing(folder));
        };
        let settings = read_json(folder, "tokenizer_config.json")?;
        let older_specials = read_json(folder, "special_tokens_map.json")?;
        let generation = read_json(folder, "generation_config.json")?;
        let mut end_ids = ids(generation.get("eos_token_id"));
        if end_ids.is_empty() {
            let config = read_json(folder, "config.json")?;
            let text_config = config.get("text_config").and_then(|text| text.get("eos_token_id"));
            end_ids = ids(config.get("eos_token_id").or(text_config));
        }
        Ok(Self {
            tokenizer,
            specials: Specials::read(&settings, &older_specials),
            templates: templates(folder, &settings)?,
            added: added_tokens(&settings),
            end_ids,
        })
    }
}

/// A chat template and the file it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub origin: String,
    pub text: String,
}

/// The templates of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    pub default: Option<Source>,
    /// Used in place of the default when there are tools.
    pub tool_use: Option<Source>,
}

/// `chat_template.jinja` (and `additional_chat_templates/tool_use.jinja`) wins over `chat_template.json`, and both over
/// `tokenizer_config.json`, where the template is a text or a list of named ones.
fn templates(folder: &Path, settings: &Json) -> Result<Sources, TextError> {
    let own_file = |name: &str| -> Result<Option<Source>, TextError> {
        let Some(bytes) = read_if_there(folder, name, files::SETTINGS)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| TextError::Malformed { path: folder.join(name), reason: error.to_string() })?;
        Ok(Some(Source { origin: name.to_owned(), text }))
    };
    let file = "chat_template.json";
    let older = read_json(folder, file)?;
    let mut sources = match older.get("chat_template") {
        Some(value) if !value.is_null() => of_json(value, folder, file)?,
        _ => {
            let file = "tokenizer_config.json";
            match settings.get("chat_template") {
                Some(value) if !value.is_null() => of_json(value, folder, file)?,
                _ => Sources::default(),
            }
        }
    };
    if let Some(source) = own_file("chat_template.jinja")? {
        sources = Sources { default: Some(source), tool_use: own_file("additional_chat_templates/tool_use.jinja")? };
    }
    Ok(sources)
}

fn of_json(value: &Json, folder: &Path, file: &str) -> Result<Sources, TextError> {
    let source = |text: &str| Source { origin: file.to_owned(), text: text.to_owned() };
    let malformed = |reason: String| TextError::Malformed { path: folder.join(file), reason };
    let by_name: Vec<(&str, &str)> = match value {
        Json::String(text) => {
            return Ok(Sources { default: Some(source(text)), tool_use: None });
        }
        Json::Array(list) => {
            list.iter().filter_map(|entry| Some((entry["name"].as_str()?, entry["template"].as_str()?))).collect()
        }
        Json::Object(map) => map.iter().filter_map(|(name, text)| Some((name.as_str(), text.as_str()?))).collect(),
        _ => Vec::new(),
    };
    let named = |wanted: &str| by_name.iter().find(|(name, _)| *name == wanted).map(|(_, text)| source(text));
    let default = named("default").or_else(|| {
        // A single one is the default, whatever it is called.
        (by_name.len() == 1).then(|| source(by_name[0].1))
    });
    if default.is_none() {
        let names: Vec<&str> = by_name.iter().map(|(name, _)| *name).collect();
        return Err(malformed(if names.is_empty() {
            "chat_template is neither a text nor a list of {name, template}".to_owned()
        } else {
            format!("of its chat templates ({}) none is called default", names.join(", "))
        }));
    }
    Ok(Sources { default, tool_use: named("tool_use") })
}

/// There is no `tokenizer.json`: what to do depends on what is there instead.
fn missing(folder: &Path) -> TextError {
    let older = ["tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"];
    match older.into_iter().find(|file| folder.join(file).is_file()) {
        Some(file) => TextError::OldTokenizer { folder: folder.to_owned(), file },
        None => TextError::Missing { folder: folder.to_owned(), file: "tokenizer.json" },
    }
}

/// `added_tokens_decoder`: {"32000": {"content": .., "special": ..}, ..}.
fn added_tokens(settings: &Json) -> BTreeMap<u32, AddedToken> {
    let Some(list) = settings.get("added_tokens_decoder").and_then(Json::as_object) else {
        return BTreeMap::new();
    };
    let one = |(id, token): (&String, &Json)| {
        let flag = |name: &str| token.get(name).and_then(Json::as_bool);
        let text = token_text(token)?;
        let special = flag("special").unwrap_or(false);
        let added = AddedToken::from(text, special)
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .single_word(flag("single_word").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special));
        Some((id.parse().ok()?, added))
    };
    list.iter().filter_map(one).collect()
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
fn read_json(folder: &Path, name: &str) -> Result<Json, TextError> {
    let Some(bytes) = read_if_there(folder, name, files::SETTINGS)? else {
        return Ok(Json::Null);
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| TextError::Malformed { path: folder.join(name), reason: error.to_string() })
}

fn read_if_there(folder: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TextError> {
    let read = files::inside(folder, name).and_then(|path| files::read(&path, limit));
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
