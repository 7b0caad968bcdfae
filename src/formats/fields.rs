//! Typed fields of one JSON record. Every failure is the reason the record cannot come in.

use serde_json::{Map, Value as Json};

use super::FieldMap;
use ::data::{Role, Split, Strength, Turn};

/// One record and the names its fields go by.
pub struct Record<'a> {
    object: &'a Map<String, Json>,
    fields: &'a FieldMap,
}

/// A string, or a list of messages.
pub enum Content {
    Text(String),
    Turns(Vec<Turn>),
}

impl<'a> Record<'a> {
    pub fn new(value: &'a Json, fields: &'a FieldMap) -> Result<Self, String> {
        match value {
            Json::Object(object) => Ok(Self { object, fields }),
            other => Err(format!("expected a record {{..}}, found {}", kind(other))),
        }
    }

    /// The value of our field, if it is there and not null.
    pub fn get(&self, ours: &str) -> Option<&'a Json> {
        self.object.get(self.fields.theirs(ours)).filter(|value| !value.is_null())
    }

    /// A field of the file by its own name.
    pub fn raw(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub fn require(&self, ours: &str) -> Result<&'a Json, String> {
        self.get(ours).ok_or_else(|| {
            let name = self.fields.theirs(ours);
            let has: Vec<&str> = self.object.keys().map(String::as_str).take(12).collect();
            match self.object.get(name) {
                Some(_) => format!("the field {name:?} is null"),
                None if has.is_empty() => {
                    format!("there is no field {name:?}; the record is empty")
                }
                None => format!("there is no field {name:?}; the record has {}", has.join(", ")),
            }
        })
    }

    pub fn content(&self, ours: &str) -> Result<Content, String> {
        let name = self.fields.theirs(ours);
        match self.require(ours)? {
            Json::String(text) => Ok(Content::Text(text.clone())),
            Json::Array(messages) => Ok(Content::Turns(turns(name, messages)?)),
            // A single message, as some converters write it.
            message @ Json::Object(_) => Ok(Content::Turns(vec![turn(name, message)?])),
            other => Err(format!("{name:?} must be a text or a list of messages, found {}", kind(other))),
        }
    }

    pub fn text(&self, ours: &str) -> Result<Option<String>, String> {
        match self.get(ours) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(ours, "a text", other)),
        }
    }

    /// A text, or a number written out.
    pub fn id(&self) -> Result<Option<String>, String> {
        match self.get("id") {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(Json::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong("id", "a text or a number", other)),
        }
    }

    /// A list of texts, or one text with commas.
    pub fn tags(&self) -> Result<Vec<String>, String> {
        let tags: Vec<String> = match self.get("tags") {
            None => Vec::new(),
            Some(Json::String(text)) => text.split(',').map(|tag| tag.trim().to_owned()).collect(),
            Some(Json::Array(list)) => list
                .iter()
                .map(|tag| tag.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| "\"tags\" must hold texts only".to_owned())?,
            Some(other) => return Err(self.wrong("tags", "a list of texts", other)),
        };
        Ok(tags.into_iter().filter(|tag| !tag.is_empty()).collect())
    }

    pub fn split(&self) -> Result<Split, String> {
        match self.text("split")?.as_deref() {
            None | Some("" | "auto") => Ok(Split::Auto),
            Some("train") => Ok(Split::Train),
            Some("eval" | "test" | "validation" | "valid" | "dev") => Ok(Split::Eval),
            Some(other) => Err(format!("\"split\" must be train, eval or auto, found {other:?}")),
        }
    }

    pub fn strength(&self) -> Result<Strength, String> {
        match self.text("strength")?.as_deref() {
            None | Some("" | "strongly") => Ok(Strength::Strongly),
            Some("clearly") => Ok(Strength::Clearly),
            Some("slightly") => Ok(Strength::Slightly),
            Some(other) => Err(format!("\"strength\" must be slightly, clearly or strongly, found {other:?}")),
        }
    }

    /// r: `reward`, or `weight` as other tools call it. Finite.
    pub fn reward(&self) -> Result<f32, String> {
        let (name, value) = match self.get("reward") {
            Some(value) => ("reward", Some(value)),
            None => ("weight", self.raw("weight")),
        };
        match value {
            None => Ok(1.0),
            Some(value) => match value.as_f64().map(|r| r as f32) {
                Some(reward) if reward.is_finite() => Ok(reward),
                _ => Err(format!("{name:?} must be a number, found {value}")),
            },
        }
    }

    /// μ: `behaviour`, in (0, 1].
    pub fn behaviour(&self) -> Result<f32, String> {
        match self.get("behaviour").or_else(|| self.raw("behavior")) {
            None => Ok(1.0),
            Some(value) => match value.as_f64().map(|mu| mu as f32) {
                Some(mu) if mu > 0.0 && mu <= 1.0 => Ok(mu),
                _ => Err(format!("\"behaviour\" must be a probability above 0 and at most 1, found {value}")),
            },
        }
    }

    fn wrong(&self, ours: &str, wanted: &str, found: &Json) -> String {
        let name = self.fields.theirs(ours);
        format!("{name:?} must be {wanted}, found {}", kind(found))
    }
}

fn turns(field: &str, messages: &[Json]) -> Result<Vec<Turn>, String> {
    messages.iter().map(|message| turn(field, message)).collect()
}

fn turn(field: &str, message: &Json) -> Result<Turn, String> {
    let Some(object) = message.as_object() else {
        return Err(format!("{field:?} must hold messages {{\"role\": .., \"content\": ..}}, found {}", kind(message)));
    };
    let role = match object.get("role") {
        Some(Json::String(word)) => role(word)
            .ok_or_else(|| format!("unknown role {word:?} in {field:?}; there are system, user, assistant and tool"))?,
        Some(other) => {
            return Err(format!("a role in {field:?} must be a text, found {}", kind(other)));
        }
        None => return Err(format!("a message in {field:?} has no role")),
    };
    let content = match object.get("content") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => text_parts(field, parts)?,
        Some(other) => {
            return Err(format!("a content in {field:?} must be a text, found {}", kind(other)));
        }
        None => return Err(format!("a message in {field:?} has no content")),
    };
    Ok(Turn { role, content })
}

/// Content as a list of parts, of which only text can be used.
fn text_parts(field: &str, parts: &[Json]) -> Result<String, String> {
    parts
        .iter()
        .map(|part| match (part["type"].as_str(), part["text"].as_str()) {
            (Some("text"), Some(text)) => Ok(text),
            (Some(other), _) => {
                Err(format!("a content in {field:?} holds a part of type {other:?}; only text can be used"))
            }
            (None, _) => Err(format!("a part of a content in {field:?} has no type")),
        })
        .collect()
}

fn role(word: &str) -> Option<Role> {
    [Role::System, Role::User, Role::Assistant, Role::Tool].into_iter().find(|role| role.name() == word)
}

pub fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
