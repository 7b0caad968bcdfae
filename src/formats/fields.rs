//! Typed fields of one JSON record. Every failure is the reason the record cannot come in.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use serde_json::Value as Json;

use super::object::{self, Field, NO_TEXT, TABLE};
use ::data::{Given, Split, Strength, Turn, integers, kind};

/// Renames fields while reading: ours to the file's, e.g. `prompt` to `question`; `instruction+input` joins the texts
/// of two of the file's, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldMap(pub BTreeMap<String, String>);

impl FieldMap {
    /// Our fields, all of which may go by another name in a file.
    pub const FIELDS: [&str; 17] = [
        "prompt",
        "chosen",
        "rejected",
        "a",
        "b",
        "verdict",
        "completion",
        "text",
        "system",
        "tags",
        "split",
        "strength",
        "reward",
        "behaviour",
        "note",
        "id",
        "messages",
    ];

    /// From the command line's `prompt=question` words.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut map = BTreeMap::new();
        for word in words {
            match word.split_once('=') {
                Some((ours, theirs)) if Self::FIELDS.contains(&ours) && !theirs.is_empty() => {
                    map.insert(ours.to_owned(), theirs.to_owned());
                }
                Some((ours, theirs)) if !theirs.is_empty() => {
                    return Err(format!("unknown field {ours:?} in {word:?}; there are {}", Self::FIELDS.join(", ")));
                }
                _ => {
                    return Err(format!("expected OURS=THEIRS such as prompt=question, found {word:?}"));
                }
            }
        }
        Ok(Self(map))
    }

    /// Whether our field was given another name.
    pub fn maps(&self, ours: &str) -> bool {
        self.0.contains_key(ours)
    }

    /// What the file calls our field.
    pub fn theirs<'a>(&'a self, ours: &'a str) -> &'a str {
        self.0.get(ours).map_or(ours, String::as_str)
    }
}

/// One record and the names its fields go by.
pub struct Record<'a> {
    fields: Vec<Field<'a>>,
    names: &'a FieldMap,
    /// Which of the fields were asked for.
    used: Vec<Cell<bool>>,
    /// Names that stand twice in a message.
    doubled: RefCell<Vec<String>>,
}

/// A string, or a list of messages.
pub enum Content {
    Text(String),
    Turns(Vec<Turn>),
}

impl<'a> Record<'a> {
    /// From the text of a JSON object.
    pub fn read(text: &'a str, names: &'a FieldMap) -> Result<Self, String> {
        if !text.starts_with('{')
            && let Ok(other) = object::value(text, &RefCell::default())
        {
            return Err(format!("expected a record {{..}}, found {}", kind(&other)));
        }
        let fields = object::fields(text)?;
        let used = vec![Cell::new(false); fields.len()];
        Ok(Self { fields, names, used, doubled: RefCell::default() })
    }

    /// An object in a field of the file, as a record of its own.
    pub fn inner(&self, name: &str) -> Result<Self, String> {
        let text = self.text_of(name).ok_or_else(|| format!("there is no field {name:?}"))?;
        Self::read(text, self.names)
    }

    /// How the file spells a name: in any case, with blanks around it, where none of its fields has exactly this one.
    fn spelled<'b>(&'b self, name: &'b str) -> &'b str {
        if self.fields.iter().any(|(own, _)| own == name) {
            return name;
        }
        self.names().find(|own| own.trim().eq_ignore_ascii_case(name)).unwrap_or(name)
    }

    /// The value of the file's field of this name as it stands there; the last of several.
    fn text_of(&self, name: &str) -> Option<&'a str> {
        let name = self.spelled(name);
        let mut found = None;
        for ((_, text), used) in self.fields.iter().zip(&self.used).filter(|((own, _), _)| own == name) {
            used.set(true);
            found = Some(*text);
        }
        found
    }

    /// Whether the file has a field of this name that is not null; it counts as unused all the same.
    pub fn shows(&self, name: &str) -> bool {
        self.first_byte(name).is_some_and(|byte| byte != b'n' && byte != b'N')
    }

    /// What the value of a field begins with, e.g. a bracket.
    pub fn first_byte(&self, name: &str) -> Option<u8> {
        let name = self.spelled(self.names.theirs(name));
        self.fields.iter().find(|(own, _)| own == name).map(|(_, text)| text.as_bytes()[0])
    }

    /// Whether the JSON text of a field has this in it.
    pub fn text_holds(&self, name: &str, part: &str) -> bool {
        let name = self.spelled(self.names.theirs(name));
        self.fields.iter().any(|(own, text)| own == name && text.contains(part))
    }

    /// Whether a field is a text of nothing but blanks.
    pub fn text_is_blank(&self, name: &str) -> bool {
        let name = self.spelled(self.names.theirs(name));
        let blank = |text: &str| text.trim_matches('"').trim().is_empty();
        self.fields.iter().any(|(own, text)| own == name && blank(text))
    }

    /// What the file calls our field.
    pub fn theirs<'b>(&'b self, ours: &'b str) -> &'b str {
        self.names.theirs(ours)
    }

    /// Whether any of these was said to have another name.
    pub fn maps(&self, ours: &[&str]) -> bool {
        ours.iter().any(|name| self.names.maps(name))
    }

    /// The names of all fields, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| &**name)
    }

    /// A field of the file by its own name, if it is there and not null.
    pub fn raw(&self, name: &str) -> Result<Option<Json>, String> {
        match self.text_of(name) {
            None => Ok(None),
            Some(text) if object::is_no_number(text) => Ok(None),
            Some(text) => Ok(Some(object::value(text, &self.doubled)?).filter(|value| !value.is_null())),
        }
    }

    /// The value of our field, if it is there and not null.
    pub fn get(&self, ours: &str) -> Result<Option<Json>, String> {
        let name = self.names.theirs(ours);
        match self.raw(name)? {
            None => self.joined(name),
            found => Ok(found),
        }
    }

    /// Whether our field is there and not null.
    pub fn has(&self, ours: &str) -> bool {
        let name = self.names.theirs(ours);
        match self.text_of(name) {
            Some(text) => text != "null" && !object::is_no_number(text),
            None => self.joined(name) != Ok(None),
        }
    }

    /// Whether there must be a field for ours: it is there, if only with null in it, or was said to have another name.
    pub fn promises(&self, ours: &str) -> bool {
        self.text_of(self.names.theirs(ours)).is_some() || self.names.maps(ours)
    }

    /// `instruction+input`: the texts of both, a line each.
    fn joined(&self, name: &str) -> Result<Option<Json>, String> {
        if !name.contains('+') || self.text_of(name).is_some() {
            return Ok(None);
        }
        let mut texts = Vec::new();
        for part in name.split('+') {
            match self.raw(part)? {
                None => {}
                Some(Json::String(text)) if text.trim().is_empty() => {}
                Some(Json::String(text)) => texts.push(text),
                Some(other) => return Err(format!("{part:?} must be a text to be joined, found {}", kind(&other))),
            }
        }
        Ok((!texts.is_empty()).then(|| texts.join("\n").into()))
    }

    pub fn require(&self, ours: &str) -> Result<Json, String> {
        if let Some(value) = self.get(ours)? {
            return Ok(value);
        }
        let name = self.names.theirs(ours);
        Err(match self.text_of(name) {
            Some(text) => format!("the field {name:?} is {text}"),
            None if self.fields.is_empty() => format!("there is no field {name:?}; the record is empty"),
            None => {
                let has: Vec<&str> = self.fields.iter().map(|(name, _)| &**name).take(12).collect();
                format!("there is no field {name:?}; the record has {}", has.join(", "))
            }
        })
    }

    /// Fields that nothing was asked of so far, each with its value as it stands in the file.
    pub fn unused(&self) -> impl Iterator<Item = (&str, &'a str)> {
        let unused = self.fields.iter().zip(&self.used).filter(|(_, used)| !used.get());
        unused.map(|((name, text), _)| (&**name, *text))
    }

    /// Names that stand twice, in the record itself and in the messages that were read.
    pub fn doubled(&self) -> Vec<String> {
        let mut doubled: Vec<String> = Vec::new();
        for (at, (name, _)) in self.fields.iter().enumerate() {
            if self.fields[..at].iter().any(|(before, _)| before == name) {
                doubled.push(name.clone().into_owned());
            }
        }
        doubled.extend(self.doubled.take());
        doubled.sort_unstable();
        doubled.dedup();
        doubled
    }

    pub fn content(&self, ours: &str) -> Result<Content, String> {
        let name = self.names.theirs(ours);
        match self.require(ours)? {
            Json::String(text) => Ok(Content::Text(text)),
            Json::Array(messages) => Ok(Content::Turns(turns(name, &messages)?)),
            Json::Object(given) if given.contains_key(NO_TEXT) => {
                Err(format!("{name:?} holds bytes that are no text in UTF-8"))
            }
            Json::Object(given) if given.contains_key("0") && !given.contains_key("role") => {
                Err(format!("{name:?} holds a whole column: the file has columns where records should be. {TABLE}"))
            }
            // A single message, as some converters write it.
            message @ Json::Object(_) => Ok(Content::Turns(vec![turn(name, &message)?])),
            other => Err(format!("{name:?} must be a text or a list of messages, found {}", kind(&other))),
        }
    }

    pub fn text(&self, ours: &str) -> Result<Option<String>, String> {
        match self.get(ours)? {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(ours, "a text", &other)),
        }
    }

    pub fn id(&self) -> Result<Option<String>, String> {
        self.word("id")
    }

    /// A text that is not empty, or a number to the letter.
    pub fn word(&self, ours: &str) -> Result<Option<String>, String> {
        let written = self.text_of(self.names.theirs(ours));
        if let Some(number) = written.filter(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit())) {
            return Ok(Some(number).filter(|text| !object::is_no_number(text)).map(str::to_owned));
        }
        match self.get(ours)? {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(other) => Err(self.wrong(ours, "a text or a number", &other)),
        }
    }

    /// A list of texts, or one text with commas.
    pub fn tags(&self) -> Result<Vec<String>, String> {
        // In a table of texts a list is written as JSON.
        let listed = |text: &str| serde_json::from_str::<Vec<String>>(text).ok();
        let tags: Vec<String> = match self.get("tags")? {
            None => Vec::new(),
            Some(Json::String(text)) if listed(&text).is_some() => listed(&text).unwrap_or_default(),
            Some(Json::String(text)) => text.split(',').map(|tag| tag.trim().to_owned()).collect(),
            Some(Json::Array(list)) => list
                .iter()
                .filter(|tag| !tag.is_null())
                .map(|tag| tag.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| "\"tags\" must hold texts only".to_owned())?,
            Some(other) => return Err(self.wrong("tags", "a list of texts", &other)),
        };
        Ok(tags.into_iter().filter(|tag| !tag.is_empty()).collect())
    }

    pub fn split(&self) -> Result<Split, String> {
        match self.text("split")?.map(|word| word.to_lowercase()).as_deref() {
            None | Some("" | "auto") => Ok(Split::Auto),
            Some("train") => Ok(Split::Train),
            Some("eval" | "test" | "validation" | "valid" | "dev") => Ok(Split::Eval),
            Some(other) => Err(format!("\"split\" must be train, eval or auto, found {other:?}")),
        }
    }

    pub fn strength(&self) -> Result<Option<Strength>, String> {
        match self.text("strength")?.as_deref() {
            None | Some("") => Ok(None),
            Some("strongly") => Ok(Some(Strength::Strongly)),
            Some("clearly") => Ok(Some(Strength::Clearly)),
            Some("slightly") => Ok(Some(Strength::Slightly)),
            Some(other) => Err(format!("\"strength\" must be slightly, clearly or strongly, found {other:?}")),
        }
    }

    /// r: `reward`, or `weight` as other tools call it. Finite.
    pub fn reward(&self) -> Result<f32, String> {
        let (name, text) = self.number(["reward", "weight"]);
        match text {
            None => Ok(1.0),
            Some(text) => match to_f64(text).map(|r| r as f32) {
                Some(reward) if reward.is_finite() => Ok(reward),
                _ => Err(format!("{name:?} must be a number, found {text}")),
            },
        }
    }

    /// μ: `behaviour`, in (0, 1].
    pub fn behaviour(&self) -> Result<f32, String> {
        match self.number(["behaviour", "behavior"]).1 {
            None => Ok(1.0),
            Some(text) => match to_f64(text).map(|mu| mu as f32) {
                Some(mu) if mu > 0.0 && mu <= 1.0 => Ok(mu),
                _ => Err(format!("\"behaviour\" must be a probability above 0 and at most 1, found {text}")),
            },
        }
    }

    /// A score of the file's.
    pub fn score(&self, name: &str) -> Option<f64> {
        self.text_of(name).and_then(to_f64)
    }

    /// Our field, or else the file's field of the other name, as it stands there; not null.
    fn number(&self, [ours, other]: [&'static str; 2]) -> (&'static str, Option<&'a str>) {
        let of = |name: &str| self.text_of(name).filter(|text| !matches!(*text, "null" | "\"\""));
        match of(self.names.theirs(ours)) {
            Some(text) => (ours, Some(text)),
            None => (other, of(other)),
        }
    }

    /// What a chat template is given besides the messages: `tools`, a list or, as in some data sets, the JSON text of
    /// one, and `chat_template_kwargs`.
    pub fn given(&self) -> Result<Given, String> {
        let spelled = |name: &str| match self.raw(name)? {
            Some(Json::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Json::String(text)) => {
                integers::read(&text).map(Some).map_err(|error| format!("{name:?} is a text that is not JSON: {error}"))
            }
            value => Ok(value),
        };
        let tools = match spelled("tools")? {
            None | Some(Json::Null) => None,
            Some(Json::Array(tools)) => match tools.iter().find(|tool| !tool.is_object()) {
                None => Some(tools),
                Some(other) => return Err(format!("\"tools\" must hold JSON schemas, found {}", kind(other))),
            },
            Some(other) => return Err(format!("\"tools\" must be a list of JSON schemas, found {}", kind(&other))),
        };
        let variables = match spelled("chat_template_kwargs")? {
            None | Some(Json::Null) => serde_json::Map::new(),
            Some(Json::Object(variables)) => variables,
            Some(other) => return Err(format!("\"chat_template_kwargs\" must be an object, found {}", kind(&other))),
        };
        Ok(Given { tools, documents: None, variables })
    }

    fn wrong(&self, ours: &str, wanted: &str, found: &Json) -> String {
        let name = self.names.theirs(ours);
        format!("{name:?} must be {wanted}, found {}", kind(found))
    }
}

/// A number as it stands in the file; in a table of texts it has quotes.
fn to_f64(text: &str) -> Option<f64> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    serde_json::from_str(bare.trim()).ok()
}

pub fn turns(field: &str, messages: &[Json]) -> Result<Vec<Turn>, String> {
    messages.iter().map(|message| turn(field, message)).collect()
}

pub fn turn(field: &str, message: &Json) -> Result<Turn, String> {
    let Some(object) = message.as_object() else {
        return Err(format!("{field:?} must hold messages {{\"role\": .., \"content\": ..}}, found {}", kind(message)));
    };
    Turn::from_message(object).map_err(|reason| format!("in {field:?} {reason}"))
}
