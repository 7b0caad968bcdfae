//! A conversation as chat templates know it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use ::data::{Chat, Given, Turn};

/// What a template is given besides the model's special tokens: messages with whatever keys they have (`content`,
/// `tool_calls`, `reasoning_content`, ..), and the optional columns of preference files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Conversation {
    pub messages: Vec<Map<String, Json>>,
    #[serde(flatten)]
    pub given: Given,
}

/// Names under which a message's reasoning is passed; the first is what templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl Conversation {
    /// The same as turns with what they are given; `None` where a message holds more than text.
    pub fn chat(&self) -> Option<Chat> {
        let turns = self.messages.iter().map(|message| Turn::from_message(message).ok()).collect::<Option<Vec<_>>>()?;
        let given = Some(&self.given).filter(|given| !given.is_empty());
        Some(Chat { turns, given: given.cloned().map(Box::new) })
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
        Self {
            messages: chat.iter().map(Turn::message).collect(),
            given: chat.given.as_deref().cloned().unwrap_or_default(),
        }
    }
}
