//! The launch sheet in two steps: what was typed, then what it means.
//!
//! Every setting is a text under its `run.toml` key. [`Launch::checked`] turns the texts into a [`RunConfig`] and into one
//! sentence for each field that cannot be used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Value;

use super::typed;
use crate::data::config::{
    ConfigError, Kind, LoraConfig, Margin, Method, ObjectiveConfig, RunConfig, Setting, validate,
};

/// Everything under it is a setting of the method.
const OBJECTIVE: &str = "objective.";
const KIND: &str = ObjectiveConfig::KIND.key;
const MARGIN: &str = ObjectiveConfig::MARGIN.key;

/// What the texts mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked {
    pub config: RunConfig,
    /// One sentence for each key that cannot be used.
    pub problems: BTreeMap<String, String>,
}

impl Checked {
    /// The label of a setting of the loss that cannot be used, if there is one. The weights of the other terms are none.
    pub fn faulty_loss(&self) -> Option<&str> {
        let weights = [ObjectiveConfig::REFERENCE_WEIGHT.key, ObjectiveConfig::RETENTION_WEIGHT.key];
        let mut faulty = self.problems.keys().filter(|key| key.starts_with(OBJECTIVE));
        faulty.find(|key| !weights.contains(&key.as_str())).map(|key| label_of(key))
    }

    /// What an empty field stands for, if that can be said.
    pub fn default_of(&self, setting: Setting) -> Option<String> {
        setting.unset.map(|words| words(&self.config))
    }
}

/// The sheet: texts by key. Keys without a text keep the value of `base`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Launch {
    texts: BTreeMap<String, String>,
    /// What was set for the methods that are not chosen now: the method's word, then texts by key.
    set_aside: BTreeMap<String, BTreeMap<String, String>>,
    /// The method's settings as they were when it was chosen; absent while it is the first.
    arrived: Option<BTreeMap<String, String>>,
    #[serde(skip)]
    checked: Option<(BTreeMap<String, String>, Checked)>,
}

impl Launch {
    /// The sheet that shows `config`.
    pub fn from_config(config: &RunConfig) -> Self {
        Self { texts: settings(config), ..Self::default() }
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

    /// Another method. What was set for this one waits until it is chosen again; a method that is chosen for the first time
    /// takes over what both have, and its own defaults of what goes with it.
    pub fn set_method(&mut self, method: Method) {
        let (before, chosen) = (self.text(KIND).to_owned(), word(&method));
        if before == chosen {
            return;
        }
        let leaving = self.of_method();
        // One that was only looked at has nothing of its own to keep.
        if self.arrived.as_ref() != Some(&leaving) {
            self.set_aside.insert(before, leaving);
        }
        self.set(KIND, chosen.as_str());
        match self.set_aside.get(&chosen) {
            Some(kept) => {
                self.texts.retain(|key, _| !is_of_method(key));
                self.texts.extend(kept.clone());
            }
            None => {
                for key in [MARGIN, ObjectiveConfig::REFERENCE_WEIGHT.key] {
                    self.set(key, "");
                }
            }
        }
        self.arrived = Some(self.of_method());
    }

    /// The settings of the chosen method.
    fn of_method(&self) -> BTreeMap<String, String> {
        let own = self.texts.iter().filter(|(key, _)| is_of_method(key));
        own.map(|(key, text)| (key.clone(), text.clone())).collect()
    }

    pub fn set_margin(&mut self, margin: Margin) {
        self.set(MARGIN, word(&margin));
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

fn is_of_method(key: &str) -> bool {
    key.starts_with(OBJECTIVE) && key != KIND
}

/// A unit variant as `run.toml` spells it.
fn word(value: &impl Serialize) -> String {
    Value::try_from(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn check(texts: &BTreeMap<String, String>) -> Checked {
    let mut checked = Checked::default();
    for (key, typed) in texts {
        let typed = typed.trim();
        let value = match Setting::of(key).map_or(Ok(typed.to_owned()), |setting| as_toml(setting, typed)) {
            Ok(value) => value,
            Err(sentence) => {
                checked.problems.insert(key.clone(), sentence);
                continue;
            }
        };
        match checked.config.with_overrides(&[(key.clone(), value)]) {
            Ok(config) => checked.config = config,
            Err(error) => {
                let sentence = match error {
                    ConfigError::Value { .. } if key == LoraConfig::TARGETS.key => {
                        format!("Layers is “{typed}”; it must be all-linear, or names such as q_proj, v_proj")
                    }
                    ConfigError::Value { reason, .. } => format!("{} is “{typed}”: {reason}", label_of(key)),
                    other => other.to_string(),
                };
                checked.problems.insert(key.clone(), sentence);
            }
        }
    }
    for (key, sentence) in validate(&checked.config) {
        let sentence = sentence.replacen(&key, label_of(&key), 1);
        checked.problems.entry(key).or_insert(sentence);
    }
    let config = checked.config.clone();
    checked.problems.retain(|key, _| counts(key, &config));
    checked
}

/// What the sheet calls a setting.
fn label_of(key: &str) -> &str {
    Setting::of(key).map_or(key, |setting| setting.label)
}

/// Whether a setting has a say under these others. One that has none is not shown, so nobody could mend it.
fn counts(key: &str, config: &RunConfig) -> bool {
    Setting::of(key).is_none_or(|setting| setting.counts.holds(config))
}

/// What was typed as a TOML file would have it, or a sentence. An empty field falls back to its default, so only what was typed
/// is judged.
fn as_toml(setting: &Setting, typed: &str) -> Result<String, String> {
    match setting.kind {
        _ if typed.is_empty() => Ok(String::new()),
        Kind::Number(_) => typed::number(setting.label, typed).map(|value| format!("{value:?}")),
        Kind::CountOrAuto(_) if typed == "auto" => Ok(typed.to_owned()),
        Kind::CountOrAuto(_) => typed::count(setting.label, typed)
            .map(|value| value.to_string())
            .map_err(|sentence| format!("{sentence}, or the word auto")),
        Kind::Count(_) => typed::count(setting.label, typed).map(|value| value.to_string()),
        Kind::Layers => Ok(layer_list(typed)),
        Kind::Numbers(..) | Kind::Text | Kind::Path | Kind::Switch | Kind::Choice(_) => Ok(typed.to_owned()),
    }
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

/// The same with what the method implies written out, so that an absent key and its default are the same.
pub fn settings_in_full(config: &RunConfig) -> BTreeMap<String, String> {
    let mut config = config.clone();
    let objective = &mut config.objective;
    objective.margin = Some(objective.margin());
    objective.reference_weight = Some(objective.reference_weight());
    objective.retention_weight = Some(objective.retention_weight());
    settings(&config)
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
    use crate::data::config::{TrainConfig, Word};

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
        launch.set(ObjectiveConfig::BETA.key, "a lot");
        let problem = &launch.checked().problems[ObjectiveConfig::BETA.key];
        assert_eq!(problem, "β is “a lot”; it must be a number such as 0.1 or 3e-4");
    }

    #[test]
    fn a_number_out_of_range_is_a_sentence_with_its_label() {
        let mut launch = sheet();
        launch.set(ObjectiveConfig::BETA.key, "0");
        assert_eq!(launch.checked().problems[ObjectiveConfig::BETA.key], "β is 0; it must be a number above 0");
        launch.set(ObjectiveConfig::BETA.key, "0.2");
        assert!(launch.checked().problems.is_empty());
        assert_eq!(launch.checked().config.objective.beta, 0.2);
    }

    #[test]
    fn an_emptied_field_means_the_default() {
        let mut launch = sheet();
        launch.set(LoraConfig::RANK.key, " ");
        assert_eq!(launch.checked().config.lora.rank, RunConfig::default().lora.rank);
        launch.set(TrainConfig::STEPS.key, "40");
        launch.set(TrainConfig::STEPS.key, "");
        assert_eq!(launch.checked().config.train.steps, None);
    }

    #[test]
    fn layers_are_typed_as_people_write_them() {
        let mut launch = sheet();
        launch.set(LoraConfig::TARGETS.key, "q_proj, v_proj");
        assert_eq!(
            launch.checked().config.lora.targets,
            crate::data::config::Targets::Names(vec!["q_proj".into(), "v_proj".into()])
        );
        launch.set(LoraConfig::TARGETS.key, "all-linear");
        assert!(launch.checked().problems.is_empty());
    }

    #[test]
    fn another_method_brings_its_own_defaults() {
        let mut launch = sheet();
        launch.set_margin(Margin::Sum);
        launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "0.7");
        launch.set_method(Method::Dpo);
        let checked = launch.checked();
        assert_eq!(checked.problems, BTreeMap::new());
        assert_eq!(checked.config.objective.margin(), Margin::AnchoredSum);
        assert_eq!(checked.config.objective.reference_weight(), 0.0);
    }

    #[test]
    fn g10_what_was_set_for_a_method_stays_while_others_are_looked_at() {
        let mut launch = sheet();
        launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "1");
        launch.set(ObjectiveConfig::RETENTION_WEIGHT.key, "0.2");
        launch.set(ObjectiveConfig::BETA.key, "0.4");
        launch.set_margin(Margin::Mean);
        let before = launch.checked().config.clone();
        for method in [Method::Dpo, Method::Ipo, Method::Dpo, Method::Mpo] {
            launch.set_method(method);
        }
        assert_eq!(launch.checked().config, before);

        // Each method has its own, also what it shares with others by name.
        launch.set_method(Method::Dpo);
        launch.set(ObjectiveConfig::BETA.key, "0.05");
        launch.set(ObjectiveConfig::LABEL_SMOOTHING.key, "0.1");
        let dpo = launch.checked().config.clone();
        launch.set_method(Method::Mpo);
        assert_eq!(launch.checked().config, before);
        launch.set_method(Method::Dpo);
        assert_eq!(launch.checked().config, dpo);
        launch.set_method(Method::Dpo);
        assert_eq!(launch.checked().config, dpo, "the same button once more");

        // One that was only looked at follows what is set elsewhere.
        launch.set_method(Method::Mpo);
        launch.set(ObjectiveConfig::BETA.key, "0.7");
        launch.set_method(Method::Ipo);
        assert_eq!(launch.text(ObjectiveConfig::BETA.key), "0.7");
    }

    #[test]
    fn g22_numbers_are_read_as_people_write_them_and_refused_in_a_sentence() {
        let mut launch = sheet();
        for (typed, beta) in [(".5", 0.5), ("5.", 5.0), ("1e-1", 0.1)] {
            launch.set(ObjectiveConfig::BETA.key, typed);
            assert_eq!(launch.checked().problems, BTreeMap::new(), "{typed}");
            assert_eq!(launch.checked().config.objective.beta, beta);
        }
        launch.set(LoraConfig::RANK.key, "08");
        assert_eq!(launch.checked().config.lora.rank, 8);
        for (key, typed, sentence) in [
            (ObjectiveConfig::BETA.key, "1e400", "β is “1e400”, which is larger than any number here"),
            (ObjectiveConfig::BETA.key, "-1", "β is -1; it must be a number above 0"),
            (
                TrainConfig::MICRO_BATCH_TOKENS.key,
                "abc",
                "Tokens a row is “abc”; it must be a whole number such as 16, or the word auto",
            ),
            (TrainConfig::THREADS.key, "-2", "Threads is “-2”; it must be a whole number such as 16, or the word auto"),
            (TrainConfig::STEPS.key, "1e9", "Steps is “1e9”; it must be a whole number"),
        ] {
            let mut launch = sheet();
            launch.set(key, typed);
            let problem = &launch.checked().problems[key];
            assert!(problem.starts_with(sentence), "{problem}");
        }
        let typed_into =
            |setting: &&Setting| !matches!(setting.kind, Kind::Switch | Kind::Choice(_) | Kind::Numbers(..));
        for field in RunConfig::settings().filter(typed_into) {
            for typed in ["1e400", "abc", "-1", "[", "\"", "99999999999999999999"] {
                let mut launch = sheet();
                launch.set(field.key, typed);
                for sentence in launch.checked().problems.values() {
                    assert!(!sentence.contains("invalid type") && !sentence.contains("expected f64"), "{sentence}");
                    assert!(!sentence.contains(field.key), "{sentence}");
                }
            }
        }
    }

    #[test]
    fn g22_the_loss_that_cannot_be_drawn_is_named() {
        let mut launch = sheet();
        assert_eq!(launch.checked().faulty_loss(), None);
        launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "abc");
        assert_eq!(launch.checked().faulty_loss(), None, "λ is no part of the curves");
        for typed in ["abc", "1e400", "-1", "0"] {
            launch.set(ObjectiveConfig::BETA.key, typed);
            assert_eq!(launch.checked().faulty_loss(), Some("β"), "{typed}");
        }
    }

    #[test]
    fn what_is_not_shown_is_not_judged() {
        let mut launch = sheet();
        launch.set(ObjectiveConfig::TAU.key, "abc");
        assert_eq!(launch.checked().problems, BTreeMap::new());
        launch.set_method(Method::Ipo);
        assert!(launch.checked().problems.contains_key(ObjectiveConfig::TAU.key));
        launch.set_method(Method::Mpo);
        launch.set(LoraConfig::RANK.key, "abc");
        assert!(launch.checked().problems.contains_key(LoraConfig::RANK.key));
        launch.set(LoraConfig::FULL.key, "true");
        assert_eq!(launch.checked().problems, BTreeMap::new());
    }

    #[test]
    fn every_default_can_be_read_back() {
        let full = RunConfig::default();
        assert_eq!(sheet().checked().problems, BTreeMap::new());
        assert_eq!(sheet().checked().config, full);
    }

    #[test]
    fn every_word_of_a_choice_can_be_chosen() {
        for field in RunConfig::settings() {
            let Kind::Choice(words) = field.kind else {
                continue;
            };
            let mut launch = sheet();
            let chosen = launch.text(field.key).to_owned();
            assert!(field.unset.is_some() || words.iter().any(|Word { word, .. }| *word == chosen));
            for Word { word, .. } in words {
                launch.set(field.key, *word);
                assert_eq!(launch.checked().problems, BTreeMap::new(), "{word}");
            }
        }
    }

    #[test]
    fn every_field_is_a_key_of_the_config() {
        for field in RunConfig::settings() {
            let mut launch = sheet();
            launch.set(field.key, "");
            assert_eq!(launch.checked().problems.get(field.key), None, "{}", field.key);
        }
    }
}
