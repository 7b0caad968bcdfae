//! A conversation as chat templates know it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use ::data::{Chat, Given, Turn};

/// What a template is given besides the model's special tokens: messages with whatever keys they have (`content`,
/// `tool_calls`, `reasoning_content`, ..), and the optional columns of preference files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conversation {
    pub messages: Vec<Map<String, Json>>,
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

/// Names under which a message's reasoning is passed; the first is what templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl Conversation {
    /// The same as turns with what they are given; `None` where a message holds more than text.
    pub fn chat(&self) -> Option<Chat> {
        let turns = self.messages.iter().map(|message| Turn::from_message(message).ok()).collect::<Option<Vec<_>>>()?;
        let given =
            Given { tools: self.tools.clone(), documents: self.documents.clone(), variables: self.variables.clone() };
        Some(Chat { turns, given: (!given.is_empty()).then(|| Box::new(given)) })
    }

    /// The messages as Transformers hands them to a template: keys without a value are dropped, and reasoning is known
    /// under its standard name and as `thinking`.
    pub(super) fn plain_messages(&self) -> Vec<Map<String, Json>> {
        let mut messages = self.messages.clone();
        for message in &mut messages {
            message.retain(|_, value| !value.is_null());
            let reasoning = REASONING.iter().find_map(|name| message.get(*name).cloned());
            if let Some(reasoning) = reasoning {
                if !message.contains_key("thinking") {
                    message.shift_insert(0, "thinking".to_owned(), reasoning.clone());
                }
                message.insert(REASONING[0].to_owned(), reasoning);
            }
        }
        messages
    }
}

impl From<&Chat> for Conversation {
    fn from(chat: &Chat) -> Self {
        let given = chat.given.as_deref().cloned().unwrap_or_default();
        Self {
            messages: chat.iter().map(Turn::message).collect(),
            tools: given.tools,
            documents: given.documents,
            variables: given.variables,
        }
    }
}
