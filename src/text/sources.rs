//! Where a folder keeps its chat templates, and which of them counts.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    TextError,
    file::{read_if_there, read_json},
};
use ::files;

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

/// The file that wins over everything but its own companions in `additional_chat_templates`.
const OWN_FILE: &str = "chat_template.jinja";

impl Sources {
    /// Templates in files of their own stand in for `tokenizer_config.json`, where the template is a text or a list of
    /// named ones. `chat_template.json` belongs to processors of images; it counts only where nothing else is there.
    pub fn read(folder: &Path, settings: &Json) -> Result<Self, TextError> {
        let own_file = |name: &str| -> Result<Option<Source>, TextError> {
            let Some(bytes) = read_if_there(folder, name, files::SETTINGS)? else {
                return Ok(None);
            };
            let text = String::from_utf8(bytes)
                .map_err(|error| TextError::Malformed { path: folder.join(name), reason: error.to_string() })?;
            Ok(Some(Source { origin: name.to_owned(), text }))
        };
        let default = match own_file("additional_chat_templates/default.jinja")? {
            Some(source) => Some(source),
            None => own_file(OWN_FILE)?,
        };
        let tool_use = own_file("additional_chat_templates/tool_use.jinja")?;
        if default.is_some() {
            return Ok(Self { default, tool_use });
        }
        // A template for tools alone leaves the default where it was.
        let written = Self::written(folder, settings)?;
        Ok(Self { tool_use: tool_use.or(written.tool_use), ..written })
    }

    /// Those in the settings.
    fn written(folder: &Path, settings: &Json) -> Result<Self, TextError> {
        let file = "tokenizer_config.json";
        if let Some(value) = settings.get("chat_template").filter(|value| !value.is_null()) {
            return Self::of_json(value, folder, file);
        }
        let file = "chat_template.json";
        match read_json(folder, file)?.get("chat_template") {
            Some(value) if !value.is_null() => Self::of_json(value, folder, file),
            _ => Ok(Self::default()),
        }
    }

    fn of_json(value: &Json, folder: &Path, file: &str) -> Result<Self, TextError> {
        let source = |text: &str| Source { origin: file.to_owned(), text: text.to_owned() };
        let by_name: Vec<(&str, &str)> = match value {
            Json::String(text) => {
                return Ok(Self { default: Some(source(text)), tool_use: None });
            }
            Json::Array(list) => {
                list.iter().filter_map(|entry| Some((entry["name"].as_str()?, entry["template"].as_str()?))).collect()
            }
            Json::Object(map) => map.iter().filter_map(|(name, text)| Some((name.as_str(), text.as_str()?))).collect(),
            _ => Vec::new(),
        };
        // Of two with one name Python keeps the last.
        let named = |wanted: &str| by_name.iter().rev().find(|(name, _)| *name == wanted).map(|(_, text)| source(text));
        let default = named("default");
        if default.is_none() {
            let names: Vec<&str> = by_name.iter().map(|(name, _)| *name).collect();
            let reason = if names.is_empty() {
                "chat_template is neither a text nor a list of {name, template}".to_owned()
            } else {
                format!("of its chat templates ({}) none is called default", names.join(", "))
            };
            return Err(TextError::Malformed { path: folder.join(file), reason });
        }
        Ok(Self { default, tool_use: named("tool_use") })
    }
}
