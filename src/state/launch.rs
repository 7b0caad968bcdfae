//! The launch sheet in two steps: what was typed, then what it means.
//!
//! Every setting is a text under its `run.toml` key. [`Launch::checked`] turns the texts into a [`RunConfig`] and into one
//! sentence for each field that cannot be used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Value;

use super::fields::{self, Field, Kind};
use crate::{
    engine::{
        config::{Method, RunConfig},
        validate,
    },
    objective::Margin,
};

/// What the texts mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked {
    pub config: RunConfig,
    /// One sentence for each key that cannot be used.
    pub problems: BTreeMap<String, String>,
}

impl Checked {
    /// What an empty field stands for, if that can be said.
    pub fn default_of(&self, field: Field) -> Option<String> {
        let objective = &self.config.objective;
        match field.key {
            key if key == fields::LAMBDA_REF.key => Some(objective.reference_weight().to_string()),
            key if key == fields::LAMBDA_PRE.key => Some(objective.retention_weight().to_string()),
            key if key == fields::MODEL.key => Some("the project's own".to_owned()),
            key if [fields::ADAPTER.key, fields::CONTINUE.key].contains(&key) => Some("none".to_owned()),
            key if key == fields::STEPS.key => Some("by epochs".to_owned()),
            key if key == fields::MEMORY.key => Some("80 % of what is free".to_owned()),
            _ => None,
        }
    }
}

/// The sheet: texts by key. Keys without a text keep the value of `base`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Launch {
    texts: BTreeMap<String, String>,
    #[serde(skip)]
    checked: Option<(BTreeMap<String, String>, Checked)>,
}

impl Launch {
    /// The sheet that shows `config`.
    pub fn from_config(config: &RunConfig) -> Self {
        Self { texts: settings(config), checked: None }
    }

    /// Whether nothing was ever typed or loaded.
    pub fn is_untouched(&self) -> bool {
        self.texts.is_empty()
    }

    /// The text under a key, to be edited.
    pub fn text_mut(&mut self, key: &str) -> &mut String {
        self.texts.entry(key.to_owned()).or_default()
    }

    pub fn text(&self, key: &str) -> &str {
        self.texts.get(key).map_or("", String::as_str)
    }

    pub fn set(&mut self, key: &str, text: impl Into<String>) {
        self.texts.insert(key.to_owned(), text.into());
    }

    pub fn is_on(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// The method; what goes with it follows its own defaults again.
    pub fn set_method(&mut self, method: Method) {
        self.set("objective.kind", word(&method));
        for key in ["objective.margin", fields::LAMBDA_REF.key] {
            self.set(key, "");
        }
    }

    pub fn set_margin(&mut self, margin: Margin) {
        self.set("objective.margin", word(&margin));
    }

    /// What the texts mean now. Worked out again only when one of them changed.
    pub fn checked(&mut self) -> &Checked {
        let stale = self.checked.as_ref().is_none_or(|(texts, _)| *texts != self.texts);
        if stale {
            self.checked = Some((self.texts.clone(), check(&self.texts)));
        }
        match &self.checked {
            Some((_, checked)) => checked,
            None => unreachable!("filled above"),
        }
    }
}

/// A unit variant as `run.toml` spells it.
fn word(value: &impl Serialize) -> String {
    Value::try_from(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn check(texts: &BTreeMap<String, String>) -> Checked {
    let mut checked = Checked::default();
    for (key, typed) in texts {
        let typed = typed.trim();
        let known = fields::ALL.iter().find(|field| field.key == key);
        if let Some(sentence) = known.and_then(|field| not_a_number(field, typed)) {
            checked.problems.insert(key.clone(), sentence);
            continue;
        }
        let value = if key == fields::TARGETS.key { layer_list(typed) } else { typed.to_owned() };
        match checked.config.with_overrides(&[(key.clone(), value)]) {
            Ok(config) => checked.config = config,
            Err(error) => {
                checked.problems.insert(key.clone(), error.to_string());
            }
        }
    }
    for (key, sentence) in validate(&checked.config) {
        let label = fields::ALL.iter().find(|field| field.key == key).map_or(key.as_str(), |field| field.label);
        let sentence = sentence.replacen(&key, label, 1);
        checked.problems.entry(key).or_insert(sentence);
    }
    checked
}

/// An empty field falls back to its default, so only what was typed is judged.
fn not_a_number(field: &Field, typed: &str) -> Option<String> {
    let wanted = match field.kind {
        _ if typed.is_empty() => return None,
        Kind::Number if typed.parse::<f64>().is_err() => "a number such as 0.1 or 3e-4",
        Kind::Count if typed.parse::<u64>().is_err() => "a whole number such as 16",
        Kind::Number | Kind::Count | Kind::Text | Kind::Folder | Kind::Switch | Kind::Choice(_) => {
            return None;
        }
    };
    Some(format!("{} is “{typed}”; it must be {wanted}", field.label))
}

/// "q_proj, v_proj" as TOML reads it; the word `all-linear` stays a word.
fn layer_list(typed: &str) -> String {
    if typed.is_empty() || typed == "all-linear" || typed.starts_with('[') {
        return typed.to_owned();
    }
    let names: Vec<String> = typed
        .split([',', ' '])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| format!("{name:?}"))
        .collect();
    format!("[{}]", names.join(", "))
}

/// Every setting of a config as text by key: what the sheet edits, what Compare lists.
pub fn settings(config: &RunConfig) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let Ok(tree) = toml::Table::try_from(config) else {
        return texts;
    };
    for (section, keys) in &tree {
        for (key, value) in keys.as_table().into_iter().flatten() {
            texts.insert(format!("{section}.{key}"), plain(value));
        }
    }
    texts
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => {
            let size = number.abs();
            if size != 0.0 && size < 1e-3 { format!("{number:e}") } else { format!("{number}") }
        }
        // Names as people write them; numbers stay in brackets, which is how they are read back.
        Value::Array(items) if items.iter().all(Value::is_str) => {
            items.iter().map(plain).collect::<Vec<String>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Launch {
        Launch::from_config(&RunConfig::default())
    }

    #[test]
    fn the_sheet_of_a_config_means_that_config() {
        let mut config = RunConfig::default();
        config.optimizer.learning_rate = 1e-4;
        config.objective.kind = Method::Ipo;
        config.train.steps = Some(40);
        let checked = Launch::from_config(&config).checked().clone();
        assert_eq!(checked.config, config);
        assert_eq!(checked.problems, BTreeMap::new());
    }

    #[test]
    fn a_word_in_a_number_field_is_a_sentence_with_its_label() {
        let mut launch = sheet();
        launch.set(fields::BETA.key, "a lot");
        let problem = &launch.checked().problems[fields::BETA.key];
        assert_eq!(problem, "β is “a lot”; it must be a number such as 0.1 or 3e-4");
    }

    #[test]
    fn a_number_out_of_range_is_a_sentence_with_its_label() {
        let mut launch = sheet();
        launch.set(fields::BETA.key, "0");
        assert_eq!(launch.checked().problems[fields::BETA.key], "β is 0; it must be a number above 0");
        launch.set(fields::BETA.key, "0.2");
        assert!(launch.checked().problems.is_empty());
        assert_eq!(launch.checked().config.objective.beta, 0.2);
    }

    #[test]
    fn an_emptied_field_means_the_default() {
        let mut launch = sheet();
        launch.set(fields::RANK.key, " ");
        assert_eq!(launch.checked().config.lora.rank, RunConfig::default().lora.rank);
        launch.set(fields::STEPS.key, "40");
        launch.set(fields::STEPS.key, "");
        assert_eq!(launch.checked().config.train.steps, None);
    }

    #[test]
    fn layers_are_typed_as_people_write_them() {
        let mut launch = sheet();
        launch.set(fields::TARGETS.key, "q_proj, v_proj");
        assert_eq!(
            launch.checked().config.lora.targets,
            crate::engine::config::Targets::Names(vec!["q_proj".into(), "v_proj".into()])
        );
        launch.set(fields::TARGETS.key, "all-linear");
        assert!(launch.checked().problems.is_empty());
    }

    #[test]
    fn another_method_brings_its_own_defaults() {
        let mut launch = sheet();
        launch.set_margin(Margin::Sum);
        launch.set(fields::LAMBDA_REF.key, "0.7");
        launch.set_method(Method::Dpo);
        let checked = launch.checked();
        assert_eq!(checked.problems, BTreeMap::new());
        assert_eq!(checked.config.objective.margin(), Margin::AnchoredSum);
        assert_eq!(checked.config.objective.reference_weight(), 0.0);
    }

    #[test]
    fn every_default_can_be_read_back() {
        let full = RunConfig::default();
        assert_eq!(sheet().checked().problems, BTreeMap::new());
        assert_eq!(sheet().checked().config, full);
    }

    #[test]
    fn every_word_of_a_choice_can_be_chosen() {
        for field in fields::ALL {
            let Kind::Choice(words) = field.kind else {
                continue;
            };
            let mut launch = sheet();
            assert!(words.iter().any(|(word, _)| *word == launch.text(field.key)));
            for (word, _) in words {
                launch.set(field.key, *word);
                assert_eq!(launch.checked().problems, BTreeMap::new(), "{word}");
            }
        }
    }

    #[test]
    fn every_field_is_a_key_of_the_config() {
        for field in fields::ALL {
            let mut launch = sheet();
            launch.set(field.key, "");
            assert_eq!(launch.checked().problems.get(field.key), None, "{}", field.key);
        }
    }
}
