//! The launch sheet in two steps: what was typed, then what it means.
//!
//! Every setting is a text under its `run.toml` key. [`Launch::checked`] turns the texts into a [`RunConfig`] and into
//! one sentence for each field that cannot be used.

use std::collections::{BTreeMap, BTreeSet};

use data::{
    config::{AtFork, Basis, FOLLOWING, Length, Method, ObjectiveConfig, RunConfig, Setting, Suggestion, validate},
    counted,
};
use serde::{Deserialize, Serialize};
use toml::Value;

/// Everything under it is a setting of the method.
const OBJECTIVE: &str = "objective.";
const KIND: &str = ObjectiveConfig::KIND.key;

/// What the texts mean.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked {
    pub config: RunConfig,
    /// One sentence for each key that cannot be used.
    pub problems: BTreeMap<String, String>,
    /// What empty fields became that follow the data and the model.
    pub suggestions: Vec<Suggestion>,
    /// What they follow.
    pub basis: Basis,
}

impl Checked {
    /// The label of a setting of the loss that cannot be used, if there is one. The weights of the other terms are
    /// none.
    pub fn faulty_loss(&self) -> Option<&str> {
        let weights = [ObjectiveConfig::REFERENCE_WEIGHT.key, ObjectiveConfig::RETENTION_WEIGHT.key];
        let mut faulty = self.problems.keys().filter(|key| key.starts_with(OBJECTIVE));
        faulty.find(|key| !weights.contains(&key.as_str())).map(|key| label_of(key))
    }

    /// What an empty field stands for, if that can be said.
    pub fn default_of(&self, setting: Setting) -> Option<String> {
        let suggested = self.suggestion(setting).map(|suggestion| suggestion.value.trim_end_matches(".0").to_owned());
        suggested.or_else(|| setting.unset.map(|words| words(&self.config)))
    }

    /// What an empty field became, if it follows the data or the model.
    pub fn suggestion(&self, setting: Setting) -> Option<&Suggestion> {
        self.suggestions.iter().find(|suggestion| suggestion.setting == setting)
    }

    /// Why empty fields became what they did: "Epochs 8 because you have 81 pairs".
    pub fn reasons(&self, of: impl Fn(&Setting) -> bool) -> Option<String> {
        let told = self.suggestions.iter().filter(|suggestion| of(&suggestion.setting)).map(|suggestion| {
            let value = suggestion.value.trim_end_matches(".0");
            format!("{} {value} because {}", suggestion.setting.label, suggestion.because)
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// How many steps the fields come to with the project's pairs.
    pub fn steps(&self) -> Option<u64> {
        let to_train_on = self.config.pairs_to_train_on(&self.basis);
        let known = to_train_on > 0 && self.problems.is_empty();
        known.then(|| Length::of(&self.config.train, to_train_on).steps)
    }

    /// "= 64 steps, 8 passes over 65 pairs", and "about" before what the prompts decide.
    pub fn outlook(&self) -> Option<String> {
        let train = &self.config.train;
        let to_train_on = self.config.pairs_to_train_on(&self.basis);
        let steps = self.steps()?;
        let met = steps as f64 * train.pairs_per_step.min(to_train_on) as f64;
        let passes = if train.steps.is_none() { train.epochs } else { met / to_train_on as f64 };
        // Of a part of one the second digit still says something.
        let digits = if passes < 1.0 { 100.0 } else { 10.0 };
        let passes = (passes * digits).round() / digits;
        let word = if passes == 1.0 { "pass" } else { "passes" };
        let about = if self.config.knows_sides(&self.basis) { "" } else { "about " };
        let about_steps = if train.steps.is_none() { about } else { "" };
        Some(format!(
            "= {about_steps}{}, {passes} {word} over {about}{}",
            counted(steps as usize, "step", "steps"),
            counted(to_train_on, "pair", "pairs")
        ))
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
    /// What empty fields follow.
    #[serde(skip)]
    basis: Basis,
    /// The texts of what the project itself has set.
    #[serde(skip)]
    own: BTreeMap<String, String>,
    /// The sheet is that of a fork.
    #[serde(skip)]
    forks: bool,
    #[serde(skip)]
    checked: Option<(Sheet, Checked)>,
}

/// What a check is of: what is typed, and what empty fields follow.
type Sheet = (BTreeMap<String, String>, Basis);

impl Launch {
    /// The sheet that shows `config`.
    pub fn from_config(config: &RunConfig) -> Self {
        Self { texts: config.texts(), ..Self::default() }
    }

    /// The same, except that what follows the data and the model and is not `chosen` stays empty.
    pub fn following(config: &RunConfig, chosen: &BTreeSet<String>) -> Self {
        let mut launch = Self::from_config(config);
        for setting in FOLLOWING.iter().filter(|setting| !chosen.contains(setting.key)) {
            launch.set(setting.key, "");
        }
        launch
    }

    pub fn set_basis(&mut self, basis: Basis) {
        self.basis = basis;
    }

    /// What the project itself has set, see [`own_texts`].
    pub fn set_own(&mut self, own: &BTreeMap<String, String>) {
        if self.own != *own {
            self.own.clone_from(own);
        }
    }

    /// Shows other settings instead, on the sheet of the same kind.
    pub fn take_over(&mut self, config: &RunConfig) {
        let (own, basis, forks) = (std::mem::take(&mut self.own), self.basis.clone(), self.forks);
        *self = Self { basis, own, forks, ..Self::from_config(config) };
    }

    /// The keys of fields that are empty and follow the data and the model.
    pub fn follows(&self) -> BTreeSet<String> {
        let empty = FOLLOWING.iter().filter(|setting| self.text(setting.key).trim().is_empty());
        empty.map(|setting| setting.key.to_owned()).collect()
    }

    /// These fields as the project has them: with its own texts, or empty.
    pub fn put_back(&mut self, settings: &[Setting]) {
        for setting in settings {
            let own = self.own.get(setting.key).cloned().unwrap_or_default();
            self.set(setting.key, own);
        }
    }

    /// What the project itself has set there.
    pub fn own_text(&self, key: &str) -> Option<&str> {
        self.own.get(key).map(String::as_str)
    }

    /// What the texts would mean after [`Self::put_back`].
    pub fn with_put_back(&self, settings: &[Setting]) -> RunConfig {
        let mut texts = self.texts.clone();
        for setting in settings {
            let own = self.own.get(setting.key).cloned().unwrap_or_default();
            texts.insert(setting.key.to_owned(), own);
        }
        check(&texts, &self.basis).config
    }

    /// The sheet of a fork that shows `config`, the settings of its run.
    pub fn of_fork(config: &RunConfig) -> Self {
        Self { forks: true, ..Self::from_config(config) }
    }

    /// Whether the field is there to be changed.
    pub fn may_change(&self, setting: &Setting) -> bool {
        !self.forks || matches!(setting.at_fork, AtFork::Changes(_))
    }

    /// What a fork does with the setting, as a sentence; nothing where the sheet is for a new run.
    pub fn at_fork(&self, setting: &Setting) -> Option<String> {
        self.forks.then(|| match setting.at_fork {
            AtFork::Changes(how) => format!("In a fork: {how}"),
            AtFork::Stays(why) => format!("A fork keeps it: {why}"),
        })
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

    /// Another method. What was set for this one waits until it is chosen again; a method that is chosen for the first
    /// time takes over what is set as far as it can take it, as on the command line: see [`ObjectiveConfig::not_for`].
    pub fn set_method(&mut self, method: Method) {
        let (before, chosen) = (self.text(KIND).to_owned(), word(&method));
        if before == chosen {
            return;
        }
        let leaving = self.of_method();
        let lacking = self.checked().config.objective.not_for(method);
        // One that was only looked at has nothing of its own to keep.
        if self.arrived.as_ref() != Some(&leaving) {
            self.set_aside.insert(before, leaving);
        }
        self.set(KIND, chosen.as_str());
        if let Some(kept) = self.set_aside.get(&chosen) {
            self.texts.retain(|key, _| !is_of_method(key));
            self.texts.extend(kept.clone());
        } else {
            for setting in lacking {
                self.set(setting.key, "");
            }
        }
        self.arrived = Some(self.of_method());
    }

    /// The settings of the chosen method.
    fn of_method(&self) -> BTreeMap<String, String> {
        let own = self.texts.iter().filter(|(key, _)| is_of_method(key));
        own.map(|(key, text)| (key.clone(), text.clone())).collect()
    }

    /// What the texts mean now. Worked out again only when one of them changed.
    pub fn checked(&mut self) -> &Checked {
        let stale =
            self.checked.as_ref().is_none_or(|((texts, basis), _)| *texts != self.texts || *basis != self.basis);
        if stale {
            self.checked = Some(((self.texts.clone(), self.basis.clone()), check(&self.texts, &self.basis)));
        }
        match &self.checked {
            Some((_, checked)) => checked,
            None => unreachable!("filled above"),
        }
    }
}

/// What a `run.toml` sets, as the sheet writes it; one that cannot be read sets nothing.
pub fn own_texts(run_toml: &str) -> BTreeMap<String, String> {
    let (Ok(config), Ok(chosen)) = (RunConfig::from_toml(run_toml), RunConfig::keys_in(run_toml)) else {
        return BTreeMap::new();
    };
    let mut texts = config.texts();
    texts.retain(|key, _| chosen.contains(key));
    texts
}

fn is_of_method(key: &str) -> bool {
    key.starts_with(OBJECTIVE) && key != KIND
}

/// A unit variant as `run.toml` spells it.
fn word(value: &impl Serialize) -> String {
    Value::try_from(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn check(texts: &BTreeMap<String, String>, basis: &Basis) -> Checked {
    let mut checked = Checked { basis: basis.clone(), ..Checked::default() };
    for (key, typed) in texts {
        match checked.config.with_overrides(&[(key.clone(), typed.trim().to_owned())]) {
            Ok(config) => checked.config = config,
            Err(error) => {
                checked.problems.insert(key.clone(), error.to_string().replacen(key, label_of(key), 1));
            }
        }
    }
    let is_typed = |setting: &Setting| texts.get(setting.key).is_some_and(|text| !text.trim().is_empty());
    checked.suggestions = checked.config.follow(basis, is_typed);
    for (key, sentence) in validate(&checked.config) {
        let sentence = sentence.replacen(&key, label_of(&key), 1);
        checked.problems.entry(key).or_insert(sentence);
    }
    let config = checked.config.clone();
    checked.problems.retain(|key, _| counts(key, &config));
    checked
}

/// What the sheet calls a setting.
pub(crate) fn label_of(key: &str) -> &str {
    Setting::of(key).map_or(key, |setting| setting.label)
}

/// Whether a setting has a say under these others. One that has none is not shown, so nobody could mend it.
fn counts(key: &str, config: &RunConfig) -> bool {
    Setting::of(key).is_none_or(|setting| setting.counts.holds(config))
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
