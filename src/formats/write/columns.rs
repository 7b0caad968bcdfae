//! Columns of ours that come along with any shape, where a pair has something in them.

use serde_json::{Map, Value as Json, json};

use crate::columns::shortest;
use ::data::{Choice, Given, Pair, Prompt, Split, Strength};

/// Which of them a pair, or any pair, has something in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    strength: bool,
    reward: bool,
    behaviour: bool,
    split: bool,
    tags: bool,
    note: bool,
    id: bool,
    tools: bool,
    variables: bool,
}

impl Columns {
    pub fn of(pair: &Pair) -> Self {
        Self {
            strength: strength(pair) != Strength::default(),
            reward: pair.reward != 1.0,
            behaviour: pair.behaviour != 1.0,
            split: pair.split != Split::Auto,
            tags: !pair.tags.is_empty(),
            note: !pair.note.is_empty(),
            id: record_id(pair).is_some(),
            tools: given(pair).is_some_and(|given| given.tools.is_some()),
            variables: given(pair).is_some_and(|given| !given.variables.is_empty()),
        }
    }

    pub fn or(self, other: Self) -> Self {
        Self {
            strength: self.strength || other.strength,
            reward: self.reward || other.reward,
            behaviour: self.behaviour || other.behaviour,
            split: self.split || other.split,
            tags: self.tags || other.tags,
            note: self.note || other.note,
            id: self.id || other.id,
            tools: self.tools || other.tools,
            variables: self.variables || other.variables,
        }
    }

    /// These columns of a pair, behind those of its shape.
    pub fn add(self, pair: &Pair, record: &mut Map<String, Json>) {
        let mut put = |is: bool, name: &str, value: &dyn Fn() -> Json| {
            if is {
                record.insert(name.to_owned(), value());
            }
        };
        put(self.tools, "tools", &|| given(pair).and_then(|given| given.tools.clone()).into());
        put(self.variables, "chat_template_kwargs", &|| {
            given(pair).map_or_else(Map::new, |given| given.variables.clone()).into()
        });
        put(self.strength, "strength", &|| json!(strength(pair)));
        put(self.reward, "reward", &|| shortest(pair.reward));
        put(self.behaviour, "behaviour", &|| shortest(pair.behaviour));
        put(self.split, "split", &|| json!(pair.split));
        put(self.tags, "tags", &|| json!(pair.tags));
        put(self.note, "note", &|| json!(pair.note));
        // Null for a pair that has none.
        put(self.id, "id", &|| json!(record_id(pair)));
    }
}

fn strength(pair: &Pair) -> Strength {
    match pair.choice() {
        Some(Choice::Better { strength, .. }) => strength,
        _ => Strength::default(),
    }
}

fn record_id(pair: &Pair) -> Option<&str> {
    pair.source.as_ref()?.id.as_deref()
}

fn given(pair: &Pair) -> Option<&Given> {
    match &pair.prompt {
        Prompt::Text(_) => None,
        Prompt::Chat(chat) => chat.given.as_deref(),
    }
}
