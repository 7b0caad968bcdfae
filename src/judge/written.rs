//! A rule set as it is typed. Every field that can be wrong remembers where it stands.

use std::{collections::BTreeMap, fmt};

use data::{Turn, metrics::Better};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSet {
    #[serde(default = "one")]
    pub samples: Spanned<usize>,
    #[serde(default = "usual_temperature")]
    pub temperature: Spanned<f64>,
    #[serde(default)]
    pub seed: u64,
    #[serde(default)]
    pub lists: BTreeMap<String, Many<String>>,
    #[serde(default)]
    pub group: Vec<WrittenGroup>,
    #[serde(default)]
    pub rule: Vec<WrittenRule>,
}

fn one() -> Spanned<usize> {
    Spanned::new(0..0, 1)
}

fn usual_temperature() -> Spanned<f64> {
    Spanned::new(0..0, 1.0)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenGroup {
    pub name: Spanned<String>,
    pub prompts: Spanned<Vec<WrittenPrompt>>,
}

/// A question alone, or a table that says more of it.
#[derive(Debug)]
pub enum WrittenPrompt {
    Ask(String),
    Table(PromptTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptTable {
    /// What a user asks.
    pub ask: Option<Spanned<String>>,
    /// A conversation.
    pub turns: Option<Spanned<Vec<Turn>>>,
    /// A text to go on with, for models without a chat template.
    pub text: Option<Spanned<String>>,
    #[serde(default)]
    pub right: Many<String>,
    #[serde(default)]
    pub wrong: Many<String>,
    /// Names of lists.
    #[serde(default)]
    pub among: Many<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRule {
    pub name: Spanned<String>,
    #[serde(default)]
    pub on: Many<Spanned<String>>,
    #[serde(default, deserialize_with = "better")]
    pub better: Better,
    pub when: Spanned<WrittenCondition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCondition {
    pub words: Option<Spanned<Many<String>>>,
    pub all_words: Option<Spanned<Many<String>>>,
    pub no_words: Option<Spanned<Many<String>>>,
    pub matches: Option<Spanned<String>>,
    pub matches_not: Option<Spanned<String>>,
    pub min_words: Option<usize>,
    pub max_words: Option<usize>,
    pub min_characters: Option<usize>,
    pub max_characters: Option<usize>,
    pub language: Option<Many<Spanned<String>>>,
    pub ends: Option<bool>,
    pub right: Option<bool>,
    pub counts_as: Option<Spanned<String>>,
    pub at_least: Option<Spanned<usize>>,
    pub of: Option<Spanned<Vec<WrittenCondition>>>,
    pub not: Option<Box<WrittenCondition>>,
}

/// Which way a share is better; a rule that says nothing has neither.
pub fn better<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Better, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "more" => Ok(Better::More),
        "less" => Ok(Better::Less),
        other => Err(serde::de::Error::custom(format!("better is \"more\" or \"less\", not {other:?}"))),
    }
}

/// One thing, or a list of them.
#[derive(Debug, Clone)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Not `#[serde(untagged)]`, which forgets where things stand.
impl<'de> Deserialize<'de> for Many<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

impl<'de> Deserialize<'de> for Many<Spanned<String>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Only the list as a whole says where it stands when it is a single text.
        let spanned = Spanned::<Many<String>>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Self(spanned.into_inner().0.into_iter().map(|text| Spanned::new(span.clone(), text)).collect()))
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Many<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Many(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Many)
    }
}

impl<'de> Deserialize<'de> for WrittenPrompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = WrittenPrompt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a question, or a table with `ask`, `turns` or `text`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(WrittenPrompt::Ask(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        PromptTable::deserialize(MapAccessDeserializer::new(table)).map(WrittenPrompt::Table)
    }
}
