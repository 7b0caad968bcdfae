//! `run.toml` as text, and single keys changed from the command line (`--set objective.beta=0.2`).

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use toml::{Table, Value};

use super::{RunConfig, Setting};

/// Why a config could not be read.
#[derive(Debug, Error, PartialEq)]
pub enum ConfigError {
    /// The whole text is at fault; the sentence names line and key.
    #[error("the run config cannot be read: {0}")]
    Text(String),
    #[error("there is no setting \"{key}\"{}", nearest_sentence(.nearest))]
    UnknownKey { key: String, nearest: Vec<String> },
    /// What was typed cannot be the value of its setting; the sentence begins with the key.
    #[error("{0}")]
    Value(String),
}

fn nearest_sentence(nearest: &[String]) -> String {
    if nearest.is_empty() {
        "; `nudge train --print-config` lists them all".to_owned()
    } else {
        format!("; the nearest are {}", nearest.join(", "))
    }
}

impl RunConfig {
    /// Reads `run.toml`. Unknown keys are errors: a misspelt setting must not train with the default in silence.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Text(error.to_string().trim().to_owned()))
    }

    /// Writes `run.toml` with every key that has a value.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(self).map_err(|error| ConfigError::Text(error.to_string()))
    }

    /// The same without some keys.
    pub fn to_toml_without(&self, left_out: impl Fn(&str) -> bool) -> Result<String, ConfigError> {
        let failed = |error: toml::ser::Error| ConfigError::Text(error.to_string());
        let mut tree = Table::try_from(self).map_err(failed)?;
        for (section, keys) in &mut tree {
            if let Some(keys) = keys.as_table_mut() {
                keys.retain(|key, _| !left_out(&format!("{section}.{key}")));
            }
        }
        toml::to_string_pretty(&tree).map_err(failed)
    }

    /// The keys that stand in a `run.toml`: what somebody chose.
    pub fn keys_in(text: &str) -> Result<BTreeSet<String>, ConfigError> {
        let tree: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Text(error.to_string()))?;
        let sections = tree.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?)));
        Ok(sections.flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}"))).collect())
    }

    /// Every key that has a value, as `section.key` with the value as TOML writes it.
    pub fn every_value(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let tree = Table::try_from(self).map_err(|error| ConfigError::Text(error.to_string()))?;
        let sections = tree.iter();
        let sections = sections.filter_map(|(section, value)| Some((section, value.as_table()?)));
        Ok(sections
            .flat_map(|(section, keys)| {
                let keys = keys.iter();
                keys.map(move |(key, value)| (format!("{section}.{key}"), value.to_string()))
            })
            .collect())
    }

    /// Every setting that has a value, by key, as people write it: what the sheet edits.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let tree = Table::try_from(self).unwrap_or_default();
        let sections = tree.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?)));
        let texts = sections.flat_map(|(section, keys)| {
            keys.iter().map(move |(key, value)| (format!("{section}.{key}"), plain(value)))
        });
        texts.collect()
    }

    /// The same with what the method implies written out, so that an absent key and its default are the same: what runs
    /// are compared by.
    pub fn texts_in_full(&self) -> BTreeMap<String, String> {
        let mut config = self.clone();
        let objective = &mut config.objective;
        objective.margin = Some(objective.margin());
        objective.reference_weight = Some(objective.reference_weight());
        objective.retention_weight = Some(objective.retention_weight());
        config.texts()
    }

    /// This config with `section.key` set to `value` for each override, in order. An empty value takes the key away,
    /// so that its default counts again.
    pub fn with_overrides(&self, overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        for (key, value) in overrides {
            config = config.with_override(key, value)?;
        }
        Ok(config)
    }

    fn with_override(&self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let Some(setting) = Setting::of(key) else {
            let known: Vec<&str> = Self::settings().map(|setting| setting.key).collect();
            return Err(ConfigError::UnknownKey { key: key.to_owned(), nearest: nearest(key, &known) });
        };
        let refused = || ConfigError::Value(setting.refusal(value));
        let (section, name) = setting.section_and_name();
        let typed = if value.is_empty() { None } else { Some(setting.typed(value).map_err(ConfigError::Value)?) };
        let mut tree = Table::try_from(self).map_err(|error| ConfigError::Text(error.to_string()))?;
        if let Some(Value::Table(section)) = tree.get_mut(section) {
            match typed {
                Some(typed) => section.insert(name.to_owned(), typed),
                None => section.remove(name),
            };
        }
        tree.try_into().map_err(|_| refused())
    }
}

/// Up to three known keys that look like `key`: by their whole path, or by their last part.
fn nearest(key: &str, known: &[&str]) -> Vec<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let mut found: Vec<String> =
        known.iter().filter(|k| k.rsplit('.').next() == Some(last)).map(|k| (*k).to_owned()).collect();
    for close in similar::get_close_matches(key, known, 3, 0.6) {
        if !found.iter().any(|k| k == close) {
            found.push(close.to_owned());
        }
    }
    found.truncate(3);
    found
}

/// A number of the sheet as people write it.
pub fn plain_number(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && size < 1e-3 { format!("{number:e}") } else { format!("{number}") }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) => plain_number(*number),
        // Names as people write them; numbers stay in brackets, which is how they are read back.
        Value::Array(items) if items.iter().all(Value::is_str) => {
            items.iter().map(plain).collect::<Vec<String>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Method, Priority, Schedule, Targets, Threads, TokenBudget};

    fn set(pairs: &[(&str, &str)]) -> Result<RunConfig, ConfigError> {
        let overrides: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        RunConfig::default().with_overrides(&overrides)
    }

    #[test]
    fn numbers_words_paths_and_lists_need_no_quotes() {
        let config = set(&[
            ("objective.kind", "ipo"),
            ("objective.beta", "1"),
            ("objective.reference_weight", "0.5"),
            ("model.path", "models/a b"),
            ("train.steps", "40"),
            ("train.micro_batch_tokens", "2048"),
            ("train.threads", "1"),
            ("train.priority", "gentle"),
            ("optimizer.schedule", "linear"),
            ("optimizer.learning_rate", "1e-4"),
            ("lora.targets", "[\"q_proj\", \"v_proj\"]"),
            ("lora.full", "true"),
        ])
        .unwrap();
        assert_eq!(config.objective.kind, Method::Ipo);
        assert_eq!(config.objective.beta, 1.0);
        assert_eq!(config.objective.reference_weight, Some(0.5));
        assert_eq!(config.model.path, Some(PathBuf::from("models/a b")));
        assert_eq!(config.train.steps, Some(40));
        assert_eq!(config.train.micro_batch_tokens, TokenBudget::Tokens(2048));
        assert_eq!(config.train.threads, Threads::Count(1));
        assert_eq!(config.train.priority, Priority::Gentle);
        assert_eq!(config.optimizer.schedule, Schedule::Linear);
        assert_eq!(config.optimizer.learning_rate, 1e-4);
        assert_eq!(config.lora.targets, Targets::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]));
        assert!(config.lora.full);
    }

    #[test]
    fn a_path_that_looks_like_a_number_is_still_a_path() {
        let config = set(&[("model.path", "7")]).unwrap();
        assert_eq!(config.model.path, Some(PathBuf::from("7")));
    }

    #[test]
    fn an_empty_value_brings_the_default_back() {
        let config = set(&[("train.steps", "40"), ("train.steps", "")]).unwrap();
        assert_eq!(config.train.steps, None);
        let config = set(&[("train.threads", "4"), ("train.threads", "auto")]).unwrap();
        assert_eq!(config.train.threads, Threads::Auto);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = set(&[("objective.betta", "1")]).unwrap_err().to_string();
        assert!(error.contains("objective.beta"), "{error}");
        let error = set(&[("beta", "1")]).unwrap_err().to_string();
        assert!(error.contains("objective.beta"), "{error}");
        let error = set(&[("zzz", "1")]).unwrap_err().to_string();
        assert!(error.contains("--print-config"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_a_sentence() {
        for (key, value, sentence) in [
            ("train.steps", "many", "train.steps is “many”; it must be a whole number such as 16"),
            ("train.steps", "-3", "train.steps is “-3”; it must be a whole number such as 16"),
            ("train.steps", "99999999999999999999", "which is larger than any count here"),
            ("train.threads", "some", "it must be a whole number such as 16, or the word auto"),
            ("objective.beta", "abc", "objective.beta is “abc”; it must be a number such as 0.1 or 3e-4"),
            ("objective.beta", "1e400", "objective.beta is “1e400”, which is larger than any number here"),
            ("objective.beta", "1e-400", "so small that it would count as 0"),
            ("lora.full", "maybe", "lora.full is “maybe”; it must be true or false"),
            ("objective.kind", "sft", "objective.kind is “sft”; it must be \"mpo\", \"dpo\", \"ipo\""),
            ("tis.ranks", "1", "tis.ranks is “1”; it must be two numbers, each 0 or more"),
            ("lora.targets", "[1]", "lora.targets is “[1]”; it must be all-linear, or names such as q_proj"),
            ("rlhf.prompts", "7", "it must be \"pairs\""),
        ] {
            let error = set(&[(key, value)]).unwrap_err().to_string();
            assert!(error.starts_with(key) && error.contains(sentence), "{error}");
        }
        // Whatever the setting is, nothing is said in the words of a parser.
        for setting in RunConfig::settings() {
            for value in ["{", "[[", "1e400", "-1", "99999999999999999999", "[1, \"a\"]", "1979-05-27"] {
                if let Err(error) = set(&[(setting.key, value)]) {
                    let error = error.to_string();
                    assert!(error.starts_with(setting.key) && error.contains("it must be"), "{error}");
                }
            }
        }
        let config =
            set(&[("train.steps", "1_000"), ("objective.beta", ".5"), ("lora.targets", "q_proj, v_proj")]).unwrap();
        assert_eq!((config.train.steps, config.objective.beta), (Some(1000), 0.5));
        assert_eq!(config.lora.targets, Targets::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]));
    }

    #[test]
    fn the_text_form_is_lossless() {
        let config = set(&[("objective.margin", "mean"), ("train.steps", "3")]).unwrap();
        let text = config.to_toml().unwrap();
        assert_eq!(RunConfig::from_toml(&text), Ok(config));
        assert!(RunConfig::from_toml("[objective]\nbetta = 1").is_err());
    }
}
