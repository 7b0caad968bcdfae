//! A setting as everything around the training sees it: what it is called, what it does, what it may be, and where it
//! stands.
//!
//! [`super::RunConfig::settings`] is the table of all of them. Launch sheet, validation, `--set`, `--print-config`,
//! `nudge settings` and Compare read it; a setting is written down nowhere else.

use toml::Value;

use super::{RunConfig, When, words::Word};

/// One key of `run.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.name`.
    pub key: &'static str,
    /// What the screen calls it.
    pub label: &'static str,
    /// One sentence: what it does. The same that documents the field.
    pub about: &'static str,
    pub kind: SettingKind,
    /// Where the sheet has its field, and the how-manieth it is there. Absent: it has a control of its own, or stands
    /// in the file only.
    pub place: Option<(Group, u8)>,
    pub counts: When,
    /// How it may change while a run goes on, if it may.
    pub live: Option<Live>,
    /// What counts while it has no value; absent where it always has one.
    pub unset: Option<fn(&RunConfig) -> String>,
    /// Whether a fork may have it otherwise than its run.
    pub at_fork: AtFork,
    /// A fork that has another one needs another contrast pair.
    pub refits: bool,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Setting {}

#[derive(Debug, Clone, Copy)]
pub enum SettingKind {
    /// Any number, e.g. `3e-4`.
    Number(Range),
    /// A list of numbers, each in the range; said in words.
    Numbers(Range, &'static str),
    /// A whole number.
    Count(Range),
    /// A whole number, or the word `auto`.
    CountOrAuto(Range),
    Text,
    /// A folder, or a file that is a model; a relative one counts from the project.
    Path,
    /// A file; likewise.
    File,
    /// Names of layers, or `all-linear`.
    Layers,
    Switch,
    /// One of some words.
    Choice(&'static [Word]),
}

/// What a number may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    Any,
    AboveZero,
    ZeroOrMore,
    /// At least 0 and below this.
    Below(f64),
    OneOrMore,
    /// Both ends included.
    Between(i32, i32),
}

/// The parts of the launch sheet, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Model,
    Method,
    /// What holds the model: files of text beside the pairs.
    Texts,
    Adapter,
    Length,
    Measuring,
    Details,
    /// Files and folders, under the details.
    Folders,
    Machine,
}

/// What a fork does with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtFork {
    /// It may be another one: how that counts.
    Changes(&'static str),
    /// It stays what it is: why.
    Stays(&'static str),
}

/// Why a setting that says nothing of forks stays what it is.
const BEGUN: &str = "the run was begun with it";

/// How most of those count that may be another one.
pub(super) const NEXT: &str = "from the next step on";

/// What is turned while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    Value,
    /// A factor on it, 1 at the start.
    Factor,
}

impl Setting {
    const fn new(kind: SettingKind, label: &'static str) -> Self {
        Self {
            key: "",
            label,
            about: "",
            kind,
            place: None,
            counts: When::Always,
            live: None,
            unset: None,
            at_fork: AtFork::Stays(BEGUN),
            refits: false,
        }
    }

    pub(super) const fn number(label: &'static str, range: Range) -> Self {
        Self::new(SettingKind::Number(range), label)
    }

    pub(super) const fn numbers(label: &'static str, range: Range, words: &'static str) -> Self {
        Self::new(SettingKind::Numbers(range, words), label)
    }

    pub(super) const fn count(label: &'static str, range: Range) -> Self {
        Self::new(SettingKind::Count(range), label)
    }

    pub(super) const fn count_or_auto(label: &'static str, range: Range) -> Self {
        Self::new(SettingKind::CountOrAuto(range), label)
    }

    pub(super) const fn text(label: &'static str) -> Self {
        Self::new(SettingKind::Text, label)
    }

    pub(super) const fn path(label: &'static str) -> Self {
        Self::new(SettingKind::Path, label)
    }

    pub(super) const fn file(label: &'static str) -> Self {
        Self::new(SettingKind::File, label)
    }

    pub(super) const fn layers(label: &'static str) -> Self {
        Self::new(SettingKind::Layers, label)
    }

    pub(super) const fn switch(label: &'static str) -> Self {
        Self::new(SettingKind::Switch, label)
    }

    pub(super) const fn choice(label: &'static str, words: &'static [Word]) -> Self {
        Self::new(SettingKind::Choice(words), label)
    }

    pub(super) const fn at(self, group: Group, order: u8) -> Self {
        Self { place: Some((group, order)), ..self }
    }

    pub(super) const fn only(self, counts: When) -> Self {
        Self { counts, ..self }
    }

    pub(super) const fn live(self, live: Live) -> Self {
        Self { live: Some(live), ..self }
    }

    /// A fork may have another one: how that counts.
    pub(super) const fn changes(self, how: &'static str) -> Self {
        Self { at_fork: AtFork::Changes(how), ..self }
    }

    /// With another one, a fork fits another contrast pair.
    pub(super) const fn refits(self) -> Self {
        let changes = self.changes("another contrast pair is fitted on the pairs at the fork");
        Self { refits: true, ..changes }
    }

    /// A fork takes it over: why.
    pub(super) const fn stays(self, why: &'static str) -> Self {
        Self { at_fork: AtFork::Stays(why), ..self }
    }

    /// What counts while it has no value.
    pub(super) const fn unset(self, words: fn(&RunConfig) -> String) -> Self {
        Self { unset: Some(words), ..self }
    }

    pub(super) const fn named(self, key: &'static str, about: &'static str) -> Self {
        Self { key, about: about.trim_ascii_start(), ..self }
    }

    /// The setting of this key, if there is one.
    pub fn of(key: &str) -> Option<&'static Self> {
        RunConfig::settings().find(|setting| setting.key == key)
    }

    /// Those of one part of the sheet, in its order.
    pub fn under(group: Group) -> Vec<Self> {
        let place = |setting: &Self| setting.place.filter(|(place, _)| *place == group);
        let mut found: Vec<Self> = RunConfig::settings().filter(|setting| place(setting).is_some()).copied().collect();
        found.sort_by_key(|setting| setting.place.map(|(_, order)| order));
        found
    }

    /// The same without those that have no say under the others.
    pub fn that_count(group: Group, config: &RunConfig) -> Vec<Self> {
        let mut found = Self::under(group);
        found.retain(|setting| setting.counts.holds(config));
        found
    }

    /// Section and name.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }

    /// Whether losses with another one say nothing about those with this one.
    pub fn is_of_loss(&self) -> bool {
        let weighs_tokens = matches!(self.counts, When::Weighed | When::Weights(_) | When::Triplet);
        weighs_tokens || self.section_and_name().0 == "objective"
    }

    /// A value of it as the screen says it.
    pub fn shown<'v>(&self, value: &'v str) -> &'v str {
        match (self.kind, value) {
            (SettingKind::Switch, "true") => "yes",
            (SettingKind::Switch, "false") => "no",
            _ => self.words().iter().find(|word| word.word == value).map_or(value, |word| word.shown),
        }
    }

    /// What it may be in words, after "it must be".
    pub fn allowed(&self) -> String {
        match self.kind {
            SettingKind::Number(range) | SettingKind::Count(range) => range.words(),
            SettingKind::Numbers(_, words) => words.to_owned(),
            SettingKind::CountOrAuto(range) => format!("\"auto\" or {}", range.words()),
            SettingKind::Text => "a word".to_owned(),
            SettingKind::Path => "a folder or a file".to_owned(),
            SettingKind::File => "a file".to_owned(),
            SettingKind::Layers => "all-linear, or names such as q_proj, v_proj".to_owned(),
            SettingKind::Switch => "true or false".to_owned(),
            SettingKind::Choice(words) => {
                words.iter().map(|word| format!("\"{}\"", word.word)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The words that it may be; none where it is no choice.
    pub fn words(&self) -> &'static [Word] {
        match self.kind {
            SettingKind::Choice(words) => words,
            _ => &[],
        }
    }

    /// What its numbers may be.
    pub fn range(&self) -> Range {
        match self.kind {
            SettingKind::Number(range)
            | SettingKind::Numbers(range, _)
            | SettingKind::Count(range)
            | SettingKind::CountOrAuto(range) => range,
            SettingKind::Text
            | SettingKind::Path
            | SettingKind::File
            | SettingKind::Layers
            | SettingKind::Switch
            | SettingKind::Choice(_) => Range::Any,
        }
    }

    /// The number of a value that is out of range.
    pub(super) fn out_of_range(&self, value: &Value) -> Option<String> {
        let outside = |value: &Value, range: Range| match *value {
            Value::Float(number) => (!range.holds(number)).then(|| number.to_string()),
            Value::Integer(number) => (!range.holds(number as f64)).then(|| number.to_string()),
            _ => None,
        };
        match value {
            Value::Array(values) => values.iter().find_map(|value| outside(value, self.range())),
            value => outside(value, self.range()),
        }
    }
}

impl Range {
    pub fn holds(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Any => true,
                Self::AboveZero => value > 0.0,
                Self::ZeroOrMore => value >= 0.0,
                Self::Below(end) => (0.0..end).contains(&value),
                Self::OneOrMore => value >= 1.0,
                Self::Between(low, high) => (f64::from(low)..=f64::from(high)).contains(&value),
            }
    }

    /// After "it must be".
    pub fn words(self) -> String {
        match self {
            Self::Any => "a number".to_owned(),
            Self::AboveZero => "a number above 0".to_owned(),
            Self::ZeroOrMore => "0 or more".to_owned(),
            Self::Below(end) => format!("at least 0 and below {end}"),
            Self::OneOrMore => "1 or more".to_owned(),
            Self::Between(low, high) => format!("{low} to {high}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf};

    use toml::Table;

    use super::*;
    use crate::config::{Margin, Method, Negatives, TokenWeights, validate};

    /// A config in which every key has a value.
    fn full() -> RunConfig {
        let mut config = RunConfig::default();
        config.model.path = Some(PathBuf::new());
        config.model.start_adapter = Some(PathBuf::new());
        config.model.continue_adapter = Some(PathBuf::new());
        config.data.retention = Some(PathBuf::new());
        config.objective.margin = Some(Margin::Sum);
        config.objective.reference_weight = Some(0.0);
        config.objective.retention_weight = Some(0.0);
        config.tis.steps = Some(1);
        config.tis.learning_rate = Some(1e-3);
        config.reward.run = Some(1);
        config.reward.step = Some(1);
        config.rlhf.answers_per_prompt = Some(1);
        config.rlhf.kl_coef = Some(0.0);
        config.rlhf.epochs = Some(1);
        config.ppo.critic_learning_rate = Some(1e-3);
        config.train.steps = Some(1);
        config.train.memory_mb = Some(1);
        config.train.kl_limit = Some(1.0);
        config
    }

    fn keys(config: &RunConfig) -> BTreeSet<String> {
        config.every_value().unwrap().into_keys().collect()
    }

    #[test]
    fn the_table_has_every_key_of_the_file_and_no_other() {
        let table: Vec<&str> = RunConfig::settings().map(|setting| setting.key).collect();
        let known: BTreeSet<String> = table.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(known.len(), table.len(), "no key twice");
        assert_eq!(known, keys(&full()));
    }

    #[test]
    fn what_may_be_absent_says_what_counts_then() {
        let default = RunConfig::default();
        let set = keys(&default);
        for setting in RunConfig::settings() {
            assert_eq!(setting.unset.is_none(), set.contains(setting.key), "{}", setting.key);
            if let Some(words) = setting.unset {
                assert!(!words(&default).is_empty());
            }
        }
    }

    #[test]
    fn every_setting_is_said_in_words() {
        for setting in RunConfig::settings() {
            assert!(!setting.label.is_empty() && setting.about.len() > 10, "{}", setting.key);
            assert!(!setting.about.ends_with('.') && !setting.about.starts_with(' '), "{}", setting.key);
            let (section, name) = setting.section_and_name();
            assert_eq!(format!("{section}.{name}"), setting.key);
            assert_eq!(Setting::of(setting.key), Some(setting));
        }
    }

    /// A default of the wrong kind or outside its range would refuse every run.
    #[test]
    fn the_kind_is_that_of_the_value_and_the_default_is_in_range() {
        let tree = Table::try_from(full()).unwrap();
        for setting in RunConfig::settings() {
            let (section, name) = setting.section_and_name();
            let value = &tree[section][name];
            let fits = match setting.kind {
                SettingKind::Number(_) => value.is_float(),
                SettingKind::Numbers(..) => value.is_array(),
                SettingKind::Count(_) => value.is_integer(),
                SettingKind::CountOrAuto(_)
                | SettingKind::Text
                | SettingKind::Path
                | SettingKind::File
                | SettingKind::Layers => value.is_str(),
                SettingKind::Switch => value.is_bool(),
                SettingKind::Choice(words) => words.iter().any(|word| Some(word.word) == value.as_str()),
            };
            assert!(fits, "{}: {value}", setting.key);
            assert_eq!(setting.out_of_range(value), None, "{}", setting.key);
        }
    }

    #[test]
    fn a_value_outside_its_range_is_refused_by_name() {
        let outside = |range| match range {
            Range::Any | Range::Between(..0, _) => None,
            Range::AboveZero | Range::OneOrMore | Range::Between(1.., _) => Some("0"),
            Range::ZeroOrMore | Range::Between(0, _) => Some("-1"),
            Range::Below(_) => Some("1.5"),
        };
        for setting in RunConfig::settings() {
            let (Some(value), SettingKind::Number(_) | SettingKind::Count(_) | SettingKind::CountOrAuto(_)) =
                (outside(setting.range()), setting.kind)
            else {
                continue;
            };
            let mut config = RunConfig::default();
            match setting.counts {
                When::Method(method) => config.objective.kind = method,
                When::Sampling => config.objective.kind = Method::Ppo,
                When::Several => config.objective.negatives = Negatives::All,
                When::Weights(kind) => config.objective.token_weights = kind,
                When::Triplet => {
                    (config.objective.token_weights, config.ti.triplet_weight) = (TokenWeights::Ti, 0.1);
                }
                When::Always
                | When::Policy
                | When::Preference
                | When::Softmax
                | When::Weighed
                | When::Smoothed
                | When::Adapter
                | When::ByEpochs
                | When::Limited => {}
            }
            // A whole number below zero is refused as it is read.
            match config.with_overrides(&[(setting.key.to_owned(), value.to_owned())]) {
                Ok(config) => {
                    let faults = validate(&config);
                    let named =
                        faults.iter().any(|(key, sentence)| key == setting.key && sentence.contains(key.as_str()));
                    assert!(named, "{}: {faults:?}", setting.key);
                }
                Err(error) => assert!(error.to_string().contains(setting.key), "{error}"),
            }
        }
    }

    #[test]
    fn no_two_fields_of_the_sheet_stand_at_one_place() {
        let mut places: Vec<_> = RunConfig::settings().filter_map(|setting| setting.place).collect();
        let all = places.len();
        places.sort_by_key(|(group, order)| (*group as u8, *order));
        places.dedup();
        assert_eq!(places.len(), all);
    }
}
