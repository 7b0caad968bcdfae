//! Messages: who speaks, what is said, and whatever else a chat template may read.
//!
//! Source: the conversational records of TRL, and what `apply_chat_template` of Transformers hands to a template. A
//! message keeps every key that it came with, so that the template sees of it what it would see there.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value as Json};

/// Who speaks in a turn. The names are the ones chat templates use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
    /// Some templates know more, e.g. `developer` or `ipython`; what becomes of it is theirs to say.
    Other(RoleName),
}

impl Role {
    /// The four that every preference file may use.
    pub const USUAL: [Self; 4] = [Self::System, Self::User, Self::Assistant, Self::Tool];

    /// The word chat templates and preference files use.
    pub fn name(&self) -> &str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(name) => name.as_str(),
        }
    }

    /// The role of this name; none for what can be no name, see [`RoleName::LONGEST`].
    pub fn named(word: &str) -> Option<Self> {
        let usual = Self::USUAL.into_iter().find(|role| role.name() == word);
        usual.or_else(|| RoleName::new(word).map(Self::Other))
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::named(&word).ok_or_else(|| D::Error::custom(WrongMessage::RoleName(word)))
    }
}

/// A word in place, so that roles can be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoleName {
    bytes: [u8; Self::LONGEST],
    len: u8,
}

impl RoleName {
    /// Bytes of a name.
    pub const LONGEST: usize = 31;

    fn new(word: &str) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..word.len()).filter(|_| !word.is_empty())?.copy_from_slice(word.as_bytes());
        Some(Self { bytes, len: word.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        // Only whole words are ever put in.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What a message holds besides its role and its text, by the names templates know: `tool_calls`, `reasoning_content`,
/// `name`, .. Most messages hold nothing more, and then it takes no room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Extras(Option<Box<Map<String, Json>>>);

/// The key under which [`Extras`] keep a content that is no text.
const CONTENT: &str = "content";

impl Extras {
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.as_ref()?.get(name)
    }

    /// Keys and values in the order they came in; not the content.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        let all = self.0.iter().flat_map(|map| map.iter());
        all.map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| *name != CONTENT)
    }

    /// It says something without any text, as a tool call does.
    pub fn speak(&self) -> bool {
        self.iter().any(|(name, _)| name != "name")
    }

    /// Bytes of keys and values.
    pub fn len_bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.to_string().len()).sum()
    }

    /// The content that a message with this text and these extras has: none where there was none, parts where it came
    /// in parts, and else the text. A text that was edited since is the content.
    fn content(&self, text: &str) -> Option<Json> {
        match self.get(CONTENT) {
            Some(Json::Null) if text.is_empty() => None,
            Some(Json::Array(parts)) if text_of_parts(parts).is_ok_and(|whole| whole == text) => {
                Some(Json::Array(parts.clone()))
            }
            _ => Some(text.into()),
        }
    }
}

impl From<Map<String, Json>> for Extras {
    fn from(map: Map<String, Json>) -> Self {
        Self((!map.is_empty()).then(|| Box::new(map)))
    }
}

impl Serialize for Extras {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_deref().unwrap_or(&Map::new()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

/// Why something is no message that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongMessage {
    #[error("a message has no role")]
    NoRole,
    #[error("a role must be a text, found {0}")]
    Role(&'static str),
    #[error("a role is a word of at most {longest} bytes, found {0:?}", longest = RoleName::LONGEST)]
    RoleName(String),
    #[error("a message has no content")]
    NoContent,
    #[error("a content must be a text, found {0}")]
    Content(&'static str),
    #[error("a content holds a part of type {0:?}; only text can be used")]
    Part(String),
    #[error("a content holds a part of type \"text\" without a text")]
    EmptyPart,
    #[error("a part of a content has no type")]
    Untyped,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Turn {
    pub role: Role,
    pub content: String,
    pub extras: Extras,
}

impl Turn {
    /// A message that is nothing but a text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), extras: Extras::default() }
    }

    /// Reads a message. Keys without a value are left out, as Transformers does; a content may be missing only where
    /// something else is said.
    pub fn from_message(message: &Map<String, Json>) -> Result<Self, WrongMessage> {
        let role = match message.get("role") {
            Some(Json::String(word)) => Role::named(word).ok_or_else(|| WrongMessage::RoleName(word.clone()))?,
            Some(other) => return Err(WrongMessage::Role(kind(other))),
            None => return Err(WrongMessage::NoRole),
        };
        let kept = |(name, value): &(&String, &Json)| !value.is_null() && *name != "role" && *name != CONTENT;
        let mut extras: Map<String, Json> =
            message.iter().filter(kept).map(|(name, value)| (name.clone(), value.clone())).collect();
        let content = match message.get(CONTENT) {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => {
                extras.insert(CONTENT.to_owned(), Json::Array(parts.clone()));
                text_of_parts(parts)?
            }
            None | Some(Json::Null) if Extras::from(extras.clone()).speak() => {
                extras.insert(CONTENT.to_owned(), Json::Null);
                String::new()
            }
            Some(other) => return Err(WrongMessage::Content(kind(other))),
            None => return Err(WrongMessage::NoContent),
        };
        Ok(Self { role, content, extras: extras.into() })
    }

    /// The message as templates and files know it: role, content, and all the rest.
    pub fn message(&self) -> Map<String, Json> {
        let mut message = Map::new();
        message.insert("role".to_owned(), self.role.name().into());
        if let Some(content) = self.extras.content(&self.content) {
            message.insert(CONTENT.to_owned(), content);
        }
        message.extend(self.extras.iter().map(|(name, value)| (name.to_owned(), value.clone())));
        message
    }

    /// Neither a text nor anything else is said.
    pub fn is_empty(&self) -> bool {
        self.content.trim().is_empty() && !self.extras.speak()
    }

    /// Bytes of the text and of what else is said.
    pub fn len_bytes(&self) -> usize {
        self.content.len() + self.extras.len_bytes()
    }
}

impl Serialize for Turn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.message().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Turn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_message(&Map::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A content in parts, of which only text can be used.
fn text_of_parts(parts: &[Json]) -> Result<String, WrongMessage> {
    parts
        .iter()
        .map(|part| match (part["type"].as_str(), part["text"].as_str()) {
            (Some("text"), Some(text)) => Ok(text),
            (Some("text"), None) => Err(WrongMessage::EmptyPart),
            (Some(other), _) => Err(WrongMessage::Part(other.to_owned())),
            (None, _) => Err(WrongMessage::Untyped),
        })
        .collect()
}

/// A conversation: its turns, and what a template is given besides them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Chat {
    pub turns: Vec<Turn>,
    /// Most conversations have nothing of the kind, and then it takes no room.
    pub given: Option<Box<Given>>,
}

/// What a template is given besides the messages, by the names of preference files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Given {
    /// JSON schemas of functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Json>>,
    /// Texts with a title, for retrieval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Vec<Json>>,
    /// Further variables of the template, e.g. `enable_thinking`. They win over special tokens of the same name.
    #[serde(default, rename = "chat_template_kwargs", skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Json>,
}

impl Given {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'a> IntoIterator for &'a Chat {
    type Item = &'a Turn;
    type IntoIter = std::slice::Iter<'a, Turn>;

    fn into_iter(self) -> Self::IntoIter {
        self.turns.iter()
    }
}

impl From<Vec<Turn>> for Chat {
    fn from(turns: Vec<Turn>) -> Self {
        Self { turns, given: None }
    }
}

impl Deref for Chat {
    type Target = Vec<Turn>;

    fn deref(&self) -> &Vec<Turn> {
        &self.turns
    }
}

impl DerefMut for Chat {
    fn deref_mut(&mut self) -> &mut Vec<Turn> {
        &mut self.turns
    }
}

/// As it stands in documents where there is more than a list of messages.
#[derive(Serialize)]
struct Whole<'a> {
    messages: &'a [Turn],
    #[serde(flatten)]
    given: &'a Given,
}

impl Serialize for Chat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.given {
            None => self.turns.serialize(serializer),
            Some(given) => Whole { messages: &self.turns, given }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Chat {
    /// A list of messages, or an object around it where there is more.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Json::deserialize(deserializer)?;
        let messages = match &mut value {
            Json::Object(whole) => whole.shift_remove("messages").unwrap_or_default(),
            list => list.take(),
        };
        let turns: Vec<Turn> = serde_json::from_value(messages).map_err(D::Error::custom)?;
        if value.is_null() {
            return Ok(turns.into());
        }
        let given: Given = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(Self { turns, given: (!given.is_empty()).then(|| Box::new(given)) })
    }
}

/// What a JSON value is, in words.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(message: Json) -> Turn {
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn a_message_keeps_every_key_that_has_a_value() {
        let message = json!({
            "role": "assistant", "content": "x", "tool_calls": [{"function": {"name": "f", "arguments": {"a": null}}}],
            "reasoning_content": "why", "name": null,
        });
        let read = turn(message.clone());
        assert_eq!(read.content, "x");
        assert_eq!(read.extras.get("name"), None);
        let mut expected = message;
        expected.as_object_mut().unwrap().remove("name");
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        assert_eq!(turn(expected), read);
        assert_eq!(turn(json!({"role": "user", "content": "Hi"})), Turn::new(Role::User, "Hi"));
    }

    #[test]
    fn a_content_may_be_missing_where_a_tool_is_called() {
        for content in [json!({"content": null}), json!({})] {
            let mut message = json!({"role": "assistant", "tool_calls": [{"id": "1"}]});
            message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
            let mut read = turn(message);
            assert!(!read.is_empty() && read.content.is_empty());
            assert!(read.message().get("content").is_none(), "a template asks whether it is defined");
            assert_eq!(turn(serde_json::to_value(&read).unwrap()), read);
            "typed".clone_into(&mut read.content);
            assert_eq!(read.message()["content"], "typed");
        }
        let nothing = |message: Json| serde_json::from_value::<Turn>(message).unwrap_err().to_string();
        assert_eq!(nothing(json!({"role": "user"})), "a message has no content");
        assert_eq!(nothing(json!({"role": "user", "content": null})), "a content must be a text, found null");
    }

    #[test]
    fn parts_of_text_stay_parts_until_the_text_is_edited() {
        let parts = json!([{"type": "text", "text": "a "}, {"type": "text", "text": "b", "cache": true}]);
        let mut read = turn(json!({"role": "user", "content": parts}));
        assert_eq!((read.content.as_str(), &read.message()["content"]), ("a b", &parts));
        read.content.push('!');
        assert_eq!(read.message()["content"], "a b!");
        let image = json!({"role": "user", "content": [{"type": "image"}]});
        let error = serde_json::from_value::<Turn>(image).unwrap_err().to_string();
        assert_eq!(error, "a content holds a part of type \"image\"; only text can be used");
    }

    #[test]
    fn roles_are_words_and_the_usual_ones_are_told_apart() {
        assert_eq!(turn(json!({"role": "user", "content": ""})).role, Role::User);
        let developer = turn(json!({"role": "developer", "content": ""}));
        assert_eq!(
            (developer.role.name(), format!("{:?}", developer.role)),
            ("developer", "Other(\"developer\")".into())
        );
        for wrong in ["", "a word that is far longer than any role of a template"] {
            assert_eq!(Role::named(wrong), None);
        }
        assert_eq!(Role::named(&"é".repeat(15)).unwrap().name(), "é".repeat(15));
    }

    #[test]
    fn a_conversation_is_a_list_unless_it_is_given_more() {
        let list = json!([{"role": "user", "content": "Hi"}]);
        let plain: Chat = serde_json::from_value(list.clone()).unwrap();
        assert_eq!(plain.given, None);
        assert_eq!(serde_json::to_value(&plain).unwrap(), list);
        let whole = json!({"messages": list, "tools": [{"name": "f"}], "chat_template_kwargs": {"think": false}});
        let given: Chat = serde_json::from_value(whole.clone()).unwrap();
        assert_eq!(given.turns, plain.turns);
        assert_eq!(serde_json::to_value(&given).unwrap(), whole);
    }
}
